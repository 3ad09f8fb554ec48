//! Fault test 8: the connections between the relay and Kafka are cut in the middle of batches.
//!
//! The real broker tells its clients to come to the proxy, where each connection is reset, ended, slowed or delayed after a random number of
//! bytes; beside that requests or answers disappear for a while, all connections are reset at once, and relays come and go. What is in the
//! topic afterwards is read by a plain consumer. Nothing rests on Kafka's transactions: there are none.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use embedded::kafka::{Kafka, KafkaConfig};
use platform::clock::Clock;
use projections::{Readings, Relay, RelayDeps, RelaySettings, RelayState};
use rand::Rng;
use rand::rngs::StdRng;
use schemas::Position;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::pipeline::{Ledger, read_topic, until};
use super::read_models::{Events, ReadModels, history};
use crate::fault_proxy::{Fault, FaultProxy, Faults};
use crate::harness::{Counts, FaultTest, Round, Violation, promise};

/// The relay whose checkpoint moves when a record is handed over, not when it is acknowledged.
const EARLY: &str = "checkpoint-before-acknowledgement";
const EVENTS: u32 = 4_000;
/// Events that come at once.
const PIECE: usize = 25;
const PAUSE_MS_MAX: u64 = 30;
/// What befalls a connection does so within so many bytes: some records, some batches.
const BYTES_MAX: u64 = 12_000;
/// Answers are short.
const ANSWER_BYTES_MAX: u64 = 2_000;

/// Fault test 8.
pub(super) struct RelayCuts;

#[async_trait(?Send)]
impl FaultTest for RelayCuts {
    fn name(&self) -> &'static str {
        "relay-cuts"
    }

    fn claim(&self) -> &'static str {
        "cut off from Kafka at any byte, the relay leaves the log in the topic: in order, as chains without a hole"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[EARLY]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let mut stage = Stage::start(&mut chance).await?;
        // the broken ones need few events to be found
        let count = if round.control.is_some() { EVENTS / 20 } else { round.share(EVENTS) };
        let events = history(chance.random(), count);
        let played = stage.play(&events, round.is_control(EARLY), &mut chance).await;
        let topic = match played {
            Ok(()) => read_topic(stage.kafka.bootstrap()).await,
            Err(error) => Err(error),
        };
        let connections = stage.proxy.accepted();
        let ledger = stage.stop().await?;
        let repeats = ledger.promise_topic(&topic?)?;
        Ok(Counts::from([
            ("events", ledger.count()),
            ("connections", connections),
            ("records that came again", repeats),
        ]))
    }
}

/// A log, a database, and a broker behind a proxy.
struct Stage {
    models: ReadModels,
    kafka: Kafka,
    proxy: FaultProxy,
    is_calm: Arc<AtomicBool>,
    ledger: Ledger,
    _directory: TempDir,
}

