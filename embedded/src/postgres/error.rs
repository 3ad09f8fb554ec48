//! What can go wrong with the private Postgres cluster, said so that the reader knows what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the private Postgres cluster could not be started, kept or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// No Postgres server is installed.
    #[error(
        "no Postgres server is installed: run `scripts/setup`, or install the package `postgresql` \
         (Debian, Ubuntu; `postgresql-server` on Fedora, `brew install postgresql` on macOS)"
    )]
    BinariesMissing,
    /// Only servers older than the oldest supported one are installed.
    #[error("the installed Postgres {found} is too old: version {minimum} or newer is needed")]
    BinariesTooOld {
        /// Major version of the newest server found.
        found: u32,
        /// Oldest supported major version.
        minimum: u32,
    },
    /// The cluster on disk was written by a major version that is not installed.
    #[error(
        "the database in {dir} was made by Postgres {cluster}, but installed is {found}: install \
         Postgres {cluster} beside it (package `postgresql-{cluster}` on Debian and Ubuntu), or move \
         the database to the new version with pg_upgrade"
    )]
    VersionMismatch {
        /// The cluster's directory.
        dir: PathBuf,
        /// Major version that wrote the cluster.
        cluster: String,
        /// Major versions that are installed.
        found: String,
    },
    /// The cluster directory exists, but is no cluster.
    #[error("{dir} exists but holds no Postgres database: move it away, then start again")]
    NotACluster {
        /// The directory in question.
        dir: PathBuf,
    },
    /// We are root and there is no unprivileged account that the server could run as.
    #[error(
        "Postgres refuses to run as root and none of these users exists: {tried}; \
         create a system user `postgres`, or start Tally as an ordinary user"
    )]
    NoAccount {
        /// The user names looked for.
        tried: String,
    },
    /// The server's account cannot enter a directory above the data.
    #[error(
        "Postgres runs as the user {user}, who cannot enter {dir}: choose a data directory \
         elsewhere, or allow it with `chmod o+x {dir}`"
    )]
    NotTraversable {
        /// The outermost directory that is closed.
        dir: PathBuf,
        /// The account of the server.
        user: String,
    },
    /// Another live process runs this cluster.
    #[error("the database in {dir} is in use by another Tally (process {pid}): stop that one first")]
    AlreadyRunning {
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
    /// Too little room to create a cluster.
    #[error("{dir} has only {free_mib} MiB left, and a new database needs {needed_mib} MiB")]
    NoSpace {
        /// The data directory.
        dir: PathBuf,
        /// Free space.
        free_mib: u64,
        /// Needed space.
        needed_mib: u64,
    },
    /// One of Postgres' own tools failed.
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
    #[error("Postgres ended while starting ({status}): {log}")]
    EndedEarly {
        /// How the server ended.
        status: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// The server was not ready in time.
    #[error("Postgres was not ready after {after:?}: {log}")]
    StartTimeout {
        /// How long we waited.
        after: Duration,
        /// The last lines that it wrote.
        log: String,
    },
    /// The server, or one left over from an earlier run, survived even a kill.
    #[error("the Postgres process {pid} does not end")]
    WillNotStop {
        /// The postmaster's process id.
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
    #[error("the start of Postgres was abandoned because the runtime is shutting down")]
    Abandoned,
}

impl PostgresError {
    /// For `map_err`: names what was being done when the operating system refused.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
