//! `read.messages`: the Stream Messages collection, one row for each event that shows in the chat.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | show_id | uuid, key | |
//! | sequence | bigint, key | revision: (show_id, sequence) is the keyset |
//! | message_id | uuid, unique | MESSAGE: its id; TIP: the tip's id; REACTION and SYSTEM: the event's id |
//! | event_id | uuid | the event that the sealed columns were sealed for |
//! | type | text | MESSAGE, TIP, REACTION, SYSTEM |
//! | author | uuid? | pseudonym; MESSAGE and TIP |
//! | identity | jsonb? | `Sealed`: field `author` (MESSAGE) or `tipper` (TIP; NULL if erased before the capture) |
//! | text | jsonb? | `Sealed`: field `text` (MESSAGE) or `message` (TIP, where it has words) |
//! | tip_amount, tip_currency | numeric?, text? | TIP |
//! | reactions | jsonb? | REACTION: {type: count}, all that one node counted in about a second: one row for them all, as one event is one entry |
//! | reaction_type | text? | REACTION: the type, where `reactions` has only one |
//! | status | text? | SYSTEM: the status that the show went to: LIVE, ENDED, CANCELLED |
//! | sent_at | timestamptz | the `timestamp` |
//! | is_moderated, moderated_by | boolean, uuid? | |
//! | reply_to | uuid? | a message_id |
//! | client_message_id | text? | |
//! | role | text? | MESSAGE: HOST, MODERATOR, ADMIN, VIEWER |
//! | is_subscriber | boolean? | MESSAGE |

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE messages (
    show_id           uuid        NOT NULL,
    sequence          bigint      NOT NULL,
    message_id        uuid        NOT NULL,
    event_id          uuid        NOT NULL,
    type              text        NOT NULL CHECK (type IN ('MESSAGE', 'TIP', 'REACTION', 'SYSTEM')),
    author            uuid,
    identity          jsonb,
    text              jsonb,
    tip_amount        numeric,
    tip_currency      text,
    reactions         jsonb,
    reaction_type     text,
    status            text        CHECK (status IN ('LIVE', 'ENDED', 'CANCELLED')),
    sent_at           timestamptz NOT NULL,
    is_moderated      boolean     NOT NULL DEFAULT false,
    moderated_by      uuid,
    reply_to          uuid,
    client_message_id text,
    role              text        CHECK (role IN ('HOST', 'MODERATOR', 'ADMIN', 'VIEWER')),
    is_subscriber     boolean,
    PRIMARY KEY (show_id, sequence)
);
CREATE UNIQUE INDEX messages_by_id ON messages (message_id);
CREATE INDEX messages_by_author ON messages (author, show_id, sequence) WHERE author IS NOT NULL;
";

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use platform::event_log::Prefixes;
use rust_decimal::Decimal;
use schemas::events::{
    AudienceEvent, ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent, MessagePosted, ReactionsCounted,
    SettingsEvent, ShowEvent, TipCaptured,
};
use schemas::{Envelope, Sealed, ShowId};
use sqlx::types::Json;
use uuid::Uuid;

use super::{SHOWS, plain, plain_option};
use crate::framework::rows::{Bulk, rows};
use crate::framework::{Change, Failure, Read, View, ViewTable, Work, of_shows, signed};

/// The view `messages`.
pub(super) struct Messages;

rows! {
    /// A row of `messages`. `is_moderated` and `moderated_by` begin with their defaults.
    Row of "messages" key "message_id" {
        show_id: Uuid = "uuid",
        sequence: i64 = "bigint",
        message_id: Uuid = "uuid",
        event_id: Uuid = "uuid",
        r#type: String = "text",
        author: Option<Uuid> = "uuid",
        identity: Option<Json<Sealed>> = "jsonb",
        text: Option<Json<Sealed>> = "jsonb",
        tip_amount: Option<Decimal> = "numeric",
        tip_currency: Option<String> = "text",
        reactions: Option<Json<BTreeMap<String, u32>>> = "jsonb",
        reaction_type: Option<String> = "text",
        status: Option<String> = "text",
        sent_at: DateTime<Utc> = "timestamptz",
        reply_to: Option<Uuid> = "uuid",
        client_message_id: Option<String> = "text",
        role: Option<String> = "text",
        is_subscriber: Option<bool> = "boolean",
    }
}