impl Stage {
    async fn start(chance: &mut StdRng) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let directory = tempfile::tempdir()?;
        let config = KafkaConfig {
            advertised_port: Some(listener.local_addr()?.port()),
            ..KafkaConfig::new(directory.path())
        };
        let (models, kafka) = tokio::join!(
            ReadModels::start(&[("fsync", "off"), ("full_page_writes", "off")]),
            Kafka::start(config)
        );
        let (models, kafka) = (models?, kafka?);
        platform::postgres::migrate(&models.pool).await?;
        let upstream: SocketAddr = kafka.bootstrap().parse()?;
        let is_calm = Arc::new(AtomicBool::new(false));
        let calm = Arc::clone(&is_calm);
        let proxy = FaultProxy::over(listener, upstream, chance.random(), move |chance| {
            if calm.load(Ordering::SeqCst) { Faults::default() } else { faults(chance) }
        })?;
        Ok(Self { models, kafka, proxy, is_calm, ledger: Ledger::default(), _directory: directory })
    }

    fn relay(&self) -> Relay {
        Relay::start(RelayDeps {
            log: self.models.log(),
            readings: Readings::default(),
            pool: self.models.pool.clone(),
            clock: Clock::system(),
            settings: RelaySettings {
                brokers: self.proxy.address().to_string(),
                replication: 1,
                retention: Duration::from_secs(86_400),
            },
        })
    }

    async fn append(&mut self, events: &Events) -> anyhow::Result<()> {
        self.ledger.append(&self.models.log(), events).await
    }

    async fn play(&mut self, events: &Events, is_early: bool, chance: &mut StdRng) -> anyhow::Result<()> {
        let mut relay = self.relay();
        let pieces = events.chunks(PIECE);
        let middle = pieces.len() / 2;
        for (number, piece) in pieces.enumerate() {
            let piece = piece.to_vec();
            if is_early && number == middle {
                relay = self.move_checkpoint_early(relay, &piece).await?;
                continue;
            }
            match chance.random_range(0..8) {
                0 => self.proxy.swallow_answers(true),
                1 => self.proxy.swallow_requests(true),
                // another leads; this one has records under way
                2 | 3 => relay = self.relay(),
                _ => {}
            }
            self.append(&piece).await?;
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..PAUSE_MS_MAX))).await;
            self.proxy.swallow_answers(false);
            self.proxy.swallow_requests(false);
            // what was swallowed is missed on no connection that lives on
            if chance.random_ratio(1, 3) {
                self.proxy.reset_all();
            }
        }
        self.is_calm.store(true, Ordering::SeqCst);
        self.proxy.reset_all();
        self.published(&relay).await?;
        relay.shutdown().await;
        Ok(())
    }

    /// Waits until the checkpoint is at the head of the log.
    async fn published(&self, relay: &Relay) -> Result<(), Violation> {
        let mut halted = None;
        until("everything is published", async || {
            if let RelayState::Halted { detail } = relay.state() {
                halted = Some(detail);
            }
            halted.is_some() || self.checkpoint().await >= self.ledger.head()
        })
        .await?;
        promise(halted.is_none(), || format!("the relay is halted: {}", halted.unwrap_or_default()))
    }

    async fn checkpoint(&self) -> Option<Position> {
        let row: Result<Option<Option<i64>>, _> =
            sqlx::query_scalar("SELECT position FROM relay.checkpoints")
                .fetch_optional(&self.models.pool)
                .await;
        row.ok().flatten().flatten().map(|position| Position(position.cast_unsigned()))
    }

    /// Records are handed over and never arrive; the checkpoint believes that they did.
    async fn move_checkpoint_early(&mut self, relay: Relay, piece: &Events) -> anyhow::Result<Relay> {
        self.published(&relay).await?;
        relay.shutdown().await;
        self.append(piece).await?;
        let head = self.ledger.head().map(|head| head.0.cast_signed());
        sqlx::query("UPDATE relay.checkpoints SET position = $1")
            .bind(head)
            .execute(&self.models.pool)
            .await?;
        Ok(self.relay())
    }

    async fn stop(self) -> anyhow::Result<Ledger> {
        self.kafka.shutdown().await?;
        self.models.stop().await?;
        Ok(self.ledger)
    }
}

/// What befalls a connection.
fn faults(chance: &mut StdRng) -> Faults {
    let (mut up, mut down) = (Vec::new(), Vec::new());
    match chance.random_range(0..12) {
        0..4 => up.push(Fault::ResetAfter(chance.random_range(0..BYTES_MAX))),
        4 => up.push(Fault::CloseAfter(chance.random_range(0..BYTES_MAX))),
        5 | 6 => down.push(Fault::ResetAfter(chance.random_range(0..ANSWER_BYTES_MAX))),
        7 => down.push(Fault::CloseAfter(chance.random_range(0..ANSWER_BYTES_MAX))),
        8 => up.push(Fault::Throttle(chance.random_range(20_000..200_000))),
        9 => {
            up.push(Fault::Delay(Duration::from_millis(chance.random_range(0..30))));
            down.push(Fault::Delay(Duration::from_millis(chance.random_range(0..30))));
        }
        _ => {}
    }
    Faults { up, down }
}
