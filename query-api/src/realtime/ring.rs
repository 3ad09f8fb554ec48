//! What a room said last: one bounded queue for all its sockets, each with a cursor of its own.
//!
//! A socket that falls out of the ring has lost frames and is told so; nobody's slowness costs memory.

use bytes::Bytes;
use schemas::Revision;
use std::collections::VecDeque;
use tokio::time::Instant;

/// A frame, or the frames of one event, as they go over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// With their WebSocket heads.
    pub(crate) wire: Bytes,
    /// The event's revision; for a coalesced frame the latest one.
    pub(crate) sequence: Revision,
    /// Whether an event made it, so that it is replayed.
    pub(crate) is_durable: bool,
    said_at: Instant,
}

/// Where a socket stands in a ring: the number of the next entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Cursor(u64);

/// What became of a pull.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pulled {
    /// There was nothing new.
    Nothing,
    /// Some entries were taken; the cursor is behind them.
    Some,
    /// The socket was too slow: what it has not read is gone.
    Lost,
}

/// The number of a ring's first entry: so many may be put before it.
const FIRST: u64 = 1 << 32;

/// The entries, oldest first.
#[derive(Debug)]
pub(crate) struct Ring {
    entries: VecDeque<Entry>,
    /// The number of the oldest entry.
    first: u64,
    bytes: usize,
    bytes_max: usize,
    /// All durable frames after this revision are here.
    complete_after: Revision,
}

impl Ring {
    /// An empty ring: whatever is durable after `complete_after` will be pushed.
    pub(crate) fn new(bytes_max: usize, complete_after: Revision) -> Self {
        Self { entries: VecDeque::new(), first: FIRST, bytes: 0, bytes_max, complete_after }
    }

    pub(crate) fn push(&mut self, wire: Bytes, sequence: Revision, is_durable: bool, now: Instant) {
        self.bytes += wire.len();
        self.entries.push_back(Entry { wire, sequence, is_durable, said_at: now });
        // the newest stays, however large: a frame that is lost to everybody helps nobody
        while self.bytes > self.bytes_max && self.entries.len() > 1 {
            self.drop_oldest();
        }
    }

    /// All durable frames after this revision are here.
    pub(crate) fn complete_after(&self) -> Revision {
        self.complete_after
    }

    /// Puts frames before the oldest entry, as many as fit: those of all events after `after`, up to where this was
    /// complete when they were read. They go with the oldest entry, if not before.
    pub(crate) fn put_before(&mut self, frames: Vec<(Revision, Bytes)>, after: Revision, up_to: Revision) {
        if self.complete_after != up_to {
            return;
        }
        let said_at = self.oldest().unwrap_or_else(Instant::now);
        self.complete_after = after;
        for (sequence, wire) in frames.into_iter().rev() {
            if self.first == 0 || self.bytes + wire.len() > self.bytes_max {
                self.complete_after = sequence;
                return;
            }
            self.first -= 1;
            self.bytes += wire.len();
            self.entries.push_front(Entry { wire, sequence, is_durable: true, said_at });
        }
    }

    /// Forgets what was said before `limit`: whoever has not read it by now is too slow, and nobody's words
    /// stay in memory for longer.
    pub(crate) fn forget_before(&mut self, limit: Instant) {
        while self.entries.front().is_some_and(|entry| entry.said_at < limit) {
            self.drop_oldest();
        }
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
    }

