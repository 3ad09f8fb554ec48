//! What can go wrong with the private Kafka broker, said so that the reader knows what to do.

use std::path::PathBuf;

use crate::supervision::error::ServerError;

/// What Java says of classes that are too new for it.
const TOO_NEW_FOR_JAVA: &str = "UnsupportedClassVersionError";

/// Why the private Kafka broker could not be started, kept or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// There is no Java runtime.
    #[error(
        "no Java runtime is installed, which Kafka needs: run `scripts/setup`, or install the package \
         `default-jre-headless` (Debian, Ubuntu; `java-21-openjdk-headless` on Fedora, `brew install openjdk` on macOS)"
    )]
    JavaMissing,
    /// The Java runtime is older than the broker's code.
    #[error("the installed Java runtime is too old for Kafka: version 17 or newer is needed")]
    JavaTooOld,
    /// The broker's jars were not fetched.
    #[error("Kafka is not in {dir}: run `scripts/setup`, which has Maven fetch it")]
    JarsMissing {
        /// Where they were looked for.
        dir: PathBuf,
    },
    /// The directory for the broker's data exists, but is none.
    #[error("{dir} exists but holds no Kafka data: move it away, then start again")]
    NotKafkaData {
        /// The directory in question.
        dir: PathBuf,
    },
    /// What can happen to any supervised server.
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl KafkaError {
    /// Names the cause where the broker's own words would puzzle.
    pub(crate) fn explain(error: ServerError) -> Self {
        let (ServerError::EndedEarly { log, .. } | ServerError::Tool { log, .. }) = &error else {
            return Self::Server(error);
        };
        if log.contains(TOO_NEW_FOR_JAVA) { Self::JavaTooOld } else { Self::Server(error) }
    }
}
