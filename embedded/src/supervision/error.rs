//! What can go wrong with any supervised server, said so that the reader knows what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a supervised server could not be started, kept or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Another live process runs a server over this directory.
    #[error("the data of {server} in {dir} are in use by another Tally (process {pid}): stop that one first")]
    AlreadyRunning {
        /// The server's name.
        server: &'static str,
        /// The data directory.
        dir: PathBuf,
        /// What the lock file says of its holder.
        pid: String,
    },
    /// The wanted port is in use.
    #[error("port {port} is in use by another program: stop that one, or configure another port")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Too little room to begin with.
    #[error("{dir} has only {free_mib} MiB left, and {server} needs {needed_mib} MiB to begin with")]
    NoSpace {
        /// The server's name.
        server: &'static str,
        /// The data directory.
        dir: PathBuf,
        /// Free space.
        free_mib: u64,
        /// Needed space.
        needed_mib: u64,
    },
    /// One of the server's own tools failed.
    #[error("{step} failed ({status}): {log}")]
    Tool {
        /// What was being done.
        step: &'static str,
        /// How the tool ended.
        status: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// The server ended before it was ready.
    #[error("{server} ended while starting ({status}): {log}")]
    EndedEarly {
        /// The server's name.
        server: &'static str,
        /// How the server ended.
        status: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// The server was not ready in time.
    #[error("{server} was not ready after {after:?}: {log}")]
    StartTimeout {
        /// The server's name.
        server: &'static str,
        /// How long we waited.
        after: Duration,
        /// The last lines that it wrote.
        log: String,
    },
    /// The server, or one left over from an earlier run, survived even a kill.
    #[error("the {server} process {pid} does not end")]
    WillNotStop {
        /// The server's name.
        server: &'static str,
        /// Its process id.
        pid: i32,
    },
    /// The operating system refused something.
    #[error("could not {action}")]
    Io {
        /// What was being done, with the path.
        action: String,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// The runtime is shutting down.
    #[error("the start of {server} was abandoned because the runtime is shutting down")]
    Abandoned {
        /// The server's name.
        server: &'static str,
    },
}

impl ServerError {
    /// For `map_err`: names what was being done when the operating system refused.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
