//! Projections: catching up with a log beside bare inserts of the same rows, and how late rows are at a steady rate.
//!
//! They run in this process, over a private Postgres with the product's settings. Catching up reads a log in memory,
//! so that the figure is theirs and not the log's. The lag is over an embedded node: from the call that appends until a
//! reader of the database sees the rows.

use anyhow::{Context, ensure};
use embedded::event_log::{Node, NodeConfig};
use embedded::postgres::{Postgres, PostgresConfig};
use futures::{StreamExt, TryStreamExt};
use platform::clock::Clock;
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::memory::MemoryLog;
use platform::event_log::{EventLog, Expected};
use projections::{Deps, Projections, hash_of};
use sqlx::PgPool;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Run;
use super::bare_rows::{Rows, TABLES};
use super::child::create_dir;
use super::figure::Figure;
use super::lag;
use super::past::{Append, Show};

/// Events of shows in the log, at least: a second or two of catching up.
const EVENTS: usize = 120_000;

/// Shows that they are spread over.
const SHOWS: u32 = 8;

/// Events of one append while the log is filled.
const APPEND_EVENTS: usize = 500;

/// Appends under way while the log is filled.
const APPENDS_AT_ONCE: usize = 64;

/// Rows of a bare insert: as many as a projection's largest batch has events.
const BATCH_ROWS: usize = 5_000;

/// Catching up may take so long before something is wrong.
const CATCH_UP_MAX: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(2);

/// Connections: two for each view, as many for the bare inserts, and some to look.
const CONNECTIONS_MAX: u32 = 24;

/// How many milliseconds a row may be late, by our own goal.
const LAG_GOAL_MS: f64 = 20.0;

/// A log, a database, and what fills the one.
struct Stores {
    postgres: Postgres,
    pool: PgPool,
    log: Arc<dyn EventLog>,
    shows: Vec<Show>,
    events: usize,
}

/// Measures one view, all views, and the lag.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let dir = run.dir.join("projection");
    create_dir(&dir)?;
    let mut figures =
        catch_up(run, Stores::start(&dir.join("memory"), Arc::new(MemoryLog::new(1))).await?).await?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let node = Node::start(NodeConfig::new(dir.join("event-log")).listen(listen)).await?;
    let log = EventStoreLog::new(&format!("kurrentdb://{}?tls=false", node.addr()), "bench")?;
    figures.extend(over_node(run, Stores::start(&dir.join("node"), Arc::new(log)).await?).await?);
    node.shutdown().await.context("the node did not stop well")?;
    Ok(figures)
}

async fn catch_up(run: &Run<'_>, stores: Stores) -> anyhow::Result<Vec<Figure>> {
    let mut one = Figure::new("projection/messages", "rows/s", "bare UNNEST inserts of the same rows");
    let mut all = Figure::new(
        "projection/all-views",
        "row writes/s",
        "bare UNNEST inserts of the rows that remain, all tables at once",
    );
    let live = stores.live().await?;
    for round in 0..run.rounds {
        let rows = Rows::of(&stores.pool, "messages", BATCH_ROWS).await?;
        let count = rows.count as f64;
        let bare = rows.insert(&stores.pool, &stores.table("messages").await?).await?;
        one.round(count / stores.rebuild(&["messages"]).await?, count / bare);
        one.note("rows", count);

        let (count, bare) = stores.bare_all().await?;
        let seconds = stores.rebuild(&projections::view_names()).await?;
        let written = stores.rows_written().await?;
        all.round(written / seconds, count / bare);
        all.note("rows that remain", count);
        all.note("rows inserted and updated", written);
        all.note("events/s", stores.events as f64 / seconds);
        for figure in [&one, &all] {
            run.say(&format!("{} round {}: {:.2}", figure.name, round + 1, figure.ratio()));
        }
    }
    ensure!(live == stores.hashes().await?, "a view that was rebuilt is not what it was live");
    stores.stop().await?;
    Ok(vec![one, all])
}

async fn over_node(run: &Run<'_>, mut stores: Stores) -> anyhow::Result<Vec<Figure>> {
    let mut figure = Figure::new("projection/lag", "ms, p99", "the goal");
    let live = Projections::start(&stores.deps());
    stores.reached().await?;
    for round in 0..run.rounds {
        let measured = lag::measure(&stores.pool, &stores.log, &mut stores.shows, run.length).await?;
        figure.round(measured.late.quantile_ms(0.99), LAG_GOAL_MS);
        figure.note("p50 ms", measured.late.quantile_ms(0.50));
        figure.note("p99 ms of the append alone", measured.appended.quantile_ms(0.99));
        figure.note("p50 ms of the append alone", measured.appended.quantile_ms(0.50));
        figure.note("events/s", measured.per_second);
        run.say(&format!("{} round {}: {:.1} ms", figure.name, round + 1, measured.late.quantile_ms(0.99)));
    }
    stores.reached().await?;
    live.shutdown().await;
    let live = stores.hashes().await?;
    let begun = Instant::now();
    stores.rebuild(&["messages"]).await?;
    figure.note("then catching up with messages alone, s", begun.elapsed().as_secs_f64());
    stores.rebuild(&projections::view_names()).await?;
    ensure!(live == stores.hashes().await?, "a view that was rebuilt is not what it was live");
    stores.stop().await?;
    Ok(vec![figure])
}

