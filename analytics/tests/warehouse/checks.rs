//! Every figure of one show by brute force, and whether the warehouse says the same.

use super::oracle::{Seen, Stay};
use super::recorded::Show;
use analytics::figures::{AsOf, Figures, PaidMinute, ShowFigures, Standing, SurvivalStep};
use analytics::fold::Fold;
use schemas::events::{ChatEvent, InteractionEvent, LedgerEvent, ShowEvent};
use schemas::{Actor, BodyHash, CommandId, Currency, Envelope, EventId, Metadata, Money, Timestamp};
use uuid::Uuid;

pub async fn check_show(figures: &Figures, show: &Show, as_of: AsOf) {
    let found = figures.show(show.id, as_of).await.unwrap();
    let standing = check_standing(figures, show, as_of, found.as_ref()).await;
    let Some(seen) = Seen::new(show, as_of.position.0, as_of.time.millis()) else {
        assert_eq!(found, None);
        return;
    };
    let (found, standing) = (found.unwrap(), standing.unwrap());
    check_figures(&found, &seen);
    check_fold(&found, &seen);
    check_identities(&found);
    check_timeline(figures, &seen, &found, &standing).await;
    let demographics = figures.demographics(&standing).await.unwrap();
    assert_eq!(demographics, seen.demographics());
    for groups in [&demographics.by_country, &demographics.by_city, &demographics.by_device] {
        assert_eq!(groups.iter().map(|group| group.persons).sum::<u64>(), found.unique_viewers, "identity 2");
    }
    check_survival(&figures.survival(&standing).await.unwrap(), &seen.survival());
}

async fn check_standing(
    figures: &Figures,
    show: &Show,
    as_of: AsOf,
    found: Option<&ShowFigures>,
) -> Option<Standing> {
    let standing = figures.standing(show.id, as_of).await.unwrap();
    assert_eq!(standing.is_some(), found.is_some());
    let (standing, found) = (standing?, found?);
    check_agreement(&standing, found);
    Some(standing)
}

/// A show stands where its figures say.
pub fn check_agreement(standing: &Standing, found: &ShowFigures) {
    assert_eq!(standing.status, found.status);
    assert_eq!((standing.started_at, standing.ended_at), (found.started_at, found.ended_at));
    assert_eq!(standing.currency, found.total_tips.currency().code());
    assert_eq!(standing.pending_tips, found.pending_tips);
    assert_eq!(standing.is_final(), found.is_final());
}

fn check_figures(found: &ShowFigures, seen: &Seen<'_>) {
    let closing = seen.viewers_after(seen.events.len());
    let [chatters, reactors, tippers] = seen.acting();
    let engaged = chatters.union(&reactors).copied().collect::<std::collections::BTreeSet<_>>();
    let currency = currency_of(seen.show);
    let total = |sum: Money, (_, _, tip): (i64, _, Money)| sum.checked_add(tip).unwrap();
    let asked =
        seen.count(|event| u64::from(matches!(event, ShowEvent::Ledger(LedgerEvent::TipRequested(_)))));
    let settled = seen.count(|event| {
        u64::from(matches!(
            event,
            ShowEvent::Ledger(LedgerEvent::TipCaptured(_) | LedgerEvent::TipDeclined(_))
        ))
    });
    let expected = ShowFigures {
        status: status(seen).to_owned(),
        started_at: seen.started.map(Timestamp::from_millis),
        ended_at: seen.ended.map(Timestamp::from_millis),
        viewer_count: if seen.ended.is_some() { 0 } else { closing },
        closing_viewer_count: closing,
        peak_viewers: seen.peak(),
        total_views: seen.stays().len() as u64,
        unique_viewers: seen.persons().len() as u64,
        duration_ms: seen.started.map_or(0, |start| seen.until - start),
        watch_ms: seen.watch_ms(),
        possible_watch_ms: seen.possible_ms(),
        messages: seen.count(|event| u64::from(matches!(event, ShowEvent::Chat(ChatEvent::Posted(_))))),
        reactions: seen.reactions(),
        engaged: engaged.union(&tippers).count() as u64,
        tippers: tippers.len() as u64,
        total_tips: seen.tips().into_iter().fold(Money::zero(currency), total),
        tips_count: seen.tips().len() as u64,
        pending_tips: asked - settled,
    };
    assert_eq!(*found, expected);
}

