//! Why a projection does not go on.

use platform::event_log::ReadError;
use platform::http::problem::Chain;
use schemas::{EventError, Position, Revision};
use sqlx::error::DatabaseError;
use thiserror::Error;

/// Why a projection does not go on.
#[derive(Debug, Error)]
pub enum Failure {
    /// A stored event is none to this version of the code.
    #[error("event {revision} of {stream} at position {position} cannot be read")]
    Unreadable {
        /// Its stream.
        stream: String,
        /// Its number there.
        revision: Revision,
        /// Its place in the log.
        position: Position,
        /// Why not.
        source: EventError,
    },
    /// An event stands in a stream where its kind does not belong.
    #[error("event {name} does not belong in stream {stream}")]
    Misplaced {
        /// The stream.
        stream: String,
        /// The event's stored name.
        name: &'static str,
    },
    /// A stream's next event is not the one that must come next.
    #[error("stream {stream} goes on with event {found} instead of {expected}")]
    Gap {
        /// The stream.
        stream: String,
        /// Which event must come next.
        expected: Revision,
        /// Which event came.
        found: Revision,
    },
    /// An event speaks of something that no event before it made.
    #[error("event {event} speaks of a {what} that the log does not know: {id}")]
    Unfounded {
        /// The event's stored name.
        event: &'static str,
        /// What kind of thing.
        what: &'static str,
        /// Which.
        id: uuid::Uuid,
    },
    /// The database understood a statement and refuses it. A repeat would be refused too.
    #[error("the database refuses the rows")]
    Refused(#[source] sqlx::Error),
    /// The database cannot be reached, or cannot serve now.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The log cannot be read now.
    #[error("the log is not available")]
    LogUnavailable(#[from] ReadError),
    /// Another instance leads, or the generation is no longer to be filled: the checkpoint is not what we believe.
    #[error("the checkpoint was moved by another instance")]
    Fenced,
    /// A test asked for a crash here.
    #[error("injected: the process ends here")]
    Blown,
}

impl Failure {
    /// Whether a repeat would end the same way, so that the view must stop and somebody must look.
    #[must_use]
    pub fn halts(&self) -> bool {
        match self {
            Self::Unreadable { .. }
            | Self::Misplaced { .. }
            | Self::Gap { .. }
            | Self::Unfounded { .. }
            | Self::Refused(_) => true,
            Self::Unavailable(_) | Self::LogUnavailable(_) | Self::Fenced | Self::Blown => false,
        }
    }

    /// Whether it may go away by itself, so that the same is worth another try.
    #[must_use]
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::LogUnavailable(_))
    }

    /// The failure with all its causes, for the status row and the log. Names events and streams, never a person.
    #[must_use]
    pub fn explain(&self) -> String {
        Chain(self).to_string()
    }
}

/// SQLSTATE classes that say that the statement or its data are wrong: data exception, violated constraint,
/// syntax or missing object. All others (connections, resources, shutdown, conflicts) may go away by themselves.
const PERMANENT_CLASSES: [&str; 3] = ["22", "23", "42"];

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let class = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
        if PERMANENT_CLASSES.iter().any(|permanent| class.starts_with(permanent)) || is_ours(&error) {
            return Self::Refused(error);
        }
        Self::Unavailable(error)
    }
}

/// Whether what came back does not fit our own code.
fn is_ours(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::TypeNotFound { .. }
    )
}
