//! Kafka and ClickHouse: named by the configuration, or private ones, which come up and go down beside the services: nothing that a viewer
//! does waits for them.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clickhouse::Client;
use embedded::clickhouse::{self as engine, ClickHouse, ClickHouseConfig, Credentials};
use embedded::kafka::{self, Kafka, KafkaConfig};
use platform::backoff::Backoff;
use platform::config::Config;
use platform::http::problem::Chain;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::data_dir;

/// The broker's directory within the data directory.
const KAFKA_DIR: &str = "kafka";

/// The server's directory within the data directory.
const CLICKHOUSE_DIR: &str = "clickhouse";

/// The longest pause before a private server that does not start, or died too often, is tried again.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Where events go for analysis.
pub(crate) struct Warehouse {
    /// Brokers that the log is published to, as `host:port`; `None`: it is not published.
    pub(crate) brokers: Option<String>,
    /// Fills ClickHouse and asks it; `None`: there are no figures.
    pub(crate) client: Option<Client>,
    stop: CancellationToken,
    servers: TaskTracker,
}

impl Warehouse {
    /// What the configuration names and, where it names none and `has_own` is set, servers of its own. They need not answer yet.
    pub(crate) fn open(config: &Config, has_own: bool) -> anyhow::Result<Self> {
        let (brokers, client) = (configured_brokers(config), configured_client(config));
        let mut this = Self { brokers, client, stop: CancellationToken::new(), servers: TaskTracker::new() };
        if has_own && config.data.warehouse {
            let dir = data_dir(config)?;
            if this.brokers.is_none() {
                this.brokers = Some(this.run_kafka(config, &dir)?);
            }
            if this.client.is_none() {
                this.client = Some(this.run_clickhouse(config, &dir)?);
            }
        }
        Ok(this)
    }

    fn run_kafka(&self, config: &Config, dir: &Path) -> anyhow::Result<String> {
        let port = port(config.kafka.port)?;
        let settings = KafkaConfig { port, ..KafkaConfig::new(dir.join(KAFKA_DIR)) };
        self.servers.spawn(keep(self.stop.clone(), move || Kafka::start(settings.clone())));
        Ok(kafka::bootstrap(port))
    }

    fn run_clickhouse(&self, config: &Config, dir: &Path) -> anyhow::Result<Client> {
        let port = port(config.clickhouse.port)?;
        let dir = dir.join(CLICKHOUSE_DIR);
        let writer = ClickHouse::users(&dir)?.writer;
        let launcher = std::env::current_exe().context("cannot tell which program this is")?;
        let settings = ClickHouseConfig { port, ..ClickHouseConfig::new(dir, launcher) };
        self.servers.spawn(keep(self.stop.clone(), move || ClickHouse::start(settings.clone())));
        Ok(client_of(&engine::url(port), &writer))
    }

    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.servers.close();
        self.servers.wait().await;
    }
}

/// Asks the ClickHouse that the configuration names, or that of a Tally that runs over the data directory; `None`: there is none.
pub(crate) fn beside(config: &Config) -> anyhow::Result<Option<Client>> {
    let configured = configured_client(config);
    if configured.is_some() {
        return Ok(configured);
    }
    Ok(running(config)?.map(|running| client_of(&running.url, &running.users.writer)))
}

/// The private ClickHouse of a Tally that runs over the data directory.
pub(crate) fn running(config: &Config) -> anyhow::Result<Option<engine::Running>> {
    Ok(ClickHouse::running(&data_dir(config)?.join(CLICKHOUSE_DIR)))
}

fn configured_brokers(config: &Config) -> Option<String> {
    Some(config.kafka.brokers.clone()).filter(|brokers| !brokers.is_empty())
}

fn configured_client(config: &Config) -> Option<Client> {
    let settings = &config.clickhouse;
    if settings.url.is_empty() {
        return None;
    }
    let client = Client::default()
        .with_url(settings.url.clone())
        .with_database(settings.database.clone())
        .with_user(settings.user.clone());
    Some(match settings.password.get() {
        Some(password) => client.with_password(password.expose_secret()),
        None => client,
    })
}

/// Asks a private server as its owner.
pub(crate) fn client_of(url: &str, writer: &Credentials) -> Client {
    Client::default()
        .with_url(url)
        .with_database(engine::DATABASE)
        .with_user(writer.user)
        .with_password(writer.password.expose_secret())
}

/// The port wanted; for 0 a free one, as clients are told before the server takes it.
fn port(wanted: u16) -> anyhow::Result<u16> {
    if wanted == 0 { embedded::free_port().context("this machine has no free port") } else { Ok(wanted) }
}

/// A private server that runs.
trait PrivateServer: Send + Sized {
    const NAME: &'static str;
    type Error: std::error::Error + Send + 'static;

    /// Waits until it is given up, and says why.
    fn failed(&self) -> impl Future<Output = String> + Send;
    fn shutdown(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl PrivateServer for Kafka {
    const NAME: &'static str = "Kafka";
    type Error = kafka::KafkaError;

    async fn failed(&self) -> String {
        self.failed().await
    }

    async fn shutdown(&self) -> Result<(), Self::Error> {
        self.shutdown().await
    }
}

impl PrivateServer for ClickHouse {
    const NAME: &'static str = "ClickHouse";
    type Error = engine::ClickHouseError;

    async fn failed(&self) -> String {
        self.failed().await
    }

    async fn shutdown(&self) -> Result<(), Self::Error> {
        self.shutdown().await
    }
}

/// Keeps a private server running until it is told to stop. Without it everything but the figures goes on, so what is wrong is said and the
/// start tried again, for as long as it takes.
async fn keep<S, F>(stop: CancellationToken, start: impl Fn() -> F + Send)
where
    S: PrivateServer,
    F: Future<Output = Result<S, S::Error>> + Send,
{
    let mut backoff = Backoff::up_to(BACKOFF_MAX);
    while !stop.is_cancelled() {
        let started = tokio::select! {
            () = stop.cancelled() => return,
            started = start() => started,
        };
        match started {
            Err(error) => {
                let detail = Chain(&error).to_string();
                tracing::error!(detail, "{} does not start, the figures wait for it: {detail}", S::NAME);
            }
            Ok(server) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    reason = server.failed() => {
                        tracing::error!(reason, "{} failed, the figures wait for it: {reason}", S::NAME);
                    }
                }
                if let Err(error) = server.shutdown().await {
                    let detail = Chain(&error).to_string();
                    tracing::error!(detail, "{} did not stop well: {detail}", S::NAME);
                }
            }
        }
        backoff.wait(&stop).await;
    }
}
