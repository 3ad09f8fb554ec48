//! Being the one: waits for an advisory lock, and tells when it is lost.

use std::time::Duration;

use rand::Rng;
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::AdvisoryLock;

/// Those who are not the one ask so often: a successor is found within it.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// The one asks so often whether it still is. Whatever must be exact has a fence; this bounds double work.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// The lead under a name, among all nodes. Ends when it is dropped, released or lost.
pub struct Leadership {
    lost: CancellationToken,
    /// Ends the heartbeat, which gives the lock away.
    release: DropGuard,
    heartbeat: AbortOnDropHandle<()>,
}

impl Leadership {
    /// Waits until nobody else has the lead; `None` where it was cancelled before. A database that does not
    /// answer is asked again and again.
    pub async fn acquire(pool: &PgPool, name: &'static str, cancel: &CancellationToken) -> Option<Self> {
        cancel.run_until_cancelled(Self::wait(pool, name)).await
    }

    async fn wait(pool: &PgPool, name: &'static str) -> Self {
        loop {
            match AdvisoryLock::try_acquire(pool, name).await {
                Ok(Some(lock)) => return Self::begin(lock, name),
                Ok(None) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(lead.name = name, error, "cannot ask for the lead {name}");
                }
            }
            let jittered = ASK_INTERVAL.mul_f64(rand::rng().random_range(0.8..1.2));
            sleep(jittered).await;
        }
    }

    fn begin(lock: AdvisoryLock, name: &'static str) -> Self {
        tracing::info!(lead.name = name, "took the lead {name}");
        let (lost, release) = (CancellationToken::new(), CancellationToken::new());
        let heartbeat = tokio::spawn(beat(lock, name, lost.clone(), release.clone()));
        Self { lost, release: release.drop_guard(), heartbeat: AbortOnDropHandle::new(heartbeat) }
    }

    /// Cancelled when the lead may be another's: stop what only one may do.
    #[must_use]
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives the lead away, and answers when the database knows.
    pub async fn release(self) {
        drop(self.release);
        // the task does not panic, and nobody else aborts it
        drop(self.heartbeat.await);
    }
}

async fn beat(
    mut lock: AdvisoryLock,
    name: &'static str,
    lost: CancellationToken,
    release: CancellationToken,
) {
    while release.run_until_cancelled(sleep(HEARTBEAT)).await.is_some() {
        if let Err(error) = lock.check().await {
            metrics::counter!("leads_lost_total", "lead" => name).increment(1);
            let error = &error as &dyn std::error::Error;
            tracing::error!(lead.name = name, error, "lost the lead {name}");
            lost.cancel();
            return;
        }
    }
    lock.release().await;
}
