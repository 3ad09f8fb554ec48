//! What everybody is going to do and when: all of it follows from the seed, before anything begins.

use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::texts;

/// Messages of a viewer and second of the show, on average: a lively chat that one can still read.
const MESSAGES_A_VIEWER_SECOND: f64 = 0.05;

/// The most messages of a second: above it no human chat goes on.
const MESSAGES_A_SECOND_MAX: f64 = 40.0;

/// Reaction commands of a viewer and second, and their most in a second.
const REACTIONS_A_VIEWER_SECOND: f64 = 0.03;
const REACTIONS_A_SECOND_MAX: f64 = 25.0;

/// Tips of a viewer and second, and their most in a second.
const TIPS_A_VIEWER_SECOND: f64 = 0.002;
const TIPS_A_SECOND_MAX: f64 = 5.0;

/// Between two messages of a viewer: 20 are allowed in 30 s.
const MESSAGE_PAUSE_MS: u64 = 1_600;

/// Between two tips of a viewer: 10 are allowed in 60 s.
const TIP_PAUSE_MS: u64 = 8_000;

/// Between two reactions of a viewer.
const REACTION_PAUSE_MS: u64 = 700;

/// Before the first act of a viewer: reading what is going on.
const SETTLING_MS: u64 = 800;

/// Nothing is begun around a disconnection, so that no answer is lost.
const DROP_MARGIN_MS: u64 = 1_500;

/// Parts of the audience that wait before the start, leave early, and lose the connection once.
const EARLY_SHARE: f64 = 0.10;
const LEAVING_SHARE: f64 = 0.15;
const DROPPING_SHARE: f64 = 0.10;

/// Acts end at this part of the show: the rest is for the last answers.
const ACTS_END_SHARE: f64 = 0.95;

/// Tries at a time for an act; one for which there is no room is left out.
const TRIES: usize = 6;

/// Shape of the heavy tails: few write much and tip much.
const TAIL: f64 = 1.2;

/// The smallest and the largest tip, in cents.
const TIP_MIN_CENTS: f64 = 200.0;
const TIP_MAX_CENTS: f64 = 50_000.0;

/// Amounts that mean something to the payment sandbox, in cents: see its documentation.
const MAGIC_CENTS: [i64; 6] = [4_404, 5_505, 6_606, 7_707, 8_808, 9_909];

const DEVICE_TYPES: [&str; 4] = ["MOBILE", "MOBILE", "DESKTOP", "TABLET"];
const REACTION_TYPES: [&str; 6] = ["HEART", "HEART", "CLAP", "FIRE", "LAUGH", "PARTY"];
const MOST_REACTIONS_AT_ONCE: u32 = 8;

/// Something that a viewer does. Times are milliseconds from the start of the show.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Say(String),
    React {
        kind: &'static str,
        count: u32,
    },
    Tip {
        cents: i64,
        words: Option<String>,
    },
    /// The connection breaks; after so long the viewer is back.
    Drop {
        away_ms: u64,
    },
    Leave,
}

/// A viewer's evening.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ViewerPlan {
    pub(super) subject: String,
    pub(super) name: String,
    pub(super) device_type: &'static str,
    /// `None`: waits before the show begins.
    pub(super) arrives_ms: Option<u64>,
    /// In order of time; the times of one viewer differ.
    pub(super) acts: Vec<(u64, Act)>,
}

/// The whole show.
pub(super) struct Script {
    pub(super) viewers: Vec<ViewerPlan>,
    /// When the host writes.
    pub(super) host_says_ms: Vec<u64>,
    /// When the host changes the settings.
    pub(super) settings_change_ms: u64,
    pub(super) length_ms: u64,
}

/// When a viewer is there.
struct Presence {
    from_ms: u64,
    until_ms: u64,
    away: Option<(u64, u64)>,
}

