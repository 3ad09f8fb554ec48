//! From the topic to the warehouse: the loader beside bare inserts of the same rows in blocks of the same size.
//!
//! The relay writes a generated history to a private Kafka once; every round a loader of its own reads it into a database of its own. Roll-ups
//! are made beside it, as always. What came is compared with what was told: rows of each table, repeats, and tips to the cent.

use analytics::figures::{AsOf, FigureError, Figures, Period, Scope};
use analytics::loader::{Loader, LoaderDeps, LoaderSettings};
use analytics::migrate::Layout;
use analytics::rows::{Fact, Rows};
use anyhow::{Context, bail, ensure};
use clickhouse::Client;
use embedded::kafka::{Kafka, KafkaConfig};
use embedded::postgres::{Postgres, PostgresConfig};
use platform::clock::Clock;
use platform::event_log::memory::MemoryLog;
use platform::event_log::{EventLog, Expected, codec};
use projections::{Readings, Relay, RelayDeps, RelaySettings};
use schemas::events::{LedgerEvent, ShowEvent};
use schemas::published::{PARTITIONS, TOPIC};
use schemas::{Event, Money, Position};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

use super::Run;
use super::child::create_dir;
use super::figure::Figure;
use super::told::{self, Told};
use super::warehouse::Warehouse;

/// Events of the topic: some seconds of loading.
const EVENTS: u64 = 300_000;

/// A loader that is not done by then never is.
const LOADED_WITHIN: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(20);

/// Longer than any run.
const RETENTION: Duration = Duration::from_secs(86_400);

/// Our own goal: rows a second by those of bare inserts.
const GOAL: f64 = 0.70;

/// A broker with the history in its topic.
struct Topic {
    kafka: Kafka,
    told: Vec<Told>,
    head: Position,
}

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let dir = run.dir.join("loading");
    create_dir(&dir)?;
    let server = Warehouse::start(&dir.join("clickhouse")).await?;
    let topic = Topic::publish(run, &dir, &server).await?;
    let expected = topic.rows(topic.told.len())?;
    let (rows, tips) = (count(&expected), tips(&topic.told)?);
    drop(expected);
    let mut figure = Figure::new("loading", "rows/s", "bare inserts of the same rows in equal blocks");
    for round in 0..run.rounds {
        let name = format!("warehouse_loader_{round}");
        let client = server.database(&name).await?;
        let loaded = topic.load(&client, &name).await?;
        let blocks = inserts(&client, &name).await?;
        check(&client, &topic, &tips).await?;
        server.drop(client, &name).await?;

        let name = format!("warehouse_bare_{round}");
        let client = server.database(&name).await?;
        let block = topic.told.len().div_ceil(usize::try_from(blocks)?);
        let bare = insert(&client, &topic.rows(block)?).await?;
        server.drop(client, &name).await?;

        figure.round(rows as f64 / loaded.facts, rows as f64 / bare);
        figure.note("events/s", topic.told.len() as f64 / loaded.facts);
        figure.note("events of a block", block as f64);
        figure.note("roll-ups were made after the facts, s", loaded.rollups - loaded.facts);
        figure.note("the goal, as a ratio", GOAL);
        run.say(&format!("{} round {}: {:.2}", figure.name, round + 1, figure.ratio()));
    }
    figure.note("rows lost or doubled", 0.0);
    figure.note("cents lost or gained", 0.0);
    topic.kafka.shutdown().await?;
    server.stop().await?;
    Ok(vec![figure])
}

/// How long it took until all facts were there, and until all roll-ups were, in seconds.
struct Loaded {
    facts: f64,
    rollups: f64,
}

impl Topic {
    /// Lets the relay publish a history. It is done when a loader has come to the history's end.
    async fn publish(run: &Run<'_>, dir: &Path, server: &Warehouse) -> anyhow::Result<Self> {
        let kafka = Kafka::start(KafkaConfig::new(dir.join("kafka"))).await?;
        let postgres = Postgres::start(PostgresConfig::new(dir.join("postgres"))).await?;
        let pool = platform::postgres::connect(&postgres.url(), 4).await?;
        platform::postgres::migrate(&pool).await?;
        let told = told::all(EVENTS).await?;
        let log = log_of(&told)?;
        let head = log.head().await?.context("the log is empty")?;
        let begun = Instant::now();
        let brokers = kafka.bootstrap();
        let relay = Relay::start(RelayDeps {
            log: Arc::new(log),
            readings: Readings::default(),
            pool: pool.clone(),
            clock: Clock::system(),
            settings: RelaySettings { brokers, replication: 1, retention: RETENTION },
        });
        let topic = Self { kafka, told, head };
        let client = server.database("warehouse_first").await?;
        topic.load(&client, "warehouse_first").await?;
        server.drop(client, "warehouse_first").await?;
        let (events, seconds) = (topic.told.len(), begun.elapsed().as_secs_f64());
        run.say(&format!("{events} events relayed and loaded once in {seconds:.1} s"));
        relay.shutdown().await;
        pool.close().await;
        postgres.stop().await?;
        Ok(topic)
    }

    /// Loads all of it; the time runs from when the loader has its partitions.
    async fn load(&self, client: &Client, group: &str) -> anyhow::Result<Loaded> {
        let settings =
            LoaderSettings { group: group.to_owned(), ..LoaderSettings::new(self.kafka.bootstrap()) };
        let loader = Loader::start(LoaderDeps {
            warehouse: client.clone(),
            clock: Clock::system(),
            settings,
            layout: Layout::default(),
        });
        let loading = async {
            while loader.state().partitions.is_empty() {
                sleep(LOOK).await;
            }
            let (begun, figures) = (Instant::now(), Figures::new(client.clone()));
            while !self.is_reached(figures.as_of(TOPIC, PARTITIONS).await)? {
                sleep(LOOK).await;
            }
            let facts = begun.elapsed().as_secs_f64();
            while !self.is_reached(figures.rolled_up_as_of(TOPIC, PARTITIONS).await)? {
                sleep(LOOK).await;
            }
            anyhow::Ok(Loaded { facts, rollups: begun.elapsed().as_secs_f64() })
        };
        let loaded = timeout(LOADED_WITHIN, loading).await.context("the loader does not reach the end")??;
        loader.shutdown().await;
        Ok(loaded)
    }

