//! The figures of one show by brute force: everything is counted again at every point, nothing is kept from one to the next.

use super::recorded::{Recorded, Show};
use analytics::figures::{Demographics, Group, SurvivalStep};
use schemas::events::*;
use schemas::{Money, PersonId, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// A session's effective interval.
#[derive(Clone, Debug)]
pub struct Stay {
    pub person: PersonId,
    pub from: i64,
    pub to: i64,
    pub was_left: bool,
    pub place: [String; 3],
}

/// A show cut at a position, until a time.
pub struct Seen<'a> {
    pub show: &'a Show,
    pub events: Vec<&'a Recorded>,
    pub started: Option<i64>,
    pub ended: Option<i64>,
    pub until: i64,
}

impl<'a> Seen<'a> {
    /// `None` where nothing of it is seen.
    pub fn new(show: &'a Show, position: u64, time: i64) -> Option<Self> {
        let events: Vec<_> = show.events.iter().filter(|event| event.position <= position).collect();
        let at = |wanted: fn(&LifecycleEvent) -> bool| {
            events.iter().find_map(|event| match &event.event {
                ShowEvent::Lifecycle(lifecycle) if wanted(lifecycle) => Some(event.at),
                _ => None,
            })
        };
        let started = at(|event| matches!(event, LifecycleEvent::Started(_)));
        let ended = at(|event| matches!(event, LifecycleEvent::Ended(_)));
        let last = events.last()?.at;
        Some(Self { show, started, ended, until: ended.unwrap_or(last.max(time)), events })
    }

    pub fn stays(&self) -> Vec<Stay> {
        let left = |session: SessionId| {
            self.events.iter().find_map(|event| match &event.event {
                ShowEvent::Audience(AudienceEvent::Left(left)) if left.session_id == session => {
                    Some(left.left_at.millis())
                }
                _ => None,
            })
        };
        let text = |text: &Option<String>| match text.as_deref() {
            None | Some("") => "unknown".to_owned(),
            Some(text) => text.to_owned(),
        };
        let stay = |event: &&Recorded| match &event.event {
            ShowEvent::Audience(AudienceEvent::Joined(joined)) => {
                let gone = left(joined.session_id);
                let (country, city) = (text(&joined.location.country), text(&joined.location.city));
                let city = if city == "unknown" { city } else { format!("{city}, {country}") };
                let device = joined
                    .device_type
                    .map_or("unknown".into(), |device| format!("{device:?}").to_uppercase());
                Some(Stay {
                    person: joined.person,
                    from: event.at,
                    to: gone.unwrap_or(self.until).min(self.until),
                    was_left: gone.is_some(),
                    place: [country, city, device],
                })
            }
            _ => None,
        };
        self.events.iter().filter_map(stay).collect()
    }

    pub fn persons(&self) -> BTreeSet<PersonId> {
        self.stays().iter().map(|stay| stay.person).collect()
    }

    /// For each stretch between two moments at which anything changes: its begin, its end, and how many persons watch.
    pub fn stretches(&self, more_cuts: &[i64]) -> Vec<(i64, i64, i64)> {
        let stays = self.stays();
        let mut cuts: Vec<i64> = stays.iter().flat_map(|stay| [stay.from, stay.to]).collect();
        cuts.extend(self.started);
        cuts.push(self.until);
        cuts.extend(more_cuts);
        cuts.sort_unstable();
        cuts.dedup();
        let watching = |from: i64, to: i64| {
            let here = stays.iter().filter(|stay| stay.from <= from && to <= stay.to);
            here.map(|stay| stay.person).collect::<BTreeSet<_>>().len() as i64
        };
        cuts.windows(2).map(|pair| (pair[0], pair[1], watching(pair[0], pair[1]))).collect()
    }

    pub fn watch_ms(&self) -> i64 {
        self.stretches(&[]).iter().map(|(from, to, persons)| (to - from) * persons).sum()
    }

    pub fn watch_ms_of(&self, person: PersonId) -> i64 {
        let stays: Vec<_> = self.stays().into_iter().filter(|stay| stay.person == person).collect();
        self.stretches(&[])
            .iter()
            .filter(|(from, to, _)| stays.iter().any(|stay| stay.from <= *from && *to <= stay.to))
            .map(|(from, to, _)| to - from)
            .sum()
    }

    pub fn first_join(&self, person: PersonId) -> i64 {
        self.stays().iter().filter(|stay| stay.person == person).map(|stay| stay.from).min().unwrap()
    }

    pub fn first_position(&self, person: PersonId) -> u64 {
        let joins = |event: &&&Recorded| matches!(&event.event, ShowEvent::Audience(AudienceEvent::Joined(joined)) if joined.person == person);
        self.events.iter().find(joins).unwrap().position
    }

    pub fn possible_ms(&self) -> i64 {
        self.persons().iter().map(|person| self.until - self.first_join(*person)).sum()
    }