impl Script {
    pub(super) fn write(seed: u64, viewers: u32, seconds: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let length_ms = seconds * 1_000;
        let mut plans: Vec<_> =
            (0..viewers).map(|number| arrive(seed, number, length_ms, &mut dice)).collect();
        let moments: Vec<f64> =
            [0.3, 0.55, 0.8].iter().map(|at| at + dice.random_range(-0.05..0.05)).collect();
        let mut stage = Casting::of(&plans, &moments, length_ms, &mut dice);
        let of_all = |each: f64, most: f64| (f64::from(viewers) * each).min(most) * seconds as f64;
        let messages = of_all(MESSAGES_A_VIEWER_SECOND, MESSAGES_A_SECOND_MAX);
        let reactions = of_all(REACTIONS_A_VIEWER_SECOND, REACTIONS_A_SECOND_MAX);
        let tips = of_all(TIPS_A_VIEWER_SECOND, TIPS_A_SECOND_MAX).max(3.0);
        for _ in 0..whole(tips) {
            stage.cast(&mut plans, TIP_PAUSE_MS, tip, &mut dice);
        }
        for _ in 0..whole(messages) {
            stage.cast(&mut plans, MESSAGE_PAUSE_MS, say, &mut dice);
        }
        for _ in 0..whole(reactions) {
            stage.cast(&mut plans, REACTION_PAUSE_MS, react, &mut dice);
        }
        for plan in &mut plans {
            plan.acts.sort_by_key(|(at, _)| *at);
        }
        // the host greets, then writes every few seconds, in a rhythm of his own
        let every_ms = (length_ms / 8).clamp(2_000, 20_000);
        let host_says_ms =
            (0..).map(|turn| 500 + turn * every_ms).take_while(|at| *at < acts_end(length_ms)).collect();
        Self { viewers: plans, host_says_ms, settings_change_ms: length_ms * 2 / 5, length_ms }
    }

    /// All that is going to be done, for the progress bar.
    pub(super) fn acts(&self) -> usize {
        self.viewers.iter().map(|viewer| viewer.acts.len()).sum()
    }
}

/// Who it is, when he comes, whether he leaves early or loses the connection.
fn arrive(seed: u64, number: u32, length_ms: u64, dice: &mut StdRng) -> ViewerPlan {
    let end = acts_end(length_ms);
    let share = dice.random::<f64>();
    let arrives_ms = match share {
        _ if share < EARLY_SHARE => None,
        // most come in the first quarter, in waves; some find the show later
        _ if share < 0.75 => Some(wave(dice.random::<f64>() * 0.25, length_ms)),
        _ => Some(wave(0.25 + dice.random::<f64>() * 0.45, length_ms)),
    };
    let from = arrives_ms.unwrap_or(0) + SETTLING_MS;
    let mut acts = Vec::new();
    let fate = dice.random::<f64>();
    if fate < LEAVING_SHARE && from + 4_000 < end {
        acts.push((dice.random_range(from + 3_000..end), Act::Leave));
    } else if fate < LEAVING_SHARE + DROPPING_SHARE && from + 8_000 < end {
        let away_ms = dice.random_range(300..4_000);
        acts.push((dice.random_range(from + 2_000..end - 5_000), Act::Drop { away_ms }));
    }
    ViewerPlan {
        // another seed, other persons: limits of persons hold over shows
        subject: format!("demo-{seed}-viewer-{number}"),
        name: texts::name(number, dice),
        device_type: DEVICE_TYPES[dice.random_range(0..DEVICE_TYPES.len())],
        arrives_ms,
        acts,
    }
}

/// People come in waves of some seconds, as links are shared.
fn wave(share: f64, length_ms: u64) -> u64 {
    let even = share * length_ms as f64;
    let period = 6_000.0;
    let bent = even + (even / period * std::f64::consts::TAU).sin() * period / 8.0;
    whole(bent.max(0.0))
}

fn acts_end(length_ms: u64) -> u64 {
    whole(length_ms as f64 * ACTS_END_SHARE)
}

/// Who does it and when.
struct Casting<'a> {
    talkative: Option<WeightedIndex<f64>>,
    presences: Vec<Presence>,
    moments: &'a [f64],
    length_ms: u64,
}

impl<'a> Casting<'a> {
    fn of(plans: &[ViewerPlan], moments: &'a [f64], length_ms: u64, dice: &mut StdRng) -> Self {
        let weights: Vec<f64> = plans.iter().map(|_| heavy(1.0, 60.0, dice)).collect();
        let presences = plans.iter().map(|plan| Presence::of(plan, length_ms)).collect();
        // there is at least one viewer, so there are weights
        Self { talkative: WeightedIndex::new(weights).ok(), presences, moments, length_ms }
    }

