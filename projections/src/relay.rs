//! The relay: publishes the log to Kafka, for whoever reads events without reading the log.
//!
//! One instance among all nodes publishes, in log order within each partition; its checkpoint is the highest position up to which
//! Kafka has acknowledged everything. Any failed delivery ends the term: the producer is thrown away and a new one begins at the
//! checkpoint. So a record may come twice, after any crash, and by a leader that does not know yet that it is none; it
//! never comes out of order and is never missing. Each names the record before it in its partition, and a reader sees by that what is a repeat
//! and what would be a hole (`schemas::published`). Nothing rests on Kafka's transactions.

mod checkpoint;
mod publisher;
mod tail;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::http::problem::Chain;
use platform::postgres::Leadership;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;
use schemas::published::{PARTITIONS, RECORD_BYTES_MAX};
use schemas::{Position, Timestamp};
use sqlx::PgPool;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::checkpoint::{Checkpoint, Epoch};
use self::publisher::Publisher;
use crate::framework::Failure;
use crate::framework::readings::Readings;
use crate::framework::runner::backoff;

/// The lead among all nodes.
const LEAD: &str = "relay";

/// A record that Kafka has not acknowledged after so long fails, and the term with it. Longer than a broker takes to start again.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How records gather before they are sent: less than anybody notices, enough for batches under load.
const LINGER: Duration = Duration::from_millis(5);

/// Memory for records under way, in KiB: more than the publisher ever has under way at once.
const QUEUE_KIB_MAX: usize = 256 * 1024;

/// How often lag and halts are told: as exact as an operator needs it.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Where Kafka is, and what the topic is to be like.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// `host:port` of brokers, with commas between.
    pub brokers: String,
    /// Copies of each record.
    pub replication: i32,
    /// How long records are kept: the longest that a loader may be away without a refill from the log.
    pub retention: Duration,
}

/// What the relay needs. Clones share it.
#[derive(Clone)]
pub struct RelayDeps {
    /// The log that is published.
    pub log: Arc<dyn EventLog>,
    /// What reads it.
    pub readings: Readings,
    /// The database with the checkpoint.
    pub pool: PgPool,
    /// For lags and watermarks.
    pub clock: Clock,
    /// Where to.
    pub settings: RelaySettings,
}

/// Why the relay does not go on.
#[derive(Debug, Error)]
pub enum RelayFailure {
    /// Kafka refuses, or cannot be reached.
    #[error("Kafka does not take the records")]
    Kafka(#[from] KafkaError),
    /// The producer ended under a record.
    #[error("the producer ended before a record was acknowledged")]
    Lost,
    /// The checkpoint cannot be read or written.
    #[error("the database is not available")]
    Unavailable(#[from] sqlx::Error),
    /// The log cannot be read, or holds what this version cannot read.
    #[error("the log cannot be followed")]
    Log(#[from] Failure),
    /// Another instance leads.
    #[error("another instance leads")]
    Fenced,
    /// An event cannot be written as a record.
    #[error("event at position {position} cannot be published")]
    Encode {
        /// Its place.
        position: Position,
        /// Why not.
        source: serde_json::Error,
    },
    /// The topic has another number of partitions than this version of it has.
    #[error("the topic has {found} partitions and needs {}: delete it, or give it another name", PARTITIONS)]
    Partitions {
        /// How many it has.
        found: usize,
    },
}

impl RelayFailure {
    /// Whether a repeat would end the same way, so that somebody must look.
    fn halts(&self) -> bool {
        match self {
            Self::Log(failure) => failure.halts(),
            Self::Kafka(error) => error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge),
            Self::Encode { .. } | Self::Partitions { .. } => true,
            Self::Lost | Self::Unavailable(_) | Self::Fenced => false,
        }
    }

    fn explain(&self) -> String {
        Chain(self).to_string()
    }
}

/// How the relay is doing on this node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum RelayState {
    /// Another node publishes, or the election is not over.
    #[default]
    Standby,
    /// It publishes; everything up to here is acknowledged.
    Publishing(Option<Position>),
    /// It tries again.
    Retrying {
        /// Why.
        detail: String,
    },
    /// It stands still until somebody looks.
    Halted {
        /// Why.
        detail: String,
    },
}

/// How the relay is doing, and up to when everything that happened is acknowledged; `None`: it never led here.
#[derive(Default)]
struct Board {
    state: RelayState,
    until: Option<Timestamp>,
}

/// The relay on this node. Dropping it stops it without waiting.
pub struct Relay {
    board: Arc<Mutex<Board>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Relay {
    /// Starts it: it publishes while no other instance does.
    #[must_use]
    pub fn start(deps: RelayDeps) -> Self {
        let (board, stop, tasks) = (Arc::default(), CancellationToken::new(), TaskTracker::new());
        tasks.spawn(tell(deps.clock.clone(), Arc::clone(&board), stop.clone()));
        tasks.spawn(run(deps, Arc::clone(&board), stop.clone()));
        tasks.close();
        Self { board, stop, tasks }
    }

    /// How it is doing.
    #[must_use]
    pub fn state(&self) -> RelayState {
        self.board.lock().state.clone()
    }

    /// The same as a check for readiness.
    pub fn check(&self) -> impl Fn() -> Result<String, String> + Send + Sync + 'static {
        let board = Arc::clone(&self.board);
        move || match &board.lock().state {
            RelayState::Standby => Ok("standby".to_owned()),
            RelayState::Publishing(_) => Ok("publishing".to_owned()),
            RelayState::Retrying { .. } => Err("the relay waits for a store".to_owned()),
            RelayState::Halted { .. } => Err("the relay is halted".to_owned()),
        }
    }

