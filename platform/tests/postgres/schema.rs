use std::time::{Duration, Instant};

use platform::postgres::{PostgresError, connect, migrate};

use crate::Server;

pub async fn nodes_that_start_together_migrate_once(server: &Server) {
    let pool = connect(&server.database("together").await, 10).await.unwrap();
    let results = futures::future::join_all((0..4).map(|_| migrate(&pool))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    migrate(&pool).await.unwrap();
    let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM vault.keys").fetch_one(&pool).await.unwrap();
    assert_eq!(keys, 0);
}

pub async fn a_newer_schema_is_left_alone(server: &Server) {
    let pool = server.migrated("newer").await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (999999, 'of a newer node', true, '', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    migrate(&pool).await.unwrap();
}

pub async fn who_is_refused_does_not_wait(server: &Server) {
    let begun = Instant::now();
    let url = server.postgres.url();
    let (before, rest) = url.split_once("postgres://tally:").unwrap();
    let (_, address) = rest.split_once('@').unwrap();
    for url in [format!("{before}postgres://tally:wrong@{address}"), format!("{url}_that_is_not_there")] {
        let refused = connect(&url, 1).await;
        assert!(matches!(refused, Err(PostgresError::Unreachable(_))), "{refused:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(matches!(connect("no url", 1).await, Err(PostgresError::Url(_))));
}
