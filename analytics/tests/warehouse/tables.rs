//! The tables themselves.

use super::engine::Database;
use analytics::migrate::{Layout, migrate};

#[tokio::test]
async fn migrations_are_applied_once_and_may_be_applied_again() {
    let Some(database) = Database::new().await else { return };
    assert_eq!(migrate(&database.client, &Layout::default()).await.unwrap(), Vec::<&str>::new());
    // as after a stop half-way: everything again, over what is there
    database.client.query("TRUNCATE TABLE schema_migrations").execute().await.unwrap();
    assert_eq!(migrate(&database.client, &Layout::default()).await.unwrap().len(), 3);
    database.drop().await;
}

#[tokio::test]
async fn every_table_and_column_says_what_it_is() {
    let Some(database) = Database::new().await else { return };
    let silent = "SELECT concat(table, '.', name) FROM system.columns WHERE database = currentDatabase() AND comment = ''
        UNION ALL SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''";
    let silent: Vec<String> = database.client.query(silent).fetch_all().await.unwrap();
    assert_eq!(silent, Vec::<String>::new());
    database.drop().await;
}

#[tokio::test]
async fn retention_follows_the_setting() {
    let Some(database) = Database::new().await else { return };
    let ttl =
        "SELECT countIf(engine_full LIKE '% TTL %') FROM system.tables WHERE database = currentDatabase()";
    for (days, kept) in [(Some(30), 8_u64), (Some(30), 8), (Some(60), 8), (None, 0)] {
        migrate(&database.client, &Layout { retention_days: days, cluster: None }).await.unwrap();
        assert_eq!(database.client.query(ttl).fetch_one::<u64>().await.unwrap(), kept, "{days:?}");
    }
    database.drop().await;
}
