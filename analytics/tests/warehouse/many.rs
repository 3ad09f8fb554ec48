//! The figures of many shows by brute force, and whether the warehouse says the same.

use super::checks::currency_of;
use super::oracle::{Seen, demographics};
use super::recorded::Show;
use analytics::figures::{
    AsOf, AudienceTotals, Behaviour, Cohort, Estimate, Figures, Period, PopularShow, Returning, Scope,
};
use schemas::events::{ChatEvent, LifecycleEvent, ShowEvent};
use schemas::{Money, PersonId, Position, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// India is five and a half hours ahead, without summer time.
const TIME_ZONE: &str = "Asia/Kolkata";
const AHEAD_MS: i64 = 19_800_000;
const HOUR_MS: i64 = 3_600_000;
const QUARTER_MS: i64 = 900_000;
const YEAR_2025_MS: i64 = 1_735_689_600_000;

fn period(from: i64, to: i64) -> Period {
    Period { from: Timestamp::from_millis(from), to: Timestamp::from_millis(to) }
}

/// What is asked for of many shows.
pub struct Frame {
    pub creators: Vec<PersonId>,
    /// Before all shows, somewhere between them, and after all.
    pub times: [i64; 3],
    /// Begin and end of what is asked for hour by hour, as full quarters of hours: whole weeks, more than one, so that each hour comes more often.
    pub usage: [i64; 2],
}

pub async fn check_many(figures: &Figures, shows: &[Show], frame: &Frame) {
    let [begin, between, far] = frame.times;
    for scope in frame.creators.iter().map(|creator| Scope::Creator(*creator)).chain([Scope::Platform]) {
        let of_scope = |show: &&Show| match scope {
            Scope::Creator(creator) => show.creator == creator,
            Scope::Platform => true,
        };
        let theirs: Vec<Seen<'_>> =
            shows.iter().filter(of_scope).filter_map(|show| Seen::new(show, u64::MAX, 0)).collect();
        for period in [period(begin, far), period(between, far)] {
            let within = |seen: &&Seen<'_>| {
                seen.started.is_some_and(|start| period.from.millis() <= start && start < period.to.millis())
            };
            let seen: Vec<&Seen<'_>> = theirs.iter().filter(within).collect();
            check_audience(figures, scope, period, &seen).await;
            check_growth(figures, scope, period, &seen, &theirs).await;
            check_behaviour(figures, scope, period, &seen).await;
            check_peak_times(figures, scope, period, &seen).await;
            check_content(figures, scope, period, &seen).await;
            check_popular(figures, scope, period, &seen).await;
            check_revenue(figures, scope, period, &theirs).await;
        }
        check_visits(figures, scope, &theirs).await;
        check_usage(figures, scope, &theirs, frame.usage).await;
    }
}

