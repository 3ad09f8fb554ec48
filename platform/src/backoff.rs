//! Growing pauses between tries.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The first pause: most failures are a connection that broke.
const FIRST: Duration = Duration::from_millis(50);

/// Growing pauses between tries, so that a store that comes back is not trampled.
pub struct Backoff {
    longest: Duration,
    tries: u32,
}

impl Backoff {
    /// Pauses from 50 ms on, each twice the one before, up to the longest: how late it may be noticed that a store is back.
    #[must_use]
    pub fn up_to(longest: Duration) -> Self {
        Self { longest, tries: 0 }
    }

    /// Things went well: begin again with short pauses.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(1_u32.checked_shl(self.tries).unwrap_or(u32::MAX));
        self.tries = self.tries.saturating_add(1);
        pause.min(self.longest)
    }

    /// Failures since things went well.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Waits after one more failure, unless told to stop.
    pub async fn wait(&mut self, stop: &CancellationToken) {
        // either way the caller looks whether it is to stop
        drop(timeout(self.pause(), stop.cancelled()).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded_for_ever() {
        let longest = Duration::from_secs(3);
        let mut backoff = Backoff::up_to(longest);
        assert_eq!(backoff.pause(), FIRST);
        assert_eq!(backoff.pause(), FIRST * 2);
        for _ in 0..100 {
            assert!(backoff.pause() <= longest);
        }
        assert_eq!((backoff.pause(), backoff.tries()), (longest, 103));
        backoff.reset();
        assert_eq!(backoff.pause(), FIRST);
    }
}
