//! A show by quarter of an hour.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemas::Timestamp;

use super::person::Stay;

/// A quarter of an hour, in milliseconds.
pub(crate) const QUARTER_MS: i64 = 900_000;

/// What was in one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quarter {
    /// Time on air, in milliseconds.
    pub on_air_ms: i64,
    /// Time watched, in milliseconds.
    pub watch_ms: i64,
    /// Tips captured.
    pub tips: Decimal,
}

/// Quarters by their number since 1970.
pub(super) type Quarters = BTreeMap<i64, Quarter>;

/// The number of the quarter in which a time lies.
pub(super) fn quarter_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(QUARTER_MS)
}

/// From the start of a show to its last event, which may come after its end: on air `until` then. Each stay is of one person, and those of a person do not overlap.
pub(super) fn quarters(
    start: Timestamp,
    until: Timestamp,
    last: Timestamp,
    stays: impl Iterator<Item = Stay>,
    tips: &BTreeMap<i64, Decimal>,
) -> Quarters {
    let numbers = quarter_of(start)..=quarter_of(until.max(last));
    let mut quarters: Quarters = numbers
        .map(|number| {
            let tips = tips.get(&number).copied().unwrap_or_default();
            (number, Quarter { on_air_ms: within_ms((start, until), number), watch_ms: 0, tips })
        })
        .collect();
    for stay in stays {
        for (number, quarter) in quarters.range_mut(quarter_of(stay.0)..=quarter_of(stay.1)) {
            quarter.watch_ms += within_ms(stay, *number);
        }
    }
    quarters
}

/// How much of an interval lies within a quarter.
fn within_ms((from, to): Stay, number: i64) -> i64 {
    let begin = number * QUARTER_MS;
    (to.millis().min(begin + QUARTER_MS) - from.millis().max(begin)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_crosses_a_border_counts_on_both_sides_and_a_late_tip_where_it_was_captured() {
        let at = |quarters: i64, ms| Timestamp::from_millis(quarters * QUARTER_MS + ms);
        let stays = [(at(7, 100), at(9, 30)), (at(8, 0), at(8, 0)), (at(8, 5), at(9, 0))];
        let tips = BTreeMap::from([(10, Decimal::ONE)]);
        let quarters = quarters(at(7, 50), at(9, 40), at(10, 7), stays.into_iter(), &tips);
        let of = |on_air_ms, watch_ms, tips| Quarter { on_air_ms, watch_ms, tips };
        let expected = [
            (7, of(QUARTER_MS - 50, QUARTER_MS - 100, Decimal::ZERO)),
            (8, of(QUARTER_MS, 2 * QUARTER_MS - 5, Decimal::ZERO)),
            (9, of(40, 30, Decimal::ZERO)),
            (10, of(0, 0, Decimal::ONE)),
        ];
        assert_eq!(quarters.into_iter().collect::<Vec<_>>(), expected);
    }
}
