//! When partitions that stand still are looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::lane::{Halt, Lane};
use crate::warehouse::Progress;

/// The first look: Kafka may have begun at another offset than we asked for.
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
#[derive(Default)]
pub(crate) struct Halts(BTreeMap<i32, Halted>);

impl Halts {
    /// A record was refused.
    pub(crate) fn note(&mut self, partition: i32, lane: &Lane) {
        let Some(halt) = lane.halt() else { return };
        let halted = self.0.entry(partition).or_insert_with(|| Halted {
            looks: 0,
            due: Instant::now() + FIRST,
            seen: halt.clone(),
        });
        halted.seen = halt.clone();
    }

    /// The partitions that are due, of those that may be looked at now.
    pub(crate) fn due(&self, now: Instant, is_free: impl Fn(i32) -> bool) -> BTreeSet<i32> {
        let due = self.0.iter().filter(|(partition, halted)| halted.due <= now && is_free(**partition));
        due.map(|(partition, _)| *partition).collect()
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().map(|halted| halted.due).min()
    }

    /// The warehouse was asked about a partition. True: the lane begins again, and its reader has to move.
    pub(crate) fn look(&mut self, partition: i32, lane: &mut Lane, found: Option<Progress>) -> bool {
        let Some(halted) = self.0.get_mut(&partition) else { return false };
        if lane.halt().is_none() {
            tracing::info!(partition, "partition {partition} goes on");
            self.0.remove(&partition);
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
            // what is missing may stand before the place where we began to read, or come later; once is enough for the former
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
        self.0.get(&partition).is_some_and(|halted| halted.looks > 1)
    }

    /// Forgets partitions that are not ours.
    pub(crate) fn keep(&mut self, partitions: &BTreeSet<i32>) {
        self.0.retain(|partition, _| partitions.contains(partition));
    }
}
