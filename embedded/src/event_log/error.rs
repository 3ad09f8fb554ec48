//! The errors of the store and of the node.

use std::io;
use std::path::{Path, PathBuf};

use super::types::Expected;

/// Why the store cannot be opened, read or trusted.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process holds the directory.
    #[error(
        "the data directory {} is in use by another process: stop that one, or choose another directory",
        path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Stored bytes are not what was written.
    #[error(
        "corrupt log: {} at byte {offset}: {what}; nothing was changed: restore this file from a backup, \
         or move the data directory away to start empty",
        file.display()
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// The first byte in that file that is wrong.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The directory was written by another version, or is not one of ours.
    #[error("{} is not a log directory that this version can read: {what}", path.display())]
    Format {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// The index answered with an error; it is rebuilt at the next start.
    #[error("the index failed")]
    Index(#[source] fjall::Error),
    /// The index disagrees with the log; it is rebuilt at the next start.
    #[error("the index disagrees with the log: {what}; it is rebuilt at the next start")]
    IndexMismatch {
        /// Where they disagree.
        what: String,
    },
    /// The index takes nothing more. Everything that was acknowledged is in the log.
    #[error("the index cannot be written: {cause}")]
    IndexWrite {
        /// Why.
        cause: String,
    },
    /// A node runs on the directory, and it has not noted yet how far the log is durable.
    #[error(
        "the node that runs on {} has not noted yet how far its log reaches: it does after the next append",
        path.display()
    )]
    NoDurableMark {
        /// The directory.
        path: PathBuf,
    },
    /// A copy of a log is restored into an empty directory only.
    #[error("the directory {} is not empty: choose another, or move it away", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A copy that is restored is none, or not a whole one.
    #[error("this is not a whole backup of an event log: {what}; nothing that was restored will open")]
    NotABackup {
        /// What is wrong.
        what: String,
    },
    /// A copy cannot be written or read.
    #[error("cannot write or read the backup")]
    Backup {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A position that no record starts at and that lies beyond the end.
    #[error("position {position} is beyond the end of the log")]
    BeyondEnd {
        /// The position asked for.
        position: u64,
    },
}

impl StoreError {
    /// Whether there was no room on the disk.
    pub(crate) fn is_disk_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn corrupt(file: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_path_buf(), offset, what: what.into() }
    }
}

impl From<fjall::Error> for StoreError {
    fn from(source: fjall::Error) -> Self {
        Self::Index(source)
    }
}

/// Why an append, a delete or a tombstone was not done. Only `Unavailable` leaves the outcome unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream is not at the revision that the caller expects.
    #[error("the stream is not at the expected revision")]
    WrongExpectedVersion {
        /// What the caller expected.
        expected: Expected,
        /// Where the stream is; `None` if it has no events.
        current: Option<u64>,
    },
    /// The stream has a tombstone, or is deleted and was expected to exist.
    #[error("the stream is deleted")]
    StreamDeleted,
    /// The append is larger than the limit.
    #[error("the append is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit that it exceeds.
        limit_bytes: usize,
    },
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(&'static str),
    /// The log cannot take writes (shutting down, disk full, failed flush).
    #[error("the log does not take writes: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// An error with its causes, for the log and for callers.
pub(crate) fn describe(cause: &dyn std::error::Error) -> String {
    let mut text = cause.to_string();
    let mut source = cause.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
