//! `read.tips`: one row a tip; `read.tip_totals`: the leaderboard, one row for each person who tipped in a show.
//!
//! `read.tips`
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | tip_id | uuid, key | |
//! | payment_id, show_id, person | uuid | |
//! | identity | jsonb? | `Sealed`, field `tipper` of event `event_id`; NULL if erased before the capture |
//! | message | jsonb? | `Sealed`, field `message` of event `event_id` |
//! | event_id | uuid | TipRequested, from the capture on TipCaptured |
//! | amount, currency | numeric, text | |
//! | status | text | PENDING, CAPTURED, DECLINED |
//! | decline_reason | text? | DECLINED, EXPIRED, CANCELLED |
//! | requested_at | timestamptz | |
//! | captured_at, declined_at | timestamptz? | |
//! | sequence | bigint | revision of the tip's last event: (show_id, sequence) is the keyset |
//!
//! `read.tip_totals`: captured tips only.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | show_id, person | uuid, key | |
//! | identity | jsonb? | `Sealed`, field `tipper` of event `event_id`: that of the last captured tip |
//! | event_id | uuid | TipCaptured |
//! | total, currency | numeric, text | |
//! | tips_count | bigint | |
//! | last_tip_at | timestamptz | |
//! | sequence | bigint | revision of the capture that made the total: who reached a total first stands higher; order by total descending, sequence ascending |

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE tips (
    tip_id         uuid        PRIMARY KEY,
    payment_id     uuid        NOT NULL,
    show_id        uuid        NOT NULL,
    person         uuid        NOT NULL,
    identity       jsonb,
    message        jsonb,
    event_id       uuid        NOT NULL,
    amount         numeric     NOT NULL,
    currency       text        NOT NULL,
    status         text        NOT NULL CHECK (status IN ('PENDING', 'CAPTURED', 'DECLINED')),
    decline_reason text        CHECK (decline_reason IN ('DECLINED', 'EXPIRED', 'CANCELLED')),
    requested_at   timestamptz NOT NULL,
    captured_at    timestamptz,
    declined_at    timestamptz,
    sequence       bigint      NOT NULL
);
CREATE UNIQUE INDEX tips_of_show ON tips (show_id, sequence);
CREATE INDEX tips_by_person ON tips (person, show_id);
CREATE INDEX tips_by_payment ON tips (payment_id);

CREATE TABLE tip_totals (
    show_id     uuid        NOT NULL,
    person      uuid        NOT NULL,
    identity    jsonb,
    event_id    uuid        NOT NULL,
    total       numeric     NOT NULL,
    currency    text        NOT NULL,
    tips_count  bigint      NOT NULL,
    last_tip_at timestamptz NOT NULL,
    sequence    bigint      NOT NULL,
    PRIMARY KEY (show_id, person)
) WITH (fillfactor = 80);
CREATE INDEX tip_totals_leaders ON tip_totals (show_id, total DESC, sequence);
";

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use platform::event_log::Prefixes;
use rust_decimal::Decimal;
use schemas::events::{
    AudienceEvent, ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent, SettingsEvent, ShowEvent,
    TipCaptured, TipRequested,
};
use schemas::{Envelope, Sealed, ShowId};
use sqlx::types::Json;
use uuid::Uuid;

use super::SHOWS;
use crate::framework::rows::{self, Bulk, rows};
use crate::framework::{Change, Failure, Read, Recorded, View, ViewTable, Work, of_shows, signed};

/// The view `tips`.
pub(super) struct Tips;