impl View for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wanted(&self) -> Prefixes {
        SHOWS
    }

    fn tables(&self) -> &'static [ViewTable] {
        &[ViewTable { name: "messages", key: "show_id, sequence" }]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    fn prepare(&self, batch: Vec<Arc<Read>>) -> Result<Box<dyn Change>, Failure> {
        let rows = of_shows(&batch).filter_map(|(show, envelope)| entry(show, envelope)).collect();
        Ok(Box::new(Entries(Bulk::insert::<Row>(rows)?)))
    }
}

/// New rows, and nothing else.
struct Entries(Bulk);

#[async_trait]
impl Change for Entries {
    async fn apply(self: Box<Self>, work: &mut Work<'_>) -> Result<(), Failure> {
        self.0.run(work).await
    }
}

/// What an event shows in the chat, if anything.
fn entry(show: ShowId, envelope: &Envelope<ShowEvent>) -> Option<Row> {
    let row = |kind| blank(show, envelope, kind);
    match &envelope.event {
        ShowEvent::Chat(ChatEvent::Posted(message)) => Some(posted(row("MESSAGE"), message)),
        ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => Some(tipped(row("TIP"), tip)),
        ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => {
            Some(reacted(row("REACTION"), counted))
        }
        ShowEvent::Lifecycle(LifecycleEvent::Started(_)) => Some(went(row("SYSTEM"), "LIVE")),
        ShowEvent::Lifecycle(LifecycleEvent::Ended(_)) => Some(went(row("SYSTEM"), "ENDED")),
        ShowEvent::Lifecycle(LifecycleEvent::Cancelled(_)) => Some(went(row("SYSTEM"), "CANCELLED")),
        ShowEvent::Lifecycle(LifecycleEvent::Created(_))
        | ShowEvent::Settings(SettingsEvent::Revised(_) | SettingsEvent::StreamSettings(_))
        | ShowEvent::Audience(AudienceEvent::Joined(_) | AudienceEvent::Left(_))
        | ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_)) => None,
    }
}

fn blank(show: ShowId, envelope: &Envelope<ShowEvent>, kind: &str) -> Row {
    Row {
        show_id: show.0,
        sequence: signed(envelope.revision),
        message_id: envelope.event_id.0,
        event_id: envelope.event_id.0,
        r#type: kind.to_owned(),
        author: None,
        identity: None,
        text: None,
        tip_amount: None,
        tip_currency: None,
        reactions: None,
        reaction_type: None,
        status: None,
        sent_at: envelope.meta.occurred_at.to_chrono(),
        reply_to: None,
        client_message_id: None,
        role: None,
        is_subscriber: None,
    }
}

fn posted(row: Row, message: &MessagePosted) -> Row {
    Row {
        message_id: message.message_id.0,
        author: Some(message.author.0),
        identity: Some(Json(message.identity.clone())),
        text: Some(Json(message.text.clone())),
        reply_to: message.reply_to.map(|id| id.0),
        client_message_id: plain_option(message.client_message_id.as_ref()),
        role: Some(message.role.name().to_owned()),
        is_subscriber: Some(message.is_subscriber),
        ..row
    }
}

fn tipped(row: Row, tip: &TipCaptured) -> Row {
    Row {
        message_id: tip.tip_id.0,
        author: Some(tip.person.0),
        identity: tip.identity.clone().map(Json),
        text: tip.message.clone().map(Json),
        tip_amount: Some(tip.amount.amount()),
        tip_currency: Some(tip.amount.currency().code().to_owned()),
        ..row
    }
}

fn reacted(row: Row, counted: &ReactionsCounted) -> Row {
    let mut reactions = BTreeMap::new();
    for (kind, count) in &counted.counts {
        let sum: &mut u32 = reactions.entry(plain(kind)).or_default();
        *sum = sum.saturating_add(*count);
    }
    let only = match reactions.len() {
        1 => reactions.keys().next().cloned(),
        _ => None,
    };
    Row { reactions: Some(Json(reactions)), reaction_type: only, ..row }
}

fn went(row: Row, status: &str) -> Row {
    Row { status: Some(status.to_owned()), ..row }
}
