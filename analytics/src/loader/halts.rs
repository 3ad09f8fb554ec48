//! When partitions that stand still are looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::lane::{Halt, Lane};
use crate::warehouse::Progress;

/// The first look at a record that only a newer version can read, and between the two looks that make a halt sure.
const FIRST: Duration = Duration::from_millis(250);

/// The longest pause between looks: how late a cure is noticed.
const LONGEST: Duration = Duration::from_secs(30);

/// A partition that stands still.
struct Halted {
    looks: u32,
    due: Instant,
    seen: Halt,
}

/// The partitions that stand still. A halt counts once it was met again after a look at the warehouse.
pub(crate) struct Halts {
    /// How long a hole may cure itself.
    patience: Duration,
    halted: BTreeMap<i32, Halted>,
}

impl Halts {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, halted: BTreeMap::new() }
    }

    /// A record was refused.
    pub(crate) fn note(&mut self, partition: i32, lane: &Lane) {
        let Some(halt) = lane.halt() else { return };
        let pause = match halt {
            Halt::Hole { .. } => self.patience,
            Halt::Unknown { .. } => FIRST,
        };
        let halted = self.halted.entry(partition).or_insert_with(|| Halted {
            looks: 0,
            due: Instant::now() + pause,
            seen: halt.clone(),
        });
        if halted.looks == 0 && halted.seen != *halt {
            halted.due = halted.due.min(Instant::now() + pause);
        }
        halted.seen = halt.clone();
    }

    /// A partition took a record. Another halt is another matter, with patience of its own.
    pub(crate) fn note_taken(&mut self, partition: i32, lane: &Lane) {
        if lane.halt().is_none() && self.halted.remove(&partition).is_some() {
            tracing::info!(partition, "partition {partition} goes on");
        }
    }

    /// The partitions that are due, of those that may be looked at now.
    pub(crate) fn due(&self, now: Instant, is_free: impl Fn(i32) -> bool) -> BTreeSet<i32> {
        let due = self.halted.iter().filter(|(partition, halted)| halted.due <= now && is_free(**partition));
        due.map(|(partition, _)| *partition).collect()
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.halted.values().map(|halted| halted.due).min()
    }

    /// The warehouse was asked about a partition. True: the lane begins again, and its reader has to move.
    pub(crate) fn look(&mut self, partition: i32, lane: &mut Lane, found: Option<Progress>) -> bool {
        let Some(halted) = self.halted.get_mut(&partition) else { return false };
        if lane.halt().is_none() {
            // it was read by another loader in between, or anew
            self.halted.remove(&partition);
            return false;
        }
        halted.looks = halted.looks.saturating_add(1);
        let pause = FIRST.saturating_mul(1_u32.checked_shl(halted.looks).unwrap_or(u32::MAX));
        halted.due = Instant::now() + pause.min(LONGEST);
        if halted.looks == 2 {
            let detail = halted.seen.to_string();
            tracing::error!(partition, detail, "partition {partition} is halted: {detail}");
        }
        let was = lane.confirmed().map(|confirmed| confirmed.position);
        let has_moved = found.map(|found| found.position) != was;
        match halted.seen {
            // what is missing may come later, or stand before the place where we began to read: the topic may have been made anew. Once is
            // enough for the latter
            Halt::Hole { .. } if halted.looks > 1 && !has_moved => false,
            Halt::Hole { .. } => {
                lane.restart(found, true);
                true
            }
            Halt::Unknown { .. } => {
                lane.restart(found, false);
                true
            }
        }
    }

    /// Whether the halt of a partition was met again after a look.
    pub(crate) fn is_sure(&self, partition: i32) -> bool {
        self.halted.get(&partition).is_some_and(|halted| halted.looks > 1)
    }

    /// Forgets partitions that are not ours.
    pub(crate) fn keep(&mut self, partitions: &BTreeSet<i32>) {
        self.halted.retain(|partition, _| partitions.contains(partition));
    }
}

#[cfg(test)]
mod tests {
    use super::super::lane::Message;
    use super::*;
    use schemas::published::{Record, Watermark};
    use schemas::{Position, Timestamp};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn take(lane: &mut Lane, offset: i64, position: u64, previous: Option<u64>) {
        let (position, previous) = (Position(position), previous.map(Position));
        let time = Timestamp::from_millis(offset);
        let record = Record::Watermark(Watermark { partition: 3, position, previous, time });
        let payload = record.encode().unwrap();
        lane.take(Message { offset, time_ms: None, key: None, payload: &payload });
    }

    fn is_due(halts: &Halts, after: Duration) -> bool {
        !halts.due(Instant::now() + after, |_| true).is_empty()
    }

    #[test]
    fn a_hole_may_cure_itself_for_a_while_and_counts_when_it_was_looked_for() {
        let (mut halts, mut lane) = (Halts::new(HOUR), Lane::new(3, None));
        take(&mut lane, 0, 20, Some(10));
        halts.note(3, &lane);
        assert!(!is_due(&halts, HOUR / 2) && is_due(&halts, HOUR));
        assert!(halts.look(3, &mut lane, None), "it goes back to the beginning");
        assert!(!halts.is_sure(3) && is_due(&halts, HOUR / 2));
        take(&mut lane, 0, 20, Some(10));
        halts.note(3, &lane);
        assert!(!halts.look(3, &mut lane, None), "once");
        assert!(halts.is_sure(3));
    }

    #[test]
    fn a_hole_after_another_one_has_time_of_its_own() {
        let (mut halts, mut lane) = (Halts::new(HOUR), Lane::new(3, None));
        take(&mut lane, 0, 20, Some(10));
        halts.note(3, &lane);
        halts.look(3, &mut lane, None);
        halts.look(3, &mut lane, None);
        take(&mut lane, 0, 10, None);
        halts.note_taken(3, &lane);
        assert!(!halts.is_sure(3) && !is_due(&halts, 2 * HOUR));
        take(&mut lane, 1, 40, Some(30));
        halts.note(3, &lane);
        assert!(!is_due(&halts, HOUR / 2) && is_due(&halts, HOUR));
    }
}
