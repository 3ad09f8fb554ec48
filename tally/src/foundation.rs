//! What services stand upon: the log and the database, embedded where the configuration names none.

use anyhow::{Context, ensure};
use embedded::event_log::{Node, NodeConfig};
use embedded::postgres::{Postgres, PostgresConfig};
use platform::config::{Config, Source};
use platform::event_log::eventstore::EventStoreLog;
use platform::shutdown::Shutdown;
use sqlx::PgPool;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The embedded node's directory within the data directory.
pub(crate) const EVENT_LOG_DIR: &str = "event-log";

/// The private cluster's directory within the data directory.
const POSTGRES_DIR: &str = "postgres";

/// Where root keeps data when the working directory is closed to the database server's user.
const SYSTEM_DATA_DIR: &str = "/var/lib/tally";

/// Other users may pass through the data directory, and see nothing of it: the database server is one of them.
const DATA_DIR_MODE: u32 = 0o711;

/// How long a start waits for the log: a container beside us may still be recovering.
const LOG_PATIENCE: Duration = Duration::from_secs(60);

/// The data directory, made if it is missing.
pub(crate) fn data_dir(config: &Config) -> anyhow::Result<PathBuf> {
    let wanted = std::path::absolute(&config.data.dir).context("no working directory")?;
    let is_default = config
        .describe()
        .iter()
        .any(|setting| setting.name == "data.dir" && setting.source == Source::Default);
    let is_closed = || rustix::process::geteuid().is_root() && !others_may_pass(&wanted);
    let dir = if is_default && is_closed() { PathBuf::from(SYSTEM_DATA_DIR) } else { wanted };
    DirBuilder::new()
        .recursive(true)
        .mode(DATA_DIR_MODE)
        .create(&dir)
        .with_context(|| format!("cannot create the data directory {}", dir.display()))?;
    Ok(dir)
}

fn others_may_pass(path: &Path) -> bool {
    let passable = |dir: &Path| fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    path.ancestors().filter(|dir| dir.exists()).all(passable)
}

/// The log: named by the configuration, or an embedded node.
pub(crate) struct Log {
    pub(crate) log: Arc<EventStoreLog>,
    node: Option<Node>,
}

impl Log {
    /// Connects, to a node of its own where no other is named.
    pub(crate) async fn open(config: &Config, name: &str) -> anyhow::Result<Self> {
        let node = match config.event_log.url.get() {
            Some(_) => None,
            None => {
                let directory = data_dir(config)?.join(EVENT_LOG_DIR);
                Some(Node::start(NodeConfig::new(directory).listen(config.event_log.listen)).await?)
            }
        };
        let own = node.as_ref().map(|node| format!("kurrentdb://{}?tls=false", node.addr()));
        let url = own.as_deref().or(config.event_log.url.get()).unwrap_or_default();
        let log = EventStoreLog::new(url, name)?;
        log.wait_until_ready(LOG_PATIENCE).await.context("the event log does not answer")?;
        Ok(Self { log: Arc::new(log), node })
    }

    /// The same for a command of a moment. Where Tally runs on this machine already, its node is the log.
    pub(crate) async fn beside(config: &Config, name: &str) -> anyhow::Result<Self> {
        if config.event_log.url.get().is_some() || running_database(config)?.is_none() {
            return Self::open(config, name).await;
        }
        let listen = config.event_log.listen;
        ensure!(listen.port() != 0, "the running node has a port of its own choice: set event_log.url to it");
        let log = EventStoreLog::new(&format!("kurrentdb://{listen}?tls=false"), name)?;
        log.wait_until_ready(LOG_PATIENCE).await.context("the running event log does not answer")?;
        Ok(Self { log: Arc::new(log), node: None })
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        drop(self.log);
        match self.node {
            Some(node) => node.shutdown().await.context("the event-log node did not stop well"),
            None => Ok(()),
        }
    }
}

/// The database: named by the configuration, or a private cluster.
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    server: Option<Arc<Postgres>>,
}

impl Database {
    /// Opens it and brings its schema up to date.
    pub(crate) async fn open(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let server = match config.postgres.url.get() {
            Some(_) => None,
            None => Some(private_cluster(config, shutdown).await?),
        };
        let own = server.as_ref().map(|server| server.url());
        let url = own.as_deref().or(config.postgres.url.get()).unwrap_or_default();
        let pool = platform::postgres::connect(url, config.postgres.connections_max).await?;
        platform::postgres::migrate(&pool).await?;
        Ok(Self { pool, server })
    }

    /// The same for a command of a moment. Where Tally runs on this machine already, its database is taken as it is.
    pub(crate) async fn beside(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Self> {
        match running_database(config)? {
            None => Self::open(config, shutdown).await,
            Some(url) => {
                let pool = platform::postgres::connect(&url, config.postgres.connections_max).await?;
                Ok(Self { pool, server: None })
            }
        }
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        match self.server {
            Some(server) => server.stop().await.context("the database server did not stop well"),
            None => Ok(()),
        }
    }
}

/// The address of the private cluster that a running Tally has, where the configuration names no other database.
fn running_database(config: &Config) -> anyhow::Result<Option<String>> {
    if config.postgres.url.get().is_some() {
        return Ok(None);
    }
    Ok(Postgres::running(&data_dir(config)?.join(POSTGRES_DIR)))
}

/// Starts the cluster. Without its database the process ends, and whoever runs it starts it again.
async fn private_cluster(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Arc<Postgres>> {
    let mut settings = PostgresConfig::new(data_dir(config)?.join(POSTGRES_DIR));
    settings.port = config.postgres.port;
    let server = Arc::new(Postgres::start(settings).await?);
    let (watched, shutdown) = (Arc::clone(&server), shutdown.clone());
    let ending = shutdown.begun();
    tokio::spawn(async move {
        tokio::select! {
            reason = watched.failed() => {
                tracing::error!(reason, "the database server failed for good, ending");
                shutdown.begin();
            }
            () = ending => {}
        }
    });
    Ok(server)
}
