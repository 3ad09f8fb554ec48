//! Results: rounds of measurements, their medians, and each beside its baseline.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Measurements of one thing, a round each.
pub(super) type Rounds = Vec<f64>;

/// One figure with its baseline of the same rounds.
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: &'static str,
    /// What the baseline is.
    pub(super) baseline_is: &'static str,
    pub(super) measured: Rounds,
    pub(super) baseline: Rounds,
    /// What else was measured meanwhile, by name with unit.
    pub(super) beside: BTreeMap<&'static str, Rounds>,
    /// Peers that were not there.
    missing: Vec<&'static str>,
}

impl Figure {
    pub(super) fn new(name: impl Into<String>, unit: &'static str, baseline_is: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            baseline_is,
            measured: Rounds::new(),
            baseline: Rounds::new(),
            beside: BTreeMap::new(),
            missing: Vec::new(),
        }
    }

    pub(super) fn round(&mut self, measured: f64, baseline: f64) {
        self.measured.push(measured);
        self.baseline.push(baseline);
    }

    pub(super) fn note(&mut self, what: &'static str, value: f64) {
        self.beside.entry(what).or_default().push(value);
    }

    /// Says that a peer's figure is not here because nobody said where the peer is.
    pub(super) fn not_beside(&mut self, peer: &'static str) {
        self.missing.push(peer);
    }

    /// The median of the rounds' own ratios: what disturbs a round disturbs both sides of it.
    pub(super) fn ratio(&self) -> f64 {
        median(self.measured.iter().zip(&self.baseline).map(|(measured, baseline)| measured / baseline))
    }

    pub(super) fn print(&self) {
        println!(
            "{:<26} {:>12} {:>12} {:>7.2}  {}, beside {}",
            self.name,
            shown(median(self.measured.iter().copied())),
            shown(median(self.baseline.iter().copied())),
            self.ratio(),
            self.unit,
            self.baseline_is
        );
        for (what, rounds) in &self.beside {
            println!("    {:<42} {:>12}", what, shown(median(rounds.iter().copied())));
        }
        for peer in &self.missing {
            println!("    not measured beside {peer}");
        }
    }

    pub(super) fn json(&self) -> Value {
        let beside: BTreeMap<_, _> =
            self.beside.iter().map(|(what, rounds)| (*what, rounds_json(rounds))).collect();
        json!({
            "name": self.name,
            "unit": self.unit,
            "baselineIs": self.baseline_is,
            "measured": rounds_json(&self.measured),
            "baseline": rounds_json(&self.baseline),
            "ratio": self.ratio(),
            "beside": beside,
            "notMeasuredBeside": self.missing,
        })
    }
}

/// The table's head.
pub(super) fn print_head() {
    println!("{:<26} {:>12} {:>12} {:>7}", "figure", "measured", "baseline", "ratio");
}

fn rounds_json(rounds: &Rounds) -> Value {
    json!({"median": median(rounds.iter().copied()), "rounds": rounds})
}

/// The middle one; of an even number the mean of the middle two; 0 of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 1_000.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_rounds() {
        let mut figure = Figure::new("x", "1/s", "y");
        for (measured, baseline) in [(50.0, 100.0), (10.0, 40.0), (80.0, 100.0)] {
            figure.round(measured, baseline);
            figure.note("p99 ms", measured / 10.0);
        }
        assert_eq!(figure.ratio(), 0.5);
        assert_eq!(figure.json()["measured"]["median"], 50.0);
        assert_eq!(figure.json()["beside"]["p99 ms"]["rounds"][2], 8.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
    }
}
