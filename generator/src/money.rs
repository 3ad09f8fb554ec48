//! How much is tipped: small change mostly, now and then a fortune.

use schemas::events::DeclineReason;
use schemas::{Currency, Money};

use crate::dice::{Dice, ms, whole};

/// The smallest tip, the heaviest tail's exponent, and where it is cut off, in units of about a dollar.
const LEAST: f64 = 1.5;
const TAIL: f64 = 1.15;
const MOST: f64 = 4_000.0;

/// The product's limit, in whatever currency.
const MOST_MAJOR_UNITS: f64 = 10_000.0;

/// Those who tip a round amount.
const ROUND_SHARE: f64 = 0.8;

/// What is round.
const ROUND: [f64; 12] = [1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 25.0, 50.0, 100.0, 200.0, 500.0];

/// Payments that come to nothing.
const DECLINED_SHARE: f64 = 0.05;

/// How a tip's payment ends, and after how long, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    pub(crate) declined: Option<DeclineReason>,
    pub(crate) after_ms: i64,
}

/// An amount in a currency.
pub(crate) fn amount(currency: Currency, dice: &mut Dice) -> Money {
    let step = rate(currency);
    let drawn = dice.pareto(LEAST, MOST, TAIL);
    let major = if dice.chance(ROUND_SHARE) {
        let round = ROUND.iter().rev().find(|round| **round <= drawn).copied();
        let hundreds = libm::floor(drawn / 100.0) * 100.0;
        round.unwrap_or(1.0).max(hundreds) * step
    } else {
        drawn * step
    };
    let digits = (0..currency.minor_digits()).fold(1.0, |product, _| product * 10.0);
    let minor = whole(major.clamp(1.0, MOST_MAJOR_UNITS) * digits).cast_signed();
    // far below the largest amount of money
    Money::from_minor(minor, currency).unwrap_or(Money::zero(currency))
}

/// What is about a dollar, roundly.
fn rate(currency: Currency) -> f64 {
    match currency.code() {
        "JPY" | "INR" => 100.0,
        "MXN" => 20.0,
        "SEK" => 10.0,
        "BRL" | "PLN" => 5.0,
        _ => 1.0,
    }
}

pub(crate) fn ending(dice: &mut Dice) -> Ending {
    let at_once_ms = 400 + ms(dice.log_normal(900.0, 0.6));
    if !dice.chance(DECLINED_SHARE) {
        // some must confirm with their bank first
        let wait_ms = if dice.chance(0.08) { ms(dice.log_normal(45_000.0, 0.7)) } else { 0 };
        return Ending { declined: None, after_ms: at_once_ms + wait_ms };
    }
    let (reason, wait_ms) = match dice.below(10) {
        0..7 => (DeclineReason::Declined, 0),
        7..9 => (DeclineReason::Expired, 15 * 60 * 1_000),
        _ => (DeclineReason::Cancelled, dice.between(5_000, 120_000)),
    };
    Ending { declined: Some(reason), after_ms: at_once_ms + wait_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Seed;

    #[test]
    fn few_tips_are_most_of_the_money() {
        let mut dice = Seed::of("test", &[]).dice("tips", &[]);
        let mut minor: Vec<i64> =
            (0..20_000).map(|_| amount(Currency::USD, &mut dice).minor_units()).collect();
        minor.sort_unstable();
        let total: i64 = minor.iter().sum();
        let top: i64 = minor.iter().rev().take(minor.len() / 50).sum();
        assert!(top * 3 > total, "a fiftieth of the tips is more than a third of the money");
        assert!(minor[minor.len() / 2] <= 300, "half of them are coins");
    }

    #[test]
    fn every_amount_is_one_that_the_product_takes() {
        let mut dice = Seed::of("test", &[]).dice("amounts", &[]);
        for code in ["USD", "JPY", "INR", "SEK", "BRL"] {
            let currency: Currency = code.parse().unwrap();
            for _ in 0..2_000 {
                let money = amount(currency, &mut dice);
                assert!(money.is_positive() && money.amount() <= 10_000.into(), "{money}");
            }
        }
    }
}