    /// When the oldest entry was said.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.said_at)
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.first += 1;
            self.bytes -= entry.wire.len();
            if entry.is_durable {
                self.complete_after = entry.sequence;
            }
        }
    }

    /// Behind the newest entry.
    pub(crate) fn end(&self) -> Cursor {
        Cursor(self.first + self.entries.len() as u64)
    }

    /// The place from which a socket that has everything up to `sequence` goes on; `None`: some of what it has
    /// not is no longer here, read it from the log.
    pub(crate) fn after(&self, sequence: Revision) -> Option<Cursor> {
        if sequence < self.complete_after {
            return None;
        }
        // sequences never fall along the ring
        let known = self.entries.partition_point(|entry| entry.sequence <= sequence);
        Some(Cursor(self.first + known as u64))
    }

    /// Hands over entries from `cursor` on, before `until`, at most about `bytes_max`, and moves it behind them.
    pub(crate) fn pull(
        &self,
        cursor: &mut Cursor,
        until: Cursor,
        bytes_max: usize,
        mut take: impl FnMut(&Entry),
    ) -> Pulled {
        let Some(start) = cursor.0.checked_sub(self.first) else { return Pulled::Lost };
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(self.entries.len());
        let end = index(until.0.saturating_sub(self.first));
        let start = index(start).min(end);
        let mut bytes = 0;
        for entry in self.entries.range(start..end) {
            if bytes >= bytes_max {
                break;
            }
            bytes += entry.wire.len();
            cursor.0 += 1;
            take(entry);
        }
        if bytes == 0 { Pulled::Nothing } else { Pulled::Some }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ring(frames: u64) -> Ring {
        let mut ring = Ring::new(100, 10);
        for sequence in 11..11 + frames {
            ring.push(Bytes::from_static(&[0; 10]), sequence, true, Instant::now());
        }
        ring
    }

    fn pull_some(ring: &Ring, cursor: &mut Cursor, bytes_max: usize) -> Option<Vec<u64>> {
        let mut taken = Vec::new();
        match ring.pull(cursor, ring.end(), bytes_max, |entry| taken.push(entry.sequence)) {
            Pulled::Nothing | Pulled::Some => Some(taken),
            Pulled::Lost => None,
        }
    }

    fn pull(ring: &Ring, cursor: &mut Cursor) -> Option<Vec<u64>> {
        pull_some(ring, cursor, 1_000)
    }

    #[test]
    fn a_cursor_reads_each_entry_once() {
        let mut ring = ring(3);
        let mut cursor = ring.after(10).unwrap();
        assert_eq!(pull(&ring, &mut cursor), Some(vec![11, 12, 13]));
        assert_eq!(pull(&ring, &mut cursor), Some(vec![]));
        ring.push(Bytes::from_static(b"x"), 14, true, Instant::now());
        assert_eq!(pull(&ring, &mut cursor), Some(vec![14]));
        assert_eq!(cursor, ring.end());
    }

    #[test]
    fn a_cursor_that_fell_out_is_lost_and_a_resume_is_refused_what_is_gone() {
        let ring = ring(15);
        assert_eq!(ring.entries.len(), 10);
        assert_eq!(pull(&ring, &mut Cursor(0)), None);
        assert_eq!(ring.after(14), None);
        assert_eq!(pull(&ring, &mut ring.after(15).unwrap()).unwrap()[0], 16);
        assert_eq!(ring.after(99), Some(ring.end()));
    }

    #[test]
    fn a_pull_is_bounded_and_goes_on_where_it_stopped() {
        let ring = ring(5);
        let mut cursor = ring.after(10).unwrap();
        assert_eq!(pull_some(&ring, &mut cursor, 15), Some(vec![11, 12]));
        assert_eq!(pull(&ring, &mut cursor), Some(vec![13, 14, 15]));
    }

    #[test]
    fn what_was_said_before_is_put_before_as_far_as_it_fits() {
        let frame = |sequence| (sequence, Bytes::from_static(&[0; 10]));
        let mut full = ring(8);
        let end = full.end();
        full.put_before(vec![frame(4), frame(6), frame(9)], 2, 10);
        assert_eq!((full.bytes, full.after(3), full.end()), (100, None, end));
        assert_eq!(pull(&full, &mut full.after(5).unwrap()).unwrap()[..3], [6, 9, 11]);
        let mut other = ring(3);
        other.put_before(vec![frame(9)], 8, 10);
        assert_eq!(pull(&other, &mut other.after(8).unwrap()), Some(vec![9, 11, 12, 13]));
        assert_eq!(other.after(7), None);
    }

    #[test]
    fn nothing_is_put_before_what_is_not_there_any_more() {
        let mut ring = ring(12);
        ring.put_before(vec![(9, Bytes::from_static(b"x"))], 8, 10);
        assert_eq!(ring.after(11), None, "12 was pushed out while 9 was read");
        assert_eq!(pull(&ring, &mut ring.after(12).unwrap()).unwrap()[0], 13);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut ring = ring(3);
        let mut cursor = ring.after(10).unwrap();
        ring.forget_before(Instant::now() + Duration::from_secs(1));
        assert_eq!((ring.bytes, ring.oldest()), (0, None));
        assert_eq!(pull(&ring, &mut cursor), None);
        assert_eq!(ring.after(12), None);
        assert_eq!(ring.after(13), Some(ring.end()));
    }
}
