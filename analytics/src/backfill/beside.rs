//! A warehouse beside the one that serves, to be filled and put in its place.

use std::time::Duration;

use clickhouse::Client;
use clickhouse::error::Error;
use platform::http::problem::Chain;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::TRIES;
use crate::loader::backoff;
use crate::migrate::{FACTS, Layout, MigrateError, fill_in, migrate};

/// What follows the name of the serving database.
const SUFFIX: &str = "_rebuild";

/// The roll-ups and how far they are, in the order in which they are exchanged.
const ROLLUPS: [&str; 4] = ["rollup_shows", "rollup_show_viewers", "rollup_show_quarters", "rollup_progress"];

/// How long an exchange may wait for those who read the tables.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(120);

/// A database beside the one that serves.
pub struct Beside {
    serving: Client,
    /// The names of the two.
    names: Names,
    layout: Layout,
}

struct Names {
    serving: String,
    fresh: String,
}

impl Beside {
    /// Makes it beside the database of a client, empty and with its tables: what an earlier one left there is dropped.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub async fn make(client: &Client, layout: &Layout) -> Result<Self, MigrateError> {
        let asked = client.query_raw("SELECT currentDatabase()").fetch_one::<String>().await;
        let named = |source| MigrateError::Statement { name: "currentDatabase".to_owned(), source };
        let serving = asked.map_err(named)?;
        if !serving.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(MigrateError::Database);
        }
        let names = Names { fresh: format!("{serving}{SUFFIX}"), serving };
        let this = Self { serving: client.clone(), names, layout: layout.clone() };
        this.drop_fresh().await?;
        this.state(&format!("CREATE DATABASE {} {{{{on_cluster}}}}", this.names.fresh)).await?;
        // facts that are older than their retention are still to be rolled up
        migrate(&this.client(), &Layout { retention_days: None, ..layout.clone() }).await?;
        Ok(this)
    }

    /// To fill it.
    #[must_use]
    pub fn client(&self) -> Client {
        self.layout.writer(&self.serving).with_database(&self.names.fresh)
    }

    /// Puts its tables into the place of those that serve, and drops the old ones. The loader's progress comes last: before it, a loader
    /// goes on by the old one, after it, it loads again what the new tables lack. A question that is asked meanwhile may see some of both.
    ///
    /// # Errors
    /// [`MigrateError`]. Some tables may have been exchanged by then: make and fill it anew.
    pub async fn put_in_place(self) -> Result<(), MigrateError> {
        for table in FACTS.iter().chain(&ROLLUPS).chain(&["loader_progress"]) {
            self.exchange(table).await?;
        }
        migrate(&self.serving, &self.layout).await?;
        self.drop_fresh().await
    }

    /// Drops it.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub async fn give_up(self) -> Result<(), MigrateError> {
        self.drop_fresh().await
    }

    /// Exchanges a table, once: where the answer is lost, the tables themselves tell whether it was done, and a repeat under the same id is refused
    /// while the first is under way.
    async fn exchange(&self, table: &str) -> Result<(), MigrateError> {
        let failed = |source| MigrateError::Statement { name: format!("exchange of {table}"), source };
        let Names { serving, fresh } = &self.names;
        let wanted = self.id_of(fresh, table).await.map_err(failed)?;
        let sql = format!("EXCHANGE TABLES {fresh}.{table} AND {serving}.{table} {{{{on_cluster}}}}");
        let (sql, id) = (fill_in(&sql, &self.layout)?, Uuid::new_v4().to_string());
        let mut backoff = backoff();
        loop {
            let query = self.serving.query_raw(&sql).with_setting("query_id", &id);
            let exchanged = match timeout(EXCHANGE_TIMEOUT, query.execute()).await {
                Ok(exchanged) => exchanged,
                Err(_) => Err(Error::TimedOut),
            };
            let Err(error) = exchanged else { return Ok(()) };
            if backoff.tries() >= TRIES {
                return Err(failed(error));
            }
            let detail = Chain(&error).to_string();
            tracing::warn!(detail, "the exchange of {table} is looked at again: {detail}");
            sleep(backoff.pause()).await;
            if self.id_of(serving, table).await.is_ok_and(|found| found == wanted) {
                return Ok(());
            }
        }
    }

    async fn id_of(&self, database: &str, table: &str) -> Result<String, Error> {
        let sql = "SELECT toString(uuid) FROM system.tables WHERE database = {database:String} AND name = {table:String}";
        self.serving.query_raw(sql).param("database", database).param("table", table).fetch_one().await
    }

    async fn drop_fresh(&self) -> Result<(), MigrateError> {
        self.state(&format!("DROP DATABASE IF EXISTS {} {{{{on_cluster}}}} SYNC", self.names.fresh)).await
    }

    async fn state(&self, sql: &str) -> Result<(), MigrateError> {
        let done = self.serving.query_raw(&fill_in(sql, &self.layout)?).execute().await;
        done.map_err(|source| MigrateError::Statement { name: self.names.fresh.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_cluster_most_replicas_must_have_what_is_filled() {
        let beside = |cluster: Option<&str>| Beside {
            serving: Client::default(),
            names: Names { serving: "warehouse".to_owned(), fresh: "warehouse_rebuild".to_owned() },
            layout: Layout { cluster: cluster.map(str::to_owned), retention_days: None },
        };
        assert_eq!(beside(Some("main")).client().get_setting("insert_quorum"), Some("auto"));
        assert_eq!(beside(None).client().get_setting("insert_quorum"), None);
    }
}
