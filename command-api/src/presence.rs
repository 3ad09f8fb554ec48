//! Presence (stub).
use schemas::{PersonId, SessionId, ShowId, Timestamp};

/// Signs of life.
#[derive(Clone, Default)]
pub struct Presence;

impl Presence {
    /// A sign of life of one session.
    pub fn seen(&self, _show: ShowId, _session: SessionId, _at: Timestamp) {}
    /// A sign of life of a person without saying on which device.
    pub fn seen_person(&self, _show: ShowId, _person: PersonId, _at: Timestamp) {}
}
