//! The whole way from the log to the warehouse in processes of the real program, while everything on it dies.
//!
//! Two projectors with the relay, two loaders, a broker and a warehouse are killed one by one and all at once, again and again under load; the group of
//! loaders is shaken; a relay that leads is frozen until another leads, and wakes up with records under way; and the broker is away for a while. Between
//! all this somebody writes what nobody can read.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use clickhouse::Client;
use embedded::clickhouse::ClickHouse;
use embedded::kafka::{Kafka, KafkaConfig};
use generator::{Edge, History, Options, PlainEdge};
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::{NewEvent, codec};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rustix::process::{Pid, Signal, kill_process};
use schemas::published::{PARTITIONS, TOPIC};
use schemas::{Envelope, Event};
use sqlx::PgPool;
use tally_tests::cluster::free_port;
use tally_tests::{Cluster, Server};
use tempfile::TempDir;

use super::pipeline::{
    Ledger, PATIENCE, dead_letters, kill_server, promise_verified, settings_of, warehouse, writer,
};
use super::read_models::Events;
use crate::harness::{Counts, FaultTest, Round, promise};

/// The relay whose checkpoint moves when a record is handed over, not when it is acknowledged; it is killed.
const EARLY: &str = "checkpoint-ahead-when-killed";
/// Times that everything happens in a full round. More, and the supervisors of the stores give up.
const TIMES: u32 = 2;
/// Events that come while something happens.
const EVENTS: u32 = 60;
/// How long the broker is away in a full round.
const OUTAGE_SECONDS: u32 = 60;
/// The least that a history can be asked for.
const MADE_MIN: usize = 1_000;
const PIECE: usize = 10;
const PAUSE_MS_MAX: u64 = 120;
/// Kills of loaders, one after the other, that leave the group no rest.
const SHAKES: u32 = 3;

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blow {
    Everything,
    Zombie,
    Group,
    Relay,
    Broker,
    Loader,
    Warehouse,
    Outage,
}

/// Those first that a short run takes.
const BLOWS: [Blow; 8] = [
    Blow::Everything,
    Blow::Zombie,
    Blow::Group,
    Blow::Outage,
    Blow::Relay,
    Blow::Broker,
    Blow::Loader,
    Blow::Warehouse,
];

/// The storm.
pub(super) struct Storms;

#[async_trait(?Send)]
impl FaultTest for Storms {
    fn name(&self) -> &'static str {
        "storms"
    }

    fn claim(&self) -> &'static str {
        "relays, broker, loaders and warehouse killed at will, and the warehouse holds the log"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[EARLY]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let mut stage = Stage::start(round).await?;
        let played = stage.play(round, &mut chance).await;
        stage.stop().await?;
        played
    }
}

struct Stage {
    cluster: Cluster,
    log: EventStoreLog,
    pool: PgPool,
    kafka: Kafka,
    kafka_port: u16,
    warehouse: ClickHouse,
    client: Client,
    relays: Vec<Server>,
    loaders: Vec<Server>,
    ledger: Ledger,
    outage: Duration,
    kills: u64,
    poisons: i64,
    directory: TempDir,
}

impl Stage {
    async fn start(round: &Round) -> anyhow::Result<Self> {
        let (directory, kafka_port) = (tempfile::tempdir()?, free_port()?);
        let (cluster, kafka, warehouse) =
            tokio::join!(Cluster::start(), start_kafka(&directory, kafka_port), warehouse(directory.path()));
        let (cluster, kafka, warehouse) = (cluster?, kafka?, warehouse?);
        let log = EventStoreLog::new(cluster.log_url(), "torture")?;
        let pool = PgPool::connect(&cluster.postgres_url()).await?;
        let client = writer(&warehouse);
        let outage = Duration::from_secs(round.share(OUTAGE_SECONDS).into());
        let mut stage = Self {
            cluster,
            log,
            pool,
            kafka,
            kafka_port,
            warehouse,
            client,
            relays: Vec::new(),
            loaders: Vec::new(),
            ledger: Ledger::default(),
            outage,
            kills: 0,
            poisons: 0,
            directory,
        };
        for _ in 0..2 {
            stage.relays.push(stage.service("projections").await?);
            stage.loaders.push(stage.service("analytics").await?);
        }
        Ok(stage)
    }

