//! What answers have in common.

use std::collections::BTreeMap;

use ::analytics::figures::{AsOf, Estimate, Group, K_ANONYMITY, Returning, k_anonymous};
use platform::http::amount::AmountNumber;
use schemas::{Money, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Digits after the point of shares and averages: more would be noise.
const PLACES: f64 = 1e6;

/// Up to where, and up to when, an answer counts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct AsOfDocument {
    /// Up to where in the log: a `Tally-Position`.
    position: u64,
    /// Up to when.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
}

impl From<AsOf> for AsOfDocument {
    fn from(as_of: AsOf) -> Self {
        Self { position: as_of.position.0, time: as_of.time }
    }
}

/// Amounts by currency (ISO 4217): `{"USD": 125.50}`.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(transparent)]
pub(super) struct Amounts(BTreeMap<&'static str, AmountNumber>);

impl Amounts {
    pub(super) fn of<'a>(amounts: impl IntoIterator<Item = &'a Money>) -> Self {
        Self(amounts.into_iter().map(|money| (money.currency().code(), amount(*money))).collect())
    }
}

/// An amount with its currency's digits.
pub(super) fn amount(money: Money) -> AmountNumber {
    AmountNumber::new(money.amount(), money.currency().minor_digits())
}

/// A share or an average, rounded.
pub(super) fn rounded(value: f64) -> f64 {
    (value * PLACES).round() / PLACES
}

/// Whole seconds, as durations are told everywhere.
pub(super) fn seconds(ms: i64) -> i64 {
    ms / 1_000
}

/// Seconds that are an average, rounded to whole ones.
#[expect(clippy::cast_possible_truncation, reason = "seconds of a person's time are far below 2⁵³")]
pub(super) fn whole(seconds: f64) -> i64 {
    seconds.round() as i64
}

/// Persons with something in common.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupDocument {
    /// What: `unknown` where it is not known, `other` for groups under five persons together.
    name: String,
    persons: u64,
}

impl From<Group> for GroupDocument {
    fn from(group: Group) -> Self {
        Self { name: group.name, persons: group.persons }
    }
}

/// New and returning viewers, unless they are so few that one could be told from another.
pub(super) fn by_visit(returning: &Returning) -> Vec<Group> {
    let named = [("new", returning.viewers - returning.returning), ("returning", returning.returning)];
    let groups = named.into_iter().filter(|(_, persons)| *persons > 0);
    k_anonymous(groups.map(|(name, persons)| Group { name: name.to_owned(), persons }).collect(), K_ANONYMITY)
}

/// How sure an advice is.
pub(super) fn confidence(is_clear: bool) -> &'static str {
    if is_clear { "CLEAR" } else { "TENTATIVE" }
}

/// The 95 % confidence interval of an estimate, where there is one.
pub(super) fn interval(estimate: &Estimate) -> (Option<f64>, Option<f64>) {
    estimate.interval.map(|(low, high)| (rounded(low), rounded(high))).unzip()
}
