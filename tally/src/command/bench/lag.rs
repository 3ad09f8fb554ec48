//! How late rows are: events are appended at a steady rate, and somebody looks all the time how far the views are.

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use platform::event_log::{EventLog, Expected};
use schemas::{Position, streams};
use sqlx::PgPool;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::super::demo::histogram::Histogram;
use super::past::Show;

/// Events a second, over all shows.
const EVENTS_PER_SECOND: usize = 5_000;

/// Events of one append: what a busy show's actor gathers.
const APPEND_EVENTS: usize = 5;

/// Between two looks: what the answer may be too large by.
const LOOK: Duration = Duration::from_millis(1);

/// After the last append: what is later than this is not late but lost.
const REST: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Default)]
pub(super) struct Lag {
    /// From the call that appends until the rows of all views are visible.
    pub(super) late: Histogram,
    /// From that call until its answer.
    pub(super) appended: Histogram,
    pub(super) per_second: f64,
}

/// An append whose rows are waited for.
struct Waited {
    position: Position,
    begun: Instant,
    events: usize,
}

/// What is waited for, and what was found.
#[derive(Clone, Default)]
struct Meter {
    /// Of shows and of payments: each has views of its own.
    waiting: Arc<Mutex<[VecDeque<Waited>; 2]>>,
    found: Arc<Mutex<Lag>>,
}

/// The views that see events of shows.
const OF_SHOWS: [&str; 4] = ["streams", "viewers", "messages", "tips"];

/// Those that see events of payments.
const OF_PAYMENTS: [&str; 1] = ["payments"];

/// How far all of some views are; `None`: not begun.
pub(super) async fn reached(pool: &PgPool, views: &[&str]) -> anyhow::Result<Option<Position>> {
    let views: Vec<_> = views.iter().map(|view| (*view).to_owned()).collect();
    let sql = "SELECT min(position), count(position) FROM read.positions WHERE view = ANY($1)";
    let (position, begun): (Option<i64>, i64) = sqlx::query_as(sql).bind(&views).fetch_one(pool).await?;
    let all = usize::try_from(begun)? == views.len();
    Ok(position.filter(|_| all).map(u64::try_from).transpose()?.map(Position))
}

/// Appends for a time.
pub(super) async fn measure(
    pool: &PgPool,
    log: &Arc<dyn EventLog>,
    shows: &mut Vec<Show>,
    length: Duration,
) -> anyhow::Result<Lag> {
    let meter = Meter::default();
    let looking = AbortOnDropHandle::new(tokio::spawn(look(pool.clone(), meter.clone())));
    let begun = Instant::now();
    let pace = Pace {
        begun,
        until: begun + length,
        each: Duration::from_secs_f64((APPEND_EVENTS * shows.len()) as f64 / EVENTS_PER_SECOND as f64),
    };
    let mut appending = JoinSet::new();
    for show in shows.drain(..) {
        appending.spawn(append(show, Arc::clone(log), meter.clone(), pace));
    }
    while let Some(ended) = appending.join_next().await {
        shows.push(ended.context("an appender panicked")??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let rest = Instant::now() + REST;
    while !meter.waiting.lock().iter().all(VecDeque::is_empty) {
        ensure!(Instant::now() < rest, "rows are not visible {} s after their events", REST.as_secs());
        ensure!(!looking.is_finished(), "the database cannot be asked");
        sleep(LOOK).await;
    }
    let mut lag = std::mem::take(&mut *meter.found.lock());
    lag.per_second = lag.late.count() as f64 / seconds;
    Ok(lag)
}

/// When appends of a show are due.
#[derive(Clone, Copy)]
struct Pace {
    begun: Instant,
    until: Instant,
    each: Duration,
}

async fn append(mut show: Show, log: Arc<dyn EventLog>, meter: Meter, pace: Pace) -> anyhow::Result<Show> {
    let mut due = pace.begun;
    while due < pace.until {
        sleep_until(due).await;
        due += pace.each;
        for (stream, events) in show.go_on(APPEND_EVENTS)? {
            let (begun, events_count) = (Instant::now(), events.len());
            let kind = usize::from(!stream.starts_with(streams::SHOW));
            let appended = log.append(&stream, Expected::Any, events).await?;
            meter.found.lock().appended.record(begun.elapsed());
            let waited = Waited { position: appended.position, begun, events: events_count };
            meter.waiting.lock()[kind].push_back(waited);
        }
    }
    Ok(show)
}

/// Looks how far the views are, and counts what has become visible.
async fn look(pool: PgPool, meter: Meter) -> anyhow::Result<()> {
    loop {
        let positions = [reached(&pool, &OF_SHOWS).await?, reached(&pool, &OF_PAYMENTS).await?];
        let now = Instant::now();
        for (waiting, reached) in meter.waiting.lock().iter_mut().zip(positions) {
            // shows append at once: what came in later may stand earlier
            waiting.retain(|waited| {
                let is_visible = Some(waited.position) <= reached;
                if is_visible {
                    let mut found = meter.found.lock();
                    (0..waited.events).for_each(|_| found.late.record(now - waited.begun));
                }
                !is_visible
            });
        }
        sleep(LOOK).await;
    }
}
