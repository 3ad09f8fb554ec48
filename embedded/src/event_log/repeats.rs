//! Which events were written lately: what an append without a revision is compared with.
//!
//! An append that names its revision needs none of this: the ids that a repeat must match are in the log at
//! those revisions. Without a revision only the ids can tell, and to tell of any id whether it was ever
//! written would cost a look-up that grows with the log. As on the real server such a repeat is recognised
//! for a while only: as long as fewer than [`EVENTS_MAX`] events have followed, and after a restart within the
//! log's last [`RECALLED_LOG_BYTES`]. So memory and cost do not depend on the log's size.

use std::mem;

use ahash::{HashMap, HashMapExt, RandomState};
use uuid::Uuid;

/// At least so many of the newest events are remembered, and at most twice as many: some ten seconds of the
/// highest load, longer than clients repeat. It fills the map's 2^19 places exactly, so that it never grows
/// while the writer waits. Both generations take 34 MB.
const EVENTS_MAX: usize = (1 << 19) / 8 * 7;
/// What a start reads again of the log to remember the newest events: a tenth of a second.
pub(crate) const RECALLED_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// A stream's name as a key: names that were not chosen for it do not collide, and the seed is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name(u64);

/// Revisions by stream and event id.
pub(crate) type Revisions = HashMap<(Name, Uuid), u64>;

/// The newest events, in two generations: when the younger is full, the older is forgotten.
#[derive(Debug)]
pub(crate) struct Repeats {
    younger: Revisions,
    older: Revisions,
    events_max: usize,
    names: RandomState,
}

impl Default for Repeats {
    fn default() -> Self {
        Self::of_newest(EVENTS_MAX)
    }
}

impl Repeats {
    fn of_newest(events_max: usize) -> Self {
        let younger = Revisions::with_capacity(events_max);
        Self { younger, older: Revisions::new(), events_max, names: RandomState::new() }
    }

    pub(crate) fn name(&self, stream: &str) -> Name {
        Name(self.names.hash_one(stream))
    }

    /// The revision of the newest event with this id in a stream, if it was written lately.
    pub(crate) fn revision_of(&self, name: Name, id: Uuid) -> Option<u64> {
        let key = (name, id);
        self.younger.get(&key).or_else(|| self.older.get(&key)).copied()
    }

    /// Takes in the events of one frame. They stay together, so an append is remembered whole or not at all.
    pub(crate) fn take_in(&mut self, events: impl ExactSizeIterator<Item = ((Name, Uuid), u64)>) {
        if self.younger.len() + events.len() > self.events_max && !self.younger.is_empty() {
            self.older.clear();
            mem::swap(&mut self.older, &mut self.younger);
            // room for all at once, the first time; the map is used again and again afterwards
            self.younger.reserve(self.events_max);
        }
        self.younger.extend(events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(repeats: &Repeats, stream: &str, number: u128) -> Option<u64> {
        repeats.revision_of(repeats.name(stream), Uuid::from_u128(number))
    }

    fn write(repeats: &mut Repeats, stream: &str, numbers: std::ops::Range<u64>) {
        let name = repeats.name(stream);
        repeats.take_in(
            numbers
                .map(|number| ((name, Uuid::from_u128(number.into())), number))
                .collect::<Vec<_>>()
                .into_iter(),
        );
    }

    #[test]
    fn the_newest_events_are_remembered_and_memory_is_bounded() {
        let mut repeats = Repeats::of_newest(100);
        for frame in 0..50 {
            write(&mut repeats, "a", frame * 7..frame * 7 + 7);
            let newest = frame * 7 + 6;
            for number in newest.saturating_sub(93)..=newest {
                assert_eq!(written(&repeats, "a", number.into()), Some(number));
            }
            assert!(repeats.younger.len() + repeats.older.len() <= 200);
        }
        assert_eq!(written(&repeats, "a", 0), None);
        assert_eq!(written(&repeats, "b", 349), None);
    }

    #[test]
    fn the_newest_revision_of_an_id_counts_and_a_frame_stays_together() {
        let mut repeats = Repeats::of_newest(3);
        write(&mut repeats, "a", 0..5);
        assert!((0..5_u32).all(|number| written(&repeats, "a", number.into()) == Some(number.into())));
        let name = repeats.name("a");
        repeats.take_in(vec![((name, Uuid::from_u128(4)), 9)].into_iter());
        assert_eq!(written(&repeats, "a", 4), Some(9));
        assert_eq!(written(&repeats, "a", 3), Some(3));
    }
}
