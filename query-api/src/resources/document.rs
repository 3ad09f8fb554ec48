//! A stream as the specification's document, from its row.

use chrono::{DateTime, Utc};
use platform::http::amount::AmountNumber;
use platform::vault::VaultError;
use rust_decimal::Decimal;
use schemas::events::{Quality, StreamSettings};
use schemas::{EventId, Sealed, Timestamp};
use serde::Serialize;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::opening::Opening;
use crate::read_model::{ReadModel, minor_digits};

/// The columns of [`StreamRow`].
pub(super) const COLUMNS: &str = "show_id, creator_identity, event_id, title, description, category, tags, \
     language, thumbnail_url, status, is_subscriber_only, ticket_price, currency, settings, viewer_count, \
     peak_viewers, messages_count, total_tips, channel, host_uid, scheduled_start, started_at, ended_at, \
     duration_seconds, recording_status, created_at, updated_at, sequence, version";

/// A row of `read.streams`.
#[derive(sqlx::FromRow)]
pub(super) struct StreamRow {
    pub(super) show_id: Uuid,
    creator_identity: Json<Sealed>,
    event_id: Uuid,
    title: String,
    description: String,
    category: Option<String>,
    tags: Vec<String>,
    language: Option<String>,
    thumbnail_url: Option<String>,
    pub(super) status: String,
    is_subscriber_only: bool,
    ticket_price: Option<Decimal>,
    currency: String,
    settings: Json<StreamSettings>,
    pub(super) viewer_count: i64,
    peak_viewers: i64,
    messages_count: i64,
    total_tips: Decimal,
    channel: String,
    host_uid: i64,
    pub(super) scheduled_start: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    duration_seconds: Option<i64>,
    recording_status: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    sequence: i64,
    pub(super) version: i64,
}

/// A stream as it is read: what commands answer, and where it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StreamReadDocument)]
pub(crate) struct StreamDocument {
    stream_id: Uuid,
    /// The creator's token subject; null if they were erased.
    creator_id: Option<String>,
    title: String,
    description: String,
    category: Option<String>,
    tags: Vec<String>,
    language: Option<String>,
    #[schema(example = "LIVE")]
    status: String,
    is_subscriber_only: bool,
    /// 0 where no ticket is needed.
    ticket_price: AmountNumber,
    #[schema(example = "USD")]
    currency: String,
    stream_settings: SettingsDocument,
    stream_stats: StatsDocument,
    agora_config: AgoraDocument,
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_start_time: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    actual_start_time: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    end_time: Option<Timestamp>,
    /// Where the recording is played; null where there is none.
    recording_url: Option<String>,
    /// PROCESSING, READY, FAILED; null where there is no recording.
    recording_status: Option<String>,
    thumbnail_url: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The number of the stream's last event.
    sequence: i64,
}

/// How a stream runs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsDocument {
    /// SD, HD, FHD, 4K.
    #[schema(value_type = String, example = "HD")]
    quality: Quality,
    recording_enabled: bool,
    chat_enabled: bool,
    tips_enabled: bool,
    /// Null: no cap.
    max_viewers: Option<u32>,
}

/// A stream's figures.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatsDocument {
    viewer_count: i64,
    peak_viewers: i64,
    /// In the stream's currency.
    total_tips: AmountNumber,
    /// In seconds, so far or in all.
    duration: i64,
    messages_count: i64,
}

/// The video channel, without secrets.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgoraDocument {
    channel_name: String,
    app_id: String,
    /// The host's.
    uid: i64,
}

/// Documents of rows, with the creators' names opened together.
pub(super) async fn documents(
    read_model: &ReadModel,
    rows: Vec<StreamRow>,
) -> Result<Vec<StreamDocument>, VaultError> {
    let mut opening = Opening::default();
    let slots: Vec<_> = rows
        .iter()
        .map(|row| opening.identity(Some(&row.creator_identity.0), EventId(row.event_id)))
        .collect();
    let mut opened = opening.open(&read_model.vault).await?;
    let creators: Vec<Option<String>> = slots.into_iter().map(|slot| opened.names(slot).0).collect();
    Ok(rows.into_iter().zip(creators).map(|(row, creator)| row.document(read_model, creator)).collect())
}

impl StreamRow {
    fn document(self, read_model: &ReadModel, creator_id: Option<String>) -> StreamDocument {
        let digits = minor_digits(&self.currency);
        let duration = self.duration(read_model.clock.now());
        let recording = self.recording_status.as_ref();
        let settings = self.settings.0;
        StreamDocument {
            stream_id: self.show_id,
            creator_id,
            recording_url: recording.map(|_| format!("{}/{}", read_model.recordings_base, self.show_id)),
            title: self.title,
            description: self.description,
            category: self.category,
            tags: self.tags,
            language: self.language,
            status: self.status,
            is_subscriber_only: self.is_subscriber_only,
            ticket_price: AmountNumber::new(self.ticket_price.unwrap_or_default(), digits),
            currency: self.currency,
            stream_settings: SettingsDocument {
                quality: settings.quality,
                recording_enabled: settings.recording_enabled,
                chat_enabled: settings.chat_enabled,
                tips_enabled: settings.tips_enabled,
                max_viewers: settings.max_viewers,
            },
            stream_stats: StatsDocument {
                viewer_count: self.viewer_count,
                peak_viewers: self.peak_viewers,
                total_tips: AmountNumber::new(self.total_tips, digits),
                duration,
                messages_count: self.messages_count,
            },
            agora_config: AgoraDocument {
                channel_name: self.channel,
                app_id: read_model.agora_app_id.clone(),
                uid: self.host_uid,
            },
            scheduled_start_time: self.scheduled_start.map(Timestamp::from),
            actual_start_time: self.started_at.map(Timestamp::from),
            end_time: self.ended_at.map(Timestamp::from),
            recording_status: self.recording_status,
            thumbnail_url: self.thumbnail_url,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            sequence: self.sequence,
        }
    }

    /// In seconds: of an ended show as its end says, of one on air until now.
    fn duration(&self, now: Timestamp) -> i64 {
        let so_far = |start: DateTime<Utc>| now.millis_since(start.into()).max(0) / 1_000;
        self.duration_seconds.or_else(|| self.started_at.map(so_far)).unwrap_or(0)
    }
}
