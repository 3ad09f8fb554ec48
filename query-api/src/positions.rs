//! Reading one's own writes: how far the views are, and waiting until they are far enough.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use platform::event_log::EventLog;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::read_model::store_failed;

/// How long a query waits for the views that it reads, as the API promises.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How often positions are read while somebody waits: one small query for all who wait.
const POLL_INTERVAL: Duration = Duration::from_millis(15);

/// How long a log that was asked at a follower may be behind the position that its leader gave out.
const HEAD_PATIENCE: Duration = Duration::from_millis(500);

/// When to try again after a wait in vain.
const RETRY_SECONDS: u64 = 1;

type Reached = BTreeMap<String, u64>;

/// How far the views are.
pub(crate) struct Positions {
    pool: PgPool,
    log: Arc<dyn EventLog>,
    reached: watch::Sender<Arc<Reached>>,
    waiting: AtomicUsize,
    wanted: Notify,
}

/// Somebody waits, as long as this lives.
struct Waiting<'a>(&'a Positions);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Positions {
    pub(crate) fn new(pool: PgPool, log: Arc<dyn EventLog>) -> Self {
        let reached = watch::Sender::new(Arc::new(Reached::new()));
        Self { pool, log, reached, waiting: AtomicUsize::new(0), wanted: Notify::new() }
    }

    /// Reads positions while somebody waits, for as long as it is polled.
    pub(crate) async fn watch(&self) {
        loop {
            self.wanted.notified().await;
            while self.waiting.load(Ordering::Acquire) > 0 {
                match self.read().await {
                    Ok(reached) => drop(self.reached.send_replace(Arc::new(reached))),
                    Err(error) => tracing::warn!(%error, "positions cannot be read"),
                }
                sleep(POLL_INTERVAL).await;
            }
        }
    }

    async fn read(&self) -> Result<Reached, sqlx::Error> {
        let sql = "SELECT view, position FROM read.positions WHERE position IS NOT NULL";
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(view, position)| (view, u64::try_from(position).unwrap_or(0))).collect())
    }

    /// Waits until `views` have reached what the query asks for, and tells what they have reached: the answer's
    /// `Tally-Position`, since rows are read after it.
    pub(crate) async fn reach(&self, views: &[&str], min: MinPosition) -> Result<u64, Problem> {
        let reached = lowest(&self.read().await.map_err(|error| store_failed(&error))?, views);
        let Some(min) = min.0.filter(|min| *min > reached) else { return Ok(reached) };
        self.check_head(min).await?;
        self.wait(views, min, Instant::now() + WAIT_MAX).await.map_err(|reached| {
            let detail = "what you asked for is not here yet; try again";
            Problem::unavailable("position_not_reached", detail, RETRY_SECONDS).with("reached", reached)
        })
    }

    /// Waits until `views` have everything that is in the log now.
    pub(crate) async fn reach_head(&self, views: &[&str]) -> Result<(), Problem> {
        let head = self.log.head().await.map_err(|error| Problem::internal(&error))?;
        self.reach(views, MinPosition(head.map(|head| head.0))).await.map(drop)
    }

    /// What they have reached, if the wait was in vain.
    async fn wait(&self, views: &[&str], min: u64, deadline: Instant) -> Result<u64, u64> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(self);
        let mut news = self.reached.subscribe();
        self.wanted.notify_one();
        loop {
            let reached = lowest(&news.borrow_and_update(), views);
            if reached >= min {
                return Ok(reached);
            }
            // the sender is ours: a change that does not come is a time-out
            if !matches!(timeout_at(deadline, news.changed()).await, Ok(Ok(()))) {
                return Err(reached);
            }
        }
    }

    /// Refuses a position that no answer can have given.
    pub(crate) async fn check_head(&self, min: u64) -> Result<(), Problem> {
        let deadline = Instant::now() + HEAD_PATIENCE;
        loop {
            let head = self.log.head().await.map_err(|error| Problem::internal(&error))?;
            if head.is_some_and(|head| head.0 >= min) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let detail = "the log has no such position: send the Tally-Position of an earlier answer";
                return Err(
                    Problem::unprocessable("position_unknown", detail).with_field("Tally-Min-Position")
                );
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// The lowest position of `views`; a view that has none has nothing.
fn lowest(reached: &Reached, views: &[&str]) -> u64 {
    views.iter().map(|view| reached.get(*view).copied().unwrap_or(0)).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_that_is_furthest_behind_counts() {
        let reached: Reached = [("streams".to_owned(), 9), ("tips".to_owned(), 4)].into();
        assert_eq!(lowest(&reached, &["streams"]), 9);
        assert_eq!(lowest(&reached, &["streams", "tips"]), 4);
        assert_eq!(lowest(&reached, &["streams", "viewers"]), 0);
    }
}
