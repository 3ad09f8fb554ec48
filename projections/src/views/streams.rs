//! `read.streams`: the Live Streams collection, one row a show.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | show_id | uuid, key | the `streamId` |
//! | creator | uuid | pseudonym |
//! | creator_identity | jsonb | `Sealed`, field `creator` of event `event_id` |
//! | event_id | uuid | the event that `creator_identity` was sealed for |
//! | title, description | text | |
//! | category, language, thumbnail_url | text? | |
//! | tags | text[] | |
//! | status | text | SCHEDULED, LIVE, ENDED, CANCELLED |
//! | discovery_rank | smallint | LIVE 3, SCHEDULED 2, ENDED 1, CANCELLED 0: discovery orders by (discovery_rank, viewer_count, created_at, show_id) descending, and this row value is the keyset |
//! | is_subscriber_only | boolean | |
//! | ticket_price | numeric? | in `currency` |
//! | currency | text | ISO 4217, also of `total_tips` |
//! | settings | jsonb | `StreamSettings` as in the events: the API's `streamSettings` |
//! | viewer_count, peak_viewers, unique_viewers | bigint | `viewer_count` is 0 after the end |
//! | total_views, messages_count | bigint | |
//! | total_tips | numeric | captured |
//! | channel | text | of the video |
//! | host_uid | bigint | in the channel |
//! | scheduled_start, started_at, ended_at | timestamptz? | `ended_at` is of the end only, not of a cancellation |
//! | duration_seconds | bigint? | from the end on; before it, compute from `started_at` |
//! | recording_status | text? | PROCESSING from the end on where recording was on; NULL: none |
//! | created_at, updated_at | timestamptz | |
//! | sequence | bigint | revision of the show's last event |
//! | version | bigint | the `ETag`: revision of the last ShowCreated, ShowRevised or StreamSettingsChanged |
//! | search | tsvector | configuration `simple`: title (A), tags (B), description (C); ask with `search @@ websearch_to_tsquery('simple', q)` |

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE streams (
    show_id            uuid        PRIMARY KEY,
    creator            uuid        NOT NULL,
    creator_identity   jsonb       NOT NULL,
    event_id           uuid        NOT NULL,
    title              text        NOT NULL,
    description        text        NOT NULL,
    category           text,
    tags               text[]      NOT NULL,
    language           text,
    thumbnail_url      text,
    status             text        NOT NULL CHECK (status IN ('SCHEDULED', 'LIVE', 'ENDED', 'CANCELLED')),
    discovery_rank     smallint    NOT NULL GENERATED ALWAYS AS (
        CASE status WHEN 'LIVE' THEN 3 WHEN 'SCHEDULED' THEN 2 WHEN 'ENDED' THEN 1 ELSE 0 END
    ) STORED,
    is_subscriber_only boolean     NOT NULL,
    ticket_price       numeric,
    currency           text        NOT NULL,
    settings           jsonb       NOT NULL,
    viewer_count       bigint      NOT NULL,
    peak_viewers       bigint      NOT NULL,
    total_views        bigint      NOT NULL,
    unique_viewers     bigint      NOT NULL,
    messages_count     bigint      NOT NULL,
    total_tips         numeric     NOT NULL,
    channel            text        NOT NULL,
    host_uid           bigint      NOT NULL,
    scheduled_start    timestamptz,
    started_at         timestamptz,
    ended_at           timestamptz,
    duration_seconds   bigint,
    recording_status   text        CHECK (recording_status IN ('PROCESSING', 'READY', 'FAILED')),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    sequence           bigint      NOT NULL,
    version            bigint      NOT NULL,
    search             tsvector    NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX streams_discovery ON streams (discovery_rank, viewer_count, created_at, show_id);
CREATE INDEX streams_status ON streams (status, viewer_count, created_at, show_id);
CREATE INDEX streams_category ON streams (category, discovery_rank, viewer_count, created_at, show_id);
CREATE INDEX streams_creator ON streams (creator, discovery_rank, viewer_count, created_at, show_id);
CREATE INDEX streams_search ON streams USING gin (search);
";

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use platform::event_log::Prefixes;
use rust_decimal::Decimal;
use schemas::events::{
    AccessPolicy, AudienceCounts, AudienceEvent, ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent,
    SettingsEvent, ShowCreated, ShowDetails, ShowEvent, StreamSettings,
};
use schemas::{Currency, Envelope, Sealed, ShowId, Timestamp};
use sqlx::types::Json;
use uuid::Uuid;

use super::{SHOWS, plain, plain_option};
use crate::framework::rows::{self, Bulk, rows};
use crate::framework::{Change, Failure, Read, View, ViewTable, Work, of_shows, signed};

/// The view `streams`.
pub(super) struct Streams;

rows! {
    /// A row of `streams`.
    Row of "streams" key "show_id" {
        show_id: Uuid = "uuid",
        creator: Uuid = "uuid",
        creator_identity: Json<Sealed> = "jsonb",
        event_id: Uuid = "uuid",
        title: String = "text",
        description: String = "text",
        category: Option<String> = "text",
        tags: Json<Vec<String>> = "jsonb"
            reads "to_jsonb(tags)" writes "ARRAY(SELECT jsonb_array_elements_text(rows.tags))",
        language: Option<String> = "text",
        thumbnail_url: Option<String> = "text",
        status: String = "text",
        is_subscriber_only: bool = "boolean",
        ticket_price: Option<Decimal> = "numeric",
        currency: String = "text",
        settings: Json<StreamSettings> = "jsonb",
        viewer_count: i64 = "bigint",
        peak_viewers: i64 = "bigint",
        total_views: i64 = "bigint",
        unique_viewers: i64 = "bigint",
        messages_count: i64 = "bigint",
        total_tips: Decimal = "numeric",
        channel: String = "text",
        host_uid: i64 = "bigint",
        scheduled_start: Option<DateTime<Utc>> = "timestamptz",
        started_at: Option<DateTime<Utc>> = "timestamptz",
        ended_at: Option<DateTime<Utc>> = "timestamptz",
        duration_seconds: Option<i64> = "bigint",
        recording_status: Option<String> = "text",
        created_at: DateTime<Utc> = "timestamptz",
        updated_at: DateTime<Utc> = "timestamptz",
        sequence: i64 = "bigint",
        version: i64 = "bigint",
    }
    computed {
        "search" = "setweight(to_tsvector('simple', rows.title), 'A') \
            || setweight(jsonb_to_tsvector('simple', rows.tags, '[\"string\"]'), 'B') \
            || setweight(to_tsvector('simple', rows.description), 'C')",
    }
}

impl View for Streams {
    fn name(&self) -> &'static str {
        "streams"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wanted(&self) -> Prefixes {
        SHOWS
    }

    fn tables(&self) -> &'static [ViewTable] {
        &[ViewTable { name: "streams", key: "show_id" }]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    fn prepare(&self, batch: Vec<Arc<Read>>) -> Result<Box<dyn Change>, Failure> {
        Ok(Box::new(Fold(batch)))
    }
}

/// Events over rows that have to be read first.
struct Fold(Vec<Arc<Read>>);

#[async_trait]
impl Change for Fold {
    async fn apply(self: Box<Self>, work: &mut Work<'_>) -> Result<(), Failure> {
        let mut shows: Vec<Uuid> = of_shows(&self.0).map(|(show, _)| show.0).collect();
        shows.sort_unstable();
        shows.dedup();
        let known = rows::load::<Row>(work, shows).await?;
        let mut rows: HashMap<Uuid, Row> = known.into_iter().map(|row| (row.show_id, row)).collect();
        for (show, envelope) in of_shows(&self.0) {
            apply_one(&mut rows, show, envelope)?;
        }
        Bulk::upsert(rows.into_values().collect())?.run(work).await
    }
}

fn apply_one(
    rows: &mut HashMap<Uuid, Row>,
    show: ShowId,
    envelope: &Envelope<ShowEvent>,
) -> Result<(), Failure> {
    if let ShowEvent::Lifecycle(LifecycleEvent::Created(created)) = &envelope.event {
        rows.insert(show.0, announced(created, envelope));
        return Ok(());
    }
    let (event, _) = envelope.event.stored();
    let row = rows.get_mut(&show.0).ok_or(Failure::Unfounded { event, what: "show", id: show.0 })?;
    row.sequence = signed(envelope.revision);
    row.updated_at = envelope.meta.occurred_at.to_chrono();
    match &envelope.event {
        ShowEvent::Lifecycle(event) => row.live(event, envelope.meta.occurred_at),
        ShowEvent::Settings(event) => row.revise(event),
        ShowEvent::Audience(AudienceEvent::Joined(joined)) => row.count(joined.audience),
        ShowEvent::Audience(AudienceEvent::Left(left)) => row.count(left.audience),
        ShowEvent::Chat(ChatEvent::Posted(_)) => row.messages_count += 1,
        ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => row.total_tips += tip.amount.amount(),
        ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_))
        | ShowEvent::Interaction(InteractionEvent::Reactions(_)) => {}
    }
    Ok(())
}

