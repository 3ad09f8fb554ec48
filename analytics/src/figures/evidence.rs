//! The events behind a figure: what a figure of a show can be proved by.

use clickhouse::Row;
use schemas::{EventId, Position, Revision, ShowId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::{AsOf, FigureError, Figures};

/// The events of one name that a figure of a show counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventCount {
    /// Name of the events.
    pub event: String,
    /// How many.
    pub count: u64,
    /// Where in the log the first of them stands.
    pub first: Position,
    /// Where in the log the last of them stands.
    pub last: Position,
}

/// One event, by which it is found in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventReference {
    /// Its id.
    pub event_id: EventId,
    /// Its name.
    pub event: String,
    /// Its number within the show.
    pub revision: Revision,
    /// Its place in the log.
    pub position: Position,
    /// When it happened.
    pub occurred_at: Timestamp,
}

const COUNTS: &str = "
SELECT toString(type) AS event, count() AS count, min(position) AS first, max(position) AS last
FROM events AS e
WHERE stream IN {streams:Array(String)} AND e.position <= {position:UInt64} AND type IN {events:Array(String)}
GROUP BY type
ORDER BY first";

/// A show's events are numbered without a gap, so the number is where the next page begins.
const REFERENCES: &str = "
SELECT event_id, toString(type) AS event, revision, position, toUnixTimestamp64Milli(occurred_at) AS at_ms
FROM events
WHERE stream IN {streams:Array(String)}
    AND position <= {position:UInt64}
    AND type IN {events:Array(String)}
    AND revision >= {from:UInt64}
ORDER BY revision
LIMIT {limit:UInt32}";

#[derive(Row, Deserialize)]
struct CountAnswer {
    event: String,
    count: u64,
    first: u64,
    last: u64,
}

#[derive(Row, Deserialize)]
struct ReferenceAnswer {
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
    event: String,
    revision: u64,
    position: u64,
    at_ms: i64,
}

impl Figures {
    /// How many events of these names a show has, each name where there is one.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn event_counts(
        &self,
        show: ShowId,
        as_of: AsOf,
        events: &[&str],
    ) -> Result<Vec<EventCount>, FigureError> {
        let query = self.of_shows(COUNTS, &[show], as_of).param("events", events);
        let answers: Vec<CountAnswer> = query.fetch_all().await?;
        let count = |answer: CountAnswer| EventCount {
            event: answer.event,
            count: answer.count,
            first: Position(answer.first),
            last: Position(answer.last),
        };
        Ok(answers.into_iter().map(count).collect())
    }

    /// Events of these names of a show, from a revision on, at most `limit`.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn event_references(
        &self,
        show: ShowId,
        as_of: AsOf,
        events: &[&str],
        from: Revision,
        limit: u32,
    ) -> Result<Vec<EventReference>, FigureError> {
        let query = self.of_shows(REFERENCES, &[show], as_of).param("events", events);
        let query = query.param("from", from).param("limit", limit);
        let answers: Vec<ReferenceAnswer> = query.fetch_all().await?;
        let reference = |answer: ReferenceAnswer| EventReference {
            event_id: EventId(answer.event_id),
            event: answer.event,
            revision: answer.revision,
            position: Position(answer.position),
            occurred_at: Timestamp::from_millis(answer.at_ms),
        };
        Ok(answers.into_iter().map(reference).collect())
    }
}
