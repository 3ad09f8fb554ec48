//! Crashes of the projector at every statement, and of the database at any time.

use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use embedded::postgres::{Postgres, PostgresConfig, PostgresState};
use projections::{Deps, Fuse, Projections, view_names};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;

use super::bench::{Bench, PATIENCE, until};
use super::history::History;

/// Enough batches that every statement of every view is met with rows of its own before it.
const CHUNKS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_statement_changes_no_row() {
    let bench = Bench::new("crashes_statements").await;
    let events = History::of(8, 360);
    let mut crashes = 0;
    for chunk in events.chunks(events.len() / CHUNKS) {
        bench.append(chunk);
        for view in view_names() {
            crashes += crash_everywhere(&bench, view).await;
        }
    }
    assert!(crashes > CHUNKS * view_names().len() * 4, "only {crashes} crashes");
    for view in view_names() {
        let live = bench.hash(view).await;
        assert_eq!(live, bench.replayed(view).await, "{view}");
    }
}

/// Crashes before the first statement, then before the second, and so on until the work is done.
async fn crash_everywhere(bench: &Bench, view: &str) -> usize {
    let mut crashes = 0;
    for statements in 0.. {
        let deps = Deps { fuse: Fuse::after(statements), ..bench.deps() };
        let projections = Projections::start_views(&deps, &[view]);
        until("a crash, or the end", async || deps.fuse.is_blown() || bench.is_reached(view).await).await;
        projections.shutdown().await;
        if !deps.fuse.is_blown() {
            break;
        }
        crashes += 1;
    }
    crashes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_loses_rows_and_checkpoint_together() {
    let dir = tempfile::Builder::new().prefix("tally-projections-").tempdir().unwrap();
    let mut config = PostgresConfig::new(dir.path());
    // so that commits which do not wait for the disk are really lost
    config.settings.insert("wal_writer_delay".to_owned(), "10s".to_owned());
    let postgres = Postgres::start(config).await.unwrap();
    let bench = Bench::over(PgConnectOptions::from_str(&postgres.url()).unwrap()).await;
    let projections = Projections::start(&bench.deps());
    let events = History::of(13, 1_200);
    let mut rolled_back = 0;
    for part in events.chunks(300) {
        for chunk in part.chunks(20) {
            bench.append(chunk);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        all_reached(&bench, &projections).await;
        let before = bench.head();
        bench.log.faults().stall(true);
        kill(&postgres, dir.path()).await;
        for view in view_names() {
            rolled_back += usize::from(position_once_back(&bench, view).await < Some(before));
        }
        bench.log.faults().stall(false);
    }
    assert!(rolled_back > 0, "no commit was lost, so this test shows nothing");
    all_reached(&bench, &projections).await;
    projections.shutdown().await;
    for view in view_names() {
        let live = bench.hash(view).await;
        assert_eq!(live, bench.replayed(view).await, "{view}");
    }
    postgres.stop().await.unwrap();
}

async fn all_reached(bench: &Bench, projections: &Projections) {
    let start = Instant::now();
    for view in view_names() {
        while !bench.is_reached(view).await {
            let health = projections.health();
            assert!(start.elapsed() < PATIENCE, "{view} is not at {}: {health:?}", bench.head());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Kills the server that this test started, without warning, and waits for its supervisor to bring it back: for another
/// process, since a state that passes is not always seen.
async fn kill(postgres: &Postgres, dir: &Path) {
    let killed = postmaster(dir).unwrap();
    kill_process(killed, Signal::KILL).unwrap();
    until("the supervisor brings the database back", async || {
        let state = postgres.state().borrow().clone();
        assert!(!matches!(state, PostgresState::Failed { .. }), "{state:?}");
        state == PostgresState::Running && postmaster(dir).is_some_and(|pid| pid != killed)
    })
    .await;
}

fn postmaster(dir: &Path) -> Option<Pid> {
    let text = fs::read_to_string(dir.join("cluster/postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.parse().ok()?)
}

/// The position that survived. The pool may still hold connections to the dead server.
async fn position_once_back(bench: &Bench, view: &str) -> Option<schemas::Position> {
    let survived = async || -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT position FROM read.positions WHERE view = $1")
            .bind(view)
            .fetch_one(&bench.pool)
            .await
    };
    let mut position = None;
    until("the database is back", async || match survived().await {
        Ok(found) => {
            position = found;
            true
        }
        Err(_) => false,
    })
    .await;
    position.map(|position| schemas::Position(position.try_into().unwrap()))
}
