//! A person in a show.

use rust_decimal::Decimal;
use schemas::{PersonId, Position, SessionId, Timestamp};

/// A stay, from and to.
pub(super) type Stay = (Timestamp, Timestamp);

/// A person's first session. What is not known of it is called so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstSession {
    /// Where it stands in the log.
    pub position: Option<Position>,
    /// Device.
    pub device: &'static str,
    /// Country.
    pub country: String,
    /// City, without its country.
    pub city: String,
}

/// What persons did, whether they ever had a session or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Deeds {
    /// Messages written.
    pub messages: u64,
    /// Whether they reacted.
    pub has_reacted: bool,
    /// Tips captured.
    pub tips: Decimal,
    /// How many.
    pub tips_count: u64,
}

/// Somebody who had a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Viewer<'a> {
    /// Who.
    pub person: PersonId,
    /// When they came first.
    pub first_joined_at: Timestamp,
    /// Where and with what.
    pub first: &'a FirstSession,
    /// Sessions begun.
    pub sessions: u64,
    /// Time watched, in milliseconds; a moment in two sessions counts once.
    pub watch_ms: i64,
    /// What they did.
    pub deeds: &'a Deeds,
}

/// What is known of a person.
#[derive(Default)]
pub(super) struct Person {
    pub(super) first_joined_at: Option<Timestamp>,
    pub(super) first: Option<FirstSession>,
    pub(super) open: Vec<(SessionId, Timestamp)>,
    closed: Vec<Stay>,
    pub(super) deeds: Deeds,
}

impl Person {
    pub(super) fn join(&mut self, session: SessionId, at: Timestamp) {
        self.first_joined_at = Some(self.first_joined_at.map_or(at, |first| first.min(at)));
        self.open.push((session, at));
    }

    /// `None`: they had no session.
    pub(super) fn viewer(&self, person: PersonId, until: Timestamp) -> Option<Viewer<'_>> {
        Some(Viewer {
            person,
            first_joined_at: self.first_joined_at?,
            first: self.first.as_ref()?,
            sessions: (self.open.len() + self.closed.len()) as u64,
            watch_ms: self.covered_ms(until),
            deeds: &self.deeds,
        })
    }

    pub(super) fn is_engaged(&self) -> bool {
        self.deeds.messages > 0 || self.deeds.has_reacted || self.has_tipped()
    }

    pub(super) fn has_tipped(&self) -> bool {
        self.deeds.tips_count > 0
    }

    /// Whether there was such a session.
    pub(super) fn leave(&mut self, session: SessionId, at: Timestamp) -> bool {
        let Some(index) = self.open.iter().position(|(open, _)| *open == session) else { return false };
        let (_, joined_at) = self.open.swap_remove(index);
        self.closed.push((joined_at, at.max(joined_at)));
        true
    }

    pub(super) fn open_since(&self) -> Option<Timestamp> {
        self.open.iter().map(|(_, joined_at)| *joined_at).min()
    }

    /// The effective interval of each session.
    pub(super) fn stays(&self, until: Timestamp) -> Vec<Stay> {
        let open = self.open.iter().map(|(_, from)| (*from, until));
        let closed = self.closed.iter().map(|(from, to)| (*from, (*to).min(until)));
        closed.chain(open).map(|(from, to)| (from, to.max(from))).collect()
    }

    /// The times covered by at least one session, one after the other.
    pub(super) fn covered(&self, until: Timestamp) -> Vec<Stay> {
        covered(self.stays(until))
    }

    /// How long those are.
    pub(super) fn covered_ms(&self, until: Timestamp) -> i64 {
        length_ms(&self.covered(until))
    }
}

/// The union of intervals.
fn covered(mut intervals: Vec<Stay>) -> Vec<Stay> {
    intervals.sort_unstable();
    let mut covered: Vec<Stay> = Vec::new();
    for (from, to) in intervals {
        let from = covered.last().map_or(from, |(_, reached)| from.max(*reached));
        if to > from {
            covered.push((from, to));
        }
    }
    covered
}

fn length_ms(intervals: &[Stay]) -> i64 {
    intervals.iter().map(|(from, to)| to.millis_since(*from)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn overlapping_and_nested_stays_are_covered_once() {
        let covered_ms = |intervals| length_ms(&covered(intervals));
        assert_eq!(covered_ms(vec![(at(0), at(10)), (at(5), at(20)), (at(6), at(7)), (at(30), at(40))]), 30);
        assert_eq!(covered_ms(vec![(at(5), at(5))]), 0);
        assert_eq!(covered_ms(Vec::new()), 0);
    }

    #[test]
    fn a_leave_counts_once_and_only_for_its_session() {
        let (one, other) = (SessionId(uuid::Uuid::from_u128(1)), SessionId(uuid::Uuid::from_u128(2)));
        let mut person = Person::default();
        person.join(one, at(10));
        assert!(!person.leave(other, at(15)));
        assert!(person.leave(one, at(5)), "told to have gone before it came: an empty stay");
        assert!(!person.leave(one, at(20)));
        assert_eq!((person.covered_ms(at(30)), person.open_since()), (0, None));
    }
}
