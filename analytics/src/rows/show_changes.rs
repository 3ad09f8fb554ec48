//! Life of shows.

use schemas::events::{AccessPolicy, Quality, StreamSettings};
use schemas::published::{Published, PublishedDetails, PublishedEvent};
use schemas::{Currency, Timestamp};
use uuid::Uuid;

use super::{NOBODY, RowError, UNKNOWN, decimal, misplaced, or_unknown, show_fact};

show_fact! {
    /// Of the view `show_changes`.
    ShowChange of "fact_show_changes" {
        /// CREATED, REVISED, SETTINGS, STARTED, ENDED or CANCELLED.
        kind: &'static str,
        /// The creator.
        #[serde(with = "clickhouse::serde::uuid")]
        creator: Uuid,
        /// Title.
        title: String,
        /// Category, or unknown.
        category: String,
        /// Tags.
        tags: Vec<String>,
        /// Language, or unknown.
        language: String,
        /// Currency.
        currency: &'static str,
        /// Whether only subscribers may enter.
        subscriber_only: bool,
        /// Price of a ticket, in units of the fourth fraction digit.
        ticket_price: Option<i128>,
        /// When it should start, in milliseconds since 1970.
        scheduled_start: Option<i64>,
        /// Video quality.
        quality: &'static str,
        /// Whether it is recorded.
        recording_enabled: bool,
        /// Whether viewers may chat.
        chat_enabled: bool,
        /// Whether viewers may tip.
        tips_enabled: bool,
        /// Most persons at one time.
        max_viewers: Option<u32>,
    }
}

pub(super) fn row(published: &Published, show: Uuid) -> Result<Option<ShowChange>, RowError> {
    let change = |kind| step(published, show, kind);
    let change = match &published.event {
        PublishedEvent::ShowCreated(created) => {
            ShowChange { creator: created.creator.0, ..change("CREATED") }
                .announced(&created.details, &created.access, created.currency, created.scheduled_start)?
                .running(created.settings)
        }
        PublishedEvent::ShowRevised(revised) => change("REVISED").announced(
            &revised.details,
            &revised.access,
            revised.currency,
            revised.scheduled_start,
        )?,
        PublishedEvent::StreamSettingsChanged(changed) => change("SETTINGS").running(changed.settings),
        PublishedEvent::ShowStarted(_) => change("STARTED"),
        PublishedEvent::ShowEnded(_) => change("ENDED"),
        PublishedEvent::ShowCancelled(_) => change("CANCELLED"),
        PublishedEvent::ViewerJoined(_)
        | PublishedEvent::ViewerLeft(_)
        | PublishedEvent::MessagePosted(_)
        | PublishedEvent::ReactionsCounted(_)
        | PublishedEvent::TipRequested(_)
        | PublishedEvent::TipCaptured(_)
        | PublishedEvent::TipDeclined(_) => return Ok(None),
        PublishedEvent::PaymentRequested(_)
        | PublishedEvent::PaymentCaptured(_)
        | PublishedEvent::PaymentDeclined(_)
        | PublishedEvent::PaymentApplied(_) => return Err(misplaced(published)),
    };
    Ok(Some(change))
}

fn step(published: &Published, show: Uuid, kind: &'static str) -> ShowChange {
    ShowChange {
        show_id: show,
        revision: published.revision,
        row: 0,
        position: published.position.0,
        occurred_at: published.occurred_at.millis(),
        kind,
        creator: NOBODY,
        title: String::new(),
        category: UNKNOWN.to_owned(),
        tags: Vec::new(),
        language: UNKNOWN.to_owned(),
        currency: "",
        subscriber_only: false,
        ticket_price: None,
        scheduled_start: None,
        quality: "",
        recording_enabled: false,
        chat_enabled: false,
        tips_enabled: false,
        max_viewers: None,
    }
}

impl ShowChange {
    fn announced(
        self,
        details: &PublishedDetails,
        access: &AccessPolicy,
        currency: Currency,
        scheduled_start: Option<Timestamp>,
    ) -> Result<Self, RowError> {
        Ok(Self {
            title: details.title.clone(),
            category: or_unknown(details.category.as_ref()),
            tags: details.tags.clone(),
            language: or_unknown(details.language.as_ref()),
            currency: currency.code(),
            subscriber_only: access.subscriber_only,
            ticket_price: access.ticket_price.map(decimal).transpose()?,
            scheduled_start: scheduled_start.map(Timestamp::millis),
            ..self
        })
    }

    fn running(self, settings: StreamSettings) -> Self {
        Self {
            quality: quality(settings.quality),
            recording_enabled: settings.recording_enabled,
            chat_enabled: settings.chat_enabled,
            tips_enabled: settings.tips_enabled,
            max_viewers: settings.max_viewers,
            ..self
        }
    }
}

fn quality(quality: Quality) -> &'static str {
    match quality {
        Quality::Sd => "SD",
        Quality::Hd => "HD",
        Quality::Fhd => "FHD",
        Quality::Uhd => "4K",
    }
}
