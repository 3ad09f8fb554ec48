//! Growing pauses between tries.

use std::time::Duration;

/// The first pause: most failures are a connection that broke.
const FIRST: Duration = Duration::from_millis(50);

/// The longest pause: how late it may be noticed that a store is back, within what freshness allows.
const LONGEST: Duration = Duration::from_secs(3);

/// So many tries may fail before a store counts as away: a restart of it is none to speak of.
const PATIENCE: u32 = 4;

/// Growing pauses between tries, so that a store that comes back is not trampled.
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { tries: 0 }
    }

    /// The pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(1_u32.checked_shl(self.tries).unwrap_or(u32::MAX));
        self.tries = self.tries.saturating_add(1);
        pause.min(LONGEST)
    }

    /// Whether it has failed so often that it should be said.
    pub(crate) fn is_worth_telling(&self) -> bool {
        self.tries >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded_for_ever() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.next(), FIRST);
        assert_eq!(backoff.next(), FIRST * 2);
        assert!(!backoff.is_worth_telling());
        for _ in 0..100 {
            assert!(backoff.next() <= LONGEST);
        }
        assert!(backoff.is_worth_telling());
        assert_eq!(backoff.next(), LONGEST);
    }
}
