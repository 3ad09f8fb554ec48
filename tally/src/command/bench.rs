//! `tally bench`: what this machine does, each figure beside its baseline in the same run.

mod append_node;
mod audience;
mod bare;
mod bare_commit;
mod bare_rows;
mod big_log;
mod centrifuge;
mod child;
mod command_to_socket;
mod durable_chat;
mod fan_out;
mod figure;
mod figures;
mod freshness;
mod http;
mod idle_memory;
mod lag;
mod load;
mod loading;
mod log_size;
mod machine;
mod node_process;
mod past;
mod peers;
mod people;
mod projection;
mod recovery;
mod resume;
mod room;
mod stateless;
mod told;
mod warehouse;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use platform::config::Config;
use platform::shutdown::Shutdown;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::child::{Server, Start, TemporaryDir};
use self::figure::Figure;
use self::peers::Peers;
use self::people::People;
use self::room::Stage;
use crate::services::Services;

/// Events of the largest log, where nobody says how many.
const EVENTS_OF_LOG: u64 = 1_000_000;

/// Measurements. Each starts servers of its own, in a directory of its own; a running server is left alone.
#[derive(Args)]
pub(crate) struct Bench {
    /// Rounds of each figure; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds of each measurement in a round.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Only this figure.
    #[arg(long, value_name = "NAME")]
    only: Option<Name>,
    /// Write the results as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A directory on the disk that is to be measured; by default the system's for temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Events of the largest log or warehouse, where that matters: a hundred million in a log take 15 GB of disk, ten million in a warehouse some
    /// minutes. By default a million in a log (recovery, log-size) and ten million in a warehouse (figures).
    #[arg(long, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    events: Option<u64>,
    #[command(flatten)]
    peers: Peers,
    /// Be the echo.
    #[arg(long, hide = true)]
    serve_echo: bool,
    /// Be the stateless server.
    #[arg(long, hide = true)]
    serve_stateless: bool,
    /// Be the write side, with stores of its own.
    #[arg(long, hide = true)]
    serve_write_side: bool,
    /// Be the bare fan-out loop.
    #[arg(long, hide = true)]
    serve_bare: bool,
}

/// The figures.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Chat commands a second, flushed to disk before they are answered, beside a handler that keeps nothing.
    DurableChat,
    /// From a command to the last of 1,000 sockets, beside a bare flush and a bare fan-out.
    CommandToSocket,
    /// Frames to 1,000 sockets for a second of processor time, beside a bare loop and Centrifuge.
    FanOut,
    /// Appends to the event-log node and reads from it, beside an echo, a bare flush, the real server and UmaDB.
    AppendNode,
    /// From the start of a node that was killed to its first durable append.
    Recovery,
    /// What appends, look-ups and reads cost in logs of ever more events.
    LogSize,
    /// Read models that catch up with the log, beside bare inserts of the same rows, and how late their rows are.
    Projection,
    /// Resident memory of the server for each of 5,000 idle viewers, beside a bare loop's and Centrifuge's.
    IdleMemory,
    /// 5,000 viewers who come back after the server was killed, until all have what they missed.
    Resume,
    /// The loader from a private Kafka to a private ClickHouse, beside bare inserts of the same rows in equal blocks; nothing lost, nothing doubled.
    Loading,
    /// From a command to the figure that counts it, through the whole pipeline.
    Freshness,
    /// What the API asks the warehouse for each of its figures, over a million events and over `--events`.
    Figures,
}

/// What all figures of a run share.
struct Run<'a> {
    rounds: u32,
    length: Duration,
    dir: &'a Path,
    people: People,
    peers: &'a Peers,
}