    fn cast(
        &mut self,
        plans: &mut [ViewerPlan],
        pause_ms: u64,
        act: fn(&ViewerPlan, &mut StdRng) -> Act,
        dice: &mut StdRng,
    ) {
        let Some(talkative) = &self.talkative else { return };
        for _ in 0..TRIES {
            let who = talkative.sample(dice);
            let at = self.time(dice);
            let (plan, presence) = (&mut plans[who], &self.presences[who]);
            let act = act(plan, dice);
            let is_free = |(other_at, other): &(u64, Act)| {
                let is_same = std::mem::discriminant(other) == std::mem::discriminant(&act);
                at.abs_diff(*other_at) >= if is_same { pause_ms } else { 1 }
            };
            if presence.has(at) && plan.acts.iter().all(is_free) {
                plan.acts.push((at, act));
                return;
            }
        }
    }

    /// A third of everything happens around the show's great moments.
    fn time(&self, dice: &mut StdRng) -> u64 {
        let share = if dice.random_bool(0.33) {
            let moment = self.moments[dice.random_range(0..self.moments.len())];
            moment + dice.random_range(-0.015..0.03)
        } else {
            dice.random::<f64>() * ACTS_END_SHARE
        };
        whole(share * self.length_ms as f64)
    }
}

impl Presence {
    fn of(plan: &ViewerPlan, length_ms: u64) -> Self {
        let mut presence = Self {
            from_ms: plan.arrives_ms.unwrap_or(0) + SETTLING_MS,
            until_ms: acts_end(length_ms),
            away: None,
        };
        for (at, act) in &plan.acts {
            match act {
                Act::Leave => presence.until_ms = at.saturating_sub(DROP_MARGIN_MS),
                Act::Drop { away_ms } => {
                    presence.away = Some((at.saturating_sub(DROP_MARGIN_MS), at + away_ms + DROP_MARGIN_MS));
                }
                Act::Say(_) | Act::React { .. } | Act::Tip { .. } => {}
            }
        }
        presence
    }

    fn has(&self, at: u64) -> bool {
        let is_away = self.away.is_some_and(|(from, until)| (from..=until).contains(&at));
        (self.from_ms..self.until_ms).contains(&at) && !is_away
    }
}

fn say(plan: &ViewerPlan, dice: &mut StdRng) -> Act {
    let used: Vec<String> = plan
        .acts
        .iter()
        .filter_map(|(_, act)| match act {
            Act::Say(text) => Some(text.clone()),
            Act::React { .. } | Act::Tip { .. } | Act::Drop { .. } | Act::Leave => None,
        })
        .collect();
    Act::Say(texts::message(&used, dice))
}

fn react(_: &ViewerPlan, dice: &mut StdRng) -> Act {
    let kind = REACTION_TYPES[dice.random_range(0..REACTION_TYPES.len())];
    Act::React { kind, count: dice.random_range(1..=MOST_REACTIONS_AT_ONCE) }
}

fn tip(_: &ViewerPlan, dice: &mut StdRng) -> Act {
    let exact = heavy(TIP_MIN_CENTS, TIP_MAX_CENTS, dice);
    let dollars = i64::try_from(whole(exact / 100.0)).unwrap_or(1).max(1);
    // most tip whole dollars, some like odd amounts
    let cents = if dice.random_bool(0.7) { dollars * 100 } else { dollars * 100 + dice.random_range(1..100) };
    let cents = if MAGIC_CENTS.contains(&cents) { cents + 1 } else { cents };
    Act::Tip { cents, words: texts::tip_words(dice) }
}

/// A Pareto distribution, cut off at `most`.
fn heavy(least: f64, most: f64, dice: &mut StdRng) -> f64 {
    (least / (1.0 - dice.random::<f64>()).powf(1.0 / TAIL)).min(most)
}

/// Rounded to whole numbers; what is below zero is zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times and counts of a show are small"
)]
fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
