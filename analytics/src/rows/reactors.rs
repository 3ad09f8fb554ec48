//! Persons at their first reaction in a show.

use schemas::published::CountedReactions;
use uuid::Uuid;

use super::{Place, fact};

fact! {
    /// Of the view `reactors`.
    ReactorRow(show_id) in "fact_reactors" {
        /// Who.
        #[serde(with = "clickhouse::serde::uuid")]
        person: Uuid,
    }
}

pub(super) fn rows(place: Place, counted: &CountedReactions) -> impl Iterator<Item = ReactorRow> {
    (0..)
        .zip(&counted.first_time)
        .map(move |(row, person)| ReactorRow { person: person.0, ..ReactorRow::at(place, row) })
}
