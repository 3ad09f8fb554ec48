//! The number of persons whose effective intervals cover each moment: identity 1 of `docs/metrics.md`, counted in another way than watch time.

use schemas::Timestamp;

/// That curve, in two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Curve {
    /// Its integral over time, in milliseconds.
    pub area_ms: i64,
    /// Its highest value.
    pub highest: u64,
}

impl Curve {
    /// Of the intervals of each person.
    pub(super) fn of(persons: impl Iterator<Item = Vec<(Timestamp, Timestamp)>>) -> Self {
        let mut turns: Vec<(i64, i32, usize)> = Vec::new();
        let mut here: Vec<i32> = Vec::new();
        for (person, stays) in persons.enumerate() {
            here.push(0);
            for (from, to) in stays.into_iter().filter(|(from, to)| from < to) {
                turns.extend([(from.millis(), 1, person), (to.millis(), -1, person)]);
            }
        }
        // of one moment, who goes goes first: the intervals are half open
        turns.sort_unstable();
        let (mut curve, mut height, mut since) = (Self::default(), 0_u64, 0);
        for (at, turn, person) in turns {
            curve.area_ms += i64::try_from(height).unwrap_or(i64::MAX) * (at - since);
            since = at;
            let was_here = here[person] > 0;
            here[person] += turn;
            match (was_here, here[person] > 0) {
                (false, true) => height += 1,
                (true, false) => height -= 1,
                (true, true) | (false, false) => {}
            }
            curve.highest = curve.highest.max(height);
        }
        curve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_counts_once_at_a_time() {
        let of = |persons: &[&[(i64, i64)]]| {
            let at = Timestamp::from_millis;
            let stays =
                |person: &&[(i64, i64)]| person.iter().map(|(from, to)| (at(*from), at(*to))).collect();
            Curve::of(persons.iter().map(stays).collect::<Vec<_>>().into_iter())
        };
        assert_eq!(of(&[]), Curve::default());
        assert_eq!(of(&[&[(0, 10), (5, 20)], &[(10, 12)]]), Curve { area_ms: 22, highest: 2 });
        assert_eq!(of(&[&[(0, 10)], &[(10, 20)], &[(7, 7)]]), Curve { area_ms: 20, highest: 1 });
    }
}
