//! The tables themselves.

use super::audience::{Audience, SHOW};
use super::engine::{Database, Engine};
use analytics::figures::{AsOf, Figures};
use analytics::migrate::{Layout, migrate};
use analytics::rows::Rows;
use schemas::events::{
    LedgerEvent, PaymentApplied, PaymentCaptured, PaymentEvent, PaymentPurpose, PaymentRequested, TipCaptured,
};
use schemas::published::{Published, PublishedEvent};
use schemas::{Currency, Event, EventId, Money, PaymentId, Position, ShowId, Timestamp, streams};
use uuid::Uuid;

#[tokio::test]
async fn migrations_are_applied_once_and_may_be_applied_again() {
    let engine = Engine::start().await;
    let database = Database::new(&engine).await;
    assert_eq!(migrate(&database.client, &Layout::default()).await.unwrap(), Vec::<&str>::new());
    // as after a stop half-way: everything again, over what is there
    database.client.query("TRUNCATE TABLE schema_migrations").execute().await.unwrap();
    assert_eq!(migrate(&database.client, &Layout::default()).await.unwrap().len(), 5);
    database.drop().await;
}

#[tokio::test]
async fn every_table_and_column_says_what_it_is() {
    let engine = Engine::start().await;
    let database = Database::new(&engine).await;
    let silent = "SELECT concat(table, '.', name) FROM system.columns WHERE database = currentDatabase() AND comment = ''
        UNION ALL SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''";
    let silent: Vec<String> = database.client.query(silent).fetch_all().await.unwrap();
    assert_eq!(silent, Vec::<String>::new());
    database.drop().await;
}

#[tokio::test]
async fn retention_follows_the_setting() {
    let engine = Engine::start().await;
    let database = Database::new(&engine).await;
    let ttl =
        "SELECT countIf(engine_full LIKE '% TTL %') FROM system.tables WHERE database = currentDatabase()";
    for (days, kept) in [(Some(30), 8_u64), (Some(30), 8), (Some(60), 8), (None, 0)] {
        migrate(&database.client, &Layout { retention_days: days, cluster: None }).await.unwrap();
        assert_eq!(database.client.query(ttl).fetch_one::<u64>().await.unwrap(), kept, "{days:?}");
    }
    database.drop().await;
}

/// What is over keeps its figures when its facts are dropped, the first of them or all.
#[tokio::test]
async fn figures_outlive_the_facts() {
    let engine = Engine::start().await;
    let database = Database::of_readers(&engine).await;
    Audience::new().fill(&database).await;
    let figures = Figures::new(database.client.clone());
    let as_of = AsOf { position: Position(u64::MAX), time: Timestamp::from_millis(0) };
    let told = async || {
        let standing = figures.standing(SHOW, as_of).await.unwrap().unwrap();
        let stands =
            (standing.status.clone(), standing.started_at, standing.ended_at, standing.currency.clone());
        let minutes = figures.timeline(&standing).await.unwrap();
        assert_eq!(figures.paid_by_minute(&standing).await.unwrap().is_some(), !minutes.is_empty());
        let latest = figures.latest(SHOW, as_of).await.unwrap().unwrap();
        assert_eq!(Some(&latest.figures), figures.show(SHOW, as_of).await.unwrap().as_ref());
        assert_eq!(figures.timeline(&latest.standing).await.unwrap(), minutes);
        ((figures.show(SHOW, as_of).await.unwrap(), stands), minutes)
    };
    let (before, minutes) = told().await;
    assert_eq!(before.1.0, "ENDED");
    assert!(!minutes.is_empty());
    for dropped in ["revision < 20", "1"] {
        for table in ["fact_events", "fact_show_changes", "fact_audience_changes", "fact_messages"] {
            let drop = format!("ALTER TABLE {table} DELETE WHERE {dropped} SETTINGS mutations_sync = 1");
            database.client.query(&drop).execute().await.unwrap();
        }
        // its course is gone with them
        assert_eq!(told().await, (before.clone(), Vec::new()), "{dropped}");
    }
    // but not as of when it was not over
    let early = AsOf { position: Position(1), ..as_of };
    assert_eq!(figures.show(SHOW, early).await.unwrap(), None);
}

