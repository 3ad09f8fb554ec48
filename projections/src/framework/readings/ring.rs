//! The latest of what a reading has read, for several who take it at speeds of their own.

use std::collections::VecDeque;
use std::sync::Arc;

use platform::event_log::StoredEvent;
use schemas::Position;

use crate::framework::recorded::Read;

/// Something that was read.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// An event.
    Event(Arc<Read>),
    /// One that this version of the code cannot read: nothing comes after it.
    Unreadable(Arc<StoredEvent>),
    /// No wanted event stands at or before this position beyond those before.
    Reached(Position),
}

impl Item {
    pub(super) fn position(&self) -> Position {
        match self {
            Self::Event(read) => read.position,
            Self::Unreadable(stored) => stored.position,
            Self::Reached(position) => *position,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event(read) => read.bytes,
            Self::Unreadable(_) | Self::Reached(_) => 0,
        }
    }
}

/// How much a ring keeps.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// What somebody finds who wants to take.
pub(super) enum Taken {
    /// These come next.
    Items(Vec<Item>),
    /// Nothing yet.
    Nothing,
    /// What comes next is not kept any more.
    Lost,
}

/// Items in log order, each with a number. Half of it may be ahead of everybody, the rest is for those who are slower.
pub(super) struct Ring {
    bounds: Bounds,
    items: VecDeque<Item>,
    /// The number of the first item.
    first: u64,
    /// Everything wanted after this position, up to the end, is kept.
    start: Option<Position>,
    /// Everything wanted up to here was read.
    end: Option<Position>,
    bytes: usize,
    /// The number of the first item that nobody has taken.
    untaken: u64,
    untaken_bytes: usize,
    /// It has read what stood in the log when it began, and follows the log's end.
    pub(super) is_live: bool,
}

impl Ring {
    /// A ring without items, for what stands after a position.
    pub(super) fn new(after: Option<Position>, bounds: Bounds) -> Self {
        Self {
            bounds,
            items: VecDeque::new(),
            first: 0,
            start: after,
            end: after,
            bytes: 0,
            untaken: 0,
            untaken_bytes: 0,
            is_live: false,
        }
    }

    /// Whether more should be read: not further ahead of the fastest than half of what is kept.
    pub(super) fn has_room(&self) -> bool {
        let ahead = self.items.len() - self.index_of(self.untaken);
        ahead < self.bounds.items / 2 && self.untaken_bytes < self.bounds.bytes / 2
    }

    /// Adds what was read next, and forgets the oldest that somebody has taken. A position that is reached already
    /// tells nothing new.
    pub(super) fn push(&mut self, item: Item) {
        let (position, bytes) = (item.position(), item.bytes());
        if matches!(item, Item::Reached(_)) && self.end >= Some(position) {
            return;
        }
        self.end = self.end.max(Some(position));
        self.bytes += bytes;
        self.untaken_bytes += bytes;
        self.items.push_back(item);
        while self.first < self.untaken
            && (self.items.len() > self.bounds.items || self.bytes > self.bounds.bytes)
            && let Some(oldest) = self.items.pop_front()
        {
            self.first += 1;
            self.bytes -= oldest.bytes();
            self.start = Some(oldest.position());
        }
    }

    /// Where somebody goes on who has everything up to a position; `None` where something they lack is not kept, or
    /// where they are ahead of a reading that is not at the log's end yet. Who is a little ahead of one that is will
    /// be given again what they have.
    pub(super) fn place_after(&self, position: Option<Position>) -> Option<u64> {
        if position < self.start || position > self.end && !self.is_live {
            return None;
        }
        let had = self.items.partition_point(|item| Some(item.position()) <= position);
        Some(self.first + had as u64)
    }

    /// Takes at most `max` items, and moves the place behind them.
    pub(super) fn take(&mut self, place: &mut u64, max: usize) -> Taken {
        if *place < self.first {
            return Taken::Lost;
        }
        let from = self.index_of(*place);
        let to = self.items.len().min(from.saturating_add(max));
        let items: Vec<Item> = self.items.range(from..to).cloned().collect();
        *place += items.len() as u64;
        // also where there is nothing: who came in at the end has all that is before it
        if *place > self.untaken {
            let taken = self.items.range(self.index_of(self.untaken)..to);
            self.untaken_bytes -= taken.map(Item::bytes).sum::<usize>();
            self.untaken = *place;
        }
        if items.is_empty() { Taken::Nothing } else { Taken::Items(items) }
    }

    fn index_of(&self, number: u64) -> usize {
        usize::try_from(number - self.first).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(items: usize) -> Ring {
        Ring::new(Some(Position(0)), Bounds { items, bytes: usize::MAX })
    }

    fn push(ring: &mut Ring, positions: std::ops::RangeInclusive<u64>) {
        positions.for_each(|position| ring.push(Item::Reached(Position(position))));
    }

    fn take(ring: &mut Ring, place: &mut u64, max: usize) -> Option<Vec<u64>> {
        match ring.take(place, max) {
            Taken::Items(items) => Some(items.iter().map(|item| item.position().0).collect()),
            Taken::Nothing => Some(Vec::new()),
            Taken::Lost => None,
        }
    }

    #[test]
    fn it_reads_ahead_of_the_fastest_and_keeps_some_for_the_slow() {
        let (mut ring, mut fast, mut slow) = (ring(4), 0, 0);
        push(&mut ring, 1..=2);
        assert!(!ring.has_room());
        assert_eq!(take(&mut ring, &mut fast, 9), Some(vec![1, 2]));
        assert!(ring.has_room());
        assert_eq!(take(&mut ring, &mut slow, 1), Some(vec![1]));
        push(&mut ring, 3..=4);
        assert!(!ring.has_room(), "the slow one does not count");
        assert_eq!(take(&mut ring, &mut fast, 9), Some(vec![3, 4]));
        push(&mut ring, 5..=6);
        assert_eq!(take(&mut ring, &mut slow, 9), None, "what comes next for it is gone");
        assert_eq!(take(&mut ring, &mut fast, 9), Some(vec![5, 6]));
        assert_eq!(take(&mut ring, &mut fast, 9), Some(vec![]));
    }

    #[test]
    fn one_finds_a_place_where_nothing_is_missing_and_nothing_is_repeated() {
        let (mut ring, mut place) = (ring(4), 0);
        for last in [2, 4, 6] {
            push(&mut ring, last - 1..=last);
            take(&mut ring, &mut place, 9);
        }
        assert_eq!(ring.place_after(Some(Position(1))), None, "2 is gone");
        assert_eq!(ring.place_after(None), None);
        let mut place = ring.place_after(Some(Position(4))).unwrap();
        assert_eq!(take(&mut ring, &mut place, 9), Some(vec![5, 6]));
        assert_eq!(ring.place_after(Some(Position(2))), Some(2), "all that is kept");
        assert_eq!(ring.place_after(Some(Position(6))), Some(6));
        assert_eq!(ring.place_after(Some(Position(7))), None, "who is ahead would wait");
        ring.is_live = true;
        assert_eq!(ring.place_after(Some(Position(7))), Some(6));
    }

    #[test]
    fn a_position_that_is_reached_tells_nothing_new() {
        let (mut ring, mut place) = (ring(4), 0);
        ring.push(Item::Reached(Position(5)));
        ring.push(Item::Reached(Position(5)));
        ring.push(Item::Reached(Position(3)));
        assert_eq!(take(&mut ring, &mut place, 9), Some(vec![5]));
    }
}
