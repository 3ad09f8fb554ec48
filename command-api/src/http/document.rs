//! The stream's document: what creating, changing and reading a stream all answer.

use domain::Show;
use domain::show::{About, Phase};
use platform::http::amount::AmountNumber;
use schemas::events::{AudienceCounts, Quality, StreamSettings};
use schemas::{Money, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is read of a show for its document.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) about: About,
    phase: Phase,
    counts: AudienceCounts,
    messages_count: u64,
    total_tips: Money,
    updated_at: Timestamp,
}

impl Facts {
    /// `None` where there is no show.
    pub(super) fn of(show: &Show) -> Option<Self> {
        let about = show.about()?.clone();
        let total_tips = show.ledger().total_tips().unwrap_or(Money::zero(about.currency));
        Some(Self {
            phase: show.phase()?.clone(),
            counts: show.counts(),
            messages_count: show.messages_count(),
            total_tips,
            updated_at: show.last().map_or(about.created_at, |(_, at)| at),
            about,
        })
    }
}

/// A stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamDocument {
    /// Its id.
    stream_id: String,
    /// Who created it; null where they were erased.
    creator_id: Option<String>,
    title: String,
    description: String,
    category: Option<String>,
    tags: Vec<String>,
    language: Option<String>,
    /// SCHEDULED, LIVE, ENDED or CANCELLED.
    #[schema(example = "SCHEDULED")]
    status: &'static str,
    is_subscriber_only: bool,
    /// 0 where no ticket is needed.
    ticket_price: AmountNumber,
    /// ISO 4217; of all amounts of this stream.
    currency: &'static str,
    stream_settings: SettingsDocument,
    stream_stats: StatsDocument,
    agora_config: AgoraDocument,
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_start_time: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    actual_start_time: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    end_time: Option<Timestamp>,
    recording_url: Option<String>,
    thumbnail_url: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// How a stream runs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SettingsDocument {
    quality: QualityName,
    recording_enabled: bool,
    chat_enabled: bool,
    tips_enabled: bool,
    /// Null: no cap.
    max_viewers: Option<u32>,
}

/// Video quality: 480p, 720p, 1080p, 2160p.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
pub(super) enum QualityName {
    #[serde(rename = "SD")]
    Sd,
    #[serde(rename = "HD")]
    Hd,
    #[serde(rename = "FHD")]
    Fhd,
    #[serde(rename = "4K")]
    Uhd,
}

impl From<QualityName> for Quality {
    fn from(name: QualityName) -> Self {
        match name {
            QualityName::Sd => Self::Sd,
            QualityName::Hd => Self::Hd,
            QualityName::Fhd => Self::Fhd,
            QualityName::Uhd => Self::Uhd,
        }
    }
}

impl From<Quality> for QualityName {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Sd => Self::Sd,
            Quality::Hd => Self::Hd,
            Quality::Fhd => Self::Fhd,
            Quality::Uhd => Self::Uhd,
        }
    }
}

/// Its figures as of this answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatsDocument {
    viewer_count: u32,
    peak_viewers: u32,
    total_tips: AmountNumber,
    /// Seconds.
    duration: u64,
    messages_count: u64,
}

/// Its video channel, without secrets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AgoraDocument {
    channel_name: String,
    app_id: String,
    uid: u32,
}

/// What the document needs besides the show itself.
pub(super) struct Surroundings {
    pub(super) creator_id: Option<String>,
    pub(super) app_id: String,
    /// Where the recording is or will be.
    pub(super) recording_url: String,
    pub(super) now: Timestamp,
}

/// The document.
pub(super) fn document(facts: Facts, around: Surroundings) -> StreamDocument {
    let Facts { about, phase, counts, messages_count, total_tips, updated_at } = facts;
    let (started, ended, duration) = times(&phase, around.now);
    let is_recorded = ended.is_some() && about.settings.recording_enabled;
    let viewer_count = if ended.is_some() { 0 } else { counts.viewer_count };
    StreamDocument {
        stream_id: about.show_id.to_string(),
        creator_id: around.creator_id,
        title: about.details.title,
        description: about.details.description,
        category: about.details.category,
        tags: about.details.tags,
        language: about.details.language,
        status: phase.status().name(),
        is_subscriber_only: about.access.subscriber_only,
        ticket_price: amount(about.access.ticket_price.unwrap_or(Money::zero(about.currency))),
        currency: about.currency.code(),
        stream_settings: settings(about.settings),
        stream_stats: StatsDocument {
            viewer_count,
            peak_viewers: counts.peak_viewers,
            total_tips: amount(total_tips),
            duration,
            messages_count,
        },
        agora_config: AgoraDocument {
            channel_name: about.channel,
            app_id: around.app_id,
            uid: about.host_uid,
        },
        scheduled_start_time: about.scheduled_start,
        actual_start_time: started,
        end_time: ended,
        recording_url: is_recorded.then_some(around.recording_url),
        thumbnail_url: about.details.thumbnail_url,
        created_at: about.created_at,
        updated_at,
    }
}

/// Start, end, and seconds between them or until now.
fn times(phase: &Phase, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>, u64) {
    match phase {
        Phase::Scheduled | Phase::Cancelled => (None, None, 0),
        Phase::Live { started_at } => {
            let seconds = u64::try_from(now.millis_since(*started_at) / 1_000).unwrap_or(0);
            (Some(*started_at), None, seconds)
        }
        Phase::Ended { started_at, ended_at, totals } => {
            (Some(*started_at), Some(*ended_at), totals.duration_seconds)
        }
    }
}

fn settings(settings: StreamSettings) -> SettingsDocument {
    SettingsDocument {
        quality: settings.quality.into(),
        recording_enabled: settings.recording_enabled,
        chat_enabled: settings.chat_enabled,
        tips_enabled: settings.tips_enabled,
        max_viewers: settings.max_viewers,
    }
}

/// An amount of money as a number of its currency's digits.
pub(super) fn amount(money: Money) -> AmountNumber {
    AmountNumber::new(money.amount(), money.currency().minor_digits())
}