fn persons_of(seen: &[&Seen<'_>]) -> BTreeSet<PersonId> {
    seen.iter().flat_map(|seen| seen.persons()).collect()
}

/// Who wrote, who reacted, who tipped in any of the shows.
fn acting(seen: &[&Seen<'_>]) -> [BTreeSet<PersonId>; 3] {
    [0, 1, 2].map(|which| seen.iter().flat_map(|seen| seen.acting()[which].clone()).collect())
}

async fn check_audience(figures: &Figures, scope: Scope, period: Period, seen: &[&Seen<'_>]) {
    let sum = |of: fn(&Seen<'_>) -> i64| seen.iter().map(|seen| of(seen)).sum::<i64>();
    let [chatters, reactors, tippers] = acting(seen);
    let expected = AudienceTotals {
        shows: seen.len() as u64,
        total_views: seen.iter().map(|seen| seen.stays().len() as u64).sum(),
        unique_viewers: persons_of(seen).len() as u64,
        peak_viewers: seen.iter().map(|seen| seen.peak()).max().unwrap_or(0),
        duration_ms: sum(|seen| seen.until - seen.started.unwrap()),
        watch_ms: sum(|seen| seen.watch_ms()),
        possible_watch_ms: sum(|seen| seen.possible_ms()),
        messages: seen
            .iter()
            .map(|seen| seen.count(|event| u64::from(matches!(event, ShowEvent::Chat(ChatEvent::Posted(_))))))
            .sum(),
        reactions: seen.iter().map(|seen| seen.reactions()).sum(),
        engaged: [&chatters, &reactors, &tippers].into_iter().flatten().collect::<BTreeSet<_>>().len() as u64,
        tippers: tippers.len() as u64,
    };
    assert_eq!(figures.audience(scope, period).await.unwrap(), expected);

    let first_place = |person: &PersonId| {
        let visited = seen.iter().filter(|seen| seen.persons().contains(person));
        let first = visited.min_by_key(|seen| seen.first_position(*person)).unwrap();
        first.stays().into_iter().find(|stay| stay.person == *person).unwrap().place
    };
    let expected = demographics(persons_of(seen).iter().map(first_place));
    assert_eq!(figures.demographics_of(scope, period).await.unwrap(), expected);
}

async fn check_growth(figures: &Figures, scope: Scope, period: Period, seen: &[&Seen<'_>], all: &[Seen<'_>]) {
    let before: Vec<&Seen<'_>> =
        all.iter().filter(|seen| seen.started.is_some_and(|start| start < period.from.millis())).collect();
    let (now, earlier) = (persons_of(seen), persons_of(&before));
    let expected =
        Returning { viewers: now.len() as u64, returning: now.intersection(&earlier).count() as u64 };
    assert_eq!(figures.returning(scope, period).await.unwrap(), expected);

    let mut persons: BTreeMap<(String, String), BTreeSet<PersonId>> = BTreeMap::new();
    for person in now {
        let months = |seen: &[&Seen<'_>]| -> BTreeSet<String> {
            let visited = seen.iter().filter(|seen| seen.persons().contains(&person));
            visited.map(|seen| month(seen.first_join(person))).collect()
        };
        let months_now = months(seen);
        let first = months(&before).into_iter().chain(months_now.clone()).min().unwrap();
        for month in months_now {
            persons.entry((first.clone(), month)).or_default().insert(person);
        }
    }
    let expected: Vec<Cohort> = persons
        .into_iter()
        .map(|((first_month, month), persons)| Cohort { first_month, month, persons: persons.len() as u64 })
        .collect();
    assert_eq!(figures.cohorts(scope, period, TIME_ZONE).await.unwrap(), expected);
}

/// The month in India, of a time in 2025: `2025-06`.
fn month(at: i64) -> String {
    let mut days = (at + AHEAD_MS - YEAR_2025_MS).div_euclid(24 * HOUR_MS);
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_over = |length: &&i64| {
        days -= **length;
        days >= 0
    };
    format!("2025-{:02}", lengths.iter().take_while(is_over).count() + 1)
}

/// Of each show of a creator: its viewers who watched one of theirs that started before it.
async fn check_visits(figures: &Figures, scope: Scope, theirs: &[Seen<'_>]) {
    let Scope::Creator(_) = scope else { return };
    let as_of = AsOf { position: Position(u64::MAX), time: Timestamp::from_millis(0) };
    for seen in theirs {
        let earlier: Vec<&Seen<'_>> =
            theirs.iter().filter(|other| other.started.is_some() && other.started < seen.started).collect();
        let (now, before) = (seen.persons(), persons_of(&earlier));
        let returning = now.iter().filter(|person| before.contains(person)).count() as u64;
        let expected = Returning { viewers: now.len() as u64, returning };
        let standing = figures.standing(seen.show.id, as_of).await.unwrap().unwrap();
        assert_eq!(figures.returning_to(&standing).await.unwrap(), expected);
    }
}

async fn check_behaviour(figures: &Figures, scope: Scope, period: Period, seen: &[&Seen<'_>]) {
    let [chatters, reactors, tippers] = acting(seen);
    let mut watched: Vec<i64> = persons_of(seen)
        .iter()
        .map(|person| {
            let visited = seen.iter().filter(|seen| seen.persons().contains(person));
            visited.map(|seen| seen.watch_ms_of(*person)).sum()
        })
        .collect();
    watched.sort_unstable();
    let quantile = |tenths: usize| watched.get(watched.len() * tenths / 10).copied().unwrap_or(0);
    let expected = Behaviour {
        viewers: watched.len() as u64,
        sessions: seen.iter().map(|seen| seen.stays().len() as u64).sum(),
        visits: seen.iter().map(|seen| seen.persons().len() as u64).sum(),
        watch_ms: watched.iter().sum(),
        watch_ms_median: quantile(5),
        watch_ms_p90: quantile(9),
        chatters: chatters.len() as u64,
        reactors: reactors.len() as u64,
        tippers: tippers.len() as u64,
        engaged: [&chatters, &reactors, &tippers].into_iter().flatten().collect::<BTreeSet<_>>().len() as u64,
    };
    assert_eq!(figures.behaviour(scope, period).await.unwrap(), expected);
}

/// Day of the week (1 is Monday) and hour in India: 1970 began on a Thursday.
fn slot(at: i64) -> (u8, u8) {
    let hours = (at + AHEAD_MS).div_euclid(HOUR_MS);
    (
        u8::try_from((hours.div_euclid(24) + 3).rem_euclid(7) + 1).unwrap(),
        u8::try_from(hours.rem_euclid(24)).unwrap(),
    )
}

fn hour_cuts(seen: &Seen<'_>) -> Vec<i64> {
    let (from, to) = (seen.started.unwrap(), seen.until);
    let first = (from + AHEAD_MS).div_euclid(HOUR_MS) + 1;
    (first..).map(|hour| hour * HOUR_MS - AHEAD_MS).take_while(|cut| *cut < to).collect()
}

fn estimate(values: &[f64]) -> Estimate {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Estimate::new(
        values.len() as u64,
        mean,
        if values.len() < 2 { 0.0 } else { (squares / (count - 1.0)).sqrt() },
    )
}

fn same(found: Estimate, expected: Estimate) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
    found.shows == expected.shows
        && (found.shows == 0 || near(found.mean, expected.mean))
        && match (found.interval, expected.interval) {
            (None, None) => true,
            (Some(a), Some(b)) => near(a.0, b.0) && near(a.1, b.1),
            _ => false,
        }
}

fn add(sums: &mut BTreeMap<&'static str, Money>, tip: Money) {
    let code = tip.currency().code();
    let sum = sums.get(code).map_or(tip, |sum| sum.checked_add(tip).unwrap());
    sums.insert(code, sum);
}

async fn check_peak_times(figures: &Figures, scope: Scope, period: Period, seen: &[&Seen<'_>]) {
    let mut concurrent: BTreeMap<(u8, u8), Vec<f64>> = BTreeMap::new();
    let mut tips: BTreeMap<(u8, u8), BTreeMap<&'static str, Money>> = BTreeMap::new();
    for seen in seen {
        let mut of_show: BTreeMap<(u8, u8), (i64, i64)> = BTreeMap::new();
        for (from, to, persons) in seen.stretches(&hour_cuts(seen)) {
            let sums = of_show.entry(slot(from)).or_default();
            *sums = (sums.0 + to - from, sums.1 + (to - from) * persons);
        }
        for (hour, (on_air, watched)) in of_show.into_iter().filter(|(_, sums)| sums.0 > 0) {
            concurrent.entry(hour).or_default().push(watched as f64 / on_air as f64);
        }
        for (at, _, tip) in seen.tips() {
            add(tips.entry(slot(at)).or_default(), tip);
        }
    }
    let hours: BTreeSet<(u8, u8)> = concurrent.keys().chain(tips.keys()).copied().collect();
    let found = figures.peak_times(scope, period, TIME_ZONE).await.unwrap();
    assert_eq!(found.iter().map(|hour| (hour.weekday, hour.hour)).collect::<Vec<_>>(), Vec::from_iter(hours));
    for hour in found {
        let key = (hour.weekday, hour.hour);
        let expected = estimate(concurrent.get(&key).map_or(&[], Vec::as_slice));
        assert!(same(hour.concurrent, expected), "{key:?} {:?} {expected:?}", hour.concurrent);
        let expected: Vec<Money> = tips.remove(&key).unwrap_or_default().into_values().collect();
        assert_eq!(hour.tips, expected, "{key:?}");
    }
}

async fn check_content(figures: &Figures, scope: Scope, period: Period, seen: &[&Seen<'_>]) {
    let mut expected: BTreeMap<String, (Vec<f64>, i64, BTreeMap<&'static str, Money>)> = BTreeMap::new();
    for seen in seen {
        let ShowEvent::Lifecycle(LifecycleEvent::Created(created)) = &seen.events[0].event else { panic!() };
        let category = created.details.category.clone().unwrap_or("unknown".to_owned());
        let sums = expected.entry(category).or_default();
        let duration = seen.until - seen.started.unwrap();
        sums.0.push(if duration == 0 { 0.0 } else { seen.watch_ms() as f64 / duration as f64 });
        sums.1 += seen.watch_ms();
        seen.tips().into_iter().for_each(|(_, _, tip)| add(&mut sums.2, tip));
    }
    let found = figures.content_types(scope, period).await.unwrap();
    assert_eq!(found.len(), expected.len());
    for found in found {
        let (values, watch_ms, tips) = expected.remove(&found.category).unwrap();
        assert!(same(found.concurrent, estimate(&values)), "{found:?} {values:?}");
        assert_eq!((found.watch_ms, found.tips), (watch_ms, tips.into_values().collect()));
    }
}

async fn check_popular(figures: &Figures, scope: Scope, period: Period, seen: &[&Seen<'_>]) {
    let mut expected: Vec<_> =
        seen.iter().map(|seen| (seen.persons().len() as u64, seen.watch_ms(), seen.show.id)).collect();
    expected.sort_by_key(|(persons, watched, id)| {
        (std::cmp::Reverse(*persons), std::cmp::Reverse(*watched), *id)
    });
    let mut found: Vec<PopularShow> = Vec::new();
    loop {
        let page = figures.popular(scope, period, found.last().map(PopularShow::rank), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let found: Vec<_> = found.iter().map(|show| (show.unique_viewers, show.watch_ms, show.show_id)).collect();
    assert_eq!(found, expected);
}

async fn check_revenue(figures: &Figures, scope: Scope, period: Period, theirs: &[Seen<'_>]) {
    let mut sums: BTreeMap<&'static str, Money> = BTreeMap::new();
    let mut days: BTreeMap<(i64, &'static str), Money> = BTreeMap::new();
    let (mut count, mut persons) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<PersonId>>::new());
    for seen in theirs {
        let code = currency_of(seen.show).code();
        for (at, person, tip) in seen.tips() {
            if period.from.millis() <= at && at < period.to.millis() {
                add(&mut sums, tip);
                *count.entry(code).or_insert(0_u64) += 1;
                persons.entry(code).or_default().insert(person);
                let day = days
                    .entry(((at + AHEAD_MS).div_euclid(24 * HOUR_MS), code))
                    .or_insert(Money::zero(tip.currency()));
                *day = day.checked_add(tip).unwrap();
            }
        }
    }
    let found = figures.revenue(scope, period).await.unwrap();
    let found: Vec<_> = found.iter().map(|sum| (sum.tips, sum.tips_count, sum.tippers)).collect();
    let expected: Vec<_> =
        sums.iter().map(|(code, sum)| (*sum, count[code], persons[code].len() as u64)).collect();
    assert_eq!(found, expected);
    let found = figures.revenue_by_day(scope, period, TIME_ZONE).await.unwrap();
    assert_eq!(found.iter().map(|day| day.tips).collect::<Vec<_>>(), days.into_values().collect::<Vec<_>>());
}

async fn check_usage(figures: &Figures, scope: Scope, theirs: &[Seen<'_>], [from, to]: [i64; 2]) {
    let mut quarters: BTreeMap<i64, i64> =
        (from / QUARTER_MS..to / QUARTER_MS).map(|quarter| (quarter, 0)).collect();
    for seen in theirs.iter().filter(|seen| seen.started.is_some()) {
        let cuts: Vec<i64> =
            (seen.started.unwrap() / QUARTER_MS..=seen.until / QUARTER_MS).map(|q| q * QUARTER_MS).collect();
        for (from, to, persons) in seen.stretches(&cuts) {
            if let Some(watched) = quarters.get_mut(&(from / QUARTER_MS)) {
                *watched += (to - from) * persons;
            }
        }
    }
    let found = figures.peak_usage(scope, period(from, to), TIME_ZONE).await.unwrap();
    assert_eq!(found.len(), 168);
    for hour in found {
        let of_hour: Vec<i64> = quarters
            .iter()
            .filter(|(quarter, _)| slot(*quarter * QUARTER_MS) == (hour.weekday, hour.hour))
            .map(|(_, watched)| *watched)
            .collect();
        let mean = of_hour.iter().sum::<i64>() as f64 / (of_hour.len() as i64 * QUARTER_MS) as f64;
        let peak = *of_hour.iter().max().unwrap() as f64 / QUARTER_MS as f64;
        assert!((hour.mean - mean).abs() < 1e-9 && (hour.peak - peak).abs() < 1e-9, "{hour:?} {mean} {peak}");
    }
}
