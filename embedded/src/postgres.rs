//! A private Postgres: the system's own server programs, run over a cluster of ours as a supervised child.
//!
//! The server listens on the loopback address only and asks for a password. When we are root it runs as
//! the unprivileged user `postgres` (or `_postgres`, or in the end `nobody`), because Postgres refuses to
//! run as root; every directory above the data directory must then be open to that user. A test that
//! wants a throw-away server passes a temporary directory itself as `data_dir`, not one below it, since
//! temporary directories are closed to others and only `data_dir` is opened.
//!
//! If we are killed, the kernel tells the server to shut down (Linux, by `setpriv`); where it cannot, the
//! next start finds what was left running and stops it first.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;

use self::cluster::Cluster;
use self::settings::TALLY;
use crate::supervision::error::ServerError;
use crate::supervision::{KILL_TIMEOUT, LISTEN, ServerState, Supervised};

mod account;
mod binaries;
mod cluster;
mod error;
mod orphan;
mod settings;

pub use self::error::PostgresError;

/// How the private server is doing.
pub type PostgresState = ServerState;

/// Crash recovery replays at most a few hundred megabytes of log, which a slow disk does in this time.
const START_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);

/// An orderly shutdown writes at most `shared_buffers` to disk.
const STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(20);

/// The immediate shutdown writes nothing, so it is over in a blink or something is wrong.
const STOP_IMMEDIATE_TIMEOUT: Duration = Duration::from_secs(5);

/// Every service of one machine with its pool, and some for people.
const MAX_CONNECTIONS_DEFAULT: u32 = 100;

/// Enough for live read models, small on a laptop.
const SHARED_BUFFERS_MIB_DEFAULT: u32 = 128;

/// How the private server is to be run.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Directory of the cluster, its password and its lock; created if missing.
    pub data_dir: PathBuf,
    /// TCP port on the loopback address; 0 picks a free one at each start.
    pub port: u16,
    /// Connections that the server accepts.
    pub max_connections: u32,
    /// Memory for the server's page cache, in MiB.
    pub shared_buffers_mib: u32,
    /// Further settings by their Postgres names; they win over ours, except for the address.
    pub settings: BTreeMap<String, String>,
    /// Directory of the server's programs; none looks for them where packages put them.
    pub bin_dir: Option<PathBuf>,
    /// How long the server may take to become ready, crash recovery included.
    pub start_timeout: Duration,
    /// How long an orderly shutdown may take before a harder one follows.
    pub stop_timeout: Duration,
}

impl PostgresConfig {
    /// The defaults for a laptop, on a free port.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: 0,
            max_connections: MAX_CONNECTIONS_DEFAULT,
            shared_buffers_mib: SHARED_BUFFERS_MIB_DEFAULT,
            settings: BTreeMap::new(),
            bin_dir: None,
            start_timeout: START_TIMEOUT_DEFAULT,
            stop_timeout: STOP_TIMEOUT_DEFAULT,
        }
    }

    /// The signals of a stop: orderly, then without a checkpoint (recovered at the next start), then by force.
    fn stop_escalation(&self) -> Vec<(Signal, Duration)> {
        vec![
            (Signal::INT, self.stop_timeout),
            (Signal::QUIT, STOP_IMMEDIATE_TIMEOUT),
            (Signal::KILL, KILL_TIMEOUT),
        ]
    }
}

/// A running private Postgres server. Dropping it stops it too, but blocks for it: prefer [`Postgres::stop`].
pub struct Postgres {
    supervised: Supervised<Cluster>,
}

impl Postgres {
    /// Starts the server over its cluster, which is created if missing, and returns when it accepts
    /// connections. From then on it is started again whenever it dies, within bounds.
    ///
    /// # Errors
    /// Says what is missing, in use or broken, and what to do about it.
    pub async fn start(config: PostgresConfig) -> Result<Self, PostgresError> {
        let port = config.port;
        let (cluster, lock) = tokio::task::spawn_blocking(move || cluster::prepare(config))
            .await
            .map_err(|_| ServerError::Abandoned { server: settings::NAME })??;
        Ok(Self { supervised: Supervised::start(cluster, port, lock).await? })
    }

    /// The address of the product's database, with the password: `postgres://tally:…@127.0.0.1:…/tally`.
    /// It stays the same as long as this handle lives.
    #[must_use]
    pub fn url(&self) -> String {
        url(&self.supervised.server().password, self.port())
    }

    /// The address of the database that another process runs over this directory; `None` where none does.
    #[must_use]
    pub fn running(data_dir: &Path) -> Option<String> {
        let data_dir = data_dir.canonicalize().ok()?;
        let port = orphan::running_port(&data_dir.join("cluster"))?;
        Some(url(&cluster::read_password(&data_dir).ok()??, port))
    }

    /// The TCP port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.supervised.port()
    }

    /// How the server is doing, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<PostgresState> {
        self.supervised.state()
    }

    /// Waits until the server is given up, and says why. Never returns if it runs or is stopped.
    pub async fn failed(&self) -> String {
        self.supervised.failed().await
    }

    /// Stops the server: connections are closed and everything is written out. If that takes too long,
    /// harder ways follow, which lose nothing either but leave recovery to the next start. Stopping a
    /// stopped server does nothing.
    ///
    /// # Errors
    /// If the process survives even the kernel's kill.
    pub async fn stop(&self) -> Result<(), PostgresError> {
        Ok(self.supervised.stop().await?)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Postgres")
            .field("dir", &self.supervised.server().dir)
            .field("port", &self.port())
            .finish_non_exhaustive()
    }
}

fn url(password: &str, port: u16) -> String {
    format!("postgres://{TALLY}:{password}@{LISTEN}:{port}/{TALLY}")
}