fn announced(created: &ShowCreated, envelope: &Envelope<ShowEvent>) -> Row {
    let at = envelope.meta.occurred_at.to_chrono();
    let revision = signed(envelope.revision);
    let mut row = Row {
        show_id: created.show_id.0,
        creator: created.creator.0,
        creator_identity: Json(created.creator_identity.clone()),
        event_id: envelope.event_id.0,
        title: String::new(),
        description: String::new(),
        category: None,
        tags: Json(Vec::new()),
        language: None,
        thumbnail_url: None,
        status: "SCHEDULED".to_owned(),
        is_subscriber_only: false,
        ticket_price: None,
        currency: String::new(),
        settings: Json(created.settings),
        viewer_count: 0,
        peak_viewers: 0,
        total_views: 0,
        unique_viewers: 0,
        messages_count: 0,
        total_tips: Decimal::ZERO,
        channel: plain(&created.channel),
        host_uid: i64::from(created.host_uid),
        scheduled_start: None,
        started_at: None,
        ended_at: None,
        duration_seconds: None,
        recording_status: None,
        created_at: at,
        updated_at: at,
        sequence: revision,
        version: revision,
    };
    row.announce(&created.details, &created.access, created.currency, created.scheduled_start);
    row
}

impl Row {
    fn announce(
        &mut self,
        details: &ShowDetails,
        access: &AccessPolicy,
        currency: Currency,
        scheduled_start: Option<Timestamp>,
    ) {
        self.title = plain(&details.title);
        self.description = plain(&details.description);
        self.category = plain_option(details.category.as_ref());
        self.tags = Json(details.tags.iter().map(|tag| plain(tag)).collect());
        self.language = plain_option(details.language.as_ref());
        self.thumbnail_url = plain_option(details.thumbnail_url.as_ref());
        self.is_subscriber_only = access.subscriber_only;
        self.ticket_price = access.ticket_price.map(schemas::Money::amount);
        self.currency = currency.code().to_owned();
        self.scheduled_start = scheduled_start.map(Timestamp::to_chrono);
    }

