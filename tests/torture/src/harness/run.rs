//! Rounds until the time is up, and then the controls.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Caught, Counts, FaultTest, Report, Round, Verdict, Violation};

/// A control may need some luck with its seeds; one that needs more than this shows nothing.
const CONTROL_ROUNDS_MAX: u64 = 40;

/// How a test is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the seeds of rounds follow from.
    pub seed: u64,
    /// Rounds go on for so long, and there is at least one.
    pub duration: Duration,
    /// At most so many rounds.
    pub rounds_max: u64,
    /// How much of a full round is done, in percent.
    pub percent: u32,
    /// This program.
    pub program: PathBuf,
    /// Plays one round with exactly this seed, and no control.
    pub replay: Option<u64>,
}

/// The seed of a round: spread, so that neighbours have nothing in common.
#[must_use]
pub fn seed_of(seed: u64, name: &str, round: u64) -> u64 {
    let mut mixed = seed ^ round.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for byte in name.bytes() {
        mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
    }
    mixed ^ (mixed >> 31)
}

/// Runs a test and its controls.
pub async fn run(test: &dyn FaultTest, plan: &Plan) -> Report {
    let started = Instant::now();
    let mut report = Report::new(test.name(), test.claim());
    if let Some(seed) = plan.replay {
        play(test, plan, seed, None, &mut report).await;
        return report.ended(started.elapsed());
    }
    for number in 0..plan.rounds_max {
        let seed = seed_of(plan.seed, test.name(), number);
        let goes_on = play(test, plan, seed, None, &mut report).await;
        if !goes_on || started.elapsed() >= plan.duration {
            break;
        }
    }
    for control in test.controls() {
        let caught = catch(test, plan, control).await;
        report.controls.push((*control, caught));
    }
    report.ended(started.elapsed())
}

/// Plays a round; says whether there is sense in another.
async fn play(
    test: &dyn FaultTest,
    plan: &Plan,
    seed: u64,
    control: Option<&'static str>,
    report: &mut Report,
) -> bool {
    let round = Round { seed, control, program: plan.program.clone(), percent: plan.percent };
    match test.round(&round).await {
        Ok(counts) => {
            report.rounds += 1;
            add(&mut report.counts, &counts);
            true
        }
        Err(error) => {
            report.verdict = verdict_of(seed, &error);
            false
        }
    }
}

fn verdict_of(seed: u64, error: &anyhow::Error) -> Verdict {
    let what = format!("{error:#}");
    if error.downcast_ref::<Violation>().is_some() {
        Verdict::Violated { seed, what }
    } else {
        Verdict::NotPlayed { seed, what }
    }
}

/// Plays rounds with a broken build until one is failed; says in which, and how.
async fn catch(test: &dyn FaultTest, plan: &Plan, control: &'static str) -> Caught {
    for number in 0..CONTROL_ROUNDS_MAX {
        let seed = seed_of(plan.seed, control, number);
        let mut report = Report::new(test.name(), test.claim());
        if play(test, plan, seed, Some(control), &mut report).await {
            continue;
        }
        return match report.verdict {
            Verdict::Violated { what, .. } => Ok((number + 1, what)),
            Verdict::NotPlayed { seed, what } => Err(format!("could not be played with seed {seed}: {what}")),
            Verdict::Held => Err("ended without a verdict".to_owned()),
        };
    }
    Err(format!("was not caught in {CONTROL_ROUNDS_MAX} rounds"))
}

fn add(sum: &mut Counts, counts: &Counts) {
    for (name, count) in counts {
        *sum.entry(name).or_default() += count;
    }
}
