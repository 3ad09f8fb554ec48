//! `tally rebuild`: a read model, or the warehouse, from the first event on, beside the one that is served, then the swap.

mod warehouse;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use platform::clock::Clock;
use platform::config::Config;
use platform::shutdown::Shutdown;
use projections::{Deps, Progress};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::foundation::{self, Database, Log};

/// What the warehouse is called here.
const WAREHOUSE: &str = "warehouse";

/// Where nobody looks at a bar, a line this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

const STYLE: &str = "{msg:10} [{bar:30}] {percent:>3} %  {prefix}  {elapsed}, {eta} to go";

/// A read model anew, or the warehouse.
#[derive(Args)]
pub(crate) struct Rebuild {
    /// Which; none is all read models, one after the other.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(names()))]
    views: Vec<String>,
}

fn names() -> Vec<&'static str> {
    let mut names = projections::view_names();
    names.push(WAREHOUSE);
    names
}

impl Rebuild {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        platform::telemetry::init(&config.telemetry)?;
        let shutdown = Shutdown::new();
        shutdown.watch_signals().context("cannot listen for signals")?;
        let log = Log::beside(config, "rebuild").await?;
        let database = Database::beside(config, &shutdown).await?;
        let deps = Deps::new(log.log.clone(), database.pool.clone(), Clock::system());
        let views = if self.views.is_empty() {
            projections::view_names().into_iter().map(str::to_owned).collect()
        } else {
            self.views.clone()
        };
        for view in &views {
            if view == WAREHOUSE {
                let client = foundation::warehouse::beside(config)?
                    .context("there is no warehouse: start it with `tally up`, or set clickhouse.url")?;
                warehouse::rebuild(config, &*log.log, &database.pool, &client, &shutdown).await?;
            } else {
                rebuild(&deps, view, &shutdown).await?;
            }
        }
        drop(deps);
        database.close().await?;
        log.close().await
    }
}

async fn rebuild(deps: &Deps, view: &str, shutdown: &Shutdown) -> anyhow::Result<()> {
    let meter = Mutex::new(Meter::new(view)?);
    let progress = |progress: Progress| {
        // the one who shows it does not panic, and nobody else has it
        if let Ok(mut meter) = meter.lock() {
            meter.show(progress);
        }
    };
    let done = projections::rebuild(deps, view, &shutdown.part(), &progress).await;
    if let Ok(meter) = meter.lock() {
        meter.bar.finish_and_clear();
    }
    done?;
    println!("{view}: rebuilt and swapped in");
    Ok(())
}

/// How far a rebuild is, on a terminal as a bar, elsewhere as lines.
struct Meter {
    view: String,
    bar: ProgressBar,
    is_terminal: bool,
    begun: Instant,
    told: Instant,
    is_begun: bool,
}

impl Meter {
    fn new(view: &str) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(1)
            .with_style(ProgressStyle::with_template(STYLE)?)
            .with_message(view.to_owned());
        let (now, is_terminal) = (Instant::now(), std::io::stderr().is_terminal());
        Ok(Self { view: view.to_owned(), bar, is_terminal, begun: now, told: now, is_begun: false })
    }

    fn show(&mut self, progress: Progress) {
        let (reached, head) = shares(progress);
        if !self.is_begun {
            self.is_begun = true;
            println!(
                "{}: {}",
                self.view,
                if progress.is_resumed { "goes on where an earlier one stopped" } else { "begins" }
            );
            self.bar.set_length(head);
            // what an earlier run did says nothing about the time that is left
            self.bar.set_position(reached);
            self.bar.reset_eta();
        }
        self.bar.set_length(head);
        self.bar.set_position(reached);
        let per_second = progress.events as f64 / self.begun.elapsed().as_secs_f64().max(f64::EPSILON);
        self.bar.set_prefix(format!("{} events, {per_second:.0}/s", progress.events));
        if !self.is_terminal && self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            println!(
                "{}: {} %, {} events, {per_second:.0}/s, {} s to go",
                self.view,
                reached * 100 / head,
                progress.events,
                self.bar.eta().as_secs()
            );
        }
    }
}

/// How far it is, and of what: the log grows meanwhile, and what was its head may be behind.
fn shares(progress: Progress) -> (u64, u64) {
    let reached = progress.position.map_or(0, |position| position.0);
    let head = progress.head.map_or(0, |head| head.0);
    (reached, head.max(reached).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Position;

    #[test]
    fn progress_is_never_beyond_the_end() {
        let at = |position, head| {
            let (position, head) = (Some(Position(position)), Some(Position(head)));
            shares(Progress { position, head, events: 0, is_resumed: false })
        };
        assert_eq!((at(50, 100), at(120, 100), at(0, 0)), ((50, 100), (120, 120), (0, 1)));
    }
}
