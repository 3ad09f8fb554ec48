//! What the two tests of the projector share: a database and a log's node of their own, random histories.

#[allow(dead_code, reason = "the projections' own tests use all of it")]
#[expect(clippy::unwrap_used, reason = "made for tests, where a failing helper fails")]
#[path = "../../../../projections/tests/it/events.rs"]
mod events;
#[allow(dead_code, reason = "the projections' own tests use all of it")]
#[expect(clippy::unwrap_used, reason = "made for tests, where a failing helper fails")]
#[path = "../../../../projections/tests/it/history.rs"]
mod history;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use embedded::event_log::{Node, NodeConfig};
use embedded::postgres::{Postgres, PostgresConfig};
use parking_lot::Mutex;
use platform::clock::Clock;
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::{EventLog, Expected, NewEvent};
use projections::{Deps, Fuse, Projections, ViewState, hash_of, rebuild, view_names};
use schemas::{Position, Timestamp};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::harness::{Violation, promise, violation};
use crate::projector_process::ProjectorProcess;

/// Longest that a view may take to get to the head of the log.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);
const MIGRATION: &str = include_str!("../../../../migrations/postgres/0020_read_models.sql");

/// Events in log order, each with its stream.
pub(super) type Events = Vec<(String, NewEvent)>;

/// A random history of at least so many events.
pub(super) fn history(seed: u64, length: u32) -> Events {
    history::History::of(seed, length as usize)
}

/// A database, and a log to fill it from.
pub(super) struct ReadModels {
    pub(super) postgres: Postgres,
    pub(super) directory: TempDir,
    pub(super) pool: PgPool,
    node: Node,
    log: Arc<EventStoreLog>,
    head: Mutex<Option<Position>>,
    _log_directory: TempDir,
}

impl ReadModels {
    pub(super) async fn start(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let directory = tally_tests::server::data_dir();
        let mut config = PostgresConfig::new(directory.path());
        config
            .settings
            .extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let postgres = Postgres::start(config).await?;
        let options = PgConnectOptions::from_str(&postgres.url())?.options([("TimeZone", "UTC")]);
        let pool = PgPoolOptions::new().max_connections(16).connect_with(options).await?;
        sqlx::raw_sql(MIGRATION).execute(&pool).await?;
        let log_directory = tempfile::tempdir()?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let node = Node::start(NodeConfig::new(log_directory.path()).listen(listen)).await?;
        let log = Arc::new(EventStoreLog::new(&log_url(&node), "torture")?);
        Ok(Self {
            postgres,
            directory,
            pool,
            node,
            log,
            head: Mutex::default(),
            _log_directory: log_directory,
        })
    }

    /// A projector of its own process.
    pub(super) fn projector(&self, program: &Path) -> anyhow::Result<ProjectorProcess> {
        ProjectorProcess::start(program, &self.postgres.url(), &log_url(&self.node))
    }

    pub(super) fn deps(&self, fuse: Fuse) -> Deps {
        let clock = Clock::manual(Timestamp::from_millis(0));
        Deps { fuse, ..Deps::new(self.log.clone(), self.pool.clone(), clock) }
    }

    pub(super) fn log(&self) -> Arc<EventStoreLog> {
        Arc::clone(&self.log)
    }

    pub(super) async fn append(&self, events: &[(String, NewEvent)]) -> anyhow::Result<()> {
        for (stream, event) in events {
            let appended = self.log.append(stream, Expected::Any, vec![event.clone()]).await?;
            *self.head.lock() = Some(appended.position);
        }
        Ok(())
    }

    pub(super) fn head(&self) -> Option<Position> {
        *self.head.lock()
    }

    /// The committed position of what a view serves. The pool may hold connections to a server that is dead.
    pub(super) async fn position(&self, view: &str) -> Result<Option<Position>, sqlx::Error> {
        let position: Option<Option<i64>> =
            sqlx::query_scalar("SELECT position FROM read.positions WHERE view = $1")
                .bind(view)
                .fetch_optional(&self.pool)
                .await?;
        Ok(position.flatten().and_then(|position| position.try_into().ok()).map(Position))
    }

    pub(super) async fn is_reached(&self, view: &str) -> bool {
        self.position(view).await.is_ok_and(|position| position >= self.head())
    }

    /// Puts a checkpoint somewhere, as a build does that keeps it apart from the rows.
    pub(super) async fn set_position(&self, view: &str, position: Option<Position>) -> anyhow::Result<()> {
        let position = position.map(|position| i64::try_from(position.0)).transpose()?;
        let sql = "UPDATE read.views SET position = $2 WHERE view = $1 AND status <> 'RETIRED'";
        sqlx::query(sql).bind(view).bind(position).execute(&self.pool).await?;
        Ok(())
    }

    /// Waits until every view is at the head of the log, whoever fills it. None must halt.
    pub(super) async fn all_reached(&self) -> Result<(), Violation> {
        for view in view_names() {
            let what = format!("{view} gets to the head of the log");
            let mut halted = None;
            self.until(&what, async || {
                halted = self.halted().await;
                halted.is_some() || self.is_reached(view).await
            })
            .await?;
            promise(halted.is_none(), || format!("a view is halted: {}", halted.unwrap_or_default()))?;
        }
        Ok(())
    }

    /// A view that is halted, and why; `None` also where the database is away.
    async fn halted(&self) -> Option<String> {
        let sql = "SELECT concat(view, ': ', detail) FROM read.views WHERE status = 'HALTED'";
        sqlx::query_scalar(sql).fetch_optional(&self.pool).await.ok().flatten()
    }

    /// Waits until something holds; a promise that it will.
    pub(super) async fn until(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut() -> bool,
    ) -> Result<(), Violation> {
        let start = Instant::now();
        while !holds().await {
            promise(start.elapsed() < PATIENCE, || format!("never happens: {what}"))?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Whether each view holds the same rows as one that is made anew from the first event on.
    pub(super) async fn compare(&self) -> anyhow::Result<()> {
        let deps = self.deps(Fuse::none());
        for view in view_names() {
            let live = hash_of(&self.pool, view).await?.context("the view serves nothing")?.hash;
            rebuild(&deps, view, &CancellationToken::new(), &|_| {}).await.map_err(|error| {
                violation("a view cannot be made anew")(format!("{:#}", anyhow::Error::new(error)))
            })?;
            let replayed = hash_of(&self.pool, view).await?.context("the view serves nothing")?.hash;
            promise(live == replayed, || format!("{view} is not what a full replay makes"))?;
        }
        Ok(())
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.pool.close().await;
        self.postgres.stop().await?;
        drop(self.log);
        self.node.shutdown().await?;
        Ok(())
    }
}

fn log_url(node: &Node) -> String {
    format!("esdb://{}?tls=false", node.addr())
}

/// Waits until a view is at the head of the log, or until something else ends the wait. It must not halt.
pub(super) async fn reached(
    models: &ReadModels,
    projections: &Projections,
    view: &str,
    is_over: impl Fn() -> bool,
) -> Result<(), Violation> {
    let start = Instant::now();
    while !is_over() && !models.is_reached(view).await {
        let status = projections.health().remove(view);
        let is_halted = matches!(status.as_ref().map(|status| &status.state), Some(ViewState::Halted { .. }));
        promise(!is_halted && start.elapsed() < PATIENCE, || {
            format!("{view} does not get to the head of the log: {status:?}")
        })?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
