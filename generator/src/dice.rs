//! Chance: the same on every machine, and for each thing its own, so that any show can be made without those before it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// What all chance of a history follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed([u8; 32]);

impl Seed {
    /// A seed for one purpose.
    pub(crate) fn of(purpose: &str, numbers: &[u64]) -> Self {
        Self(hash(&[0; 32], purpose, numbers))
    }

    /// The dice of one thing.
    pub(crate) fn dice(&self, thing: &str, numbers: &[u64]) -> Dice {
        Dice(ChaCha8Rng::from_seed(hash(&self.0, thing, numbers)))
    }
}

fn hash(from: &[u8; 32], label: &str, numbers: &[u64]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(from);
    // the length first: no label and numbers run together with others
    hash.update((label.len() as u64).to_be_bytes());
    hash.update(label);
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    hash.finalize().into()
}

/// Chance. `rand`'s own distributions are left out: they go through the platform's mathematics, whose last digit differs.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Even in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Even in `0..end`; 0 where that is empty.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(end);
        // a share of a u64 is none that does not fit
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// The same for places in lists.
    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    /// Even in `from..to`; `from` where that is empty.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below(u64::try_from(to - from).unwrap_or(0)).cast_signed()
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of a list, each as likely as any other. The list is never empty.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// A place in a list, by weights of which one is above zero.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if weight > 0.0 {
                last = index;
                if left < weight {
                    return index;
                }
                left -= weight;
            }
        }
        // sums of floats may leave a rest
        last
    }

    /// Mean 0, deviation 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let (one, other) = (1.0 - self.unit(), self.unit());
        libm::sqrt(-2.0 * libm::log(one)) * libm::cos(std::f64::consts::TAU * other)
    }

    /// Half are below `median`; a larger `sigma` has a longer tail.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Never below `least`, cut off at `most`: the smaller `alpha`, the heavier the tail.
    pub(crate) fn pareto(&mut self, least: f64, most: f64, alpha: f64) -> f64 {
        (least / libm::pow(1.0 - self.unit(), 1.0 / alpha)).min(most)
    }

    /// How many of rare things happen where `mean` are expected.
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        /// From here on the normal distribution is as good, and Knuth's product takes long.
        const LARGE: f64 = 30.0;
        if mean > LARGE {
            return whole(mean + libm::sqrt(mean) * self.normal());
        }
        let (limit, mut product, mut count) = (libm::exp(-mean), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// An id (UUID version 8).
    pub(crate) fn uuid(&mut self) -> Uuid {
        Builder::from_custom_bytes(self.bytes()).into_uuid()
    }

    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

/// Rounded to a whole number; what is below zero is zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and times of shows are far from the limits, and a cast keeps to them"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

/// The same for times, in milliseconds.
pub(crate) fn ms(number: f64) -> i64 {
    whole(number).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(number: u64) -> Dice {
        Seed::of("test", &[1]).dice("dice", &[number])
    }

    fn mean(of: impl Fn(&mut Dice) -> f64) -> f64 {
        let mut dice = dice(1);
        (0..20_000).map(|_| of(&mut dice)).sum::<f64>() / 20_000.0
    }

    /// Every history depends on these values: they must never change.
    #[test]
    fn chance_is_frozen() {
        let mut dice = dice(7);
        let drawn = format!(
            "{} {} {} {:x} {:x} {}",
            dice.uuid(),
            dice.below(1_000),
            dice.between(-5, 5),
            dice.log_normal(10.0, 0.5).to_bits(),
            dice.pareto(1.0, 1e9, 1.1).to_bits(),
            dice.poisson(4.0),
        );
        assert_eq!(drawn, FROZEN);
    }

    const FROZEN: &str = "c85a2fae-1ca8-891b-a0ec-ca2f0bb2c28a 690 4 40328c1aa4753090 3fff27eb3859b620 4";

    #[test]
    fn distributions_have_their_means() {
        let near = |found: f64, wanted: f64| {
            assert!((found - wanted).abs() < wanted * 0.05, "{found} is not about {wanted}");
        };
        near(mean(|dice| dice.exponential(3.0)), 3.0);
        near(mean(|dice| dice.normal() + 5.0), 5.0);
        for wanted in [0.3, 4.0, 80.0] {
            near(mean(|dice| dice.poisson(wanted) as f64), wanted);
        }
        near(mean(|dice| dice.weighted([1.0, 0.0, 3.0].into_iter()) as f64), 1.5);
        near(mean(|dice| dice.below(11) as f64), 5.0);
    }

    #[test]
    fn nothing_is_outside_its_bounds() {
        let mut dice = dice(2);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&dice.unit()));
            assert!((3..9).contains(&dice.between(3, 9)));
            assert!((2.0..=50.0).contains(&dice.pareto(2.0, 50.0, 0.9)));
        }
        assert_eq!((dice.below(0), dice.between(4, 4)), (0, 4));
    }
}
