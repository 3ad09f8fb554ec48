//! What only a real Postgres can show: the migrations, the key vault in it, and who has the lead.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the failure")]

#[path = "postgres/leads.rs"]
mod leads;
#[path = "postgres/schema.rs"]
mod schema;
#[path = "postgres/vault.rs"]
mod vault;

use embedded::postgres::{Postgres, PostgresConfig};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgPool};

/// A server, with a database for each test.
struct Server {
    postgres: Postgres,
}

impl Server {
    /// The address of a new, empty database.
    async fn database(&self, name: &str) -> String {
        let url = self.postgres.url();
        let admin: PgConnectOptions = url.parse().unwrap();
        let mut connection = admin.connect().await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.unwrap();
        let (server, _) = url.rsplit_once('/').unwrap();
        format!("{server}/{name}")
    }

    /// A pool on a new database with the schema in it.
    async fn migrated(&self, name: &str) -> PgPool {
        let pool = platform::postgres::connect(&self.database(name).await, 10).await.unwrap();
        platform::postgres::migrate(&pool).await.unwrap();
        pool
    }
}

/// One server for all: to start it takes longer than what is tried on it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_server_shows() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(PostgresConfig::new(directory.path())).await.unwrap();
    let server = Server { postgres };
    tokio::join!(
        schema::nodes_that_start_together_migrate_once(&server),
        schema::a_newer_schema_is_left_alone(&server),
        schema::who_is_refused_does_not_wait(&server),
        vault::two_nodes_that_meet_a_person_at_once_get_one_key(&server),
        vault::an_erased_person_stays_erased(&server),
        vault::a_tombstone_cannot_be_lifted(&server),
        vault::what_is_written_is_durable_whatever_the_session_says(&server),
        leads::one_leads_and_the_next_follows(&server),
        leads::a_lost_lead_is_told(&server),
    );
    vault::without_its_store_a_node_neither_seals_nor_opens(server).await;
}