rows! {
    /// A row of `tips`.
    Tip of "tips" key "tip_id" {
        tip_id: Uuid = "uuid",
        payment_id: Uuid = "uuid",
        show_id: Uuid = "uuid",
        person: Uuid = "uuid",
        identity: Option<Json<Sealed>> = "jsonb",
        message: Option<Json<Sealed>> = "jsonb",
        event_id: Uuid = "uuid",
        amount: Decimal = "numeric",
        currency: String = "text",
        status: String = "text",
        decline_reason: Option<String> = "text",
        requested_at: DateTime<Utc> = "timestamptz",
        captured_at: Option<DateTime<Utc>> = "timestamptz",
        declined_at: Option<DateTime<Utc>> = "timestamptz",
        sequence: i64 = "bigint",
    }
}

rows! {
    /// What a batch adds to a row of `tip_totals`.
    Added of "tip_totals" key "show_id, person" {
        show_id: Uuid = "uuid",
        person: Uuid = "uuid",
        identity: Option<Json<Sealed>> = "jsonb",
        event_id: Uuid = "uuid",
        total: Decimal = "numeric",
        currency: String = "text",
        tips_count: i64 = "bigint",
        last_tip_at: DateTime<Utc> = "timestamptz",
        sequence: i64 = "bigint",
    }
}

impl View for Tips {
    fn name(&self) -> &'static str {
        "tips"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wanted(&self) -> Prefixes {
        SHOWS
    }

    fn tables(&self) -> &'static [ViewTable] {
        &[ViewTable { name: "tips", key: "tip_id" }, ViewTable { name: "tip_totals", key: "show_id, person" }]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    fn prepare(&self, mut batch: Vec<Arc<Read>>) -> Result<Box<dyn Change>, Failure> {
        batch.retain(|read| match &read.event {
            Recorded::Show(_, envelope) => is_of_tips(&envelope.event),
            Recorded::Payment(..) => false,
        });
        Ok(Box::new(Fold(batch)))
    }
}

/// Events of tips, over rows that have to be read first.
struct Fold(Vec<Arc<Read>>);

#[async_trait]
impl Change for Fold {
    async fn apply(self: Box<Self>, work: &mut Work<'_>) -> Result<(), Failure> {
        let mut settled: Vec<Uuid> =
            of_shows(&self.0).filter_map(|(_, envelope)| settles(&envelope.event)).collect();
        settled.sort_unstable();
        settled.dedup();
        let known = rows::load::<Tip>(work, settled).await?;
        let mut tips: HashMap<Uuid, Tip> = known.into_iter().map(|tip| (tip.tip_id, tip)).collect();
        let mut totals: HashMap<(Uuid, Uuid), Added> = HashMap::new();
        for (show, envelope) in of_shows(&self.0) {
            apply_one(&mut tips, &mut totals, show, envelope)?;
        }
        Bulk::upsert(tips.into_values().collect())?.run(work).await?;
        Bulk::of(ADD, totals.into_values().collect::<Vec<Added>>())?.run(work).await
    }
}

fn is_of_tips(event: &ShowEvent) -> bool {
    settles(event).is_some() || matches!(event, ShowEvent::Ledger(LedgerEvent::TipRequested(_)))
}

/// The tip whose payment ends with this event.
fn settles(event: &ShowEvent) -> Option<Uuid> {
    match event {
        ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => Some(tip.tip_id.0),
        ShowEvent::Ledger(LedgerEvent::TipDeclined(tip)) => Some(tip.tip_id.0),
        ShowEvent::Ledger(LedgerEvent::TipRequested(_))
        | ShowEvent::Lifecycle(
            LifecycleEvent::Created(_)
            | LifecycleEvent::Started(_)
            | LifecycleEvent::Ended(_)
            | LifecycleEvent::Cancelled(_),
        )
        | ShowEvent::Settings(SettingsEvent::Revised(_) | SettingsEvent::StreamSettings(_))
        | ShowEvent::Audience(AudienceEvent::Joined(_) | AudienceEvent::Left(_))
        | ShowEvent::Chat(ChatEvent::Posted(_))
        | ShowEvent::Interaction(InteractionEvent::Reactions(_)) => None,
    }
}