    fn live(&mut self, event: &LifecycleEvent, at: Timestamp) {
        match event {
            // handled where rows begin
            LifecycleEvent::Created(_) => {}
            LifecycleEvent::Started(_) => {
                "LIVE".clone_into(&mut self.status);
                self.started_at = Some(at.to_chrono());
            }
            LifecycleEvent::Ended(ended) => {
                "ENDED".clone_into(&mut self.status);
                self.ended_at = Some(at.to_chrono());
                self.duration_seconds = Some(signed(ended.totals.duration_seconds));
                self.viewer_count = 0;
                let recorded = self.settings.recording_enabled;
                self.recording_status = recorded.then(|| "PROCESSING".to_owned());
            }
            LifecycleEvent::Cancelled(_) => "CANCELLED".clone_into(&mut self.status),
        }
    }

    fn revise(&mut self, event: &SettingsEvent) {
        match event {
            SettingsEvent::Revised(revised) => {
                self.announce(&revised.details, &revised.access, revised.currency, revised.scheduled_start);
            }
            SettingsEvent::StreamSettings(changed) => self.settings = Json(changed.settings),
        }
        self.version = self.sequence;
    }

    fn count(&mut self, audience: AudienceCounts) {
        self.viewer_count = i64::from(audience.viewer_count);
        self.peak_viewers = i64::from(audience.peak_viewers);
        self.total_views = signed(audience.total_views);
        self.unique_viewers = i64::from(audience.unique_viewers);
    }
}
