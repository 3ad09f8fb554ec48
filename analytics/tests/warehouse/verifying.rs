//! `analytics::verify` over the real engine: it finds nothing where nothing is wrong, and names whatever is.

use super::audience::{Audience, SHOW};
use super::engine::{Database, Engine};
use super::world::{self, BEGIN_MS, Plan, Show};
use analytics::figures::rollup;
use analytics::rows::Rows;
use analytics::verify::{Difference, Outcome, Progress, Stores, Watcher, verify};
use platform::event_log::memory::MemoryLog;
use platform::event_log::{EventLog, Expected, codec};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use schemas::events::{
    LedgerEvent, PaymentApplied, PaymentCaptured, PaymentEvent, PaymentPurpose, PaymentRequested, ShowEvent,
    TipCaptured, TipRequested,
};
use schemas::published::{Published, PublishedEvent, TOPIC};
use schemas::{
    Actor, BodyHash, CommandId, Event, EventId, Metadata, PaymentId, Position, ShowId, Timestamp, streams,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;

/// Worlds in which nothing may be found.
const WORLDS: usize = 8;

#[derive(Default)]
struct Found(Vec<Difference>);

impl Watcher for Found {
    fn progress(&mut self, _: Progress<'_>) {}

    fn difference(&mut self, difference: &Difference) {
        self.0.push(difference.clone());
    }
}

/// A log and a warehouse that was filled from it.
pub struct Scene {
    pub database: Database,
    log: MemoryLog,
    pub published: Vec<Published>,
    facts_since: Timestamp,
}

impl Scene {
    pub async fn new(engine: &Engine, shows: &[Show]) -> Self {
        let mut scene = Self::empty(engine).await;
        for (at, stream, event) in happened(shows) {
            scene.append(at, &stream, &event);
        }
        scene.fill().await;
        scene
    }

    async fn empty(engine: &Engine) -> Self {
        let database = Database::new(engine).await;
        let facts_since = Timestamp::default();
        Self { database, log: MemoryLog::new(7), published: Vec::new(), facts_since }
    }

    fn append(&mut self, at: i64, stream: &str, event: &Event) {
        let id = EventId(Uuid::from_u128(1_000_000 + self.published.len() as u128));
        let meta = Metadata {
            occurred_at: Timestamp::from_millis(at),
            actor: Actor::System,
            causation: CommandId(Uuid::nil()),
            body_hash: BodyHash::default(),
            correlation: None,
            traceparent: None,
            schema_version: 1,
        };
        let new = codec::encode(event, &meta, id).unwrap();
        let appended = self.log.append_elsewhere(stream, Expected::Any, vec![new]).unwrap();
        self.published.push(Published {
            event_id: id,
            stream: stream.to_owned(),
            revision: appended.revision,
            position: appended.position,
            previous: None,
            occurred_at: Timestamp::from_millis(at),
            event: PublishedEvent::of(event),
        });
    }

    async fn fill(&self) {
        let mut rows = Rows::default();
        self.published.iter().for_each(|event| rows.add(event).unwrap());
        self.write(&rows).await;
    }

    /// The same in another order: what is the same to the byte the server takes for a repeat of an insert, even of rows that are gone.
    async fn fill_again(&self) {
        let mut rows = Rows::default();
        self.published.iter().rev().for_each(|event| rows.add(event).unwrap());
        self.write(&rows).await;
    }

    async fn write(&self, rows: &Rows) {
        self.database.insert(rows).await;
        rollup::refresh(&self.database.client, &rows.shows.iter().copied().collect::<Vec<_>>())
            .await
            .unwrap();
        let head = self.published.last().unwrap();
        self.tell_progress(head.position, head.occurred_at.millis() + 12_345).await;
    }

    async fn tell_progress(&self, position: Position, time_ms: i64) {
        for (table, offset) in [("loader_progress", "0 AS offset, "), ("rollup_progress", "")] {
            self.database
                .run(&format!(
                    "INSERT INTO {table} SELECT '{TOPIC}', number, {position}, \
                     fromUnixTimestamp64Milli({time_ms}), {offset}now64(3) FROM numbers(12)"
                ))
                .await;
        }
    }

    async fn verify(&self) -> (Outcome, Vec<Difference>) {
        let log: Arc<dyn EventLog> = Arc::new(self.log.clone());
        let warehouse = Some(self.database.client.clone());
        let stores = Stores { log, views: None, warehouse, facts_since: self.facts_since };
        let mut found = Found::default();
        let outcome = verify(&stores, Duration::from_millis(1), &mut found).await.unwrap();
        assert_eq!(outcome.differences, found.0.len() as u64);
        (outcome, found.0)
    }

    /// Where differences are, by store and figure.
    pub async fn differences(&self) -> BTreeSet<(&'static str, String)> {
        let (outcome, found) = self.verify().await;
        assert!(!outcome.is_well() || found.is_empty());
        found.into_iter().map(|difference| (difference.store, difference.figure)).collect()
    }
}

impl Database {
    pub async fn run(&self, sql: &str) {
        self.client.query_raw(sql).with_setting("mutations_sync", "2").execute().await.unwrap();
    }
}

/// The events of shows in their order, with those of the payments that their tips need.
fn happened(shows: &[Show]) -> Vec<(i64, String, Event)> {
    let mut all: Vec<_> = shows
        .iter()
        .flat_map(|show| show.events.iter().map(|event| (event.position, show.id, event)))
        .collect();
    all.sort_unstable_by_key(|(position, ..)| *position);
    let mut happened = Vec::new();
    for (_, show, recorded) in all {
        let (before, after) = payments(show, &recorded.event);
        let of_payment = |(payment, event)| (recorded.at, streams::payment(payment), Event::Payment(event));
        happened.extend(before.into_iter().map(of_payment));
        happened.push((recorded.at, streams::show(show), Event::Show(recorded.event.clone())));
        happened.extend(after.into_iter().map(of_payment));
    }
    happened
}

type PaymentStep = Option<(PaymentId, PaymentEvent)>;

/// What happens to its payment before an event of a tip, and after it.
fn payments(show_id: ShowId, event: &ShowEvent) -> (PaymentStep, PaymentStep) {
    match event {
        ShowEvent::Ledger(LedgerEvent::TipRequested(TipRequested {
            payment_id,
            tip_id,
            person,
            amount,
            ..
        })) => {
            let purpose = PaymentPurpose::Tip { show_id, tip_id: *tip_id };
            let requested = PaymentRequested {
                payment_id: *payment_id,
                purpose,
                payer: *person,
                payee: world::creator(0),
                amount: *amount,
            };
            (None, Some((*payment_id, PaymentEvent::Requested(requested))))
        }
        ShowEvent::Ledger(LedgerEvent::TipCaptured(TipCaptured { payment_id, amount, .. })) => {
            let (payment_id, amount) = (*payment_id, *amount);
            let (provider, provider_ref) = ("sandbox".to_owned(), "r".to_owned());
            let captured = PaymentCaptured { payment_id, provider, provider_ref, amount };
            let applied = PaymentEvent::Applied(PaymentApplied { payment_id });
            (Some((payment_id, PaymentEvent::Captured(captured))), Some((payment_id, applied)))
        }
        ShowEvent::Ledger(LedgerEvent::TipDeclined(declined)) => {
            let payment_id = declined.payment_id;
            let reason = declined.reason;
            let event = schemas::events::PaymentDeclined { payment_id, reason };
            let applied = PaymentEvent::Applied(PaymentApplied { payment_id });
            (Some((payment_id, PaymentEvent::Declined(event))), Some((payment_id, applied)))
        }
        _ => (None, None),
    }
}

fn random_worlds() -> Vec<Vec<Show>> {
    let mut runner = TestRunner::deterministic();
    let plans = || world::plans().new_tree(&mut runner).unwrap().current();
    std::iter::repeat_with(plans).take(WORLDS).map(|plans: Vec<Plan>| world::world(&plans)).collect()
}

#[tokio::test]
async fn nothing_is_found_where_nothing_is_wrong() {
    let engine = Engine::start().await;
    for shows in random_worlds() {
        let scene = Scene::new(&engine, &shows).await;
        let (outcome, found) = scene.verify().await;
        assert_eq!(found, Vec::new());
        assert!(outcome.is_well());
        assert_eq!((outcome.shows, outcome.events), (shows.len(), scene.published.len() as u64));
        assert!(outcome.compared > 50 * shows.len() as u64);
        // rows that are there twice are no difference
        scene.fill_again().await;
        assert_eq!(scene.verify().await.1, Vec::new());
        scene.database.drop().await;
    }
}

pub fn of(found: &[(&'static str, &'static str)]) -> BTreeSet<(&'static str, String)> {
    found.iter().map(|(store, figure)| (*store, (*figure).to_owned())).collect()
}

/// Changes to rows of one show, each with the way back, and what is found by it.
const CHANGES: [(&str, &str, &str, &str, &[(&str, &str)]); 4] = [
    (
        "fact_tip_changes",
        "kind = 'CAPTURED'",
        "amount = amount + 0.01",
        "amount = amount - 0.01",
        &[("figures", "tips")],
    ),
    (
        "fact_events",
        "revision = 5",
        "position = position + 1",
        "position = position - 1",
        &[("events", "sum of their positions")],
    ),
    (
        "fact_payment_changes",
        "kind = 'CAPTURED'",
        "amount = amount + 1",
        "amount = amount - 1",
        &[("payment_changes", "captured")],
    ),
    (
        "rollup_shows",
        "1",
        "peak_viewers = peak_viewers + 1",
        "peak_viewers = peak_viewers - 1",
        &[("rollup_shows", "peak viewers")],
    ),
];

#[tokio::test]
async fn whatever_is_changed_is_found_and_named() {
    let engine = Engine::start().await;
    let scene = Scene::new(&engine, &Audience::new().shows).await;
    assert_eq!(scene.differences().await, of(&[]));
    for (table, which, away, back, found) in CHANGES {
        let rows = match table {
            "fact_events" => format!("stream = '{}'", streams::show(SHOW)),
            "fact_payment_changes" => "1".to_owned(),
            _ => format!("show_id = '{SHOW}'"),
        };
        let change = |set| format!("ALTER TABLE {table} UPDATE {set} WHERE {rows} AND {which}");
        scene.database.run(&change(away)).await;
        assert_eq!(scene.differences().await, of(found), "{table}");
        scene.database.run(&change(back)).await;
    }
    assert_eq!(scene.differences().await, of(&[]));
    scene.database.drop().await;
}

#[tokio::test]
async fn what_is_lost_doubled_or_foreign_is_found_and_named() {
    let engine = Engine::start().await;
    let scene = Scene::new(&engine, &Audience::new().shows).await;
    let run = async |sql: String| scene.database.run(&sql).await;
    let tips = "fact_tip_changes";
    run(format!("ALTER TABLE {tips} DELETE WHERE show_id = '{SHOW}' AND kind = 'CAPTURED'")).await;
    let lost = scene.differences().await;
    for found in of(&[("figures", "tips"), ("figures", "tips captured"), ("figures", "tips pending")]) {
        assert!(lost.contains(&found), "{lost:?}");
    }
    assert!(lost.contains(&("facts", "rows of tip_changes".to_owned())), "{lost:?}");
    // of all that is written again, only what is missing counts
    scene.fill_again().await;
    assert_eq!(scene.differences().await, of(&[]));

    let joins = "fact_audience_changes";
    run(format!(
        "INSERT INTO {joins} SELECT * REPLACE (revision + 100000 AS revision) FROM {joins} FINAL \
         WHERE show_id = '{SHOW}' AND kind = 'JOINED' LIMIT 1"
    ))
    .await;
    let doubled = scene.differences().await;
    assert!(doubled.contains(&("facts", "rows of audience_changes".to_owned())), "{doubled:?}");
    run(format!("ALTER TABLE {joins} DELETE WHERE revision >= 100000")).await;

    let foreign = format!("toUUID('{}')", Uuid::from_u128(77));
    let messages = "fact_messages";
    run(format!(
        "INSERT INTO {messages} SELECT * REPLACE ({foreign} AS show_id) FROM {messages} FINAL LIMIT 1"
    ))
    .await;
    let strange = of(&[("facts", "rows of messages"), ("facts", "sum of positions of messages")]);
    assert_eq!(scene.differences().await, strange);
    run(format!("ALTER TABLE {messages} DELETE WHERE show_id = {foreign}")).await;
    assert_eq!(scene.differences().await, of(&[]));
    scene.database.drop().await;
}

#[tokio::test]
async fn a_warehouse_that_is_behind_is_compared_as_far_as_it_is_and_told() {
    let engine = Engine::start().await;
    let mut scene = Scene::new(&engine, &Audience::new().shows).await;
    let (_, stream, event) = happened(&Audience::new().shows).remove(1);
    scene.append(BEGIN_MS + 100_000_000, &stream, &event);
    let (outcome, found) = scene.verify().await;
    // the show started again after everything: only the log holds that, and it is not compared with what ended before
    assert!(found.iter().all(|difference| difference.store == "log"), "{found:?}");
    let behind: Vec<_> = outcome.behind.iter().map(|behind| (behind.store, behind.events)).collect();
    assert_eq!(behind, [("ClickHouse", 1), ("the roll-ups of ClickHouse", 1)]);
    assert!(!outcome.is_well());
    scene.database.drop().await;
}

/// Shows whose facts expired are compared by their roll-ups, all others as ever.
#[tokio::test]
async fn facts_that_expired_are_no_difference_and_those_that_are_left_are_compared() {
    let engine = Engine::start().await;
    let mut shows = Audience::new().shows;
    shows[0].events.iter_mut().for_each(|event| event.at -= 10 * DAY_MS);
    let mut scene = Scene::new(&engine, &shows).await;
    let facts =
        "events show_changes audience_changes messages reactions reactors tip_changes payment_changes";
    for fact in facts.split(' ') {
        let expired = format!("toUnixTimestamp64Milli(occurred_at) < {BEGIN_MS}");
        scene.database.run(&format!("ALTER TABLE fact_{fact} DELETE WHERE {expired}")).await;
    }
    assert_ne!(scene.differences().await, of(&[]));
    scene.facts_since = Timestamp::from_millis(BEGIN_MS);
    assert_eq!(scene.differences().await, of(&[]));

    for (table, found) in [
        ("fact_messages", &[("facts", "sum of positions of messages")][..]),
        ("fact_events", &[("events", "sum of their positions")]),
    ] {
        let change = |by| format!("ALTER TABLE {table} UPDATE position = position {by} WHERE 1");
        scene.database.run(&change("+ 1")).await;
        let differences = scene.differences().await;
        assert!(of(found).is_subset(&differences), "{differences:?}");
        scene.database.run(&change("- 1")).await;
    }
    scene.database.run("ALTER TABLE rollup_shows UPDATE messages = messages + 1 WHERE 1").await;
    assert_eq!(scene.differences().await, of(&[("rollup_shows", "messages")]));
    scene.database.drop().await;
}

/// What no store can be blamed for.
#[tokio::test]
async fn a_tip_without_its_payment_is_found_in_the_log() {
    let engine = Engine::start().await;
    let mut scene = Scene::empty(&engine).await;
    let mut skipped = false;
    for (at, stream, event) in happened(&Audience::new().shows) {
        let is_capture = matches!(event, Event::Payment(PaymentEvent::Captured(_)));
        if is_capture && !skipped {
            skipped = true;
        } else {
            scene.append(at, &stream, &event);
        }
    }
    assert!(skipped);
    scene.fill().await;
    assert_eq!(scene.differences().await, of(&[("log", "the end of its tip"), ("log", "tips by payments")]));
    scene.database.drop().await;
}
