//! When people write, and who: most of it around a show's great moments, much of it by few.

use crate::audience::Visitor;
use crate::dice::{Dice, ms};

/// How much of everything happens around a moment.
const MOMENT_SHARE: f64 = 0.4;

/// Most answer a moment within so long.
const ECHO_MS: f64 = 14_000.0;

/// Tries at a time; what finds none does not happen.
const TRIES: usize = 6;

/// Something that moves everybody, and how much.
struct Moment {
    at_ms: i64,
    strength: f64,
}

/// A show's moments.
pub(crate) struct Moments {
    moments: Vec<Moment>,
    length_ms: i64,
}

/// Who does something, by weights.
pub(crate) struct Casting {
    /// The sum of the weights up to and with each.
    sums: Vec<f64>,
}

impl Moments {
    pub(crate) fn of(length_ms: i64, dice: &mut Dice) -> Self {
        let count = 1 + dice.poisson(length_ms as f64 / 1_500_000.0);
        let moments = (0..count).map(|_| Moment {
            at_ms: dice.between(length_ms / 20, length_ms),
            strength: dice.pareto(1.0, 12.0, 1.3),
        });
        Self { moments: moments.collect(), length_ms }
    }

    /// A time for somebody who is to do something; `None` where there is none while they are there.
    pub(crate) fn time_for(&self, visitor: &Visitor, dice: &mut Dice) -> Option<i64> {
        if dice.chance(MOMENT_SHARE) {
            let moment = &self.moments[dice.weighted(self.moments.iter().map(|moment| moment.strength))];
            let at_ms = moment.at_ms + ms(dice.exponential(ECHO_MS));
            if at_ms < self.length_ms && visitor.is_there(at_ms) {
                return Some(at_ms);
            }
        }
        visitor.moment(self.length_ms, dice).filter(|at_ms| *at_ms < self.length_ms)
    }
}

impl Casting {
    pub(crate) fn of(visitors: &[Visitor], weight: impl Fn(&Visitor) -> f64) -> Self {
        let mut sum = 0.0;
        let sums = visitors.iter().map(|visitor| {
            sum += weight(visitor);
            sum
        });
        Self { sums: sums.collect() }
    }

    /// Somebody and a time for them, in milliseconds from the start; `None` where nobody is there.
    pub(crate) fn cast(
        &self,
        visitors: &[Visitor],
        moments: &Moments,
        dice: &mut Dice,
    ) -> Option<(usize, i64)> {
        let total = *self.sums.last().filter(|total| **total > 0.0)?;
        (0..TRIES).find_map(|_| {
            let drawn = dice.unit() * total;
            let who = self.sums.partition_point(|sum| *sum <= drawn).min(visitors.len() - 1);
            moments.time_for(&visitors[who], dice).map(|at_ms| (who, at_ms))
        })
    }
}
