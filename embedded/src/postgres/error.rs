//! What can go wrong with the private Postgres cluster, said so that the reader knows what to do.

use std::io;
use std::path::PathBuf;

use crate::supervision::error::ServerError;

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
    /// What can happen to any supervised server.
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl PostgresError {
    /// For `map_err`: names what was being done when the operating system refused.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let describe = ServerError::io(action);
        move |source| describe(source).into()
    }
}
