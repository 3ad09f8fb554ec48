//! Fresh ids (UUID version 7), for what no command determines. Ids that a command determines are derived
//! from it instead, so that a repeat finds them again.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use uuid::{Builder, Uuid};

use crate::clock::Clock;

/// A source of fresh ids. Clones are the same source.
#[derive(Clone, Debug)]
pub struct Ids {
    clock: Clock,
    random: Random,
}

#[derive(Clone, Debug)]
enum Random {
    /// Cryptographic: ids of one millisecond cannot be guessed from each other.
    Thread,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Ids {
    /// Ids that nobody can guess.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, random: Random::Thread }
    }

    /// The same ids in every run, for tests.
    #[must_use]
    pub fn seeded(clock: Clock, seed: u64) -> Self {
        Self { clock, random: Random::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))) }
    }

    /// A fresh id; those of a later millisecond sort later.
    #[must_use]
    pub fn fresh(&self) -> Uuid {
        let mut random = [0; 10];
        match &self.random {
            Random::Thread => rand::rng().fill_bytes(&mut random),
            Random::Seeded(seeded) => seeded.lock().fill_bytes(&mut random),
        }
        // a clock before 1970 gives ids that sort first
        let unix_ms = u64::try_from(self.clock.now().millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid()
    }

    /// A fresh id of a type.
    #[must_use]
    pub fn next<Id: From<Uuid>>(&self) -> Id {
        Id::from(self.fresh())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{CommandId, Timestamp};

    #[test]
    fn ids_are_of_version_seven_and_sort_by_time() {
        let clock = Clock::manual(Timestamp::from_millis(1_750_000_000_000));
        let ids = Ids::new(clock.clone());
        let first = ids.fresh();
        clock.advance(1);
        let second = ids.fresh();
        assert_eq!(first.get_version_num(), 7);
        assert!(first < second);
        assert_ne!(ids.fresh(), ids.fresh());
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let sequence = |seed| {
            let ids = Ids::seeded(Clock::manual(Timestamp::from_millis(1)), seed);
            [ids.next::<CommandId>(), ids.next(), ids.next()]
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }
}
