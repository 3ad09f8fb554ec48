//! A private Kafka: the real broker, one node that is its own controller (KRaft), run as a supervised child.
//!
//! The jars come from Maven by way of `scripts/setup`; a Java runtime is the only thing needed besides. The broker
//! listens on the loopback address only, without passwords: whoever works on this machine may read and write it.
//!
//! If we are killed, the kernel tells the broker to shut down (Linux, by `setpriv`); where it cannot, the next start
//! finds what was left running and stops it first.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

use self::broker::Broker;
use crate::supervision::error::ServerError;
use crate::supervision::{LISTEN, ServerState, Supervised};

mod broker;
mod error;
mod settings;

pub use self::error::KafkaError;

/// A start takes some seconds of two busy cores. After a crash the broker reads again what may not have been flushed,
/// at most the newest segment of each partition.
const START_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);

/// An orderly shutdown flushes the newest segments, and takes a second or two.
const STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// A single broker with some topics lives well on this; it takes some 200 MiB besides for its code.
const HEAP_MIB_DEFAULT: u32 = 256;

/// How the private broker is to be run.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Directory of the broker's data and its lock; created if missing.
    pub data_dir: PathBuf,
    /// TCP port on the loopback address; 0 picks a free one at each start.
    pub port: u16,
    /// The loopback port that clients are told to come to, where something stands before the broker; none is its own.
    pub advertised_port: Option<u16>,
    /// Memory for Java's heap, in MiB.
    pub heap_mib: u32,
    /// Further settings by their Kafka names; they win over ours, except for addresses and directories.
    pub settings: BTreeMap<String, String>,
    /// Directory of the broker's jars; none is where `scripts/setup` puts them.
    pub jars_dir: Option<PathBuf>,
    /// The program `java`; none is that of `JAVA_HOME`, or else of `PATH`.
    pub java: Option<PathBuf>,
    /// How long the broker may take to become ready, recovery included.
    pub start_timeout: Duration,
    /// How long an orderly shutdown may take before the kernel's kill follows.
    pub stop_timeout: Duration,
}

impl KafkaConfig {
    /// The defaults for a laptop, on a free port.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: 0,
            advertised_port: None,
            heap_mib: HEAP_MIB_DEFAULT,
            settings: BTreeMap::new(),
            jars_dir: None,
            java: None,
            start_timeout: START_TIMEOUT_DEFAULT,
            stop_timeout: STOP_TIMEOUT_DEFAULT,
        }
    }
}

/// A running private Kafka broker. Dropping it stops it too, but blocks for it: prefer [`Kafka::shutdown`].
pub struct Kafka {
    supervised: Supervised<Broker>,
}

impl Kafka {
    /// Starts the broker over its directory, which is formatted if it is new, and returns when it serves. From then
    /// on it is started again whenever it dies, within bounds.
    ///
    /// # Errors
    /// Says what is missing, in use or broken, and what to do about it.
    pub async fn start(config: KafkaConfig) -> Result<Self, KafkaError> {
        let port = config.port;
        let (broker, lock) = tokio::task::spawn_blocking(move || broker::prepare(config))
            .await
            .map_err(|_| ServerError::Abandoned { server: settings::NAME })??;
        let supervised = Supervised::start(broker, port, lock).await.map_err(KafkaError::explain)?;
        Ok(Self { supervised })
    }

    /// What clients are given as `bootstrap.servers`. It stays the same as long as this handle lives.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        bootstrap(self.supervised.port())
    }

    /// The same for the broker that another process runs over this directory; `None` where none does.
    #[must_use]
    pub fn running(data_dir: &Path) -> Option<String> {
        broker::running_port(&data_dir.canonicalize().ok()?).map(bootstrap)
    }

    /// How the broker is doing, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ServerState> {
        self.supervised.state()
    }

    /// Waits until the broker is given up, and says why. Never returns if it runs or is stopped.
    pub async fn failed(&self) -> String {
        self.supervised.failed().await
    }

    /// Stops the broker: everything is flushed. If that takes too long it is killed, and the next start recovers.
    /// Stopping a stopped broker does nothing.
    ///
    /// # Errors
    /// If the process survives even the kernel's kill.
    pub async fn shutdown(&self) -> Result<(), KafkaError> {
        Ok(self.supervised.stop().await?)
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Kafka")
            .field("dir", &self.supervised.server().dir)
            .field("bootstrap", &self.bootstrap())
            .finish_non_exhaustive()
    }
}

/// What clients of the broker of a port are given as `bootstrap.servers`.
#[must_use]
pub fn bootstrap(port: u16) -> String {
    format!("{LISTEN}:{port}")
}
