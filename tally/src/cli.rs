//! The command line.

use anyhow::Context;
use clap::{Parser, Subcommand};
use platform::config::Config;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::command;
use crate::services::Services;

/// The backend of a live-streaming service: every figure provable from one log.
#[derive(Parser)]
#[command(name = "tally", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// Configuration file (TOML); the environment wins over it, and `tally config` shows both.
    #[arg(long, global = true, env = "TALLY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[expect(clippy::enum_variant_names, reason = "command-api is a service's name")]
enum Command {
    /// Run everything on this machine, with the stores that the configuration leaves open.
    Up,
    /// Run the write side alone: commands to events.
    CommandApi,
    /// Run the read side alone: queries and sockets.
    QueryApi,
    /// Run the projections alone: events to read models.
    Projections,
    /// Run the loader of the warehouse alone: events from Kafka into ClickHouse.
    Analytics,
    /// Run the embedded event-log node alone.
    EventLog,
    /// Check, back up or restore the embedded event log.
    Log(command::log::Log),
    /// Print a development token, and nothing else.
    Token(command::token::Token),
    /// Bring the database schema up to date, then end.
    Migrate,
    /// Build a read model anew beside the one that is served, then swap.
    Rebuild(command::rebuild::Rebuild),
    /// Show how far each read model is, what it is doing, and on request the digest of its rows.
    Views(command::views::Views),
    /// Fold the log from its first event, and compare every figure of every show in Postgres and ClickHouse with it.
    Verify(command::verify::Verify),
    /// Tell how to reach the private ClickHouse of this machine.
    Warehouse(command::warehouse::Warehouse),
    /// Ask a running server whether it is ready; exit code 0 if so.
    Healthcheck(command::healthcheck::Healthcheck),
    /// Print every setting with its value, source, default and meaning.
    Config(command::config::Show),
    /// Play a show with hundreds of viewers over the public API of a running server.
    Demo(command::demo::Demo),
    /// Make a history: months of shows with audiences, chats and tips, from a seed.
    Generate(command::generate::Generate),
    /// Play the chat of a real show again over the public API of a running server.
    Import(command::import::Import),
    /// Measure throughput and latency on this machine, each figure beside its baseline.
    Bench(command::bench::Bench),
    /// Run the private ClickHouse alone; its supervisor asks for it.
    #[command(hide = true, name = embedded::clickhouse::launcher::COMMAND)]
    ClickHouseServer(command::clickhouse_server::ClickHouseServer),
}

impl Cli {
    /// How it ended; an error ends with 1.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = || Config::load(self.config.as_deref()).map_err(anyhow::Error::from);
        match self.command {
            // the only one that has more to tell than whether it went well
            Command::Verify(verify) => {
                let config = config()?;
                return block_on(async { Ok(verify.run(&config).await) });
            }
            Command::Up => serve(&config()?, Services::ALL),
            Command::CommandApi => serve(&config()?, Services::COMMAND_API),
            Command::QueryApi => serve(&config()?, Services::QUERY_API),
            Command::Projections => serve(&config()?, Services::PROJECTIONS),
            Command::Analytics => serve(&config()?, Services::ANALYTICS),
            Command::EventLog => block_on(command::event_log::run(&config()?)),
            Command::Log(log) => log.run(&config()?),
            Command::Token(token) => token.run(&config()?),
            Command::Migrate => block_on(command::migrate::run(&config()?)),
            Command::Rebuild(rebuild) => block_on(rebuild.run(&config()?)),
            Command::Views(views) => block_on(views.run(&config()?)),
            Command::Warehouse(warehouse) => warehouse.run(&config()?),
            Command::Healthcheck(check) => block_on(check.run(&config()?)),
            Command::Config(show) => show.run(self.config.as_deref()),
            Command::Demo(demo) => block_on(demo.run(&config()?)),
            Command::Generate(generate) => block_on(generate.run(&config()?)),
            Command::Import(import) => block_on(import.run(&config()?)),
            Command::Bench(bench) => block_on(bench.run(&config()?)),
            Command::ClickHouseServer(server) => server.run(),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

fn serve(config: &Config, services: Services) -> anyhow::Result<()> {
    block_on(crate::services::run(config, services))
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(work)
}
