//! A mean with how sure one can be of it.

/// A mean over shows with its 95 % confidence interval (Student's t).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// Over how many shows.
    pub shows: u64,
    /// The mean.
    pub mean: f64,
    /// The interval; `None` where one show alone says nothing of the spread.
    pub interval: Option<(f64, f64)>,
}

/// 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom: two-sided 95 %.
const T_QUANTILES: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The same quantile of the normal distribution, to which t tends, and the first term of the difference: z + (z³ + z) ÷ 4 ÷ degrees.
const Z_QUANTILE: f64 = 1.960;
const Z_CORRECTION: f64 = 2.372;

impl Estimate {
    /// Of a mean and a sample standard deviation over so many shows.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2⁵³ shows")]
    pub fn new(shows: u64, mean: f64, deviation: f64) -> Self {
        let interval = (shows > 1).then(|| {
            let half = t_quantile(shows - 1) * deviation / (shows as f64).sqrt();
            ((mean - half).max(0.0), mean + half)
        });
        Self { shows, mean, interval }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2⁵³ shows")]
fn t_quantile(degrees: u64) -> f64 {
    let known = usize::try_from(degrees).ok().and_then(|degrees| T_QUANTILES.get(degrees.wrapping_sub(1)));
    known.copied().unwrap_or(Z_QUANTILE + Z_CORRECTION / degrees as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_narrow_with_shows_and_stay_above_nothing() {
        assert_eq!(Estimate::new(1, 3.0, 0.0).interval, None);
        let (low, high) = Estimate::new(3, 10.0, 2.0).interval.unwrap();
        assert!((high - 14.968).abs() < 0.01 && (low - 5.032).abs() < 0.01, "{low} {high}");
        assert_eq!(Estimate::new(2, 1.0, 5.0).interval.unwrap().0, 0.0);
        assert!((t_quantile(31) - 2.040).abs() < 0.005);
        assert!((t_quantile(1_000) - 1.962).abs() < 0.001);
    }
}
