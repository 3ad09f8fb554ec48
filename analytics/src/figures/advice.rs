//! What is worth trying again: the best hours of the week, the best categories.

use super::Estimate;

/// Advice needs at least so many shows: `docs/metrics.md`.
pub const MIN_SHOWS_FOR_ADVICE: u64 = 3;

/// How much is advised at most.
const ADVISED_MAX: usize = 3;

/// What shows are compared by: each value with the average concurrent viewers of its shows.
pub trait Compared {
    /// Average concurrent viewers, show by show.
    fn concurrent(&self) -> Estimate;
}

/// One that is worth trying again.
#[derive(Clone, PartialEq, Debug)]
pub struct Advice<'a, T> {
    /// Which.
    pub of: &'a T,
    /// Whether even the low end of the interval is above the mean of all that can be judged.
    pub is_clear: bool,
}

/// The best of those with enough shows, best first.
#[must_use]
pub fn advice<T: Compared>(all: &[T]) -> Vec<Advice<'_, T>> {
    let mut judged: Vec<&T> = all.iter().filter(|of| of.concurrent().shows >= MIN_SHOWS_FOR_ADVICE).collect();
    judged.sort_by(|a, b| b.concurrent().mean.total_cmp(&a.concurrent().mean));
    #[expect(clippy::cast_precision_loss, reason = "hours of a week, and categories, are few")]
    let mean = judged.iter().map(|of| of.concurrent().mean).sum::<f64>() / judged.len().max(1) as f64;
    let is_clear = |of: &T| of.concurrent().interval.is_some_and(|(low, _)| low > mean);
    judged.into_iter().take(ADVISED_MAX).map(|of| Advice { of, is_clear: is_clear(of) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hour(u8, Estimate);

    impl Compared for Hour {
        fn concurrent(&self) -> Estimate {
            self.1
        }
    }

    #[test]
    fn only_what_has_enough_shows_is_advised() {
        let hour = |hour, shows, mean| Hour(hour, Estimate::new(shows, mean, 0.5));
        let hours =
            [hour(1, 2, 99.0), hour(2, 3, 10.0), hour(3, 30, 20.0), hour(4, 30, 1.0), hour(5, 30, 0.5)];
        let advised: Vec<(u8, bool)> =
            advice(&hours).iter().map(|advised| (advised.of.0, advised.is_clear)).collect();
        assert_eq!(advised, [(3, true), (2, true), (4, false)]);
        assert!(advice(&hours[..1]).is_empty());
    }
}
