//! Writes to the warehouse: facts, then how far they reach. Used by the loader and the back-fill alike.

mod facts;
mod progress;

use std::time::Duration;

use clickhouse::Client;
use thiserror::Error;

use crate::migrate::Layout;

pub(crate) use progress::{Claim, Progress};

/// How long one statement may take. A batch is written in a second or so; a server that is busy merging gets some more.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one chunk of rows may take on its way to the server.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a statement was not carried out, as far as is known.
#[derive(Debug, Error)]
pub enum WarehouseError {
    /// The warehouse could not be asked, or refused.
    #[error("the warehouse did not take a statement")]
    Refused(#[from] clickhouse::error::Error),
    /// It did not answer in time; it may carry the statement out all the same.
    #[error("the warehouse did not answer in time")]
    Timeout,
}

/// What whoever writes asks of a cluster. A replica acknowledges before others have a block, and may die with it: so most of them must have it before it
/// counts, of facts and of the progress that tells of them. Blocks of a table follow each other then (those of several writers too, who try again), and what
/// is read has all that counts.
const OF_REPLICAS: [(&str, &str); 3] =
    [("insert_quorum", "auto"), ("insert_quorum_parallel", "0"), ("select_sequential_consistency", "1")];

impl Layout {
    /// A client for who writes.
    pub(crate) fn writer(&self, client: &Client) -> Client {
        let of_replicas = OF_REPLICAS.iter().filter(|_| self.cluster.is_some());
        of_replicas.fold(client.clone(), |client, (name, value)| client.with_setting(*name, *value))
    }
}

/// The tables that the loader writes.
#[derive(Clone)]
pub(crate) struct Warehouse {
    pub(crate) client: Client,
    topic: String,
}

impl Warehouse {
    /// Over a client with its database set, as [`Layout::writer`] gives it.
    pub(crate) fn new(client: &Client, topic: &str) -> Self {
        // what is acknowledged must be in its table, not in a queue before it
        Self { client: client.clone().with_setting("async_insert", "0"), topic: topic.to_owned() }
    }
}

/// Ends what takes too long.
async fn in_time<T>(
    statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, WarehouseError> {
    match tokio::time::timeout(STATEMENT_TIMEOUT, statement).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(WarehouseError::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use embedded::clickhouse::{ClickHouse, ClickHouseConfig, DATABASE};
    use schemas::{Position, Timestamp};
    use secrecy::ExposeSecret;

    use super::*;
    use crate::migrate::migrate;
    use crate::rows::{ReactorRow, Rows};

    /// An engine with all tables.
    pub(super) async fn started(dir: &Path) -> (ClickHouse, Client) {
        let launcher =
            std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("embedded-clickhouse");
        let server = ClickHouse::start(ClickHouseConfig::new(dir, launcher)).await.unwrap();
        let writer = server.writer();
        let client = Client::default()
            .with_url(server.url())
            .with_user(writer.user)
            .with_password(writer.password.expose_secret())
            .with_database(DATABASE);
        migrate(&client, &Layout::default()).await.unwrap();
        (server, client)
    }

    const ASKED: &str = "SELECT value FROM system.settings WHERE name IN \
        ('insert_quorum', 'insert_quorum_parallel', 'select_sequential_consistency') ORDER BY name";

    /// The engine knows no cluster: it is asked whether it knows the settings, and they change nothing for its tables.
    #[tokio::test]
    async fn of_a_cluster_most_replicas_must_have_what_counts_and_of_one_server_nothing_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let (server, client) = started(dir.path()).await;
        let clusters = [(None, ["0", "1", "0"]), (Some("main".to_owned()), ["auto", "0", "1"])];
        for ((cluster, expected), step) in clusters.into_iter().zip(1_u64..) {
            let layout = Layout { cluster, retention_days: None };
            let warehouse = Warehouse::new(&layout.writer(&client), "topic");
            let asked: Vec<String> = warehouse.client.query_raw(ASKED).fetch_all().await.unwrap();
            assert_eq!(asked, expected);
            let row = ReactorRow { revision: step, ..ReactorRow::default() };
            let rows = Rows { reactors: vec![row], ..Rows::default() };
            warehouse.insert(&[&rows], Some(&step.to_string())).await.unwrap();
            let count = "SELECT count() FROM fact_reactors FINAL";
            assert_eq!(warehouse.client.query_raw(count).fetch_one::<u64>().await.unwrap(), step);
            let believed = warehouse.progress().await.unwrap().remove(&0);
            let (position, time) = (Position(step), Timestamp::from_millis(1_748_888_400_000));
            let next = Progress { position, time, offset: None, told_at: None };
            warehouse.advance(&[Claim { partition: 0, believed, next }], time).await.unwrap();
            assert_eq!(warehouse.progress().await.unwrap()[&0].position, position);
        }
        server.shutdown().await.unwrap();
    }
}
