//! A person in a show.

use schemas::{SessionId, Timestamp};

/// What is known of a person.
#[derive(Default)]
pub(super) struct Person {
    pub(super) first_joined_at: Option<Timestamp>,
    pub(super) open: Vec<(SessionId, Timestamp)>,
    closed: Vec<(Timestamp, Timestamp)>,
    pub(super) wrote: bool,
    pub(super) reacted: bool,
    pub(super) tipped: bool,
}

impl Person {
    pub(super) fn join(&mut self, session: SessionId, at: Timestamp) {
        self.first_joined_at = Some(self.first_joined_at.map_or(at, |first| first.min(at)));
        self.open.push((session, at));
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
    pub(super) fn stays(&self, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let open = self.open.iter().map(|(_, from)| (*from, until));
        let closed = self.closed.iter().map(|(from, to)| (*from, (*to).min(until)));
        closed.chain(open).map(|(from, to)| (from, to.max(from))).collect()
    }

    /// The time covered by at least one session.
    pub(super) fn covered_ms(&self, until: Timestamp) -> i64 {
        covered_ms(self.stays(until))
    }
}

/// The length of the union of intervals.
fn covered_ms(mut intervals: Vec<(Timestamp, Timestamp)>) -> i64 {
    intervals.sort_unstable();
    let (mut covered, mut reached) = (0, None::<Timestamp>);
    for (from, to) in intervals {
        let from = reached.map_or(from, |reached| reached.max(from));
        if to > from {
            covered += to.millis_since(from);
            reached = Some(to);
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn overlapping_and_nested_stays_are_covered_once() {
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
