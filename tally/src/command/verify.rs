//! `tally verify`: whether Postgres and ClickHouse say what the log says, from any process beside a running Tally.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use platform::clock::Clock;
use platform::config::Config;
use platform::shutdown::Shutdown;

use analytics::verify::{Difference, Outcome, Progress, Stores, Watcher, verify};
use schemas::Timestamp;

use crate::foundation::{Database, Log, warehouse};

/// The exit code where nothing can be said: 1 tells that something is not as it should be, as with `diff`.
const TROUBLE: u8 = 2;

/// Payments under way that are named: more are only counted.
const UNDER_WAY_NAMED: usize = 10;

const DAY_MS: i64 = 86_400_000;

/// Every figure of every show, against the log.
#[derive(Args)]
pub(crate) struct Verify {
    /// How long stores may take to reach the head that the log has now.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait_seconds: u64,
    /// So many differences are printed; all are counted.
    #[arg(long, default_value_t = 1_000)]
    limit: u64,
}

impl Verify {
    pub(crate) async fn run(&self, config: &Config) -> ExitCode {
        match self.verify(config).await {
            Ok(outcome) if outcome.is_well() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("tally: {error:#}");
                ExitCode::from(TROUBLE)
            }
        }
    }

    async fn verify(&self, config: &Config) -> anyhow::Result<Outcome> {
        let mut telemetry = config.telemetry.clone();
        // whole tables are read: that this takes long is no news
        telemetry.log.push_str(",sqlx::query=error");
        platform::telemetry::init(&telemetry)?;
        let shutdown = Shutdown::new();
        shutdown.watch_signals().context("cannot listen for signals")?;
        let log = Log::beside(config, "verify").await?;
        let database = Database::beside(config, &shutdown).await?;
        let stores = Stores {
            log: log.log.clone(),
            views: Some(database.pool.clone()),
            warehouse: warehouse::beside(config)?,
            facts_since: facts_since(config),
        };
        if stores.warehouse.is_none() {
            eprintln!("there is no warehouse: only the log and Postgres are verified");
        }
        let mut printer = Printer { limit: self.limit, printed: 0, begun: Instant::now() };
        let ended = tokio::select! {
            ended = verify(&stores, Duration::from_secs(self.wait_seconds), &mut printer) => Some(ended),
            () = shutdown.begun() => None,
        };
        drop(stores);
        database.close().await?;
        log.close().await?;
        let outcome = ended.context("stopped before the end")??;
        print(&outcome, printer.printed);
        Ok(outcome)
    }
}

/// Since when no fact can have expired, with a day in hand: verification takes its time, and the server has its own clock.
fn facts_since(config: &Config) -> Timestamp {
    match i64::from(config.clickhouse.retention_days) {
        0 => Timestamp::default(),
        days => Clock::system().now().plus_millis(-(days - 1) * DAY_MS),
    }
}

/// Differences on standard output, how far it is on standard error.
struct Printer {
    limit: u64,
    printed: u64,
    begun: Instant,
}

impl Watcher for Printer {
    fn progress(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Waiting { stores } => eprintln!("waiting for {}", stores.join(", ")),
            Progress::Reading { events, position, end } => {
                let per_second = events as f64 / self.begun.elapsed().as_secs_f64().max(f64::EPSILON);
                let percent = position.0 * 100 / end.0.max(1);
                eprintln!(
                    "{events} events read, up to position {position} of {end} ({percent} %), {per_second:.0}/s"
                );
            }
            Progress::Comparing { store, shows, of } => eprintln!("{store}: {shows} of {of} shows compared"),
        }
    }

    fn difference(&mut self, difference: &Difference) {
        if self.printed < self.limit {
            self.printed += 1;
            println!("{difference}");
        }
    }
}

fn print(outcome: &Outcome, printed: u64) {
    if outcome.differences > printed {
        println!("{} more differences are not printed (--limit)", outcome.differences - printed);
    }
    for behind in &outcome.behind {
        println!(
            "not reached: {} is at position {}, and lacks {} events",
            behind.store, behind.position, behind.events
        );
    }
    if !outcome.under_way.is_empty() {
        let named: Vec<_> = outcome.under_way.iter().take(UNDER_WAY_NAMED).map(ToString::to_string).collect();
        println!("{} payments are under way: {}", outcome.under_way.len(), named.join(" "));
    }
    println!(
        "{} shows, {} events up to position {}, {} figures compared, {} differences",
        outcome.shows, outcome.events, outcome.position, outcome.compared, outcome.differences
    );
}
