//! Life of shows.

use schemas::events::{AccessPolicy, StreamSettings};
use schemas::published::{CreatedShow, PublishedDetails, RevisedShow};
use schemas::{Currency, Timestamp};
use uuid::Uuid;

use super::{Place, RowError, UNKNOWN, decimal, fact, or_unknown};

fact! {
    /// Of the view `show_changes`.
    ShowChange(show_id) in "fact_show_changes" {
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

impl ShowChange {
    pub(super) fn created(place: Place, created: &CreatedShow) -> Result<Self, RowError> {
        Self { creator: created.creator.0, ..Self::plain(place, "CREATED") }
            .running(created.settings)
            .announced(&created.details, &created.access, created.currency, created.scheduled_start)
    }

    pub(super) fn revised(place: Place, revised: &RevisedShow) -> Result<Self, RowError> {
        let change = Self::plain(place, "REVISED");
        change.announced(&revised.details, &revised.access, revised.currency, revised.scheduled_start)
    }

    pub(super) fn set(place: Place, settings: StreamSettings) -> Self {
        Self::plain(place, "SETTINGS").running(settings)
    }

    /// One that says nothing but that it happened.
    pub(super) fn plain(place: Place, kind: &'static str) -> Self {
        Self { kind, category: UNKNOWN.to_owned(), language: UNKNOWN.to_owned(), ..Self::at(place, 0) }
    }

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
            quality: settings.quality.name(),
            recording_enabled: settings.recording_enabled,
            chat_enabled: settings.chat_enabled,
            tips_enabled: settings.tips_enabled,
            max_viewers: settings.max_viewers,
            ..self
        }
    }
}