    fn is_reached(&self, as_of: Result<Option<AsOf>, FigureError>) -> anyhow::Result<bool> {
        Ok(as_of?.is_some_and(|as_of| as_of.position >= self.head))
    }

    /// The rows of all that was told, in blocks of so many events.
    fn rows(&self, block: usize) -> anyhow::Result<Vec<Rows>> {
        let mut blocks = Vec::new();
        for told in self.told.chunks(block) {
            let mut rows = Rows::default();
            for told in told {
                rows.add(&told.published(0))?;
            }
            blocks.push(rows);
        }
        Ok(blocks)
    }
}

/// A log in memory, each show's events in one piece.
fn log_of(told: &[Told]) -> anyhow::Result<MemoryLog> {
    let log = MemoryLog::new(1);
    for told in told.chunk_by(|a, b| a.stream == b.stream) {
        let encode =
            |told: &Told| codec::encode(&told.envelope.event, &told.envelope.meta, told.envelope.event_id);
        let events = told.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        log.append_elsewhere(&told[0].stream, Expected::Any, events)?;
    }
    Ok(log)
}

/// Statements that wrote events, by the server's own record.
async fn inserts(client: &Client, database: &str) -> anyhow::Result<u64> {
    client.query("SYSTEM FLUSH LOGS").execute().await?;
    // roll-ups read the events, so that these statements are of that table too
    let sql = "SELECT count() FROM system.query_log
        WHERE type = 'QueryFinish' AND query_kind = 'Insert' AND current_database = {database:String}
            AND written_rows > 0 AND match(query, '^\\s*INSERT INTO `?fact_events')";
    let inserts: u64 = client.query_raw(sql).param("database", database).fetch_one().await?;
    ensure!(inserts > 0, "the server has no record of the loader's inserts");
    Ok(inserts)
}

/// Writes rows as the loader does, a statement for each table of each block, and tells the seconds.
async fn insert(client: &Client, blocks: &[Rows]) -> anyhow::Result<f64> {
    let client = client.clone().with_setting("async_insert", "0");
    let begun = Instant::now();
    for rows in blocks {
        write(&client, &rows.show_changes).await?;
        write(&client, &rows.audience_changes).await?;
        write(&client, &rows.messages).await?;
        write(&client, &rows.reactions).await?;
        write(&client, &rows.reactors).await?;
        write(&client, &rows.tip_changes).await?;
        write(&client, &rows.payment_changes).await?;
        write(&client, &rows.events).await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

async fn write<T>(client: &Client, rows: &[T]) -> anyhow::Result<()>
where
    T: Fact + Serialize + for<'a> clickhouse::Row<Value<'a> = T>,
{
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = client.insert::<T>(T::TABLE).await?;
    for row in rows {
        insert.write(row).await?;
    }
    Ok(insert.end().await?)
}

/// Each table of facts with how many rows it is to have.
fn by_table(blocks: &[Rows]) -> [(&'static str, usize); 8] {
    let sum = |of: fn(&Rows) -> usize| blocks.iter().map(of).sum();
    [
        ("events", sum(|rows| rows.events.len())),
        ("show_changes", sum(|rows| rows.show_changes.len())),
        ("audience_changes", sum(|rows| rows.audience_changes.len())),
        ("messages", sum(|rows| rows.messages.len())),
        ("reactions", sum(|rows| rows.reactions.len())),
        ("reactors", sum(|rows| rows.reactors.len())),
        ("tip_changes", sum(|rows| rows.tip_changes.len())),
        ("payment_changes", sum(|rows| rows.payment_changes.len())),
    ]
}

fn count(blocks: &[Rows]) -> usize {
    by_table(blocks).iter().map(|(_, rows)| rows).sum()
}

/// Tips captured, by currency.
fn tips(told: &[Told]) -> anyhow::Result<BTreeMap<&'static str, Money>> {
    let mut sums = BTreeMap::new();
    for told in told {
        if let Event::Show(ShowEvent::Ledger(LedgerEvent::TipCaptured(tip))) = &told.envelope.event {
            let sum = sums.entry(tip.amount.currency().code()).or_insert(Money::zero(tip.amount.currency()));
            *sum = sum.checked_add(tip.amount).context("more money than there is")?;
        }
    }
    Ok(sums)
}

/// Nothing is lost and nothing is there twice, not even in the tables themselves, and the tips are right to the cent.
async fn check(client: &Client, topic: &Topic, tips: &BTreeMap<&'static str, Money>) -> anyhow::Result<()> {
    for (view, expected) in by_table(&topic.rows(topic.told.len())?) {
        for table in [view.to_owned(), format!("fact_{view}")] {
            let sql = format!("SELECT count() FROM {table}");
            let found: u64 = client.query(&sql).fetch_one().await?;
            ensure!(found == expected as u64, "{table} has {found} rows, and not {expected}");
        }
    }
    let period = Period { from: told::begin(), to: told::until() };
    let found = Figures::new(client.clone()).revenue(Scope::Platform, period).await?;
    let found: BTreeMap<_, _> = found.iter().map(|sum| (sum.tips.currency().code(), sum.tips)).collect();
    if found != *tips {
        bail!("tips are {found:?}, and not {tips:?}");
    }
    Ok(())
}
