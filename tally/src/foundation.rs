//! What services stand upon: the log, the database and the warehouse, embedded where the configuration names none.

pub(crate) mod warehouse;

use anyhow::Context;
use embedded::event_log::{Node, NodeConfig};
use embedded::postgres::{Postgres, PostgresConfig};
use platform::config::{Config, Source};
use platform::event_log::eventstore::EventStoreLog;
use platform::shutdown::Shutdown;
use sqlx::PgPool;
use std::fs::{self, DirBuilder};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The embedded node's directory within the data directory.
pub(crate) const EVENT_LOG_DIR: &str = "event-log";

/// Says within the data directory where the embedded node listens, as long as it runs: it may have chosen a port.
const EVENT_LOG_ADDRESS_FILE: &str = "event-log.address";

/// How long the node of another process on this machine may take to accept a connection.
const NODE_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

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
    node: Option<OwnNode>,
}

/// An embedded node, and the file that says where it listens.
struct OwnNode {
    node: Node,
    address_file: PathBuf,
}

impl Log {
    /// Connects, to a node of its own where no other is named.
    pub(crate) async fn open(config: &Config, name: &str) -> anyhow::Result<Self> {
        let node = match config.event_log.url.get() {
            Some(_) => None,
            None => Some(OwnNode::start(config).await?),
        };
        let own = node.as_ref().map(|own| url_of(own.node.addr()));
        let url = own.as_deref().or(config.event_log.url.get()).unwrap_or_default();
        let log = EventStoreLog::new(url, name)?;
        log.wait_until_ready(LOG_PATIENCE).await.context("the event log does not answer")?;
        Ok(Self { log: Arc::new(log), node })
    }

    /// The same for a command of a moment. Where Tally runs on this machine already, its node is the log.
    pub(crate) async fn beside(config: &Config, name: &str) -> anyhow::Result<Self> {
        let Some(address) = running_node(config).await? else { return Self::open(config, name).await };
        let log = EventStoreLog::new(&url_of(address), name)?;
        log.wait_until_ready(LOG_PATIENCE).await.context("the running event log does not answer")?;
        Ok(Self { log: Arc::new(log), node: None })
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        drop(self.log);
        match self.node {
            Some(own) => own.stop().await,
            None => Ok(()),
        }
    }
}

impl OwnNode {
    async fn start(config: &Config) -> anyhow::Result<Self> {
        let data_dir = data_dir(config)?;
        let settings = NodeConfig::new(data_dir.join(EVENT_LOG_DIR)).listen(config.event_log.listen);
        let node = Node::start(settings).await?;
        let address_file = data_dir.join(EVENT_LOG_ADDRESS_FILE);
        let own = Self { node, address_file };
        own.write_address()?;
        Ok(own)
    }

    /// Whole or not at all, as somebody may be reading it.
    fn write_address(&self) -> anyhow::Result<()> {
        let draft = self.address_file.with_extension("new");
        fs::write(&draft, self.node.addr().to_string())
            .and_then(|()| fs::rename(&draft, &self.address_file))
            .with_context(|| format!("cannot write {}", self.address_file.display()))
    }

    async fn stop(self) -> anyhow::Result<()> {
        // one that stays is found to be of a node that is gone
        let _ = fs::remove_file(&self.address_file);
        self.node.shutdown().await.context("the event-log node did not stop well")
    }
}

fn url_of(node: SocketAddr) -> String {
    format!("kurrentdb://{node}?tls=false")
}

/// Whether a Tally runs over the data directory already, with the log in it.
pub(crate) async fn runs_already(config: &Config) -> anyhow::Result<bool> {
    running_node(config).await.map(|address| address.is_some())
}

/// Where the node of a running Tally listens, where the configuration names no other log. It is called on first: the
/// client would try for long, and complain with each try, where a Tally that was killed left its address behind.
async fn running_node(config: &Config) -> anyhow::Result<Option<SocketAddr>> {
    if config.event_log.url.get().is_some() {
        return Ok(None);
    }
    let written = fs::read_to_string(data_dir(config)?.join(EVENT_LOG_ADDRESS_FILE));
    let Some(mut address) = written.ok().and_then(|text| text.parse::<SocketAddr>().ok()) else {
        return Ok(None);
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    let answer = timeout(NODE_ANSWERS_WITHIN, TcpStream::connect(address)).await;
    Ok(answer.is_ok_and(|connected| connected.is_ok()).then_some(address))
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

#[cfg(test)]
mod tests {
    use super::*;
    use platform::event_log::EventLog;

    fn config(dir: &Path) -> Config {
        let settings =
            [("TALLY_DATA__DIR", dir.as_os_str()), ("TALLY_EVENT_LOG__LISTEN", "127.0.0.1:0".as_ref())];
        Config::of("", settings.map(|(name, value)| (name.into(), value.to_owned()))).unwrap()
    }

    #[tokio::test]
    async fn a_command_finds_the_node_that_chose_its_port_and_none_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let running = Log::open(&config, "test").await.unwrap();
        let address = running.node.as_ref().unwrap().node.addr();
        assert_eq!(running_node(&config).await.unwrap(), Some(address));
        let beside = Log::beside(&config, "test").await.unwrap();
        assert!(beside.node.is_none(), "there can be only one");
        beside.log.head().await.unwrap();
        beside.close().await.unwrap();
        running.close().await.unwrap();
        assert_eq!(running_node(&config).await.unwrap(), None);
        // as a Tally that was killed leaves it behind
        fs::write(dir.path().join(EVENT_LOG_ADDRESS_FILE), address.to_string()).unwrap();
        let alone = Log::beside(&config, "test").await.unwrap();
        assert!(alone.node.is_some());
        alone.close().await.unwrap();
    }
}
