//! What can go wrong with the private ClickHouse, said so that the reader knows what to do.

use std::path::PathBuf;

use crate::supervision::error::ServerError;

/// Why the private ClickHouse could not be started, kept or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClickHouseError {
    /// The library was not fetched.
    #[error("the ClickHouse library is not at {path}: run `scripts/setup`, which has npm fetch it")]
    LibraryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The program that would load the library is not there.
    #[error("the program {path}, which would run ClickHouse, does not exist")]
    LauncherMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The server's directory has a name that cannot be given to it.
    #[error("{dir} cannot be ClickHouse's directory, as its path is no UTF-8: choose another data directory")]
    PathNotText {
        /// The directory.
        dir: PathBuf,
    },
    /// What can happen to any supervised server.
    #[error(transparent)]
    Server(#[from] ServerError),
}