impl Bench {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        if self.serve_stateless {
            return stateless::run(config).await;
        }
        if self.serve_write_side {
            return crate::services::run(config, Services::WRITE_SIDE).await;
        }
        if self.serve_echo {
            let listening = |address| println!("{address}");
            return Ok(embedded::event_log::measure::serve_echo(listening).await?);
        }
        if self.serve_bare {
            return fan_out::serve_bare(config).await;
        }
        let parent = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let machine = machine::describe(&parent);
        println!("{machine:#}");
        if machine["fileSystem"] == "tmpfs" {
            bail!("{} is in memory, where a flush costs nothing: name a --dir on a disk", parent.display());
        }
        if cfg!(debug_assertions) {
            println!("this is a debug build: the figures say nothing about a release\n");
        }
        let dir = TemporaryDir::within(&parent)?;
        let run = Run {
            rounds: self.rounds,
            length: Duration::from_secs(self.seconds),
            dir: dir.path(),
            people: People::new(),
            peers: &self.peers,
        };
        let shutdown = Shutdown::new();
        shutdown.watch_signals().context("cannot listen for signals")?;
        // what was begun is dropped before the directory: servers are killed, stores closed
        let figures = tokio::select! {
            figures = self.measure(&run) => figures?,
            () = shutdown.begun() => bail!("told to stop: nothing was measured"),
        };
        println!();
        figure::print_head();
        figures.iter().for_each(Figure::print);
        if let Some(file) = &self.json {
            let figures: Vec<_> = figures.iter().map(Figure::json).collect();
            let report = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "isDebugBuild": cfg!(debug_assertions),
                "machine": machine,
                "rounds": self.rounds,
                "seconds": self.seconds,
                "figures": figures,
            });
            std::fs::write(file, format!("{report:#}\n"))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    async fn measure(&self, run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
        let (of_log, of_warehouse) =
            (self.events.unwrap_or(EVENTS_OF_LOG), self.events.unwrap_or(figures::EVENTS));
        let mut figures = Vec::new();
        for name in Name::value_variants().iter().filter(|name| self.only.is_none_or(|only| only == **name)) {
            figures.extend(match name {
                Name::DurableChat => durable_chat::measure(run).await?,
                Name::CommandToSocket => command_to_socket::measure(run).await?,
                Name::FanOut => fan_out::measure(run).await?,
                Name::AppendNode => append_node::measure(run).await?,
                Name::Recovery => recovery::measure(run, of_log).await?,
                Name::LogSize => log_size::measure(run, of_log).await?,
                Name::Projection => projection::measure(run).await?,
                Name::IdleMemory => idle_memory::measure(run).await?,
                Name::Resume => resume::measure(run).await?,
                Name::Loading => loading::measure(run).await?,
                Name::Freshness => freshness::measure(run).await?,
                Name::Figures => figures::measure(run, of_warehouse).await?,
            });
        }
        Ok(figures)
    }
}

impl Run<'_> {
    /// The whole product, with stores of its own.
    async fn tally(&self, name: &str) -> anyhow::Result<Server> {
        self.start(name, &["up"]).await
    }

    /// The write side alone, with a node and a vault of its own.
    async fn write_side(&self, name: &str) -> anyhow::Result<Server> {
        self.start(name, &["bench", "--serve-write-side"]).await
    }

    async fn start(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Server> {
        self.say(&format!("starting {name}"));
        Server::start(Start {
            name,
            arguments,
            environment: self.people.environment(),
            dir: self.dir,
            ready_path: Some("/health/ready"),
        })
        .await
    }

    /// The bare fan-out loop.
    async fn bare(&self, name: &str) -> anyhow::Result<Server> {
        let environment = Vec::new();
        let arguments = &["bench", "--serve-bare"];
        Server::start(Start { name, arguments, environment, dir: self.dir, ready_path: None }).await
    }

    /// A new show with an audience that has tokens.
    async fn stage(&self, server: &Server, persons: usize) -> anyhow::Result<Stage> {
        let show = self.people.show(server.address).await?;
        let tokens = (0..persons).map(|person| self.people.viewer(person)).collect::<anyhow::Result<_>>()?;
        Ok(Stage { address: server.address, process: server.process, show, tokens })
    }

    fn say(&self, line: &str) {
        println!("{line}");
    }
}