    async fn service(&self, name: &str) -> anyhow::Result<Server> {
        self.cluster.service(name, &self.settings()).await
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = Vec::from(settings_of(&self.warehouse));
        settings.push(("TALLY_KAFKA__BROKERS", self.kafka.bootstrap()));
        // that stores are away is no news here
        settings.push(("TALLY_TELEMETRY__LOG", "off".to_owned()));
        settings
    }

    /// Postgres and ClickHouse say of every show what the log says.
    async fn verify(&self) -> anyhow::Result<()> {
        let ended = self.cluster.run(&["verify"], &self.settings()).await?;
        Ok(promise_verified(&ended)?)
    }

    async fn play(&mut self, round: &Round, chance: &mut StdRng) -> anyhow::Result<Counts> {
        let is_early = round.is_control(EARLY);
        let blows = if is_early { Vec::new() } else { blows(round, chance) };
        let events = generated(chance.random(), EVENTS as usize * (blows.len() + 2))?;
        let mut pieces = events.chunks(EVENTS as usize);
        self.append(pieces.next().context("no events")?, chance).await?;
        for blow in &blows {
            let events = pieces.next().context("no events left")?;
            self.poison(chance).await?;
            self.strike(*blow, events, chance).await.with_context(|| format!("{blow:?}"))?;
        }
        if is_early {
            self.kill_early(pieces.next().context("no events left")?).await?;
        }
        for events in pieces {
            self.append(events, chance).await?;
        }
        self.ledger.loaded(&self.client).await?;
        self.ledger.promise_warehouse(&self.client, "events").await?;
        self.verify().await?;
        if self.poisons > 0 {
            let letters = dead_letters(self.kafka.bootstrap()).await?;
            promise(letters >= self.poisons, || format!("{letters} of {} are set aside", self.poisons))?;
        }
        Ok(Counts::from([
            ("blows", blows.len() as u64),
            ("kills", self.kills),
            ("foreign records", self.poisons.cast_unsigned()),
            ("events", self.ledger.count()),
        ]))
    }

    async fn append(&mut self, events: &[(String, NewEvent)], chance: &mut StdRng) -> anyhow::Result<()> {
        for piece in events.chunks(PIECE) {
            self.ledger.append(&self.log, piece).await?;
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..PAUSE_MS_MAX))).await;
        }
        Ok(())
    }

    /// Something happens at a random instant while events come.
    async fn strike(
        &mut self,
        blow: Blow,
        events: &[(String, NewEvent)],
        chance: &mut StdRng,
    ) -> anyhow::Result<()> {
        let (before, after) = events.split_at(chance.random_range(0..events.len()));
        self.append(before, chance).await?;
        let which = chance.random_range(0..2);
        match blow {
            Blow::Everything => {
                self.kill_broker()?;
                self.kill_warehouse()?;
                self.kill(which, which).await?;
                self.append(after, chance).await?;
                return self.start_missing().await;
            }
            Blow::Relay => self.kill_relay(which).await?,
            Blow::Loader => self.kill_loader(which).await?,
            Blow::Broker => self.kill_broker()?,
            Blow::Warehouse => self.kill_warehouse()?,
            Blow::Group => {
                for shake in 0..SHAKES {
                    self.kill_loader(shake as usize % 2).await?;
                    self.start_missing().await?;
                }
            }
            Blow::Zombie => return self.make_zombie(which, after, chance).await,
            Blow::Outage => {
                self.kafka.shutdown().await?;
                self.append(after, chance).await?;
                tokio::time::sleep(self.outage).await;
                self.kafka = start_kafka(&self.directory, self.kafka_port).await?;
                return Ok(());
            }
        }
        self.append(after, chance).await?;
        self.start_missing().await
    }

    async fn kill(&mut self, relay: usize, loader: usize) -> anyhow::Result<()> {
        self.kill_relay(relay).await?;
        self.kill_loader(loader).await
    }

    async fn kill_relay(&mut self, which: usize) -> anyhow::Result<()> {
        self.kills += 1;
        self.relays.remove(which).kill().await
    }

    async fn kill_loader(&mut self, which: usize) -> anyhow::Result<()> {
        self.kills += 1;
        self.loaders.remove(which).kill().await
    }

    fn kill_broker(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        kill_server(&self.directory.path().join("kafka"))
    }

    fn kill_warehouse(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        kill_server(&self.directory.path().join("clickhouse"))
    }

    async fn start_missing(&mut self) -> anyhow::Result<()> {
        while self.relays.len() < 2 {
            self.relays.push(self.service("projections").await?);
        }
        while self.loaders.len() < 2 {
            self.loaders.push(self.service("analytics").await?);
        }
        Ok(())
    }

    /// One sleeps over the loss of every lead that it had, and wakes up while another publishes.
    async fn make_zombie(
        &mut self,
        which: usize,
        events: &[(String, NewEvent)],
        chance: &mut StdRng,
    ) -> anyhow::Result<()> {
        let (asleep, awake) = events.split_at(events.len() / 2);
        signal(&self.relays[which], Signal::STOP)?;
        self.append(asleep, chance).await?;
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            .execute(&self.pool)
            .await?;
        self.append(awake, chance).await?;
        signal(&self.relays[which], Signal::CONT)
    }

    /// A foreign producer's record, in the middle of a partition.
    async fn poison(&mut self, chance: &mut StdRng) -> anyhow::Result<()> {
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", self.kafka.bootstrap()).create()?;
        let partition = chance.random_range(0..PARTITIONS.cast_signed());
        let record =
            FutureRecord::<(), _>::to(TOPIC).partition(partition).payload(b"not of this topic".as_slice());
        producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        self.poisons += 1;
        Ok(())
    }

    /// Both relays die with records in their hands; the checkpoint believes that they arrived.
    async fn kill_early(&mut self, events: &[(String, NewEvent)]) -> anyhow::Result<()> {
        self.ledger.loaded(&self.client).await?;
        for _ in 0..2 {
            self.kill_relay(0).await?;
        }
        self.ledger.append(&self.log, events).await?;
        let head = self.ledger.head().map(|head| head.0.cast_signed());
        sqlx::query("UPDATE relay.checkpoints SET position = $1").bind(head).execute(&self.pool).await?;
        self.start_missing().await
    }

    async fn stop(self) -> anyhow::Result<()> {
        for process in self.relays.into_iter().chain(self.loaders) {
            process.stop().await?;
        }
        self.pool.close().await;
        self.warehouse.shutdown().await?;
        self.kafka.shutdown().await?;
        drop(self.log);
        self.cluster.stop().await
    }
}

