//! `tally generate`: a history from a seed, through the real event types, into the log. What it writes the domain decided, and
//! what is personal the vault sealed: everything that reads the log reads it like any other.

mod edge;
mod foreign;
mod meter;
mod write;

use anyhow::{Context, bail, ensure};
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use generator::{Digest, Edge, Fate, History, Options, PlainEdge, counts_of};
use platform::clock::Clock;
use platform::config::Config;
use platform::pseudonym::Pseudonyms;
use platform::shutdown::Shutdown;
use platform::vault::{MasterKey, Vault, VaultOptions};
use schemas::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use self::edge::DeploymentEdge;
use self::meter::Meter;
use self::write::Writer;
use crate::foundation::{self, Database, Log, data_dir};
use crate::secrets::Secrets;

/// Shows that are written at the same time: enough for the log's flushes to overlap with playing, few enough for the log to
/// be about in the order of time and for the largest ones to be held.
const SHOWS_AT_ONCE: usize = 6;

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// A history that is made up.
#[derive(Args)]
pub(crate) struct Generate {
    /// Another seed, another history, with other persons.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// At least so many events, and some percent more.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000_000))]
    events: u64,
    /// Over so many months.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
    /// So many creators; by default as many as suit the events.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    creators: Option<u32>,
    /// Up to when, as a date (its midnight in UTC) or an RFC 3339 time; by default today. The same time makes the same history.
    #[arg(long, value_parser = until)]
    until: Option<Timestamp>,
    /// Write nothing; count the events by type, and digest them: two that are equal are the same history.
    #[arg(long)]
    dry_run: bool,
    /// Write even where the log holds other shows.
    #[arg(long)]
    into_existing: bool,
}

fn until(text: &str) -> Result<Timestamp, String> {
    let with_time = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    with_time.parse().map_err(|_| "use a date such as 2025-07-01, or an RFC 3339 time".to_owned())
}

impl Generate {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        let options = self.options();
        println!("planning at least {} events", options.events);
        let history = History::plan_at_least(options)
            .context("so few creators cannot have so many events in so few months: give more of either")?;
        let played = history.shows().iter().filter(|show| show.fate == Fate::Played).count();
        println!(
            "{played} shows ({} with those called off or to come) by {} creators in {} months up to {}",
            history.shows().len(),
            history.creators(),
            self.months,
            options.until,
        );
        if self.dry_run {
            return count(&history);
        }
        platform::telemetry::init(&config.telemetry)?;
        let shutdown = Shutdown::new();
        shutdown.watch_signals().context("cannot listen for signals")?;
        ensure!(
            !foundation::runs_already(config).await?,
            "Tally runs over this data directory: stop it first, as it would end the sessions of shows that are half written"
        );
        let log = Log::open(config, "generate").await?;
        let database = Database::open(config, &shutdown).await?;
        let written = self.write(config, &history, &log, &database, &shutdown).await;
        database.close().await?;
        log.close().await?;
        written?;
        println!("the same again, to go on or to check: tally generate {}", self.again(&history, options));
        Ok(())
    }

    fn options(&self) -> Options {
        let now = Clock::system().now().millis();
        let until = self.until.unwrap_or(Timestamp::from_millis(now - now.rem_euclid(DAY_MS)));
        let (seed, events, months, creators) = (self.seed, self.events, self.months, self.creators);
        Options { seed, events, months, creators, until }
    }

    fn again(&self, history: &History, options: Options) -> String {
        let (seed, events, months, creators) = (self.seed, self.events, self.months, history.creators());
        let until = options.until;
        format!("--seed {seed} --events {events} --months {months} --creators {creators} --until {until}")
    }

    async fn write(
        &self,
        config: &Config,
        history: &Arc<History>,
        log: &Log,
        database: &Database,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        if !self.into_existing {
            foreign::refuse(log.log.as_ref(), history).await?;
        }
        let secrets = Secrets::load(config, &data_dir(config)?)?;
        let pseudonyms = Pseudonyms::new(&secrets.pseudonym_key);
        let master = MasterKey::new(&secrets.master_key);
        let meter = Arc::new(Meter::new(history.shows().iter().map(|show| show.events).sum())?);
        let writer = Arc::new(Writer {
            history: Arc::clone(history),
            edge: Arc::new(DeploymentEdge::new(pseudonyms)),
            log: log.log.clone(),
            vault: Vault::postgres(database.pool.clone(), master, &VaultOptions::default()),
            meter: Arc::clone(&meter),
        });
        let begun = Instant::now();
        let ended = write_shows(&writer, shutdown).await;
        meter.finish();
        let seconds = begun.elapsed().as_secs_f64();
        let (new, known) = meter.counts();
        println!(
            "{new} events written, {known} were there, in {seconds:.1} s ({:.0} events/s)",
            new as f64 / seconds
        );
        ended?;
        if shutdown.has_begun() {
            let again = self.again(history, self.options());
            bail!("stopped between two shows: go on with tally generate {again}");
        }
        Ok(())
    }
}

/// Writes shows in their order, some at the same time. A signal lets those finish that are under way.
async fn write_shows(writer: &Arc<Writer>, shutdown: &Shutdown) -> anyhow::Result<()> {
    let places = writer.unwritten(SHOWS_AT_ONCE).await?;
    futures::stream::iter(places)
        .take_while(|_| std::future::ready(!shutdown.has_begun()))
        .map(|place| {
            let writer = Arc::clone(writer);
            let task = tokio::spawn(async move { writer.write(place).await });
            async move { task.await.context("writing a show panicked")? }
        })
        .buffered(SHOWS_AT_ONCE)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
}

/// Plays everything without a log, and prints what there is.
fn count(history: &Arc<History>) -> anyhow::Result<()> {
    let edge: Arc<dyn Edge> = Arc::new(PlainEdge);
    let meter = Meter::new(history.shows().iter().map(|show| show.events).sum())?;
    let (mut counts, mut digest) = (BTreeMap::new(), Digest::default());
    for (place, plan) in history.shows().iter().enumerate() {
        for happening in history.play(place, &edge) {
            digest.take(plan, &happening)?;
            counts_of(&happening, &mut counts);
        }
        meter.wrote(plan.events);
    }
    meter.finish();
    for (name, count) in &counts {
        println!("{name:<24} {count:>12}");
    }
    println!("{:<24} {:>12}", "all", counts.values().sum::<u64>());
    println!("digest {}", digest.finish());
    Ok(())
}

#[cfg(test)]
mod tests;
