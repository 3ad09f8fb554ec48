//! Reading waits while a full batch waits for the one before it.

use std::time::Duration;

use tokio::time::Instant;

/// For how long the client is only not asked for more while a full batch waits. Then its partitions are paused, as it must be asked now and then to stay
/// in the group; at once would be dear, as a pause gives up what the client has fetched ahead.
const HELD_MAX: Duration = Duration::from_secs(3);

/// What is to be done with the partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Pause,
    Resume,
}

/// Whether reading waits, and how. A new one goes with partitions that run.
#[derive(Default)]
pub(super) struct Brake {
    full_since: Option<Instant>,
    is_paused: bool,
}

impl Brake {
    /// Whether the client is not to be asked for more.
    pub(super) fn is_held(&self) -> bool {
        self.full_since.is_some() && !self.is_paused
    }

    /// When to look again, whatever happens.
    pub(super) fn pause_at(&self) -> Option<Instant> {
        self.full_since.filter(|_| !self.is_paused).map(|since| since + HELD_MAX)
    }

    /// Whether a full batch waits now.
    pub(super) fn set(&mut self, is_full: bool, now: Instant) -> Option<Change> {
        self.full_since = is_full.then(|| self.full_since.unwrap_or(now));
        let should_pause = self.full_since.is_some_and(|since| now >= since + HELD_MAX);
        if should_pause == self.is_paused {
            return None;
        }
        self.is_paused = should_pause;
        Some(if should_pause { Change::Pause } else { Change::Resume })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_batch_holds_reading_at_once_and_pauses_it_when_it_takes_long() {
        let (mut brake, begin) = (Brake::default(), Instant::now());
        let after = |ms| begin + Duration::from_millis(ms);
        assert_eq!((brake.set(false, begin), brake.is_held(), brake.pause_at()), (None, false, None));
        assert_eq!((brake.set(true, after(10)), brake.is_held()), (None, true));
        assert_eq!((brake.set(true, after(3_009)), brake.is_held()), (None, true));
        assert_eq!(brake.pause_at(), Some(after(3_010)));
        // a paused client gives nothing, and is asked again
        assert_eq!((brake.set(true, after(3_010)), brake.is_held()), (Some(Change::Pause), false));
        assert_eq!((brake.set(true, after(9_000)), brake.pause_at()), (None, None));
        assert_eq!((brake.set(false, after(9_001)), brake.is_held()), (Some(Change::Resume), false));
    }

    #[test]
    fn a_batch_that_went_in_time_pauses_nothing() {
        let (mut brake, begin) = (Brake::default(), Instant::now());
        for second in 0..9 {
            let now = begin + Duration::from_secs(second);
            assert_eq!((brake.set(second % 2 == 0, now), brake.is_held()), (None, second % 2 == 0));
        }
    }
}
