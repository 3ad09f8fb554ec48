//! What a test found, as lines for people.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::Counts;

/// How the sound build did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every promise held.
    Held,
    /// One was broken.
    Violated {
        /// The round's seed.
        seed: u64,
        /// Which promise, and how.
        what: String,
    },
    /// A round could not be played, which says nothing about the product.
    NotPlayed {
        /// The round's seed.
        seed: u64,
        /// Why.
        what: String,
    },
}

/// A control: the round in which it was caught and how, or why it was not.
pub type Caught = Result<(u64, String), String>;

/// What a test found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The test.
    pub name: &'static str,
    /// What it shows.
    pub claim: &'static str,
    /// Rounds that held.
    pub rounds: u64,
    /// What they counted.
    pub counts: Counts,
    /// How the sound build did.
    pub verdict: Verdict,
    /// Each control.
    pub controls: Vec<(&'static str, Caught)>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    pub(super) fn new(name: &'static str, claim: &'static str) -> Self {
        let (rounds, counts, controls) = (0, Counts::new(), Vec::new());
        Self { name, claim, rounds, counts, verdict: Verdict::Held, controls, took: Duration::ZERO }
    }

    pub(super) fn ended(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }

    /// Whether every promise held and every control was caught.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdict == Verdict::Held && self.controls.iter().all(|(_, caught)| caught.is_ok())
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let state = if self.is_good() { "held" } else { "FAILED" };
        let (seconds, rounds) = (self.took.as_secs(), self.rounds);
        writeln!(
            out,
            "{:<16} {state:<7} {rounds:>6} rounds {seconds:>5} s  {}",
            self.name,
            counts.join(", ")
        )?;
        match &self.verdict {
            Verdict::Held => {}
            Verdict::Violated { seed, what } => {
                writeln!(out, "    VIOLATED: {what}")?;
                writeln!(out, "    again: make torture ARGS=\"--only {} --replay {seed}\"", self.name)?;
            }
            Verdict::NotPlayed { seed, what } => {
                writeln!(out, "    could not be played (seed {seed}): {what}")?;
            }
        }
        for (control, caught) in &self.controls {
            match caught {
                Ok((round, how)) => writeln!(out, "    control {control}: caught in round {round} ({how})")?,
                Err(why) => writeln!(out, "    CONTROL {control}: {why}")?,
            }
        }
        Ok(())
    }
}
