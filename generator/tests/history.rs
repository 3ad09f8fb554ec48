//! A history, looked at from outside: that it is the same each time, that nothing in it breaks a rule, and that it looks
//! like what platforms see.
#![allow(clippy::unwrap_used)]

use analytics::fold::Fold;
use generator::{Digest, Edge, Fate, Happening, History, LocalTime, Options, PlainEdge, counts_of};
use schemas::events::{AudienceEvent, LedgerEvent, LifecycleEvent, PaymentEvent, ShowEvent};
use schemas::{Envelope, Event, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// So many shows are played at once: the events of a test are few enough to be held.
type Played = Vec<(generator::ShowPlan, Vec<Happening>)>;

fn options(events: u64) -> Options {
    let until = "2025-07-01T00:00:00Z".parse().unwrap();
    Options { seed: 1, events, months: 2, creators: None, until }
}

fn play(options: Options) -> Played {
    let history = Arc::new(History::plan(options));
    let edge: Arc<dyn Edge> = Arc::new(PlainEdge);
    let plans = history.shows().iter().cloned().enumerate();
    plans.map(|(place, plan)| (plan, history.play(place, &edge).collect())).collect()
}

fn events(played: &Played) -> impl Iterator<Item = &Envelope<ShowEvent>> {
    played.iter().flat_map(|(_, happenings)| happenings).map(|happening| &happening.event)
}

fn digest(options: Options) -> String {
    let mut digest = Digest::default();
    for (plan, happenings) in &play(options) {
        for happening in happenings {
            digest.take(plan, happening).unwrap();
        }
    }
    digest.finish()
}

/// A history that was written yesterday goes on tomorrow only if it is made of the same events then.
#[test]
fn a_history_is_frozen() {
    assert_eq!(digest(options(3_000)), FROZEN);
    assert_ne!(digest(Options { seed: 2, ..options(3_000) }), FROZEN);
}

const FROZEN: &str = "db34fafdbe690f6afe75a45206e5df78883c9982a3cdb79026c2ff66d00d2a54";

/// Each show follows from its own place in the plan: an interrupted run need not play those before it.
#[test]
fn a_show_is_the_same_whether_others_were_played_or_not() {
    let played = play(options(3_000));
    let history = Arc::new(History::plan(options(3_000)));
    let edge: Arc<dyn Edge> = Arc::new(PlainEdge);
    for place in [played.len() - 1, played.len() / 2, 0] {
        let alone: Vec<Happening> = history.play(place, &edge).collect();
        assert_eq!(alone, played[place].1);
    }
}

#[test]
fn there_are_about_as_many_events_as_were_asked_for() {
    for wanted in [20_000, 120_000] {
        let mut counts = BTreeMap::new();
        for (_, happenings) in play(options(wanted)) {
            happenings.iter().for_each(|happening| counts_of(happening, &mut counts));
        }
        let made: u64 = counts.values().sum();
        assert!(made.abs_diff(wanted) * 100 < wanted * 12, "{made} of {wanted}: {counts:?}");
        for (name, _, _) in Event::all() {
            assert!(counts.contains_key(name), "no {name} in {counts:?}");
        }
    }
}

#[test]
fn every_show_keeps_the_rules() {
    let played = play(options(60_000));
    let mut ids = HashSet::new();
    for (plan, happenings) in &played {
        let mut fold = Fold::default();
        let mut last = Timestamp::default();
        for (revision, happening) in (0..).zip(happenings) {
            let event = &happening.event;
            assert_eq!(event.revision, revision);
            assert!(event.meta.occurred_at >= last && ids.insert(event.event_id));
            last = event.meta.occurred_at;
            fold.apply(event);
        }
        assert!(last < options(0).until, "{plan:?}");
        let summary = fold.summary(last);
        assert_eq!(summary.broken_identities(), Vec::<&str>::new());
        let figures = summary.figures;
        let mut ends = 0;
        for happening in happenings {
            let ShowEvent::Lifecycle(LifecycleEvent::Ended(ended)) = &happening.event.event else { continue };
            let totals = &ended.totals;
            ends += 1;
            assert_eq!(u64::from(totals.peak_viewers), figures.peak_viewers);
            assert_eq!(u64::from(totals.unique_viewers), figures.unique_viewers);
            assert_eq!(totals.messages_count, figures.messages);
            assert!(totals.total_tips.minor_units() <= figures.total_tips.minor_units());
            assert!(u64::from(totals.unique_viewers) <= plan.viewers);
        }
        assert_eq!(ends, usize::from(plan.fate == Fate::Played));
        assert_eq!(figures.pending_tips, 0, "every payment came to an end");
    }
}

#[test]
fn payments_are_complete_and_agree_with_their_tips() {
    let played = play(options(120_000));
    let (mut captured, mut declined) = (0, 0);
    for happening in played.iter().flat_map(|(_, happenings)| happenings) {
        let ShowEvent::Ledger(event) = &happening.event.event else {
            assert!(happening.before.is_none() && happening.after.is_none());
            continue;
        };
        if let LedgerEvent::TipRequested(tip) = event {
            let step = happening.before.as_ref().unwrap();
            assert_eq!(step.payment, tip.payment_id);
            let revisions: Vec<_> = step.events.iter().map(|event| event.revision).collect();
            assert_eq!(revisions, [0, 1]);
            assert!(step.events.is_sorted_by_key(|event| event.meta.occurred_at));
            assert!(step.events[0].meta.occurred_at >= happening.event.meta.occurred_at);
            match &step.events[1].event {
                PaymentEvent::Captured(payment) => {
                    assert_eq!(payment.amount, tip.amount);
                    captured += 1;
                }
                PaymentEvent::Declined(_) => declined += 1,
                PaymentEvent::Requested(_) | PaymentEvent::Applied(_) => panic!("{step:?}"),
            }
        } else {
            let step = happening.after.as_ref().unwrap();
            assert!(matches!(
                step.events[..],
                [Envelope { revision: 2, event: PaymentEvent::Applied(_), .. }]
            ));
            assert!(step.events[0].meta.occurred_at > happening.event.meta.occurred_at);
            match event {
                LedgerEvent::TipCaptured(_) => captured -= 1,
                LedgerEvent::TipDeclined(_) => declined -= 1,
                LedgerEvent::TipRequested(_) => {}
            }
        }
    }
    assert_eq!((captured, declined), (0, 0), "as many settled, each way, as payments ended so");
}

/// When people join, by the clock of where they are.
fn joins_by_local_time(played: &Played) -> (Vec<u32>, Vec<u32>) {
    let (mut hours, mut days) = (vec![0; 24], vec![0; 7]);
    for event in events(played) {
        let ShowEvent::Audience(AudienceEvent::Joined(joined)) = &event.event else { continue };
        let offset = match joined.location.country.as_deref() {
            Some("US") => -300,
            Some("BR") => -180,
            Some("DE") => 60,
            Some("IN") => 330,
            Some("JP") => 540,
            _ => continue,
        };
        let local = LocalTime::of(event.meta.occurred_at, offset);
        hours[local.hour] += 1;
        days[local.weekday] += 1;
    }
    (hours, days)
}

#[test]
fn people_come_in_the_evening_and_at_weekends() {
    let (hours, days) = joins_by_local_time(&play(options(120_000)));
    let around = |hour: usize| hours[hour - 1] + hours[hour] + hours[hour + 1];
    assert!(around(20) > 6 * around(4), "{hours:?}");
    let (weekend, working) = (days[5] + days[6], days[0] + days[1] + days[2]);
    assert!(weekend * 3 > working * 2 * 11 / 10, "more on a day of the weekend: {days:?}");
}

#[test]
fn audiences_differ_in_device_place_and_language_and_come_back() {
    let played = play(options(120_000));
    let (mut devices, mut countries, mut cities) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut shows_of: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (plan, happenings) in &played {
        for happening in happenings {
            let ShowEvent::Audience(AudienceEvent::Joined(joined)) = &happening.event.event else { continue };
            *devices.entry(joined.device_type.map(schemas::events::DeviceType::name)).or_insert(0) += 1;
            countries.insert(joined.location.country.clone());
            cities.insert(joined.location.city.clone());
            shows_of.entry(joined.person).or_default().insert(plan.id);
        }
    }
    assert_eq!(devices.len(), 4, "{devices:?}");
    assert!(countries.len() > 20 && cities.len() > 60);
    let returning = shows_of.values().filter(|shows| shows.len() > 1).count();
    assert!((20..80).contains(&(returning * 100 / shows_of.len())), "{returning} of {}", shows_of.len());
}

#[test]
fn sessions_drop_off() {
    let played = play(options(120_000));
    let (mut open, mut shares) = (BTreeMap::new(), Vec::new());
    let mut late = 0;
    for (plan, happenings) in &played {
        for happening in happenings {
            let ShowEvent::Audience(event) = &happening.event.event else { continue };
            match event {
                AudienceEvent::Joined(joined) => {
                    open.insert(joined.session_id, happening.event.meta.occurred_at);
                }
                AudienceEvent::Left(left) => {
                    let joined = open.remove(&left.session_id).unwrap();
                    shares.push(left.left_at.millis_since(joined) * 100 / plan.length_ms);
                    late += usize::from(left.left_at < happening.event.meta.occurred_at);
                }
            }
        }
    }
    let under = |share| shares.iter().filter(|found| **found < share).count() * 100 / shares.len();
    assert!((15..45).contains(&under(2)), "some leave at once: {}", under(2));
    assert!((50..80).contains(&under(25)), "most leave soon: {}", under(25));
    assert!(open.len() * 5 > shares.len(), "some stay to the end");
    assert!(late * 100 / shares.len() > 8, "some leave without a word");
}

/// Messages gather: the fullest minutes have far more of them than others.
#[test]
fn chats_burst_around_moments() {
    let played = play(options(120_000));
    let largest = played.iter().max_by_key(|(plan, _)| plan.viewers).unwrap();
    let mut minutes: BTreeMap<i64, u32> = BTreeMap::new();
    let (mut replies, mut all) = (0, 0);
    for happening in &largest.1 {
        if let ShowEvent::Chat(schemas::events::ChatEvent::Posted(posted)) = &happening.event.event {
            let minute = happening.event.meta.occurred_at.millis_since(largest.0.started) / 60_000;
            *minutes.entry(minute).or_default() += 1;
            all += 1;
            replies += u32::from(posted.reply_to.is_some());
        }
    }
    let mut counts: Vec<u32> = minutes.into_values().collect();
    counts.sort_unstable();
    assert!(counts[counts.len() - 1] > 4 * counts[counts.len() / 2], "{counts:?}");
    assert!((8..25).contains(&(replies * 100 / all)), "{replies} of {all}");
}
