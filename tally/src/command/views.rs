//! `tally views`: how every read model stands, from any process beside whatever fills it.

use anyhow::Context;
use clap::Args;
use platform::clock::Clock;
use platform::config::Config;
use platform::shutdown::Shutdown;
use projections::{Deps, Doing, Standing};
use serde_json::{Value, json};

use crate::foundation::{Database, Log};

/// How read models stand.
#[derive(Args)]
pub(crate) struct Views {
    /// Which; none is all of them.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(projections::view_names()))]
    views: Vec<String>,
    /// Digest the rows of each view that is served: two that are equal hold the same rows. Reads all of them.
    #[arg(long)]
    hash: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Views {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        platform::telemetry::init(&config.telemetry)?;
        let shutdown = Shutdown::new();
        shutdown.watch_signals().context("cannot listen for signals")?;
        let log = Log::beside(config, "views").await?;
        let database = Database::beside(config, &shutdown).await?;
        let deps = Deps::new(log.log.clone(), database.pool.clone(), Clock::system());
        let shown = self.look(&deps).await?;
        if self.json {
            println!("{:#}", Value::from_iter(shown.iter().map(|(standing, hash)| as_json(standing, hash))));
        } else {
            print(&shown);
        }
        drop(deps);
        database.close().await?;
        log.close().await
    }

    /// The generations that were asked for, each that is served with its digest, where that was asked for too.
    async fn look(&self, deps: &Deps) -> anyhow::Result<Vec<(Standing, Option<String>)>> {
        let mut shown = Vec::new();
        for standing in projections::standings(deps).await? {
            if !self.views.is_empty() && !self.views.contains(&standing.view) {
                continue;
            }
            let hash = match self.hash && standing.is_served {
                true => projections::hash_of(&deps.pool, &standing.view).await?,
                false => None,
            };
            shown.push((standing, hash.map(|hash| hash.hash)));
        }
        Ok(shown)
    }
}

fn print(shown: &[(Standing, Option<String>)]) {
    if shown.is_empty() {
        println!("no read models yet: they are made when projections run for the first time");
        return;
    }
    println!(
        "{:<10} {:>10}  {:<20} {:>14} {:>12} {:>10}",
        "view", "generation", "state", "position", "behind", "waits s"
    );
    for (standing, hash) in shown {
        let generation = format!("v{} g{}", standing.version, standing.generation);
        let state =
            format!("{}, {}", word(&standing.doing), if standing.is_served { "served" } else { "beside" });
        let position = standing.position.map_or_else(|| "-".to_owned(), |position| position.to_string());
        let waits = waits_seconds(standing);
        println!(
            "{:<10} {generation:>10}  {state:<20} {position:>14} {:>12} {waits:>10.1}",
            standing.view, standing.behind
        );
        if let Doing::Halted { detail } = &standing.doing {
            println!("           {detail}");
        }
        if let Some(hash) = hash {
            println!("           rows {hash}");
        }
    }
}

fn as_json(standing: &Standing, hash: &Option<String>) -> Value {
    let detail = match &standing.doing {
        Doing::Halted { detail } => Some(detail),
        Doing::Live | Doing::CatchingUp | Doing::Unattended | Doing::Retired => None,
    };
    json!({
        "view": standing.view,
        "version": standing.version,
        "generation": standing.generation,
        "isServed": standing.is_served,
        "state": word(&standing.doing),
        "detail": detail,
        "position": standing.position,
        "behindPositions": standing.behind,
        "waitsSeconds": waits_seconds(standing),
        "hash": hash,
    })
}

fn waits_seconds(standing: &Standing) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a wait of 2^52 ms is a defect of its own")]
    let seconds = standing.behind_ms as f64 / 1_000.0;
    seconds
}

fn word(doing: &Doing) -> &'static str {
    match doing {
        Doing::Live => "live",
        Doing::CatchingUp => "catching up",
        Doing::Halted { .. } => "halted",
        Doing::Unattended => "unattended",
        Doing::Retired => "retired",
    }
}
