//! From an event to what everybody is told of it: opened once, encoded once.

use platform::http::amount::AmountNumber;
use schemas::events::{
    ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent, MessagePosted, ShowEvent, TipCaptured,
};
use schemas::{Envelope, EventId, Identity, ShowId, Timestamp};

use super::frame::{DurableData, MessageData, ReactionsData, Status, StatusData, TipData};
use crate::opening::{self, OpenError, Opener, field};

/// What a frame says of an event; `None` for an event that makes none.
pub(crate) async fn durable(
    opener: &dyn Opener,
    show: ShowId,
    envelope: &Envelope<ShowEvent>,
) -> Result<Option<DurableData>, OpenError> {
    let timestamp = envelope.meta.occurred_at;
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
            Some(DurableData::Message(message(opener, envelope.event_id, timestamp, posted).await?))
        }
        ShowEvent::Interaction(InteractionEvent::Reactions(reactions)) => {
            let counts = reactions.counts.clone();
            Some(DurableData::Reactions(ReactionsData { stream_id: show, counts, timestamp }))
        }
        ShowEvent::Ledger(LedgerEvent::TipCaptured(captured)) => {
            Some(DurableData::Tip(tip(opener, envelope.event_id, timestamp, captured).await?))
        }
        ShowEvent::Settings(_)
        | ShowEvent::Audience(_)
        | ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_)) => None,
    })
}

/// A message as it is shown.
pub(crate) async fn message(
    opener: &dyn Opener,
    event: EventId,
    timestamp: Timestamp,
    posted: &MessagePosted,
) -> Result<MessageData, OpenError> {
    let author = opening::identity(opener, event, field::AUTHOR, &posted.identity).await?;
    let text = opening::text(opener, event, field::TEXT, &posted.text).await?;
    let (user_id, username) = names(author);
    Ok(MessageData {
        message_id: posted.message_id,
        user_id,
        username,
        message: text,
        timestamp,
        is_subscriber: posted.is_subscriber,
        role: posted.role,
        reply_to: posted.reply_to,
        client_message_id: posted.client_message_id.clone(),
    })
}

async fn tip(
    opener: &dyn Opener,
    event: EventId,
    timestamp: Timestamp,
    captured: &TipCaptured,
) -> Result<TipData, OpenError> {
    let tipper = match &captured.identity {
        Some(sealed) => opening::identity(opener, event, field::TIPPER, sealed).await?,
        None => None,
    };
    let words = match &captured.message {
        Some(sealed) => opening::text(opener, event, field::MESSAGE, sealed).await?,
        None => None,
    };
    let (user_id, username) = names(tipper);
    let currency = captured.amount.currency();
    Ok(TipData {
        tip_id: captured.tip_id,
        user_id,
        username,
        amount: AmountNumber::new(captured.amount.amount(), currency.minor_digits()),
        currency,
        message: words,
        timestamp,
    })
}

fn names(identity: Option<Identity>) -> (Option<String>, Option<String>) {
    identity.map_or((None, None), |identity| (Some(identity.sub), Some(identity.name)))
}
