//! From an event to what everybody is told of it: opened once, encoded once.

use platform::http::amount::AmountNumber;
use platform::vault::{Vault, VaultError};
use schemas::events::{
    ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent, MessagePosted, ShowEvent, TipCaptured,
};
use schemas::{Envelope, EventId, ShowId, Timestamp};

use super::frame::{DurableData, MessageData, ReactionsData, Status, StatusData, TipData};
use super::state::Posted;
use crate::opening::{IdentitySlot, Opened, Opening, TextSlot, field};

/// What a frame says of an event; `None` for an event that makes none.
pub(crate) async fn durable(
    vault: &Vault,
    show: ShowId,
    envelope: &Envelope<ShowEvent>,
) -> Result<Option<DurableData>, VaultError> {
    let (event_id, timestamp) = (envelope.event_id, envelope.meta.occurred_at);
    Ok(match &envelope.event {
        ShowEvent::Lifecycle(event) => {
            let status = match event {
                LifecycleEvent::Created(_) => Status::Scheduled,
                LifecycleEvent::Started(_) => Status::Live,
                LifecycleEvent::Ended(_) => Status::Ended,
                LifecycleEvent::Cancelled(_) => Status::Cancelled,
            };
            Some(DurableData::Status(StatusData { stream_id: show, status, timestamp }))
        }
        ShowEvent::Chat(ChatEvent::Posted(posted)) => {
            let mut opening = Opening::default();
            let slots = ask(&mut opening, event_id, posted);
            let mut opened = opening.open(vault).await?;
            Some(DurableData::Message(message(posted, timestamp, &mut opened, slots)))
        }
        ShowEvent::Interaction(InteractionEvent::Reactions(reactions)) => {
            let counts = reactions.counts.clone();
            Some(DurableData::Reactions(ReactionsData { stream_id: show, counts, timestamp }))
        }
        ShowEvent::Ledger(LedgerEvent::TipCaptured(captured)) => {
            Some(DurableData::Tip(tip(vault, event_id, timestamp, captured).await?))
        }
        ShowEvent::Settings(_)
        | ShowEvent::Audience(_)
        | ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_)) => None,
    })
}

/// Messages as they are shown, opened together.
pub(crate) async fn messages<'a>(
    vault: &Vault,
    posted: impl Iterator<Item = &'a Posted> + Clone,
) -> Result<Vec<MessageData>, VaultError> {
    let mut opening = Opening::default();
    let slots: Vec<_> =
        posted.clone().map(|posted| ask(&mut opening, posted.event_id, &posted.message)).collect();
    let mut opened = opening.open(vault).await?;
    let shown = posted.zip(slots);
    Ok(shown.map(|(posted, slots)| message(&posted.message, posted.at, &mut opened, slots)).collect())
}

fn ask<'a>(
    opening: &mut Opening<'a>,
    event_id: EventId,
    posted: &'a MessagePosted,
) -> (IdentitySlot, TextSlot) {
    let author = opening.identity(Some(&posted.identity), event_id);
    (author, opening.text(Some(&posted.text), event_id, field::TEXT))
}

fn message(
    posted: &MessagePosted,
    timestamp: Timestamp,
    opened: &mut Opened,
    (author, text): (IdentitySlot, TextSlot),
) -> MessageData {
    let (user_id, username) = opened.names(author);
    MessageData {
        message_id: posted.message_id,
        user_id,
        username,
        message: opened.text(text),
        timestamp,
        is_subscriber: posted.is_subscriber,
        role: posted.role,
        reply_to: posted.reply_to,
        client_message_id: posted.client_message_id.clone(),
    }
}

async fn tip(
    vault: &Vault,
    event_id: EventId,
    timestamp: Timestamp,
    captured: &TipCaptured,
) -> Result<TipData, VaultError> {
    let mut opening = Opening::default();
    let tipper = opening.identity(captured.identity.as_ref(), event_id);
    let words = opening.text(captured.message.as_ref(), event_id, field::MESSAGE);
    let mut opened = opening.open(vault).await?;
    let (user_id, username) = opened.names(tipper);
    let currency = captured.amount.currency();
    Ok(TipData {
        tip_id: captured.tip_id,
        user_id,
        username,
        amount: AmountNumber::new(captured.amount.amount(), currency.minor_digits()),
        currency,
        message: opened.text(words),
        timestamp,
    })
}
