//! What the realtime side asks of the read models: who has entered, and where long shows begin.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use rust_decimal::Decimal;
use schemas::events::{AudienceCounts, StreamSettings};
use schemas::{PersonId, ShowId};
use sqlx::types::Json;
use uuid::Uuid;

use crate::read_model::{ReadModel, view};
use crate::realtime::{Entries, EntriesError, SeedError, Seeds, ShowState, Status};

/// The read models, as the realtime side sees them.
pub(crate) struct PostgresEntries(pub(crate) Arc<ReadModel>);

#[async_trait]
impl Entries for PostgresEntries {
    async fn has_entered(&self, show: ShowId, person: PersonId) -> Result<bool, EntriesError> {
        let read_model = &self.0;
        let entered = read_model.has_entered(show, person).await;
        if entered.map_err(|error| EntriesError(error.into()))? {
            return Ok(true);
        }
        // who joined over REST a moment ago opens the socket at once: what is in the log now decides
        read_model
            .positions
            .reach_head(&[view::VIEWERS])
            .await
            .map_err(|problem| EntriesError(problem.into()))?;
        read_model.has_entered(show, person).await.map_err(|error| EntriesError(error.into()))
    }
}

/// What of `read.streams` makes a state: all of one row, which is exact at its `sequence`.
const SEED: &str = "
    SELECT creator, status, is_subscriber_only, ticket_price, currency, settings, viewer_count, peak_viewers,
           total_views, unique_viewers, messages_count, total_tips, sequence
    FROM read.streams WHERE show_id = $1";

#[derive(sqlx::FromRow)]
struct SeedRow {
    creator: Uuid,
    status: String,
    is_subscriber_only: bool,
    ticket_price: Option<Decimal>,
    currency: String,
    settings: Json<StreamSettings>,
    viewer_count: i64,
    peak_viewers: i64,
    total_views: i64,
    unique_viewers: i64,
    messages_count: i64,
    total_tips: Decimal,
    sequence: i64,
}

/// The read models' rows of shows.
pub(crate) struct PostgresSeeds(pub(crate) Arc<ReadModel>);

#[async_trait]
impl Seeds for PostgresSeeds {
    async fn seed(&self, show: ShowId) -> Result<Option<ShowState>, SeedError> {
        let row = sqlx::query_as(SEED).bind(show.0).fetch_optional(&self.0.pool).await;
        let row: Option<SeedRow> = row.map_err(|error| SeedError(error.into()))?;
        row.map(|row| row.state(show)).transpose()
    }
}

impl SeedRow {
    fn state(self, show: ShowId) -> Result<ShowState, SeedError> {
        let status = match self.status.as_str() {
            "SCHEDULED" => Status::Scheduled,
            "LIVE" => Status::Live,
            "ENDED" => Status::Ended,
            "CANCELLED" => Status::Cancelled,
            _ => return Err(SeedError("a status that this version does not know".into())),
        };
        let count = |value: i64| u32::try_from(value).map_err(|error| SeedError(error.into()));
        let large = |value: i64| u64::try_from(value).map_err(|error| SeedError(error.into()));
        Ok(ShowState {
            show,
            revision: large(self.sequence)?,
            last_frame: None,
            creator: PersonId(self.creator),
            is_protected: self.is_subscriber_only || self.ticket_price.is_some(),
            status,
            audience: AudienceCounts {
                viewer_count: count(self.viewer_count)?,
                peak_viewers: count(self.peak_viewers)?,
                total_views: large(self.total_views)?,
                unique_viewers: count(self.unique_viewers)?,
            },
            currency: self.currency.parse().map_err(|error: schemas::MoneyError| SeedError(error.into()))?,
            total_tips: self.total_tips,
            messages_count: large(self.messages_count)?,
            is_chat_enabled: self.settings.chat_enabled,
            are_tips_enabled: self.settings.tips_enabled,
            recent: VecDeque::new(),
        })
    }
}
