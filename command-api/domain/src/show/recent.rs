//! What persons did of late: as much as rates and repeats need, and no more.

use schemas::{PersonId, TextDigest, Timestamp};
use serde::{Deserialize, Serialize};

use super::shared_map::SharedMap;
use crate::rejection::Rejection;
use crate::rules::{MAX_WINDOW_MS, Rate};

/// Acts of the last [`MAX_WINDOW_MS`], by the show's own clock.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RecentActs {
    /// Each person's, in order. Stored in pieces.
    #[serde(skip)]
    by_person: SharedMap<PersonId, Vec<Act>>,
    /// What is older than this counts no more, whether it is still here or not.
    oldest: Timestamp,
}

/// What a person did.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Act {
    at: Timestamp,
    digest: Option<TextDigest>,
}

impl RecentActs {
    pub(crate) fn record(&mut self, person: PersonId, at: Timestamp, digest: Option<TextDigest>) {
        let oldest = at.plus_millis(-MAX_WINDOW_MS);
        self.oldest = oldest;
        self.by_person.sweep(|acts| acts.last().is_some_and(|act| act.at >= oldest));
        let mut acts = self.lately(self.by_person.get(&person));
        acts.push(Act { at, digest });
        self.by_person.insert(person, acts);
    }

    /// Those of a person's acts that still count.
    fn lately(&self, acts: Option<&Vec<Act>>) -> Vec<Act> {
        acts.into_iter().flatten().filter(|act| act.at >= self.oldest).copied().collect()
    }

    /// The persons who did something that still counts, and what, where it was not, or not so, before.
    pub(crate) fn changes_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (PersonId, Vec<Act>)> {
        let changed = self.by_person.changes_since(&before.by_person);
        changed.map(|(person, acts)| (*person, self.lately(Some(acts)))).filter(|(_, acts)| !acts.is_empty())
    }

    /// Takes in what was stored of a person.
    pub(crate) fn take_in(&mut self, person: PersonId, acts: &Vec<Act>) {
        let acts = self.lately(Some(acts));
        if !acts.is_empty() {
            self.by_person.insert(person, acts);
        }
    }

    /// Refuses what would be one too many in any window that ends now. The window is closed at both ends.
    pub(crate) fn check_rate(
        &self,
        person: PersonId,
        now: Timestamp,
        rate: Rate,
        what: &'static str,
    ) -> Result<(), Rejection> {
        let Some(acts) = self.by_person.get(&person) else { return Ok(()) };
        let since = now.plus_millis(-rate.window_ms);
        let within = acts.iter().rev().take_while(|act| act.at >= since).count();
        let limit = usize::try_from(rate.count).unwrap_or(usize::MAX);
        if within < limit {
            return Ok(());
        }
        let oldest_that_counts = acts.get(acts.len().saturating_sub(limit)).map_or(now, |act| act.at);
        Err(Rejection::RateLimited {
            what,
            limit: rate.count,
            window_ms: rate.window_ms,
            retry_after_ms: oldest_that_counts.plus_millis(rate.window_ms + 1).millis_since(now),
        })
    }

    /// Refuses a text that the person sent within the window before now.
    pub(crate) fn check_repeat(
        &self,
        person: PersonId,
        now: Timestamp,
        digest: TextDigest,
        window_ms: i64,
    ) -> Result<(), Rejection> {
        let since = now.plus_millis(-window_ms);
        let same = self
            .by_person
            .get(&person)
            .and_then(|acts| acts.iter().rev().find(|act| act.at >= since && act.digest == Some(digest)));
        match same {
            None => Ok(()),
            Some(act) => Err(Rejection::DuplicateMessage {
                retry_after_ms: act.at.plus_millis(window_ms + 1).millis_since(now),
            }),
        }
    }
}

/// The same acts that still count, whatever else is still held.
impl PartialEq for RecentActs {
    fn eq(&self, other: &Self) -> bool {
        let nothing = Self::default();
        let count = |acts: &Self| acts.changes_since(&nothing).count();
        let is_same = |(person, acts)| acts == other.lately(other.by_person.get(&person));
        self.oldest == other.oldest
            && count(self) == count(other)
            && self.changes_since(&nothing).all(is_same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const RATE: Rate = Rate { count: 3, window_ms: 1_000 };

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_the_rate(gaps in prop::collection::vec(0i64..700, 1..80)) {
            let person = PersonId(Uuid::nil());
            let (mut acts, mut now, mut accepted) = (RecentActs::default(), 0, Vec::new());
            for gap in gaps {
                now += gap;
                let at = Timestamp::from_millis(now);
                if acts.check_rate(person, at, RATE, "acts").is_ok() {
                    acts.record(person, at, None);
                    accepted.push(now);
                }
            }
            for end in &accepted {
                let within = accepted.iter().filter(|at| **at <= *end && **at >= end - RATE.window_ms).count();
                prop_assert!(within <= 3);
            }
        }

        #[test]
        fn what_is_refused_is_allowed_at_the_time_that_was_named(gaps in prop::collection::vec(0i64..400, 4..40)) {
            let person = PersonId(Uuid::nil());
            let (mut acts, mut now) = (RecentActs::default(), 0);
            for gap in gaps {
                now += gap;
                let at = Timestamp::from_millis(now);
                match acts.check_rate(person, at, RATE, "acts") {
                    Ok(()) => acts.record(person, at, None),
                    Err(Rejection::RateLimited { retry_after_ms, .. }) => {
                        prop_assert!(acts.check_rate(person, at.plus_millis(retry_after_ms - 1), RATE, "acts").is_err());
                        prop_assert!(acts.check_rate(person, at.plus_millis(retry_after_ms), RATE, "acts").is_ok());
                    }
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
        }
    }
}
