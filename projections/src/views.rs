//! The read models. A new one is a file beside the others and a line here.

mod messages;
mod payments;
mod streams;
mod tips;
mod viewers;

use std::sync::Arc;

use crate::framework::View;

/// Every read model.
#[must_use]
pub fn all() -> Vec<Arc<dyn View>> {
    vec![
        Arc::new(streams::Streams),
        Arc::new(viewers::Viewers),
        Arc::new(messages::Messages),
        Arc::new(tips::Tips),
        Arc::new(payments::Payments),
    ]
}

/// The streams of shows.
const SHOWS: platform::event_log::Prefixes = &[schemas::streams::SHOW];

/// The streams of payments.
const PAYMENTS: platform::event_log::Prefixes = &[schemas::streams::PAYMENT];

/// Text that Postgres can hold: it knows no U+0000, and everything else is as it was.
fn plain(text: &str) -> String {
    text.replace('\0', "")
}

/// The same, where there is any.
fn plain_option(text: Option<&String>) -> Option<String> {
    text.map(|text| plain(text))
}
