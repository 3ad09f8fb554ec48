//! Servers as supervised children: what Postgres, Kafka and ClickHouse have in common.
//!
//! Each server has a directory that one process locks, a child process that is started again when it dies, within
//! bounds, and an end that comes with ours: on request, when the handle is dropped, and, if we are killed, by the
//! kernel (Linux, by `setpriv`) or else at the next start, which stops what it finds first.

use std::future::Future;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

pub(crate) mod cache;
pub(crate) mod child;
pub(crate) mod directory;
pub(crate) mod error;
pub(crate) mod orphan;
pub(crate) mod pid_file;
pub(crate) mod probe;
mod supervised;
mod supervisor;
pub(crate) mod tool;

pub(crate) use self::supervised::Supervised;
pub use self::supervisor::free_port;

/// Only this machine reaches the children.
pub(crate) const LISTEN: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The kernel's own kill can only wait for the disk.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// How a supervised server is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerState {
    /// It accepts connections.
    Running,
    /// It died and is being started again.
    Restarting {
        /// Which restart of the last minutes this is, from 1.
        attempt: usize,
    },
    /// It was stopped on request.
    Stopped,
    /// It died too often and stays down.
    Failed {
        /// What was seen last.
        reason: String,
    },
}

/// What a run's last lines say about its early end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EarlyEnd {
    /// Another program has the port.
    PortTaken,
    /// What an earlier run left behind is still going away: a little later it works.
    NotYet,
    /// Something that time does not heal.
    Broken,
}

/// A server that can be supervised: how it is run, and how it is read.
pub(crate) trait Server: Send + Sync + 'static {
    /// What messages call it.
    const NAME: &'static str;

    /// How long it may take to become ready, recovery included.
    fn start_timeout(&self) -> Duration;

    /// The signals of a stop, each with the patience that it is given. The last one kills.
    fn stop_escalation(&self) -> Vec<(Signal, Duration)>;

    /// The command that serves on this port.
    fn command(&self, port: u16) -> Result<Command, error::ServerError>;

    /// Called when the command runs, before it is ready.
    fn spawned(&self, _pid: i32, _port: u16) -> Result<(), error::ServerError> {
        Ok(())
    }

    /// Whether the running process accepts work.
    fn is_ready(&self, pid: i32, port: u16) -> impl Future<Output = bool> + Send;

    /// What the last lines of a run that ended before it was ready mean.
    fn early_end(log: &str) -> EarlyEnd;

    /// Whether a line of its log is worth a warning in ours.
    fn is_alarm(line: &str) -> bool;
}