#[tokio::test]
async fn the_warehouse_is_as_far_as_its_last_partition_and_never_goes_back() {
    let engine = Engine::start().await;
    let database = Database::new(&engine).await;
    let figures = Figures::new(database.client.clone());
    let tell = async |partition: i32, position: u64| {
        let row = format!("('t', {partition}, {position}, {}, 1, now64(3))", position * 2);
        let insert =
            "INSERT INTO loader_progress (topic, partition, position, time, offset, updated_at) VALUES";
        database.client.query(&format!("{insert} {row}")).execute().await.unwrap();
    };
    let as_of =
        |position| AsOf { position: Position(position), time: Timestamp::from_millis(2 * position as i64) };
    tell(0, 70).await;
    assert_eq!(figures.as_of("t", 2).await.unwrap(), None, "a partition has not told yet");
    tell(1, 50).await;
    assert_eq!(figures.as_of("t", 2).await.unwrap(), Some(as_of(50)));
    // a loader that was taken for dead tells late what it knew
    tell(1, 40).await;
    assert_eq!(figures.as_of("t", 2).await.unwrap(), Some(as_of(50)));
    tell(1, 90).await;
    assert_eq!(figures.as_of("t", 2).await.unwrap(), Some(as_of(70)));
    database.drop().await;
}

/// Every event twice, the last of them first.
#[tokio::test]
async fn tips_and_payments_are_put_together_of_their_steps() {
    let engine = Engine::start().await;
    let database = Database::new(&engine).await;
    let (payment_id, show_id) = (PaymentId(Uuid::from_u128(9)), ShowId(Uuid::from_u128(1)));
    let amount = Money::from_minor(1_050, Currency::USD).unwrap();
    let (person, payee, tip_id) =
        (Uuid::from_u128(3).into(), Uuid::from_u128(4).into(), Uuid::from_u128(5).into());
    let purpose = PaymentPurpose::Tip { show_id, tip_id };
    let payment = [
        PaymentEvent::Requested(PaymentRequested { payment_id, purpose, payer: person, payee, amount }),
        PaymentEvent::Captured(PaymentCaptured {
            payment_id,
            provider: "stripe".into(),
            provider_ref: "pi_1".into(),
            amount,
        }),
        PaymentEvent::Applied(PaymentApplied { payment_id }),
    ];
    let captured = LedgerEvent::TipCaptured(TipCaptured {
        tip_id,
        payment_id,
        person,
        identity: None,
        amount,
        message: None,
    });
    let mut events: Vec<(String, u64, Event)> = payment
        .into_iter()
        .zip(0..)
        .map(|(event, n)| (streams::payment(payment_id), n, event.into()))
        .collect();
    events.push((streams::show(show_id), 4, schemas::events::ShowEvent::from(captured).into()));
    for (stream, revision, event) in events.iter().rev().chain(&events) {
        let mut rows = Rows::default();
        rows.add(&Published {
            event_id: EventId(Uuid::nil()),
            stream: stream.clone(),
            revision: *revision,
            position: Position(*revision),
            previous: None,
            occurred_at: Timestamp::from_millis(1_000),
            event: PublishedEvent::of(event),
        })
        .unwrap();
        database.insert(&rows).await;
    }
    let told = "SELECT concat(status, ' ', toString(requested), ' ', toString(captured), ' ', currency, ' ', provider, ' ',
        toString(is_applied), ' ', toString(show_id)) FROM payments";
    let payments: Vec<String> = database.client.query(told).fetch_all().await.unwrap();
    assert_eq!(payments, [format!("CAPTURED 10.5 10.5 USD stripe true {show_id}")]);
    let told = "SELECT concat(status, ' ', toString(amount), ' ', currency) FROM tips";
    assert_eq!(database.client.query(told).fetch_all::<String>().await.unwrap(), ["CAPTURED 10.5 USD"]);
    database.drop().await;
}
