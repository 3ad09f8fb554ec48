//! When people watch: by the hour and the day of where they are.

use schemas::Timestamp;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// 1970-01-01 was a Thursday.
const EPOCH_WEEKDAY: i64 = 3;

/// How many of those who might watch at all do so in each hour of a working day; 1 is the evening's peak.
const WORKDAY: [f64; 24] = [
    0.28, 0.16, 0.09, 0.05, 0.04, 0.05, 0.09, 0.15, 0.20, 0.22, 0.24, 0.28, 0.34, 0.34, 0.32, 0.34, 0.40,
    0.50, 0.64, 0.81, 0.95, 1.00, 0.84, 0.52,
];

/// The same for Saturdays and Sundays: later to bed, and watched through the day.
const WEEKEND: [f64; 24] = [
    0.46, 0.33, 0.20, 0.11, 0.06, 0.05, 0.06, 0.10, 0.19, 0.32, 0.44, 0.52, 0.58, 0.62, 0.66, 0.69, 0.72,
    0.77, 0.84, 0.93, 1.00, 1.00, 0.93, 0.72,
];

/// How good each day is, Monday first; 1 is a Friday.
const WEEKDAYS: [f64; 7] = [0.80, 0.78, 0.84, 0.89, 1.00, 1.16, 1.10];

/// A time by the clock on somebody's wall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalTime {
    /// 0 is Monday.
    pub weekday: usize,
    /// 0–23.
    pub hour: usize,
}

impl LocalTime {
    /// The time in a place that is so many minutes ahead of UTC.
    #[must_use]
    pub fn of(at: Timestamp, offset_minutes: i64) -> Self {
        let local_ms = at.millis() + offset_minutes * MINUTE_MS;
        let small = |number: i64| usize::try_from(number).unwrap_or(0);
        Self {
            weekday: small((local_ms.div_euclid(DAY_MS) + EPOCH_WEEKDAY).rem_euclid(7)),
            hour: small(local_ms.rem_euclid(DAY_MS) / (60 * MINUTE_MS)),
        }
    }
}

/// How likely somebody who might watch does so at this time of theirs: from nearly 0 at night to above 1 on a weekend's
/// evening.
#[must_use]
pub fn activity(at: LocalTime) -> f64 {
    let hours = if at.weekday >= 5 { &WEEKEND } else { &WORKDAY };
    hours[at.hour % 24] * WEEKDAYS[at.weekday % 7]
}

/// The most that [`activity`] gives.
pub(crate) const ACTIVITY_MAX: f64 = 1.16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_is_that_of_the_place() {
        // a Wednesday
        let at: Timestamp = "2025-01-01T20:30:00Z".parse().unwrap();
        assert_eq!(LocalTime::of(at, 0), LocalTime { weekday: 2, hour: 20 });
        assert_eq!(LocalTime::of(at, 330), LocalTime { weekday: 3, hour: 2 });
        assert_eq!(LocalTime::of(at, -480), LocalTime { weekday: 2, hour: 12 });
        assert_eq!(LocalTime::of(Timestamp::from_millis(-1), 0), LocalTime { weekday: 2, hour: 23 });
    }

    #[test]
    fn evenings_are_better_than_nights_and_nothing_is_above_the_most() {
        for weekday in 0..7 {
            let at = |hour| activity(LocalTime { weekday, hour });
            assert!(at(21) > 10.0 * at(4), "{weekday}");
            assert!((0..24).all(|hour| (0.0..=ACTIVITY_MAX).contains(&at(hour))));
        }
    }
}