fn status(seen: &Seen<'_>) -> &'static str {
    let is_cancelled = seen.count(|event| {
        u64::from(matches!(event, ShowEvent::Lifecycle(schemas::events::LifecycleEvent::Cancelled(_))))
    }) > 0;
    match (is_cancelled, seen.started, seen.ended) {
        (true, ..) => "CANCELLED",
        (_, _, Some(_)) => "ENDED",
        (_, Some(_), None) => "LIVE",
        (_, None, None) => "SCHEDULED",
    }
}

pub fn currency_of(show: &Show) -> Currency {
    match &show.events[0].event {
        ShowEvent::Lifecycle(schemas::events::LifecycleEvent::Created(created)) => created.currency,
        _ => panic!("a show begins with its creation"),
    }
}

/// Identity 5: the fold that `tally verify` and the domain's tests are measured by says the same.
fn check_fold(found: &ShowFigures, seen: &Seen<'_>) {
    let mut fold = Fold::default();
    for event in &seen.events {
        fold.apply(&Envelope {
            event_id: EventId(Uuid::nil()),
            revision: event.revision,
            position: None,
            meta: Metadata {
                occurred_at: Timestamp::from_millis(event.at),
                actor: Actor::System,
                causation: CommandId(Uuid::nil()),
                body_hash: BodyHash::default(),
                correlation: None,
                traceparent: None,
                schema_version: 1,
            },
            event: event.event.clone(),
        });
    }
    let folded = fold.summary(Timestamp::from_millis(seen.until));
    assert_eq!(folded.broken_identities(), Vec::<&str>::new());
    assert_eq!(folded.figures, *found);
    assert_eq!(folded.demographics, seen.demographics());
    let (stretches, stays) = (seen.stretches(&[]), seen.stays());
    assert_eq!(
        folded.curve.highest,
        stretches.iter().map(|(.., persons)| persons.cast_unsigned()).max().unwrap_or(0)
    );
    let open = |stay: &&Stay| !stay.was_left && seen.ended.is_none();
    assert_eq!(folded.open_sessions, stays.iter().filter(open).count() as u64);
}

fn check_identities(found: &ShowFigures) {
    assert_eq!(found.broken_identities(), Vec::<&str>::new(), "identity 3: {found:?}");
    for ratio in [found.viewer_retention(), found.engagement_rate(), found.tip_conversion()] {
        assert!((0.0..=1.0).contains(&ratio), "{found:?}");
    }
}

async fn check_timeline(figures: &Figures, seen: &Seen<'_>, found: &ShowFigures, standing: &Standing) {
    let minutes = figures.timeline(standing).await.unwrap();
    let paid = figures.paid_by_minute(standing).await.unwrap().unwrap();
    let paying = minutes.iter().filter(|minute| minute.tips.minor_units() != 0);
    assert_eq!(
        paid,
        paying.map(|m| PaidMinute { minute: m.presence.minute, tips: m.tips }).collect::<Vec<_>>(),
        "which brute force checks below"
    );
    let Some(start) = seen.started else {
        assert_eq!(minutes, Vec::new());
        return;
    };
    assert_eq!(minutes.len() as i64, (found.duration_ms + 59_999) / 60_000);
    // the curve is below the counts of events, and its area is the time watched
    let area: i64 = seen.stretches(&[]).iter().map(|(from, to, persons)| (to - from) * persons).sum();
    assert_eq!(area, found.watch_ms, "identity 1");
    for (minute, index) in minutes.iter().zip(0..) {
        let (from, to) = (start + index * 60_000, (start + (index + 1) * 60_000).min(seen.until));
        let (before, after) = (seen.before(from), seen.before(to));
        let within = |wanted: fn(&ShowEvent) -> u64| -> u64 {
            seen.events[before..after].iter().map(|event| wanted(&event.event)).sum()
        };
        assert_eq!(i64::from(minute.presence.minute), index);
        assert_eq!(minute.presence.viewer_count, seen.viewers_after(after));
        assert_eq!(minute.presence.unique_viewers, seen.uniques_after(after));
        assert_eq!(minute.messages, within(|event| u64::from(matches!(event, ShowEvent::Chat(_)))));
        assert_eq!(
            minute.presence.joins,
            within(|event| {
                u64::from(matches!(event, ShowEvent::Audience(schemas::events::AudienceEvent::Joined(_))))
            })
        );
        assert_eq!(
            minute.presence.leaves,
            within(|event| {
                u64::from(matches!(event, ShowEvent::Audience(schemas::events::AudienceEvent::Left(_))))
            })
        );
        assert_eq!(
            minute.reactions,
            within(|event| match event {
                ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => {
                    counted.counts.values().map(|count| u64::from(*count)).sum()
                }
                _ => 0,
            })
        );
        let tips = seen.tips().into_iter().filter(|(at, ..)| from <= *at && *at < to);
        let total =
            tips.fold(Money::zero(currency_of(seen.show)), |sum, (_, _, tip)| sum.checked_add(tip).unwrap());
        assert_eq!(minute.tips, total);
        assert!((0.0..=1.0).contains(&minute.presence.retention()));
    }
}

fn check_survival(found: &[SurvivalStep], expected: &[SurvivalStep]) {
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.share - expected.share).abs() < 1e-9, "{found:?} {expected:?}");
        assert_eq!(
            (found.minute, found.gone, found.censored),
            (expected.minute, expected.gone, expected.censored)
        );
    }
}
