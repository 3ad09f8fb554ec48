//! Runs the fault tests; `--help` says how.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use rand::Rng;
use tally_torture::fault_proxy::{Fault, FaultProxy, Faults};
use tally_torture::harness::{Plan, run};
use tally_torture::{faults, node_process, projector_process};

/// Fault tests: each round follows from its seed, each promise is checked, and each control, a build that is
/// broken on purpose, must be caught.
#[derive(Parser)]
#[command(name = "torture", version)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Minutes for all tests together; each gets an equal share, and has at least one round.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// What the seeds of all rounds follow from; drawn if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// One test only.
    #[arg(long)]
    only: Option<String>,
    /// Plays one round of the test that `--only` names, with exactly this seed.
    #[arg(long, requires = "only")]
    replay: Option<u64>,
    /// Most rounds of each test.
    #[arg(long, default_value_t = u64::MAX)]
    rounds: u64,
}

#[derive(Subcommand)]
enum Part {
    /// List the tests and what they show.
    List,
    /// Be a node of the log, for the tests that kill it; ends with its standard input.
    #[command(hide = true)]
    Node {
        directory: PathBuf,
        #[arg(long)]
        control: Option<String>,
    },
    /// Be a projector of all views, for the tests that kill it; ends with its standard input.
    #[command(hide = true)]
    Projector { postgres_url: String, log_url: String },
    /// Be one start of a log that was written from a seed, for the test that flips bits; reads once its standard input ends.
    #[command(hide = true)]
    ReadLog {
        directory: PathBuf,
        seed: u64,
        #[arg(long)]
        cuts_damage: bool,
    },
    /// Be a crash disk at an empty directory, told what to do by lines on standard input; ends with it.
    #[cfg(target_os = "linux")]
    Disk { path: PathBuf, seed: u64 },
    /// Be a proxy that makes connections fail: listens on one address, forwards to another.
    Proxy {
        listen: SocketAddr,
        upstream: SocketAddr,
        /// Resets each connection after at most so many bytes.
        #[arg(long)]
        reset_within: Option<u64>,
        /// Delays each piece by so many milliseconds.
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.part {
        None => torture(&arguments).await,
        Some(Part::Node { directory, control }) => {
            node_process::run(directory, control.as_deref()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Part::Projector { postgres_url, log_url }) => {
            projector_process::run(postgres_url, log_url).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Part::ReadLog { directory, seed, cuts_damage }) => {
            // a panic of it is to be the end of the process
            tokio::task::block_in_place(|| faults::log_reader::run(directory, *seed, *cuts_damage))?;
            Ok(ExitCode::SUCCESS)
        }
        #[cfg(target_os = "linux")]
        Some(Part::Disk { path, seed }) => {
            tally_torture::crash_disk::serve(path, *seed)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Part::Proxy { listen, upstream, reset_within, delay_ms, seed }) => {
            let (reset_within, delay) = (*reset_within, Duration::from_millis(*delay_ms));
            let listener = tokio::net::TcpListener::bind(listen).await?;
            let proxy = FaultProxy::over(listener, *upstream, *seed, move |chance| {
                let reset = reset_within.map(|bytes| Fault::ResetAfter(chance.random_range(0..=bytes)));
                let faults: Vec<_> = reset.into_iter().chain([Fault::Delay(delay)]).collect();
                Faults { up: faults.clone(), down: faults }
            })?;
            println!("listening {}", proxy.address());
            tokio::signal::ctrl_c().await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Part::List) => {
            for test in faults::all() {
                println!("{:<16} {}", test.name(), test.claim());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn torture(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let tests = match &arguments.only {
        Some(name) => {
            vec![faults::named(name).with_context(|| format!("no test is called {name}; see `list`"))?]
        }
        None => faults::all(),
    };
    let program: PathBuf = std::env::current_exe()?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let share = Duration::from_secs(arguments.minutes * 60) / u32::try_from(tests.len()).unwrap_or(1);
    println!("seed {seed}; again with --seed {seed}");
    let mut reports = Vec::new();
    for test in &tests {
        println!("{}: {}", test.name(), test.claim());
        let plan = Plan {
            seed,
            duration: share,
            rounds_max: arguments.rounds,
            percent: 100,
            program: program.clone(),
            replay: arguments.replay,
        };
        let report = run(&**test, &plan).await;
        print!("{report}");
        reports.push(report);
    }
    println!();
    reports.iter().for_each(|report| print!("{report}"));
    let is_good = reports.iter().all(tally_torture::harness::Report::is_good);
    println!("{}", if is_good { "every promise held, every control was caught" } else { "FAILED" });
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