/// Events of a generated history in the order of their time, with those of payments: what a show says is true of its payments.
fn generated(seed: u64, length: usize) -> anyhow::Result<Events> {
    let until = "2025-07-01T00:00:00Z".parse()?;
    let options = Options { seed, events: length.max(MADE_MIN) as u64 * 2, months: 1, creators: None, until };
    let history = Arc::new(History::plan(options));
    let edge: Arc<dyn Edge> = Arc::new(PlainEdge);
    let mut made = Vec::new();
    for (place, plan) in history.shows().iter().enumerate() {
        for happening in history.play(place, &edge) {
            let at = happening.event.meta.occurred_at;
            let encode = |(stream, told): (String, Envelope<Event>)| {
                codec::encode(&told.event, &told.meta, told.event_id).map(|event| (stream, event))
            };
            made.push((at, happening.told(plan.id).map(encode).collect::<Result<Events, _>>()?));
        }
    }
    made.sort_by_key(|(at, _)| *at);
    let events: Events = made.into_iter().flat_map(|(_, events)| events).take(length).collect();
    anyhow::ensure!(events.len() == length, "{} events for {length}", events.len());
    Ok(events)
}

/// All of them so many times, in any order; a short run takes the first ones.
fn blows(round: &Round, chance: &mut StdRng) -> Vec<Blow> {
    let count = round.share(TIMES * u32::try_from(BLOWS.len()).unwrap_or(u32::MAX)) as usize;
    let mut blows: Vec<Blow> = BLOWS.iter().copied().cycle().take(count).collect();
    blows.shuffle(chance);
    blows
}

async fn start_kafka(directory: &TempDir, port: u16) -> anyhow::Result<Kafka> {
    let config = KafkaConfig { port, ..KafkaConfig::new(directory.path().join("kafka")) };
    Ok(Kafka::start(config).await?)
}

fn signal(process: &Server, signal: Signal) -> anyhow::Result<()> {
    let pid = process.pid().context("it is gone")?.try_into()?;
    Ok(kill_process(Pid::from_raw(pid).context("no process")?, signal)?)
}
