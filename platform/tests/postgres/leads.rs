use std::time::Duration;

use platform::postgres::{AdvisoryLock, Leadership, connect, key_of};
use tokio_util::sync::CancellationToken;

use crate::Server;

const PATIENCE: Duration = Duration::from_secs(20);

pub async fn one_leads_and_the_next_follows(server: &Server) {
    let pool = connect(&server.database("leads").await, 4).await.unwrap();
    let cancel = CancellationToken::new();
    let first = Leadership::acquire(&pool, "sweeper", &cancel).await.unwrap();
    let other = Leadership::acquire(&pool, "another", &cancel).await.unwrap();
    assert!(AdvisoryLock::try_acquire(&pool, "sweeper").await.unwrap().is_none());
    let next = Leadership::acquire(&pool, "sweeper", &cancel);
    tokio::pin!(next);
    assert!(tokio::time::timeout(Duration::from_secs(2), &mut next).await.is_err());
    first.release().await;
    let next = tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap();
    assert!(!next.lost().is_cancelled() && !other.lost().is_cancelled());
    drop(next);
    // dropped, not released: the server notices that the connection is gone
    let last = tokio::time::timeout(PATIENCE, Leadership::acquire(&pool, "sweeper", &cancel)).await;
    let _last = last.unwrap().unwrap();
    cancel.cancel();
    assert!(Leadership::acquire(&pool, "sweeper", &cancel).await.is_none());
}

pub async fn a_lost_lead_is_told(server: &Server) {
    let pool = connect(&server.database("lost").await, 4).await.unwrap();
    let cancel = CancellationToken::new();
    let lead = Leadership::acquire(&pool, "relay", &cancel).await.unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_locks \
                WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = $1 AND granted";
    sqlx::query(kill).bind(key_of("relay")).execute(&pool).await.unwrap();
    tokio::time::timeout(PATIENCE, lead.lost().cancelled()).await.expect("the loss is told in time");
    let next = tokio::time::timeout(PATIENCE, Leadership::acquire(&pool, "relay", &cancel)).await;
    assert!(next.unwrap().is_some());
}
