//! A show's figures by a plain fold over its events. Definitions: `docs/metrics.md`.

use crate::ratio;
use schemas::events::{
    AudienceEvent, ChatEvent, LedgerEvent, LifecycleEvent, ShowEvent, ViewerJoined, ViewerLeft,
};
use schemas::{Currency, Envelope, Money, PersonId, SessionId, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// A show's figures at one revision.
#[derive(Clone, PartialEq, Debug)]
pub struct ShowFigures {
    /// Persons with a session open now.
    pub viewer_count: u32,
    /// The largest viewer count at any event of the show.
    pub peak_viewers: u32,
    /// Sessions begun.
    pub total_views: u64,
    /// Distinct persons who began a session.
    pub unique_viewers: u32,
    /// From start to end (or as of), in milliseconds.
    pub duration_ms: i64,
    /// Σ over persons of the time covered by at least one of their sessions, in milliseconds.
    pub watch_time_ms: i64,
    /// Σ over persons from first join to end (or as of), in milliseconds: what retention divides by.
    pub possible_watch_time_ms: i64,
    /// Messages shown.
    pub messages_count: u64,
    /// Tips captured.
    pub total_tips: Money,
    /// Tips whose payment is under way.
    pub pending_tips: u32,
    /// Persons by device type, each as in their first session.
    pub persons_by_device: BTreeMap<String, u32>,
}

impl ShowFigures {
    /// `watchTime ÷ uniqueViewers`, in seconds; 0 where nobody came.
    #[must_use]
    pub fn average_view_seconds(&self) -> f64 {
        ratio(self.watch_time_ms, i64::from(self.unique_viewers) * 1_000)
    }

    /// `watchTime ÷ duration`; 0 where the show has not begun.
    #[must_use]
    pub fn average_concurrent(&self) -> f64 {
        ratio(self.watch_time_ms, self.duration_ms)
    }

    /// `Σ watchTime ÷ Σ (first join → end)`, over persons; 0 where nobody came.
    #[must_use]
    pub fn viewer_retention(&self) -> f64 {
        ratio(self.watch_time_ms, self.possible_watch_time_ms)
    }

    /// The identities that always hold, as the broken ones in words.
    #[must_use]
    pub fn broken_identities(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut check = |holds: bool, what: &str| {
            if !holds {
                broken.push(format!("{what}: {self:?}"));
            }
        };
        let by_device: u32 = self.persons_by_device.values().sum();
        check(by_device == self.unique_viewers, "persons by device = unique viewers");
        check(self.peak_viewers <= self.unique_viewers, "peak viewers ≤ unique viewers");
        check(u64::from(self.unique_viewers) <= self.total_views, "unique viewers ≤ total views");
        check(self.viewer_count <= self.peak_viewers, "viewer count ≤ peak viewers");
        check(
            self.watch_time_ms <= i64::from(self.peak_viewers) * self.duration_ms,
            "average concurrent ≤ peak viewers",
        );
        check(self.watch_time_ms <= self.possible_watch_time_ms, "watch time ≤ possible watch time");
        check(self.watch_time_ms >= 0 && self.duration_ms >= 0, "times are not negative");
        broken
    }
}

/// One session, as far as it is known.
struct Session {
    person: PersonId,
    joined_at: Timestamp,
    left_at: Option<Timestamp>,
}

/// The fold. Feed it every event of one show in order, then ask.
#[derive(Default)]
pub struct Fold {
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    currency: Option<Currency>,
    sessions: HashMap<SessionId, Session>,
    order: Vec<SessionId>,
    devices: BTreeMap<PersonId, String>,
    peak_viewers: u32,
    messages_count: u64,
    tips: Vec<Money>,
    pending_tips: u32,
}

impl Fold {
    /// Takes the next event.
    pub fn apply(&mut self, envelope: &Envelope<ShowEvent>) {
        let at = envelope.meta.occurred_at;
        match &envelope.event {
            ShowEvent::Lifecycle(event) => self.lifecycle(event, at),
            ShowEvent::Settings(_) | ShowEvent::Interaction(_) => {}
            ShowEvent::Audience(AudienceEvent::Joined(joined)) => self.joined(joined, at),
            ShowEvent::Audience(AudienceEvent::Left(left)) => self.left(left),
            ShowEvent::Chat(ChatEvent::Posted(_)) => self.messages_count += 1,
            ShowEvent::Ledger(LedgerEvent::TipRequested(_)) => self.pending_tips += 1,
            ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => {
                self.pending_tips -= 1;
                self.tips.push(tip.amount);
            }
            ShowEvent::Ledger(LedgerEvent::TipDeclined(_)) => self.pending_tips -= 1,
        }
        self.peak_viewers = self.peak_viewers.max(self.viewer_count());
    }

    fn lifecycle(&mut self, event: &LifecycleEvent, at: Timestamp) {
        match event {
            LifecycleEvent::Created(created) => self.currency = Some(created.currency),
            LifecycleEvent::Started(_) => self.started_at = Some(at),
            LifecycleEvent::Ended(_) => {
                self.ended_at = Some(at);
                for session in self.sessions.values_mut().filter(|session| session.left_at.is_none()) {
                    session.left_at = Some(at);
                }
            }
            LifecycleEvent::Cancelled(_) => {}
        }
    }

    fn joined(&mut self, joined: &ViewerJoined, at: Timestamp) {
        self.sessions
            .insert(joined.session_id, Session { person: joined.person, joined_at: at, left_at: None });
        self.order.push(joined.session_id);
        let device = joined.device_type.map_or("unknown".to_owned(), |device| format!("{device:?}"));
        self.devices.entry(joined.person).or_insert(device);
    }

    fn left(&mut self, left: &ViewerLeft) {
        if let Some(session) = self.sessions.get_mut(&left.session_id) {
            session.left_at = Some(left.left_at);
        }
    }

    fn viewer_count(&self) -> u32 {
        let mut open: Vec<PersonId> =
            self.sessions.values().filter(|session| session.left_at.is_none()).map(|s| s.person).collect();
        open.sort_unstable();
        open.dedup();
        u32::try_from(open.len()).unwrap_or(u32::MAX)
    }

    /// The figures as of a time, which must not be before the last event.
    #[must_use]
    pub fn figures(&self, as_of: Timestamp) -> ShowFigures {
        let end = self.ended_at.unwrap_or(as_of);
        let mut by_person: BTreeMap<PersonId, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
        for session in self.order.iter().filter_map(|id| self.sessions.get(id)) {
            let until = session.left_at.unwrap_or(end).min(end);
            by_person.entry(session.person).or_default().push((session.joined_at, until));
        }
        let currency = self.currency.unwrap_or(Currency::USD);
        ShowFigures {
            viewer_count: self.viewer_count(),
            peak_viewers: self.peak_viewers,
            total_views: self.sessions.len() as u64,
            unique_viewers: u32::try_from(by_person.len()).unwrap_or(u32::MAX),
            duration_ms: self.started_at.map_or(0, |start| end.millis_since(start)),
            watch_time_ms: by_person.values().map(|intervals| covered_ms(intervals)).sum(),
            possible_watch_time_ms: by_person
                .values()
                .filter_map(|intervals| intervals.iter().map(|(joined, _)| *joined).min())
                .map(|first| end.millis_since(first))
                .sum(),
            messages_count: self.messages_count,
            total_tips: sum(&self.tips, currency),
            pending_tips: self.pending_tips,
            persons_by_device: count_values(&self.devices),
        }
    }
}

/// The length of the union of intervals.
fn covered_ms(intervals: &[(Timestamp, Timestamp)]) -> i64 {
    let mut sorted = intervals.to_vec();
    sorted.sort_unstable();
    let (mut covered, mut reached) = (0, None::<Timestamp>);
    for (from, to) in sorted {
        let from = reached.map_or(from, |reached| reached.max(from));
        if to > from {
            covered += to.millis_since(from);
            reached = Some(to);
        }
    }
    covered
}

fn sum(amounts: &[Money], currency: Currency) -> Money {
    amounts
        .iter()
        .try_fold(Money::zero(currency), |total, amount| total.checked_add(*amount))
        .unwrap_or(Money::zero(currency))
}

fn count_values(devices: &BTreeMap<PersonId, String>) -> BTreeMap<String, u32> {
    devices.values().fold(BTreeMap::new(), |mut counts, device| {
        *counts.entry(device.clone()).or_default() += 1;
        counts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn overlapping_and_nested_stays_are_covered_once() {
        assert_eq!(covered_ms(&[(at(0), at(10)), (at(5), at(20)), (at(6), at(7)), (at(30), at(40))]), 30);
        assert_eq!(covered_ms(&[(at(5), at(5))]), 0);
        assert_eq!(covered_ms(&[]), 0);
    }

    #[test]
    fn empty_denominators_give_nothing() {
        let figures = Fold::default().figures(at(0));
        assert_eq!(
            (figures.average_view_seconds(), figures.average_concurrent(), figures.viewer_retention()),
            (0.0, 0.0, 0.0)
        );
        assert!(figures.broken_identities().is_empty());
    }
}