impl Stores {
    async fn start(dir: &Path, log: Arc<dyn EventLog>) -> anyhow::Result<Self> {
        let postgres = Postgres::start(PostgresConfig::new(dir)).await?;
        let pool = platform::postgres::connect(&postgres.url(), CONNECTIONS_MAX).await?;
        platform::postgres::migrate(&pool).await?;
        let mut stores = Self { postgres, pool, log, shows: Vec::new(), events: 0 };
        for number in 0..SHOWS {
            let (show, begin) = Show::live(number)?;
            stores.shows.push(show);
            stores.append(vec![begin]).await?;
        }
        while stores.events < EVENTS {
            let more = stores.shows.iter_mut().map(|show| show.go_on(APPEND_EVENTS));
            let more = more.collect::<anyhow::Result<Vec<_>>>()?;
            stores.append(more.into_iter().flatten().collect()).await?;
        }
        Ok(stores)
    }

    /// Appends to different streams wait for the disk together.
    async fn append(&mut self, appends: Vec<Append>) -> anyhow::Result<()> {
        self.events += appends.iter().map(|(_, events)| events.len()).sum::<usize>();
        let log = &self.log;
        let all = appends
            .into_iter()
            .map(async |(stream, events)| log.append(&stream, Expected::Any, events).await);
        futures::stream::iter(all).buffer_unordered(APPENDS_AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(())
    }

    fn deps(&self) -> Deps {
        Deps::new(Arc::clone(&self.log), self.pool.clone(), Clock::system())
    }

    /// What live projections make of the log.
    async fn live(&self) -> anyhow::Result<Vec<String>> {
        let projections = Projections::start(&self.deps());
        self.reached().await?;
        projections.shutdown().await;
        self.hashes().await
    }

    async fn hashes(&self) -> anyhow::Result<Vec<String>> {
        let mut hashes = Vec::new();
        for view in projections::view_names() {
            hashes.push(hash_of(&self.pool, view).await?.context("a view serves nothing")?.hash);
        }
        Ok(hashes)
    }

    async fn reached(&self) -> anyhow::Result<()> {
        let head = self.log.head().await?;
        let wait = async {
            while lag::reached(&self.pool, &projections::view_names()).await? < head {
                sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        timeout(CATCH_UP_MAX, wait).await.context("the projections do not reach the log's head")?
    }

    /// Where the rows of a table stand.
    async fn table(&self, table: &str) -> anyhow::Result<String> {
        let view = match table {
            "persons" => "viewers",
            "tip_totals" => "tips",
            own => own,
        };
        let (version, generation): (i32, i32) =
            sqlx::query_as("SELECT version, generation FROM read.active WHERE view = $1")
                .bind(view)
                .fetch_one(&self.pool)
                .await?;
        Ok(format!("{view}_v{version}_g{generation}.{table}"))
    }

    async fn bare_all(&self) -> anyhow::Result<(f64, f64)> {
        let (mut inserts, mut count) = (Vec::new(), 0.0);
        for table in TABLES {
            let rows = Rows::of(&self.pool, table, BATCH_ROWS).await?;
            count += rows.count as f64;
            inserts.push((rows, self.table(table).await?));
        }
        let begun = Instant::now();
        let at_once = inserts.into_iter().map(|(rows, like)| {
            let pool = self.pool.clone();
            tokio::spawn(async move { rows.insert(&pool, &like).await })
        });
        for ended in futures::future::join_all(at_once).await {
            ended.context("an insert panicked")??;
        }
        Ok((count, begun.elapsed().as_secs_f64()))
    }

    /// Rows that were inserted and updated in the generations that are served.
    async fn rows_written(&self) -> anyhow::Result<f64> {
        let written: i64 = sqlx::query_scalar(
            "SELECT sum(n_tup_ins + n_tup_upd)::bigint FROM pg_stat_user_tables s
             JOIN read.active a ON s.schemaname = format('%s_v%s_g%s', a.view, a.version, a.generation)
             WHERE s.relname <> 'stream_revisions'",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(written as f64)
    }

    /// Rebuilds views at once, and tells the seconds.
    async fn rebuild(&self, views: &[&'static str]) -> anyhow::Result<f64> {
        let begun = Instant::now();
        // one for all of them, as within a process: they read the log together as far as they can
        let deps = self.deps();
        let rebuilds = views.iter().map(|view| {
            let (deps, view) = (deps.clone(), *view);
            tokio::spawn(async move {
                projections::rebuild(&deps, view, &CancellationToken::new(), &|_| {}).await
            })
        });
        for ended in futures::future::join_all(rebuilds).await {
            ended.context("a rebuild panicked")??;
        }
        let seconds = begun.elapsed().as_secs_f64();
        projections::drop_retired(&self.pool, Duration::ZERO).await?;
        Ok(seconds)
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.pool.close().await;
        Ok(self.postgres.stop().await?)
    }
}