fn apply_one(
    tips: &mut HashMap<Uuid, Tip>,
    totals: &mut HashMap<(Uuid, Uuid), Added>,
    show: ShowId,
    envelope: &Envelope<ShowEvent>,
) -> Result<(), Failure> {
    if let ShowEvent::Ledger(LedgerEvent::TipRequested(tip)) = &envelope.event {
        tips.insert(tip.tip_id.0, pending(show, tip, envelope));
        return Ok(());
    }
    let Some(id) = settles(&envelope.event) else { return Ok(()) };
    let (event, _) = envelope.event.stored();
    let row = tips.get_mut(&id).ok_or(Failure::Unfounded { event, what: "tip", id })?;
    row.sequence = signed(envelope.revision);
    let at = Some(envelope.meta.occurred_at.to_chrono());
    if let ShowEvent::Ledger(LedgerEvent::TipDeclined(declined)) = &envelope.event {
        "DECLINED".clone_into(&mut row.status);
        row.decline_reason = Some(declined.reason.name().to_owned());
        row.declined_at = at;
    }
    if let ShowEvent::Ledger(LedgerEvent::TipCaptured(captured)) = &envelope.event {
        "CAPTURED".clone_into(&mut row.status);
        row.amount = captured.amount.amount();
        row.identity = captured.identity.clone().map(Json);
        row.message = captured.message.clone().map(Json);
        row.event_id = envelope.event_id.0;
        row.captured_at = at;
        total(totals, show, captured, envelope);
    }
    Ok(())
}

fn pending(show: ShowId, tip: &TipRequested, envelope: &Envelope<ShowEvent>) -> Tip {
    Tip {
        tip_id: tip.tip_id.0,
        payment_id: tip.payment_id.0,
        show_id: show.0,
        person: tip.person.0,
        identity: Some(Json(tip.identity.clone())),
        message: tip.message.clone().map(Json),
        event_id: envelope.event_id.0,
        amount: tip.amount.amount(),
        currency: tip.amount.currency().code().to_owned(),
        status: "PENDING".to_owned(),
        decline_reason: None,
        requested_at: envelope.meta.occurred_at.to_chrono(),
        captured_at: None,
        declined_at: None,
        sequence: signed(envelope.revision),
    }
}

fn total(
    totals: &mut HashMap<(Uuid, Uuid), Added>,
    show: ShowId,
    tip: &TipCaptured,
    envelope: &Envelope<ShowEvent>,
) {
    let before =
        totals.get(&(show.0, tip.person.0)).map_or((Decimal::ZERO, 0), |row| (row.total, row.tips_count));
    let row = Added {
        show_id: show.0,
        person: tip.person.0,
        identity: tip.identity.clone().map(Json),
        event_id: envelope.event_id.0,
        total: before.0 + tip.amount.amount(),
        currency: tip.amount.currency().code().to_owned(),
        tips_count: before.1 + 1,
        last_tip_at: envelope.meta.occurred_at.to_chrono(),
        sequence: signed(envelope.revision),
    };
    totals.insert((show.0, tip.person.0), row);
}

/// Sums grow by what the batch adds; the rest is as the last captured tip says.
const ADD: &str = "
    INSERT INTO tip_totals
        (show_id, person, identity, event_id, total, currency, tips_count, last_tip_at, sequence)
    SELECT * FROM UNNEST(
        $1::uuid[], $2::uuid[], $3::jsonb[], $4::uuid[], $5::numeric[], $6::text[], $7::bigint[],
        $8::timestamptz[], $9::bigint[]
    )
    ON CONFLICT (show_id, person) DO UPDATE SET
        identity = EXCLUDED.identity,
        event_id = EXCLUDED.event_id,
        total = tip_totals.total + EXCLUDED.total,
        tips_count = tip_totals.tips_count + EXCLUDED.tips_count,
        last_tip_at = EXCLUDED.last_tip_at,
        sequence = EXCLUDED.sequence";
