//! A private ClickHouse: the real server, which is inside the library `libchdb`, run as a supervised child.
//!
//! The library comes from npm by way of `scripts/setup`; building needs nothing of it. A process can start the server
//! once, so the child is a program of ours that loads the library (see [`launcher`]): `tally clickhouse-server`.
//!
//! The server speaks HTTP on the loopback address only. Its users are ours: [`ClickHouse::writer`] owns the databases
//! of the warehouse, [`ClickHouse::analyst`] and [`ClickHouse::grafana`] read it within limits, and nobody reaches
//! files or other servers through it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::watch;

use self::engine::Engine;
use crate::supervision::error::ServerError;
use crate::supervision::{LISTEN, ServerState, Supervised, directory};

mod engine;
mod error;
/// The child's side: loads the library and serves until it is told to stop.
pub mod launcher;
mod settings;

pub use self::error::ClickHouseError;

/// The database that the readers see. The writer may also make others whose names begin like this.
pub const DATABASE: &str = "warehouse";

/// Bytes that the server leaves free on its disk: below it begins no write, so that those under way do not meet a full disk. Version 26.7 puts a merged part in place whose
/// marks found no room, and with that makes unreadable what it had acknowledged. More than the log leaves, which everything rests on.
pub const KEPT_FREE_BYTES: u64 = 512 << 20;

/// A start takes a second; after a crash the parts on disk are checked.
const START_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);

/// Running queries get some seconds to end.
const STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(20);

/// What the figures over ten million events take, with air for merges.
const MEMORY_MIB_DEFAULT: u32 = 1_536;

/// How the private server is to be run.
#[derive(Debug, Clone)]
pub struct ClickHouseConfig {
    /// Directory of the server's data, its secrets and its lock; created if missing.
    pub data_dir: PathBuf,
    /// The program that [`launcher::serve`]s when its first argument is [`launcher::COMMAND`].
    pub launcher: PathBuf,
    /// TCP port of HTTP on the loopback address; 0 picks a free one at each start.
    pub port: u16,
    /// Memory for everything that the server does, in MiB. All queries of a reader get three eighths of it.
    pub memory_mib: u32,
    /// The library; none is where `scripts/setup` puts it.
    pub library: Option<PathBuf>,
    /// How long the server may take to become ready.
    pub start_timeout: Duration,
    /// How long an orderly shutdown may take before the kernel's kill follows.
    pub stop_timeout: Duration,
}

impl ClickHouseConfig {
    /// The defaults for a laptop, on a free port.
    pub fn new(data_dir: impl Into<PathBuf>, launcher: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            launcher: launcher.into(),
            port: 0,
            memory_mib: MEMORY_MIB_DEFAULT,
            library: None,
            start_timeout: START_TIMEOUT_DEFAULT,
            stop_timeout: STOP_TIMEOUT_DEFAULT,
        }
    }
}

/// A user of the server.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The name.
    pub user: &'static str,
    /// The password, made when the directory was.
    pub password: SecretString,
}

/// The three users.
#[derive(Debug, Clone)]
pub struct Users {
    /// Owns [`DATABASE`] and others whose names begin like it.
    pub writer: Credentials,
    /// Reads [`DATABASE`] by hand and from notebooks.
    pub analyst: Credentials,
    /// Reads [`DATABASE`] for dashboards.
    pub grafana: Credentials,
}

/// A server that another process runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// Where it speaks HTTP.
    pub url: String,
    /// Who may come.
    pub users: Users,
}

/// A running private ClickHouse. Dropping it stops it too, but blocks for it: prefer [`ClickHouse::shutdown`].
pub struct ClickHouse {
    supervised: Supervised<Engine>,
}

impl ClickHouse {
    /// Starts the server over its directory and returns when it answers. From then on it is started again whenever
    /// it dies, within bounds.
    ///
    /// # Errors
    /// Says what is missing, in use or broken, and what to do about it.
    pub async fn start(config: ClickHouseConfig) -> Result<Self, ClickHouseError> {
        let port = config.port;
        let (engine, lock) = tokio::task::spawn_blocking(move || engine::prepare(config))
            .await
            .map_err(|_| ServerError::Abandoned { server: settings::NAME })??;
        Ok(Self { supervised: Supervised::start(engine, port, lock).await? })
    }

    /// Where the server speaks HTTP. It stays the same as long as this handle lives.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.supervised.port())
    }

    /// The server that another process runs over this directory; `None` where none does.
    #[must_use]
    pub fn running(data_dir: &Path) -> Option<Running> {
        let (port, users) = engine::running(&data_dir.canonicalize().ok()?)?;
        Some(Running { url: url(port), users })
    }

    /// The users of the server of this directory, also before its first start: they are made where they are missing.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub fn users(data_dir: &Path) -> Result<Users, ClickHouseError> {
        Ok(engine::users(&directory::open(data_dir, engine::DATA_DIR_MODE)?)?)
    }

    /// Who owns [`DATABASE`] and others whose names begin like it.
    #[must_use]
    pub fn writer(&self) -> &Credentials {
        &self.supervised.server().users.writer
    }

    /// Who reads [`DATABASE`] by hand and from notebooks.
    #[must_use]
    pub fn analyst(&self) -> &Credentials {
        &self.supervised.server().users.analyst
    }

    /// Who reads [`DATABASE`] for dashboards.
    #[must_use]
    pub fn grafana(&self) -> &Credentials {
        &self.supervised.server().users.grafana
    }

    /// How the server is doing, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ServerState> {
        self.supervised.state()
    }

    /// Waits until the server is given up, and says why. Never returns if it runs or is stopped.
    pub async fn failed(&self) -> String {
        self.supervised.failed().await
    }

    /// Stops the server. If that takes too long it is killed, which loses nothing that was acknowledged. Stopping a
    /// stopped server does nothing.
    ///
    /// # Errors
    /// If the process survives even the kernel's kill.
    pub async fn shutdown(&self) -> Result<(), ClickHouseError> {
        Ok(self.supervised.stop().await?)
    }
}

impl fmt::Debug for ClickHouse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClickHouse")
            .field("dir", &self.supervised.server().dir)
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

/// Where the server of a port speaks HTTP.
#[must_use]
pub fn url(port: u16) -> String {
    format!("http://{LISTEN}:{port}")
}
