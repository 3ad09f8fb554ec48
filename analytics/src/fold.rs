//! A show's figures by a plain fold over its events. Definitions: `docs/metrics.md`. It trusts no count that an event carries.

mod curve;
mod person;
mod quarters;

pub use curve::Curve;
pub use person::{Deeds, FirstSession, Viewer};
pub(crate) use quarters::QUARTER_MS;
pub use quarters::Quarter;

use person::Person;
use quarters::{quarter_of, quarters};
use rust_decimal::Decimal;
use schemas::events::{
    AudienceEvent, ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent, ReactionsCounted, SettingsEvent,
    ShowEvent, ViewerJoined, ViewerLeft,
};
use schemas::{Currency, Envelope, Money, PersonId, Position, Timestamp};
use std::collections::{BTreeMap, HashMap};

use crate::figures::{Demographics, Group, ShowFigures};
use crate::rows::UNKNOWN;

/// The fold. Feed it every event of one show in order, then ask.
#[derive(Default)]
pub struct Fold {
    currency: Option<Currency>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    is_cancelled: bool,
    last_at: Option<Timestamp>,
    persons: HashMap<PersonId, Person>,
    watching: u64,
    peak: u64,
    views: u64,
    messages: u64,
    reactions: u64,
    tips: Decimal,
    tips_captured: u64,
    tips_declined: u64,
    tips_requested: u64,
    /// By number since 1970.
    tips_by_quarter: BTreeMap<i64, Decimal>,
    by_country: Counts,
    by_city: Counts,
    by_device: Counts,
}

/// Persons by what they have in common.
type Counts = BTreeMap<String, u64>;

/// All that the fold says at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// The show's figures.
    pub figures: ShowFigures,
    /// Who watched.
    pub demographics: Demographics,
    /// The effective intervals, one per person, over time.
    pub curve: Curve,
    /// Σ of the earliest open join, over persons with an open session, in milliseconds since 1970; 0 after the end.
    pub open_since_ms: i64,
    /// Sessions that are open; 0 after the end.
    pub open_sessions: u64,
    /// Persons who tipped, viewers or not.
    pub tipping: u64,
    /// Tips that were declined.
    pub declined_tips: u64,
}

impl Summary {
    /// The identities that always hold, as the broken ones in words.
    #[must_use]
    pub fn broken_identities(&self) -> Vec<&'static str> {
        let mut broken = self.figures.broken_identities();
        broken.extend(self.demographics.broken_identities(self.figures.unique_viewers));
        if self.curve.area_ms != self.figures.watch_ms {
            broken.push("∫ curve of effective intervals = watch time");
        }
        if self.curve.highest > self.figures.peak_viewers {
            broken.push("curve of effective intervals ≤ peak viewers");
        }
        broken
    }
}

impl Fold {
    /// Takes the next event.
    pub fn apply(&mut self, envelope: &Envelope<ShowEvent>) {
        let at = envelope.meta.occurred_at;
        self.last_at = self.last_at.max(Some(at));
        match &envelope.event {
            ShowEvent::Lifecycle(event) => self.lifecycle(event, at),
            ShowEvent::Settings(SettingsEvent::Revised(revised)) => self.currency = Some(revised.currency),
            ShowEvent::Settings(SettingsEvent::StreamSettings(_)) => {}
            ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => self.reacted(counted),
            ShowEvent::Audience(AudienceEvent::Joined(joined)) => self.joined(joined, at, envelope.position),
            ShowEvent::Audience(AudienceEvent::Left(left)) => self.left(left),
            ShowEvent::Chat(ChatEvent::Posted(message)) => {
                self.messages += 1;
                self.person(message.author).deeds.messages += 1;
            }
            ShowEvent::Ledger(LedgerEvent::TipRequested(_)) => self.tips_requested += 1,
            ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => {
                self.tips_captured += 1;
                self.tips += tip.amount.amount();
                *self.tips_by_quarter.entry(quarter_of(at)).or_default() += tip.amount.amount();
                let deeds = &mut self.person(tip.person).deeds;
                deeds.tips_count += 1;
                deeds.tips += tip.amount.amount();
            }
            ShowEvent::Ledger(LedgerEvent::TipDeclined(_)) => self.tips_declined += 1,
        }
    }

    fn lifecycle(&mut self, event: &LifecycleEvent, at: Timestamp) {
        match event {
            LifecycleEvent::Created(created) => self.currency = Some(created.currency),
            LifecycleEvent::Started(_) => self.started_at = Some(at),
            LifecycleEvent::Ended(_) => self.ended_at = Some(at),
            LifecycleEvent::Cancelled(_) => self.is_cancelled = true,
        }
    }

    fn person(&mut self, person: PersonId) -> &mut Person {
        self.persons.entry(person).or_default()
    }

    fn joined(&mut self, joined: &ViewerJoined, at: Timestamp, position: Option<Position>) {
        self.views += 1;
        let person = self.persons.entry(joined.person).or_default();
        if person.open.is_empty() {
            self.watching += 1;
        }
        person.join(joined.session_id, at);
        self.peak = self.peak.max(self.watching);
        if person.first.is_none() {
            let country = told(joined.location.country.as_deref()).to_owned();
            let city = told(joined.location.city.as_deref()).to_owned();
            let device = joined.device_type.map_or(UNKNOWN, schemas::events::DeviceType::name);
            let named = if city == UNKNOWN { city.clone() } else { format!("{city}, {country}") };
            *self.by_country.entry(country.clone()).or_default() += 1;
            *self.by_city.entry(named).or_default() += 1;
            *self.by_device.entry(device.to_owned()).or_default() += 1;
            person.first = Some(FirstSession { position, device, country, city });
        }
    }

