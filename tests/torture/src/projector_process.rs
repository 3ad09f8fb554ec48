//! A projector of all views as a process of its own.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use platform::clock::Clock;
use platform::event_log::eventstore::EventStoreLog;
use projections::{Deps, Projections};
use rustix::process::{Pid, Signal, kill_process};
use schemas::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// Connections besides the one of each view: as few as suffice.
const CONNECTIONS_MAX: u32 = 4;

/// A running projector. Dropping it kills it.
#[derive(Debug)]
pub struct ProjectorProcess {
    child: Child,
}

impl ProjectorProcess {
    /// Starts this program as a projector, and does not wait for it: it may die at any instant.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(program: &Path, postgres_url: &str, log_url: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        // its standard input ends with us, and it with that
        command.args(["projector", postgres_url, log_url]).stdin(Stdio::piped());
        Ok(Self { child: command.spawn().context("cannot start a projector")? })
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// Where it is gone by itself.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.ensure_runs()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it does nothing until [`ProjectorProcess::thaw`].
    ///
    /// # Errors
    /// Where it is gone by itself.
    pub fn freeze(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// Where it is gone by itself.
    pub fn thaw(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// A calm end.
    ///
    /// # Errors
    /// Where it does not end well.
    pub fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "a projector ended with {status}");
        Ok(())
    }

    fn ensure_runs(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "a projector ended by itself: {ended:?}");
        Ok(())
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.ensure_runs()?;
        let pid = Pid::from_raw(self.child.id().try_into()?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for ProjectorProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the projector, until standard input ends.
///
/// # Errors
/// Where an address is none.
pub async fn run(postgres_url: &str, log_url: &str) -> anyhow::Result<()> {
    let options = PgConnectOptions::from_str(postgres_url)?.options([("TimeZone", "UTC")]);
    // lazily: the database may be away
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).connect_lazy_with(options);
    let log = Arc::new(EventStoreLog::new(log_url, "torture-projector")?);
    let projections =
        Projections::start(&Deps::new(log, pool.clone(), Clock::manual(Timestamp::from_millis(0))));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    projections.shutdown().await;
    pool.close().await;
    Ok(())
}
