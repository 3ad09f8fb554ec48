//! Persons at their first reaction in a show.

use schemas::published::{Published, PublishedEvent};
use uuid::Uuid;

use super::show_fact;

show_fact! {
    /// Of the view `reactors`.
    ReactorRow of "fact_reactors" {
        /// Who.
        #[serde(with = "clickhouse::serde::uuid")]
        person: Uuid,
    }
}

pub(super) fn rows(published: &Published, show: Uuid) -> Vec<ReactorRow> {
    match &published.event {
        PublishedEvent::ReactionsCounted(counted) => (0..)
            .zip(&counted.first_time)
            .map(|(row, person)| ReactorRow {
                show_id: show,
                revision: published.revision,
                row,
                position: published.position.0,
                occurred_at: published.occurred_at.millis(),
                person: person.0,
            })
            .collect(),
        PublishedEvent::ShowCreated(_)
        | PublishedEvent::ShowStarted(_)
        | PublishedEvent::ShowEnded(_)
        | PublishedEvent::ShowCancelled(_)
        | PublishedEvent::ShowRevised(_)
        | PublishedEvent::StreamSettingsChanged(_)
        | PublishedEvent::ViewerJoined(_)
        | PublishedEvent::ViewerLeft(_)
        | PublishedEvent::MessagePosted(_)
        | PublishedEvent::TipRequested(_)
        | PublishedEvent::TipCaptured(_)
        | PublishedEvent::TipDeclined(_)
        | PublishedEvent::PaymentRequested(_)
        | PublishedEvent::PaymentCaptured(_)
        | PublishedEvent::PaymentDeclined(_)
        | PublishedEvent::PaymentApplied(_) => Vec::new(),
    }
}
