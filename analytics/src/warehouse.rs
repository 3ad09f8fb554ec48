//! Writes to the warehouse: facts, then how far they reach. Used by the loader and the back-fill alike.

mod facts;
mod progress;

use std::time::Duration;

use clickhouse::Client;
use thiserror::Error;

pub(crate) use progress::{Claim, Progress};

/// How long one statement may take. A batch is written in a second or so; a server that is busy merging gets some more.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one chunk of rows may take on its way to the server.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a statement was not carried out, as far as is known.
#[derive(Debug, Error)]
pub enum WarehouseError {
    /// The warehouse could not be asked, or refused.
    #[error("the warehouse did not take a statement")]
    Refused(#[from] clickhouse::error::Error),
    /// It did not answer in time; it may carry the statement out all the same.
    #[error("the warehouse did not answer in time")]
    Timeout,
}

/// The tables that the loader writes.
#[derive(Clone)]
pub(crate) struct Warehouse {
    pub(crate) client: Client,
    topic: String,
}

impl Warehouse {
    /// Over a client with its database set.
    pub(crate) fn new(client: &Client, topic: &str) -> Self {
        // what is acknowledged must be in its table, not in a queue before it
        Self { client: client.clone().with_setting("async_insert", "0"), topic: topic.to_owned() }
    }
}

/// Ends what takes too long.
async fn in_time<T>(
    statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, WarehouseError> {
    match tokio::time::timeout(STATEMENT_TIMEOUT, statement).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(WarehouseError::Timeout),
    }
}
