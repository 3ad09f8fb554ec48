//! The time. The domain never reads it: it arrives in the command, from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::Utc;
use schemas::Timestamp;

/// A clock that never runs backwards within this process, whatever is done to the machine's.
/// Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    /// The latest time that was told.
    last_ms: Arc<AtomicI64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    System,
    Manual,
}

impl Clock {
    /// The machine's clock. One a process: its promise holds among clones.
    #[must_use]
    pub fn system() -> Self {
        Self { source: Source::System, last_ms: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// A clock for tests: it stands until it is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self { source: Source::Manual, last_ms: Arc::new(AtomicI64::new(start.millis())) }
    }

    /// The time, never earlier than what was told before.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.source {
            Source::Manual => Timestamp::from_millis(self.last_ms.load(Ordering::Acquire)),
            Source::System => self.at_least(Utc::now().timestamp_millis()),
        }
    }

    /// Moves a manual clock forward by so many milliseconds (a negative number moves nothing), and tells
    /// the new time. The machine's clock moves by itself and ignores this.
    pub fn advance(&self, ms: i64) -> Timestamp {
        if self.source == Source::Manual {
            self.last_ms.fetch_add(ms.max(0), Ordering::AcqRel);
        }
        self.now()
    }

    fn at_least(&self, now_ms: i64) -> Timestamp {
        let before_ms = self.last_ms.fetch_max(now_ms, Ordering::AcqRel);
        Timestamp::from_millis(before_ms.max(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_until_it_is_moved_and_then_only_forward() {
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let same = clock.clone();
        assert_eq!(clock.now(), Timestamp::from_millis(1_000));
        assert_eq!(same.advance(5), Timestamp::from_millis(1_005));
        assert_eq!(same.advance(-100), Timestamp::from_millis(1_005));
        assert_eq!(clock.now(), Timestamp::from_millis(1_005));
    }

    #[test]
    fn the_system_clock_does_not_follow_a_machine_that_is_set_back() {
        let clock = Clock::system();
        let told = clock.at_least(i64::MAX / 2);
        assert_eq!(clock.at_least(told.millis() - 3_600_000), told);
        assert_eq!(clock.now(), told);
        assert_eq!(clock.advance(1), told, "only a manual clock can be moved");
    }
}
