//! `tally rebuild`: a read model from the first event on, beside the one that is served, then the swap.

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use platform::clock::Clock;
use platform::config::Config;
use platform::shutdown::Shutdown;
use projections::{Deps, Progress};

use crate::foundation::{Database, Log};

/// A read model anew.
#[derive(Args)]
pub(crate) struct Rebuild {
    /// Which; none is all of them, one after the other.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(projections::view_names()))]
    views: Vec<String>,
}

impl Rebuild {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        platform::telemetry::init(&config.telemetry)?;
        let shutdown = Shutdown::new();
        shutdown.watch_signals().context("cannot listen for signals")?;
        let log = Log::open(config, "rebuild").await?;
        let database = Database::open(config, &shutdown).await?;
        let deps = Deps::new(log.log.clone(), database.pool.clone(), Clock::system());
        let views = if self.views.is_empty() {
            projections::view_names().into_iter().map(str::to_owned).collect()
        } else {
            self.views.clone()
        };
        for view in &views {
            rebuild(&deps, view, &shutdown).await?;
        }
        drop(deps);
        database.close().await?;
        log.close().await
    }
}

async fn rebuild(deps: &Deps, view: &str, shutdown: &Shutdown) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{msg:10} [{bar:40}] {percent:>3} %  {elapsed}, {eta} to go")?;
    let bar = ProgressBar::new(1).with_style(style).with_message(view.to_owned());
    let progress = |progress: Progress| {
        bar.set_length(progress.head.map_or(1, |head| head.0.max(1)));
        bar.set_position(progress.position.map_or(0, |position| position.0));
    };
    projections::rebuild(deps, view, &shutdown.part(), &progress).await?;
    bar.finish();
    println!("{view}: rebuilt and swapped in");
    Ok(())
}
