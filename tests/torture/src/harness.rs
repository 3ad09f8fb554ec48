//! How a fault test is made, run and judged.
//!
//! A test is rounds; a round follows from its seed. A sound build must pass each round; each control, a build broken
//! on purpose, must fail one of a few: a test that cannot fail shows nothing.

mod report;
mod run;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use async_trait::async_trait;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub use report::{Caught, Report, Verdict};
pub use run::{Plan, run, seed_of};

/// What a round counted: kills, acknowledged events, and the like.
pub type Counts = BTreeMap<&'static str, u64>;

/// What a round is given.
#[derive(Clone, Debug)]
pub struct Round {
    /// All that chance decides follows from it, as far as threads and processes allow.
    pub seed: u64,
    /// The way in which the build is broken; `None` for the sound one.
    pub control: Option<&'static str>,
    /// This program, for the processes that it starts of itself.
    pub program: PathBuf,
    /// How much of a full round is done, in percent: the short runs do less.
    pub percent: u32,
}

impl Round {
    /// Chance, from the seed.
    #[must_use]
    pub fn chance(&self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }

    /// Whether the build is broken in this way.
    #[must_use]
    pub fn is_control(&self, name: &str) -> bool {
        self.control == Some(name)
    }

    /// So much of a number as this round does; at least one.
    #[must_use]
    pub fn share(&self, full: u32) -> u32 {
        (full * self.percent / 100).max(1)
    }
}

/// A promise that was broken: what a fault test looks for. Any other error is a failure of the test itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

/// Fails with a [`Violation`] unless the promise holds.
///
/// # Errors
/// [`Violation`].
pub fn promise(holds: bool, broken: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(broken())) }
}

/// Turns an error into a [`Violation`]: what must not fail did.
pub fn violation<E: Display>(what: &str) -> impl FnOnce(E) -> Violation {
    move |error| Violation(format!("{what}: {error}"))
}

/// A fault test.
#[async_trait(?Send)]
pub trait FaultTest: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it shows, in half a line.
    fn claim(&self) -> &'static str;

    /// The ways in which a broken build must fail it.
    fn controls(&self) -> &'static [&'static str];

    /// One round.
    ///
    /// # Errors
    /// [`Violation`] where a promise is broken; anything else where the round could not be played.
    async fn round(&self, round: &Round) -> anyhow::Result<Counts>;
}
