//! Every event, as published.

use clickhouse::Row;
use schemas::published::Published;
use serde::Serialize;
use uuid::Uuid;

use super::{Fact, RowError};

/// Of the view `events`.
#[derive(Clone, PartialEq, Debug, Row, Serialize)]
pub struct EventRow {
    /// The stream.
    pub stream: String,
    /// Number of the event within its stream.
    pub revision: u64,
    /// Always 0.
    pub row: u16,
    /// Place of the event in the log.
    pub position: u64,
    /// When it happened, in milliseconds since 1970.
    pub occurred_at: i64,
    /// Id of the event.
    #[serde(with = "clickhouse::serde::uuid")]
    pub event_id: Uuid,
    /// Name of the event.
    pub r#type: &'static str,
    /// Version of the published shape.
    pub version: u16,
    /// The published fields as JSON.
    pub data: String,
}

impl Fact for EventRow {
    const TABLE: &'static str = "fact_events";
}

pub(super) fn row(published: &Published) -> Result<EventRow, RowError> {
    let (name, version) = published.event.stored();
    Ok(EventRow {
        stream: published.stream.clone(),
        revision: published.revision,
        row: 0,
        position: published.position.0,
        occurred_at: published.occurred_at.millis(),
        event_id: published.event_id.0,
        r#type: name,
        version,
        data: published.event.to_json().map_err(RowError::Json)?.get().to_owned(),
    })
}