    /// The viewer count after the first `count` events that are seen, the end left aside.
    pub fn viewers_after(&self, count: usize) -> u64 {
        let mut open: BTreeMap<SessionId, PersonId> = BTreeMap::new();
        for event in &self.events[..count] {
            match &event.event {
                ShowEvent::Audience(AudienceEvent::Joined(joined)) => {
                    open.insert(joined.session_id, joined.person);
                }
                ShowEvent::Audience(AudienceEvent::Left(left)) => {
                    open.remove(&left.session_id);
                }
                _ => {}
            }
        }
        open.values().collect::<BTreeSet<_>>().len() as u64
    }

    pub fn peak(&self) -> u64 {
        (0..=self.events.len()).map(|count| self.viewers_after(count)).max().unwrap()
    }

    /// How many of the first events come before a time.
    pub fn before(&self, time: i64) -> usize {
        self.events.iter().filter(|event| event.at < time).count()
    }

    pub fn uniques_after(&self, count: usize) -> u64 {
        let joined = |event: &&Recorded| match &event.event {
            ShowEvent::Audience(AudienceEvent::Joined(joined)) => Some(joined.person),
            _ => None,
        };
        self.events[..count].iter().filter_map(joined).collect::<BTreeSet<_>>().len() as u64
    }

    pub fn count(&self, wanted: impl Fn(&ShowEvent) -> u64) -> u64 {
        self.events.iter().map(|event| wanted(&event.event)).sum()
    }

    pub fn tips(&self) -> Vec<(i64, PersonId, Money)> {
        let tip = |event: &&Recorded| match &event.event {
            ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => Some((event.at, tip.person, tip.amount)),
            _ => None,
        };
        self.events.iter().filter_map(tip).collect()
    }

    /// Viewers who wrote, who reacted, who tipped.
    pub fn reactions(&self) -> u64 {
        self.count(|event| match event {
            ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => {
                counted.counts.values().map(|count| u64::from(*count)).sum()
            }
            _ => 0,
        })
    }

    pub fn acting(&self) -> [BTreeSet<PersonId>; 3] {
        let viewers = self.persons();
        let mut acting = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        for event in &self.events {
            match &event.event {
                ShowEvent::Chat(ChatEvent::Posted(message)) => {
                    acting[0].insert(message.author);
                }
                ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => {
                    acting[1].extend(&counted.first_time);
                }
                ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => {
                    acting[2].insert(tip.person);
                }
                _ => {}
            }
        }
        acting.map(|persons| persons.intersection(&viewers).copied().collect())
    }

    pub fn demographics(&self) -> Demographics {
        let stays = self.stays();
        let first =
            |person: &PersonId| stays.iter().find(|stay| stay.person == *person).unwrap().place.clone();
        demographics(self.persons().iter().map(first))
    }

    /// Kaplan–Meier by the book.
    pub fn survival(&self) -> Vec<SurvivalStep> {
        let stays = self.stays();
        let lifetime = |person: &PersonId| {
            let theirs: Vec<_> = stays.iter().filter(|stay| stay.person == *person).collect();
            let is_censored = theirs.iter().any(|stay| !stay.was_left);
            let last =
                if is_censored { self.until } else { theirs.iter().map(|stay| stay.to).max().unwrap() };
            (last - self.first_join(*person), is_censored)
        };
        let lifetimes: Vec<(i64, bool)> = self.persons().iter().map(lifetime).collect();
        let marks: BTreeSet<i64> = lifetimes.iter().map(|(time, _)| (time + 59_999) / 60_000).collect();
        let step = |mark: &i64| {
            let mut share = 1.0;
            let times: BTreeSet<i64> = lifetimes.iter().map(|(time, _)| *time).collect();
            for time in times.iter().filter(|time| **time <= mark * 60_000) {
                let at_risk = lifetimes.iter().filter(|(other, _)| other >= time).count() as f64;
                let gone =
                    lifetimes.iter().filter(|(other, censored)| other == time && !censored).count() as f64;
                share *= 1.0 - gone / at_risk;
            }
            let here = |censored| {
                let mark_of = |time: i64| (time + 59_999) / 60_000;
                lifetimes.iter().filter(|(time, is)| mark_of(*time) == *mark && *is == censored).count()
                    as u64
            };
            SurvivalStep { minute: mark.cast_unsigned(), share, gone: here(false), censored: here(true) }
        };
        marks.iter().map(step).collect()
    }
}

/// Groups of persons by the place of each: country, city, device.
pub fn demographics(places: impl Iterator<Item = [String; 3]>) -> Demographics {
    let mut counts: [BTreeMap<String, u64>; 3] = Default::default();
    for place in places {
        for (count, name) in counts.iter_mut().zip(place) {
            *count.entry(name).or_default() += 1;
        }
    }
    let [by_country, by_city, by_device] = counts.map(|count| {
        let mut groups: Vec<_> = count.into_iter().map(|(name, persons)| Group { name, persons }).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.persons));
        groups
    });
    Demographics { by_country, by_city, by_device }
}