    /// Stops, notes how far it came, and gives the lead away.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Tells how far the topic is behind, also while nothing can be published, and whether somebody must look. Who stands by is not behind.
async fn tell(clock: Clock, board: Arc<Mutex<Board>>, stop: CancellationToken) {
    for counter in ["relay_records_total", "relay_refills_total", "relay_terms_failed_total"] {
        // there from the beginning, so that the first count is a rise
        metrics::counter!(counter).increment(0);
    }
    while tokio::time::timeout(TELL_INTERVAL, stop.cancelled()).await.is_err() {
        let (until, is_halted) = {
            let board = board.lock();
            (board.until, matches!(board.state, RelayState::Halted { .. }))
        };
        let lag_ms = until.map_or(0, |until| clock.now().millis_since(until).max(0));
        #[expect(clippy::cast_precision_loss, reason = "2^52 ms are 140,000 years")]
        metrics::gauge!("relay_lag_seconds").set(lag_ms as f64 / 1_000.0);
        metrics::gauge!("relay_halted").set(u8::from(is_halted));
    }
}

async fn run(deps: RelayDeps, board: Arc<Mutex<Board>>, stop: CancellationToken) {
    let mut backoff = backoff();
    while let Some(lead) = Leadership::acquire(&deps.pool, LEAD, &stop).await {
        let ended = term(&deps, &lead, &board, &stop).await;
        lead.release().await;
        match ended {
            Ok(()) | Err(RelayFailure::Fenced) => *board.lock() = Board::default(),
            Err(failure) if failure.halts() => {
                let detail = failure.explain();
                tracing::error!(detail, "the relay halted: {detail}");
                board.lock().state = RelayState::Halted { detail };
                return stop.cancelled().await;
            }
            Err(failure) => {
                let detail = failure.explain();
                metrics::counter!("relay_terms_failed_total").increment(1);
                tracing::warn!(detail, "the relay begins again at its checkpoint: {detail}");
                board.lock().state = RelayState::Retrying { detail };
                backoff.wait(&stop).await;
            }
        }
    }
}

/// Publishes until told to stop, overtaken or failed.
async fn term(
    deps: &RelayDeps,
    lead: &Leadership,
    board: &Arc<Mutex<Board>>,
    stop: &CancellationToken,
) -> Result<(), RelayFailure> {
    // a broker that does not answer takes its time, and whoever is told to stop has none
    let (epoch, checkpoint) = tokio::select! {
        begun = begin(deps) => begun?,
        () = stop.cancelled() => return Ok(()),
        () = lead.lost().cancelled() => return Err(RelayFailure::Fenced),
    };
    let mut publisher = Publisher::new(deps, producer(&deps.settings)?, epoch, checkpoint);
    let observe = |position, until: Option<Timestamp>| {
        let mut board = board.lock();
        board.state = RelayState::Publishing(position);
        board.until = until.or(board.until);
    };
    let ended = tokio::select! {
        ended = publisher.run(&observe) => ended,
        () = stop.cancelled() => Ok(()),
        () = lead.lost().cancelled() => Err(RelayFailure::Fenced),
    };
    if ended.as_ref().is_err_and(RelayFailure::halts) {
        // what stands before the event that nobody can read is published
        publisher.drain().await?;
    }
    // what is acknowledged by now need not come again; where this fails, it does
    let saved = publisher.save().await;
    match ended {
        Ok(()) => saved,
        Err(failure) => {
            if failure.halts() {
                checkpoint::halt(&deps.pool, epoch, &failure.explain()).await?;
            }
            Err(failure)
        }
    }
}

impl RelaySettings {
    /// What all our clients have in common.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "tally-relay")
            // what the client repeats by itself is not told
            .set_log_level(RDKafkaLogLevel::Error);
        config
    }
}

/// Takes the lead, and finds out from where on the topic is to be filled.
async fn begin(deps: &RelayDeps) -> Result<(Epoch, Checkpoint), RelayFailure> {
    topic::ensure(&deps.settings).await?;
    let (epoch, checkpoint) = checkpoint::take_lead(&deps.pool).await?;
    Ok((epoch, tail::checked(&deps.settings, checkpoint).await?))
}

fn producer(settings: &RelaySettings) -> Result<FutureProducer, RelayFailure> {
    Ok(settings
        .client()
        .set("enable.idempotence", "true")
        // a record that fails fails all after it: nothing overtakes a hole
        .set("enable.gapless.guarantee", "true")
        .set("acks", "all")
        .set("delivery.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
        .set("linger.ms", LINGER.as_millis().to_string())
        .set("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string())
        .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("compression.type", "lz4")
        .create()?)
}