    fn left(&mut self, left: &ViewerLeft) {
        let person = self.persons.entry(left.person).or_default();
        if person.leave(left.session_id, left.left_at) && person.open.is_empty() {
            self.watching -= 1;
        }
    }

    fn reacted(&mut self, counted: &ReactionsCounted) {
        self.reactions += counted.counts.values().map(|count| u64::from(*count)).sum::<u64>();
        for person in &counted.first_time {
            self.person(*person).deeds.has_reacted = true;
        }
    }

    /// Up to when the figures count.
    fn until(&self, as_of: Timestamp) -> Timestamp {
        self.ended_at.unwrap_or_else(|| self.last_at.map_or(as_of, |last| last.max(as_of)))
    }

    /// The figures as of a time, never less than up to the last event.
    #[must_use]
    pub fn figures(&self, as_of: Timestamp) -> ShowFigures {
        let until = self.until(as_of);
        let is_over = self.ended_at.is_some();
        let viewers = || self.persons.values().filter(|person| person.first_joined_at.is_some());
        let count = |wanted: fn(&Person) -> bool| viewers().filter(|person| wanted(person)).count() as u64;
        let since_first = |person: &Person| person.first_joined_at.map(|first| until.millis_since(first));
        let currency = self.currency.unwrap_or(Currency::USD);
        ShowFigures {
            status: self.status().to_owned(),
            started_at: self.started_at,
            ended_at: self.ended_at,
            viewer_count: if is_over { 0 } else { self.watching },
            closing_viewer_count: self.watching,
            peak_viewers: self.peak,
            total_views: self.views,
            unique_viewers: count(|_| true),
            duration_ms: self.started_at.map_or(0, |start| until.millis_since(start)),
            watch_ms: viewers().map(|person| person.covered_ms(until)).sum(),
            possible_watch_ms: viewers().filter_map(since_first).sum(),
            messages: self.messages,
            reactions: self.reactions,
            engaged: count(Person::is_engaged),
            tippers: count(Person::has_tipped),
            total_tips: Money::new(self.tips, currency).unwrap_or(Money::zero(currency)),
            tips_count: self.tips_captured,
            pending_tips: self.tips_requested.saturating_sub(self.tips_captured + self.tips_declined),
        }
    }

    /// Whether nothing more can happen: the show is over, and no payment is under way.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let is_over = self.is_cancelled || self.ended_at.is_some();
        is_over && self.tips_requested <= self.tips_captured + self.tips_declined
    }

    fn status(&self) -> &'static str {
        match (self.is_cancelled, self.ended_at, self.started_at) {
            (true, ..) => "CANCELLED",
            (false, Some(_), _) => "ENDED",
            (false, None, Some(_)) => "LIVE",
            (false, None, None) => "SCHEDULED",
        }
    }

    /// Who watched, each as in their first session.
    #[must_use]
    pub fn demographics(&self) -> Demographics {
        let groups = |counts: &Counts| {
            let group = |(name, persons): (&String, &u64)| Group { name: name.clone(), persons: *persons };
            let mut groups: Vec<Group> = counts.iter().map(group).collect();
            groups.sort_by_key(|group| std::cmp::Reverse(group.persons));
            groups
        };
        Demographics {
            by_country: groups(&self.by_country),
            by_city: groups(&self.by_city),
            by_device: groups(&self.by_device),
        }
    }

    /// Everybody who had a session, in no order, as of a time.
    pub fn viewers(&self, as_of: Timestamp) -> impl Iterator<Item = Viewer<'_>> {
        let until = self.until(as_of);
        self.persons.iter().filter_map(move |(id, person)| person.viewer(*id, until))
    }

    /// The show by quarters of an hour, each with its number since 1970; none before its start. As of its last event.
    #[must_use]
    pub fn quarters(&self) -> BTreeMap<i64, Quarter> {
        let (Some(start), Some(last)) = (self.started_at, self.last_at) else { return BTreeMap::new() };
        let until = self.until(last);
        let stays = self.persons.values().flat_map(|person| person.covered(until));
        quarters(start, until, last, stays, &self.tips_by_quarter)
    }

    /// Everything, as of a time.
    #[must_use]
    pub fn summary(&self, as_of: Timestamp) -> Summary {
        let until = self.until(as_of);
        let is_over = self.ended_at.is_some();
        let open = || self.persons.values().filter(|_| !is_over);
        Summary {
            figures: self.figures(as_of),
            demographics: self.demographics(),
            curve: Curve::of(self.persons.values().map(|person| person.stays(until))),
            open_since_ms: open().filter_map(Person::open_since).map(Timestamp::millis).sum(),
            open_sessions: open().map(|person| person.open.len() as u64).sum(),
            tipping: self.persons.values().filter(|person| person.has_tipped()).count() as u64,
            declined_tips: self.tips_declined,
        }
    }
}

fn told(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_denominators_give_nothing() {
        let figures = Fold::default().figures(Timestamp::from_millis(0));
        assert_eq!(
            (figures.average_view_seconds(), figures.average_concurrent(), figures.viewer_retention()),
            (0.0, 0.0, 0.0)
        );
        assert!(figures.broken_identities().is_empty());
    }
}
