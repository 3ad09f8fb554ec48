//! Brings the warehouse's tables and views up to date.
//!
//! ClickHouse knows no transactions over tables, so every statement of a migration can be applied again: a migration that stopped half-way is
//! applied from its beginning. What was applied is noted with a checksum. A migration that was applied never changes; a new one is added.

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How tables are made and kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// The cluster's name: tables are replicated and made on all its nodes; `None`: one server.
    pub cluster: Option<String>,
    /// For how many days facts are kept after their event; `None`: for ever. Roll-ups stay.
    pub retention_days: Option<u32>,
}

/// A file of statements.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// In the order in which they are applied.
const MIGRATIONS: [Migration; 5] = [
    Migration { name: "0001_facts", sql: include_str!("../../migrations/clickhouse/0001_facts.sql") },
    Migration { name: "0002_views", sql: include_str!("../../migrations/clickhouse/0002_views.sql") },
    Migration { name: "0003_rollups", sql: include_str!("../../migrations/clickhouse/0003_rollups.sql") },
    Migration { name: "0004_loader", sql: include_str!("../../migrations/clickhouse/0004_loader.sql") },
    Migration { name: "0005_speed", sql: include_str!("../../migrations/clickhouse/0005_speed.sql") },
];

/// The tables that the retention is for.
pub(crate) const FACTS: [&str; 8] = [
    "fact_events",
    "fact_show_changes",
    "fact_audience_changes",
    "fact_messages",
    "fact_reactions",
    "fact_reactors",
    "fact_tip_changes",
    "fact_payment_changes",
];

const APPLIED: &str = "
CREATE TABLE IF NOT EXISTS schema_migrations {{on_cluster}} (
    name String COMMENT 'Name of the migration',
    checksum String COMMENT 'SHA-256 of its text, in hexadecimal digits',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied'
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY name
COMMENT 'Migrations that were applied'";

/// Why the warehouse could not be brought up to date.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// A statement failed.
    #[error("migration {name} failed")]
    Statement {
        /// The migration.
        name: String,
        /// Why.
        source: clickhouse::error::Error,
    },
    /// What was applied is not what this version of the code knows under that name.
    #[error("migration {0} was applied with another text")]
    Changed(&'static str),
    /// A cluster's name that cannot stand in a statement.
    #[error("a cluster's name is made of letters, digits, `_` and `-`")]
    Cluster,
    /// A database's name that cannot stand in a statement.
    #[error("a database's name is made of letters, digits and `_`")]
    Database,
}

#[derive(Row, Deserialize, Serialize)]
struct Applied {
    name: String,
    checksum: String,
}

/// Applies what was not applied yet, and sets the retention. The client has its database set, and that exists.
///
/// # Errors
/// [`MigrateError`]. Calling it again goes on where it stopped.
pub async fn migrate(client: &Client, layout: &Layout) -> Result<Vec<&'static str>, MigrateError> {
    let named = |name: &str| {
        let name = name.to_owned();
        move |source| MigrateError::Statement { name, source }
    };
    client.query_raw(&fill_in(APPLIED, layout)?).execute().await.map_err(named("schema_migrations"))?;
    let known: Vec<Applied> = client
        .query_raw("SELECT name, checksum FROM schema_migrations FINAL")
        .fetch_all()
        .await
        .map_err(named("schema_migrations"))?;
    let mut done = Vec::new();
    for migration in &MIGRATIONS {
        let checksum = checksum(client, migration.sql).await.map_err(named(migration.name))?;
        match known.iter().find(|applied| applied.name == migration.name) {
            Some(applied) if applied.checksum == checksum => continue,
            Some(_) => return Err(MigrateError::Changed(migration.name)),
            None => apply(client, migration, layout).await?,
        }
        client
            .query_raw(
                "INSERT INTO schema_migrations (name, checksum) VALUES ({name:String}, {checksum:String})",
            )
            .param("name", migration.name)
            .param("checksum", &checksum)
            .execute()
            .await
            .map_err(named(migration.name))?;
        done.push(migration.name);
    }
    keep(client, layout).await?;
    Ok(done)
}

async fn apply(client: &Client, migration: &Migration, layout: &Layout) -> Result<(), MigrateError> {
    let sql = fill_in(migration.sql, layout)?;
    for statement in statements(&sql) {
        let applied = client.query_raw(statement).execute().await;
        applied.map_err(|source| MigrateError::Statement { name: migration.name.to_owned(), source })?;
    }
    Ok(())
}

/// The server's own digest: so no crate is needed for it.
async fn checksum(client: &Client, text: &str) -> Result<String, clickhouse::error::Error> {
    client.query_raw("SELECT lower(hex(SHA256({text:String})))").param("text", text).fetch_one().await
}

/// Statements end with a semicolon at the end of a line.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(";\n").filter(|statement| {
        statement.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("--"))
    })
}

pub(crate) fn fill_in(sql: &str, layout: &Layout) -> Result<String, MigrateError> {
    let (replicated, on_cluster) = match &layout.cluster {
        None => ("", String::new()),
        Some(name) => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || !name.chars().all(is_plain) {
                return Err(MigrateError::Cluster);
            }
            ("Replicated", format!("ON CLUSTER '{name}'"))
        }
    };
    Ok(sql.replace("{{replicated}}", replicated).replace("{{on_cluster}}", &on_cluster))
}

/// Sets the retention of facts where it is not as it should be, so that a change of the setting is a restart and no migration.
async fn keep(client: &Client, layout: &Layout) -> Result<(), MigrateError> {
    for table in FACTS {
        let failed = |source| MigrateError::Statement { name: format!("retention of {table}"), source };
        let engine: String = client
            .query_raw("SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {table:String}")
            .param("table", table)
            .fetch_one()
            .await
            .map_err(failed)?;
        let wanted =
            layout.retention_days.map(|days| format!("toDateTime(occurred_at) + toIntervalDay({days})"));
        let change = match &wanted {
            Some(ttl) if engine.contains(&format!("TTL {ttl}")) => continue,
            Some(ttl) => format!("MODIFY TTL {ttl}"),
            None if engine.contains(" TTL ") => "REMOVE TTL".to_owned(),
            None => continue,
        };
        let sql = fill_in(&format!("ALTER TABLE {table} {{{{on_cluster}}}} {change}"), layout)?;
        client.query_raw(&sql).execute().await.map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_cluster_every_table_is_replicated_and_made_everywhere() {
        let layout = Layout { cluster: Some("main".to_owned()), retention_days: None };
        for migration in &MIGRATIONS {
            let sql = fill_in(migration.sql, &layout).unwrap();
            for statement in statements(&sql) {
                assert!(!statement.contains("{{"), "{statement}");
                let makes = statement.contains("CREATE ");
                assert!(!makes || statement.contains("ON CLUSTER 'main'"), "{statement}");
                assert!(
                    !statement.contains("ENGINE = Repl")
                        || statement.contains("ENGINE = ReplicatedReplacingMergeTree")
                );
            }
        }
    }

    #[test]
    fn a_name_that_is_none_does_not_reach_a_statement() {
        let layout = Layout { cluster: Some("x' --".to_owned()), retention_days: None };
        assert!(matches!(fill_in("", &layout), Err(MigrateError::Cluster)));
    }
}
