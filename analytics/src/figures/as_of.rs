//! Up to where, and up to when, a figure counts.

use clickhouse::Row;
use schemas::{Position, Timestamp};
use serde::Deserialize;

use super::{FigureError, Figures};

/// Up to where in the log, and up to when, a figure counts. A show that runs counts up to `time`, but never less than up to its last event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AsOf {
    /// Up to where in the log.
    pub position: Position,
    /// Up to when.
    pub time: Timestamp,
}

#[derive(Row, Deserialize)]
struct Progress {
    partitions: u64,
    position: u64,
    time_ms: i64,
}

/// The least of what each partition tells.
macro_rules! least {
    ($view:literal) => {
        concat!(
            "SELECT count() AS partitions, min(position) AS position, toUnixTimestamp64Milli(min(time)) AS time_ms FROM ",
            $view,
            " WHERE topic = {topic:String}"
        )
    };
}

impl Figures {
    /// Up to where everything is in the warehouse; `None` before every partition of the topic has told. Of figures of one show.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn as_of(&self, topic: &str, partitions: u32) -> Result<Option<AsOf>, FigureError> {
        self.least(least!("loading"), topic, partitions).await
    }

    /// Up to where the roll-ups count; `None` before every partition of the topic has told. Of figures of many shows.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn rolled_up_as_of(&self, topic: &str, partitions: u32) -> Result<Option<AsOf>, FigureError> {
        self.least(least!("rolling_up"), topic, partitions).await
    }

    async fn least(&self, sql: &str, topic: &str, partitions: u32) -> Result<Option<AsOf>, FigureError> {
        let progress: Progress = self.client.query_raw(sql).param("topic", topic).fetch_one().await?;
        Ok((progress.partitions >= u64::from(partitions)).then_some(AsOf {
            position: Position(progress.position),
            time: Timestamp::from_millis(progress.time_ms),
        }))
    }
}
