//! Counts of durations in buckets of 1.6 % width: percentiles of millions of samples in a few KiB.

use std::time::Duration;

/// Buckets within each power of two: the width of a bucket is a 64th of its value.
const BUCKETS_A_POWER: u64 = 64;

/// Powers of two above the first buckets: up to more than a day in microseconds.
const POWERS: u64 = 32;

/// Durations, counted.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u32>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        let length = usize::try_from(BUCKETS_A_POWER * POWERS).unwrap_or(usize::MAX);
        Self { buckets: vec![0; length], count: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket_of(micros).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that `share` of the samples (0 to 1) do not exceed, in milliseconds; 0 without samples.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = share * self.count as f64;
        let mut seen = 0.0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += f64::from(*count);
            if *count > 0 && seen >= wanted {
                return upper_edge(bucket) as f64 / 1_000.0;
            }
        }
        0.0
    }
}

/// Values below two widths have a bucket each; above, each power of two is split evenly.
fn bucket_of(micros: u64) -> usize {
    let power = micros.max(1).ilog2().saturating_sub(BUCKETS_A_POWER.ilog2());
    let within = micros >> power;
    usize::try_from(u64::from(power) * BUCKETS_A_POWER + within).unwrap_or(usize::MAX)
}

/// The largest value of a bucket, in microseconds.
fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * BUCKETS_A_POWER {
        return bucket;
    }
    let power = bucket / BUCKETS_A_POWER - 1;
    let within = bucket - power * BUCKETS_A_POWER;
    ((within + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_and_are_narrow() {
        let mut last = 0;
        for micros in 0..200_000_u64 {
            let bucket = bucket_of(micros);
            assert!(bucket == last || bucket == last + 1, "{micros}");
            last = bucket;
            let edge = upper_edge(bucket);
            assert!(edge >= micros && edge - micros <= micros / 64 + 1, "{micros} {edge}");
        }
    }

    #[test]
    fn quantiles_are_found() {
        let mut histogram = Histogram::default();
        for millis in 1..=1_000 {
            histogram.record(Duration::from_millis(millis));
        }
        assert!((histogram.quantile_ms(0.5) - 500.0).abs() < 10.0);
        assert!((histogram.quantile_ms(0.99) - 990.0).abs() < 17.0);
        assert_eq!(Histogram::default().quantile_ms(0.99), 0.0);
        let mut both = histogram.clone();
        both.add(&histogram);
        assert_eq!(both.count(), 2_000);
    }
}
