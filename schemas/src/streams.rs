//! Names of the log's streams. The log is one for all nodes; these prefixes are its only directory.

use crate::{PaymentId, ShowId};

/// Prefix of a show's stream.
pub const SHOW: &str = "show-";
/// Prefix of a payment's stream.
pub const PAYMENT: &str = "payment-";
/// Prefix of a show's snapshots. Not events: readers of events leave these streams out.
pub const SHOW_SNAPSHOT: &str = "snapshot-show-";
/// Prefix of the pieces that a show's snapshots are made of.
pub const SHOW_SNAPSHOT_PIECES: &str = "snapshot-pieces-show-";

/// The prefixes of all streams that hold events.
pub const EVENT_STREAMS: [&str; 2] = [SHOW, PAYMENT];

/// The stream of a show.
#[must_use]
pub fn show(id: ShowId) -> String {
    format!("{SHOW}{id}")
}

/// The stream of a payment.
#[must_use]
pub fn payment(id: PaymentId) -> String {
    format!("{PAYMENT}{id}")
}

/// The stream of a show's snapshots.
#[must_use]
pub fn show_snapshot(id: ShowId) -> String {
    format!("{SHOW_SNAPSHOT}{id}")
}

/// The stream of the pieces that a show's snapshots are made of.
#[must_use]
pub fn show_snapshot_pieces(id: ShowId) -> String {
    format!("{SHOW_SNAPSHOT_PIECES}{id}")
}

/// The show that a stream name belongs to, if it is a show's event stream.
#[must_use]
pub fn parse_show(stream: &str) -> Option<ShowId> {
    stream.strip_prefix(SHOW)?.parse().ok()
}

/// The payment that a stream name belongs to.
#[must_use]
pub fn parse_payment(stream: &str) -> Option<PaymentId> {
    stream.strip_prefix(PAYMENT)?.parse().ok()
}
