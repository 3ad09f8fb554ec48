//! From an event to what everybody is told of it: opened once, encoded once.

use platform::http::amount::AmountNumber;
use platform::vault::{OpenRequest, Vault, VaultError};
use schemas::events::{
    ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent, MessagePosted, ShowEvent, TipCaptured,
};
use schemas::{Envelope, EventId, ShowId, Timestamp};

use super::frame::{DurableData, MessageData, ReactionsData, Status, StatusData, TipData};
use super::state::Posted;
use crate::opening::{self, field};

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
            let opened = opening::open(vault, &requests(event_id, posted)).await?;
            Some(DurableData::Message(message(posted, timestamp, opened)))
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
    let wanted: Vec<OpenRequest<'_>> =
        posted.clone().flat_map(|posted| requests(posted.event_id, &posted.message)).collect();
    let mut opened = opening::open(vault, &wanted).await?.into_iter();
    let mut shown = Vec::with_capacity(wanted.len() / FIELDS);
    for posted in posted {
        shown.push(message(&posted.message, posted.at, opened.by_ref().take(FIELDS)));
    }
    Ok(shown)
}

/// Sealed fields of a message.
const FIELDS: usize = 2;

fn requests(event_id: EventId, posted: &MessagePosted) -> [OpenRequest<'_>; FIELDS] {
    [
        OpenRequest { sealed: &posted.identity, event_id, field: field::AUTHOR },
        OpenRequest { sealed: &posted.text, event_id, field: field::TEXT },
    ]
}

/// `opened` are the fields in the order of [`requests`].
fn message(
    posted: &MessagePosted,
    timestamp: Timestamp,
    opened: impl IntoIterator<Item = Option<Vec<u8>>>,
) -> MessageData {
    let mut opened = opened.into_iter();
    let (user_id, username) = opening::names(opening::identity(opened.next().flatten()));
    MessageData {
        message_id: posted.message_id,
        user_id,
        username,
        message: opening::text(opened.next().flatten()),
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
    let fields = [(&captured.identity, field::TIPPER), (&captured.message, field::MESSAGE)];
    let wanted = fields
        .into_iter()
        .filter_map(|(sealed, field)| sealed.as_ref().map(|sealed| OpenRequest { sealed, event_id, field }));
    let mut opened = opening::open(vault, &wanted.collect::<Vec<_>>()).await?.into_iter();
    let mut next = |sealed: bool| if sealed { opened.next().flatten() } else { None };
    let identity = opening::identity(next(captured.identity.is_some()));
    let words = opening::text(next(captured.message.is_some()));
    let (user_id, username) = opening::names(identity);
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
