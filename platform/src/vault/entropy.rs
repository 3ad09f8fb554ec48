//! Where keys and nonces come from.

use parking_lot::Mutex;
use rand::rngs::{OsRng, StdRng};
use rand::{RngCore, SeedableRng, TryRngCore};
use uuid::{Builder, Uuid};

use super::cipher::Nonce;

pub(super) enum Entropy {
    /// The operating system's generator.
    System,
    /// The same in every run, for tests.
    Seeded(Box<Mutex<StdRng>>),
}

impl Entropy {
    pub(super) fn seeded(seed: u64) -> Self {
        Self::Seeded(Box::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A nonce, random: the chance that one comes twice under one person's key is below 2⁻³³ even after
    /// four billion of their messages.
    pub(super) fn nonce(&self) -> Nonce {
        let mut nonce = [0; 12];
        self.fill(&mut nonce);
        nonce
    }

    pub(super) fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }

    pub(super) fn fill(&self, bytes: &mut [u8]) {
        match self {
            // without randomness there is no secrecy: the process ends rather than go on, as `rand` does
            Self::System => OsRng.unwrap_err().fill_bytes(bytes),
            Self::Seeded(seeded) => seeded.lock().fill_bytes(bytes),
        }
    }
}
