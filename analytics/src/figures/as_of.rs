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

const PROGRESS: &str = "
    SELECT count() AS partitions, min(position) AS position, toUnixTimestamp64Milli(min(time)) AS time_ms
    FROM loading
    WHERE topic = {topic:String}";

impl Figures {
    /// Up to where everything is in the warehouse; `None` before every partition of the topic has told.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn as_of(&self, topic: &str, partitions: u32) -> Result<Option<AsOf>, FigureError> {
        let query = self.client.query_raw(PROGRESS).param("topic", topic);
        let progress: Progress = query.fetch_one().await?;
        Ok((progress.partitions >= u64::from(partitions)).then_some(AsOf {
            position: Position(progress.position),
            time: Timestamp::from_millis(progress.time_ms),
        }))
    }
}
