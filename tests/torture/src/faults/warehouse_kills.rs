//! Fault test 9: ClickHouse is killed before, during and after inserts, and everything is delivered again beyond what it remembers of them.
//!
//! The log is published by the real relay and loaded by the real loader while the engine dies at random instants. Then the progress is
//! taken away, so that the whole topic is loaded again in other batches, and the engine dies once more.

use std::time::Duration;

use analytics::loader::{Loader, LoaderDeps, LoaderSettings};
use analytics::migrate::Layout;
use async_trait::async_trait;
use clickhouse::Client;
use embedded::clickhouse::ClickHouse;
use embedded::kafka::{Kafka, KafkaConfig};
use platform::clock::Clock;
use platform::event_log::NewEvent;
use projections::{Readings, Relay, RelayDeps, RelaySettings};
use rand::Rng;
use rand::rngs::StdRng;
use schemas::published::TOPIC;
use tempfile::TempDir;

use super::pipeline::{Ledger, kill_server, tell_ahead, until, warehouse, writer};
use super::read_models::{Events, ReadModels, history};
use crate::harness::{Counts, FaultTest, Round};

/// Whoever counts the rows of facts as they were written, and not by their views.
const RAW: &str = "counts-what-was-written";
/// The loader that tells its progress before the facts are written.
const AHEAD: &str = "progress-before-facts";
const EVENTS: u32 = 2_000;
/// More in a round, and the engine's supervisor gives it up.
const KILLS: u32 = 4;
/// Events that come at once.
const PIECE: usize = 20;
/// Events that come when the loader is gone, where it tells its progress too early.
const LATE: usize = 50;
/// Records gather for 400 ms before they are written: kills come before, in the midst of it, and after.
const KILL_WITHIN_MS: u64 = 900;

/// Fault test 9.
pub(super) struct WarehouseKills;

#[async_trait(?Send)]
impl FaultTest for WarehouseKills {
    fn name(&self) -> &'static str {
        "warehouse-kills"
    }

    fn claim(&self) -> &'static str {
        "a warehouse killed at any instant, and loaded again beyond its memory of inserts, counts every event and tip once"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[RAW, AHEAD]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let mut stage = Stage::start().await?;
        // the broken ones need few events to be found
        let (events, kills) = if round.control.is_some() {
            (EVENTS / 10, 1)
        } else {
            (round.share(EVENTS), round.share(KILLS))
        };
        let events = history(chance.random(), events);
        let played = stage.play(&events, kills, round, &mut chance).await;
        stage.stop().await?;
        played
    }
}

/// The whole way from a log to a warehouse.
struct Stage {
    models: ReadModels,
    kafka: Kafka,
    warehouse: ClickHouse,
    client: Client,
    relay: Relay,
    ledger: Ledger,
    directory: TempDir,
}

impl Stage {
    async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (models, kafka, warehouse) = tokio::join!(
            ReadModels::start(&[("fsync", "off"), ("full_page_writes", "off")]),
            Kafka::start(KafkaConfig::new(directory.path().join("kafka"))),
            warehouse(directory.path())
        );
        let (models, kafka, warehouse) = (models?, kafka?, warehouse?);
        platform::postgres::migrate(&models.pool).await?;
        let relay = Relay::start(RelayDeps {
            log: models.log(),
            readings: Readings::default(),
            pool: models.pool.clone(),
            clock: Clock::system(),
            settings: RelaySettings {
                brokers: kafka.bootstrap(),
                replication: 1,
                retention: Duration::from_secs(86_400),
            },
        });
        let client = writer(&warehouse);
        Ok(Self { models, kafka, warehouse, client, relay, ledger: Ledger::default(), directory })
    }

    fn loader(&self, group: &str) -> Loader {
        let settings =
            LoaderSettings { group: group.to_owned(), ..LoaderSettings::new(self.kafka.bootstrap()) };
        Loader::start(LoaderDeps {
            warehouse: self.client.clone(),
            clock: Clock::system(),
            settings,
            layout: Layout::default(),
        })
    }

    async fn play(
        &mut self,
        events: &Events,
        kills: u32,
        round: &Round,
        chance: &mut StdRng,
    ) -> anyhow::Result<Counts> {
        let loader = self.loader("first");
        let (events, late) = events.split_at(events.len() - LATE);
        for part in events.chunks(events.len().div_ceil(kills as usize)) {
            let (before, after) = part.split_at(chance.random_range(0..part.len()));
            self.trickle(before).await?;
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..KILL_WITHIN_MS))).await;
            self.kill()?;
            self.trickle(after).await?;
        }
        self.ledger.loaded(&self.client).await?;
        loader.shutdown().await;
        if round.is_control(AHEAD) {
            self.load_ahead(late).await?;
        } else {
            self.trickle(late).await?;
            self.load_again(round.is_control(RAW)).await?;
        }
        let table = if round.is_control(RAW) { "fact_events" } else { "events" };
        self.ledger.promise_warehouse(&self.client, table).await?;
        Ok(Counts::from([("kills", u64::from(kills) + 1), ("events", self.ledger.count())]))
    }

    async fn trickle(&mut self, events: &[(String, NewEvent)]) -> anyhow::Result<()> {
        for piece in events.chunks(PIECE) {
            self.ledger.append(&self.models.log(), piece).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn kill(&self) -> anyhow::Result<()> {
        kill_server(&self.directory.path().join("clickhouse"))
    }

    /// Everything again: neither warehouse nor group know how far it was.
    async fn load_again(&self, is_counted_raw: bool) -> anyhow::Result<()> {
        self.forget_progress().await?;
        let loader = self.loader("second");
        if !is_counted_raw {
            until("the second loading is under way", async || self.is_loading().await).await?;
            self.kill()?;
        }
        self.ledger.loaded(&self.client).await?;
        loader.shutdown().await;
        Ok(())
    }

    /// More events come; the progress says that they are there, and the loader dies before they are.
    async fn load_ahead(&mut self, late: &[(String, NewEvent)]) -> anyhow::Result<()> {
        self.trickle(late).await?;
        let head = self.ledger.head().map_or(0, |head| head.0);
        tell_ahead(&self.client, head).await?;
        let loader = self.loader("second");
        self.ledger.loaded(&self.client).await?;
        loader.shutdown().await;
        Ok(())
    }

    async fn forget_progress(&self) -> anyhow::Result<()> {
        for table in ["loader_progress", "rollup_progress"] {
            self.client.query(&format!("TRUNCATE TABLE {table}")).execute().await?;
        }
        Ok(())
    }

    async fn is_loading(&self) -> bool {
        let sql = "SELECT count() FROM loader_progress WHERE topic = ?";
        self.client.query(sql).bind(TOPIC).fetch_one::<u64>().await.is_ok_and(|count| count > 0)
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.relay.shutdown().await;
        self.warehouse.shutdown().await?;
        self.kafka.shutdown().await?;
        self.models.stop().await
    }
}
