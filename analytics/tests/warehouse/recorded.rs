//! Shows as the log holds them.

use schemas::events::ShowEvent;
use schemas::{PersonId, Revision, ShowId};

/// An event at its place.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub position: u64,
    pub revision: Revision,
    pub at: i64,
    pub event: ShowEvent,
}

/// A show with all its events.
#[derive(Clone, Debug)]
pub struct Show {
    pub id: ShowId,
    pub creator: PersonId,
    pub events: Vec<Recorded>,
}
