//! What clients are told: the frames of the API, each `{type, sequence, previous?, data}`.

use bytes::Bytes;
use platform::http::amount::AmountNumber;
use schemas::events::AuthorRole;
use schemas::{Currency, MessageId, Revision, ShowId, Timestamp, TipId};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::wire;

/// The type of a frame to a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FrameType {
    /// Somebody wrote a message.
    NewMessage,
    /// A tip was paid.
    NewTip,
    /// How many are here; coalesced.
    ViewerCountUpdate,
    /// The show starts, ends, is cancelled.
    StreamStatusUpdate,
    /// Reactions of about a second.
    NewReactions,
    /// How the show stands.
    Snapshot,
    /// The client was too slow: it must resume.
    Gap,
    /// A command was carried out.
    Ack,
    /// A command was not carried out.
    Error,
}

impl FrameType {
    /// All types, for the document of the sockets.
    pub const ALL: [Self; 9] = [
        Self::NewMessage,
        Self::NewTip,
        Self::ViewerCountUpdate,
        Self::StreamStatusUpdate,
        Self::NewReactions,
        Self::Snapshot,
        Self::Gap,
        Self::Ack,
        Self::Error,
    ];

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NewMessage => "NEW_MESSAGE",
            Self::NewTip => "NEW_TIP",
            Self::ViewerCountUpdate => "VIEWER_COUNT_UPDATE",
            Self::StreamStatusUpdate => "STREAM_STATUS_UPDATE",
            Self::NewReactions => "NEW_REACTIONS",
            Self::Snapshot => "SNAPSHOT",
            Self::Gap => "GAP",
            Self::Ack => "ACK",
            Self::Error => "ERROR",
        }
    }
}

/// Where a show stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Announced.
    Scheduled,
    /// On air.
    Live,
    /// Over.
    Ended,
    /// Called off.
    Cancelled,
}

/// `NEW_MESSAGE`. Text and names are null where the author was erased.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageData {
    pub(crate) message_id: MessageId,
    pub(crate) user_id: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) timestamp: Timestamp,
    pub(crate) is_subscriber: bool,
    pub(crate) role: AuthorRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_message_id: Option<String>,
}

/// `NEW_TIP`. Words and names are null where the tipper was erased.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TipData {
    pub(crate) tip_id: TipId,
    pub(crate) user_id: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) amount: AmountNumber,
    pub(crate) currency: Currency,
    pub(crate) message: Option<String>,
    pub(crate) timestamp: Timestamp,
}

/// `VIEWER_COUNT_UPDATE`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ViewerCountData {
    pub(crate) stream_id: ShowId,
    pub(crate) viewer_count: u32,
    pub(crate) is_increasing: bool,
}

/// `STREAM_STATUS_UPDATE`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusData {
    pub(crate) stream_id: ShowId,
    pub(crate) status: Status,
    pub(crate) timestamp: Timestamp,
}

/// `NEW_REACTIONS`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReactionsData {
    pub(crate) stream_id: ShowId,
    pub(crate) counts: BTreeMap<String, u32>,
    pub(crate) timestamp: Timestamp,
}

/// `SNAPSHOT`: the show at `sequence`; the frames after it go on from there.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotData {
    pub(crate) stream_id: ShowId,
    pub(crate) status: Status,
    pub(crate) viewer_count: u32,
    pub(crate) peak_viewers: u32,
    pub(crate) total_tips: AmountNumber,
    pub(crate) currency: Currency,
    pub(crate) messages_count: u64,
    pub(crate) chat_enabled: bool,
    pub(crate) tips_enabled: bool,
    /// The latest messages, oldest first, as in `NEW_MESSAGE`, each with its `sequence`.
    pub(crate) recent_messages: Arc<RawValue>,
    pub(crate) sequence: Revision,
}

/// A message within a snapshot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RecentMessage {
    pub(crate) sequence: Revision,
    #[serde(flatten)]
    pub(crate) message: MessageData,
}

/// `GAP`: frames after `from` up to `to` were lost to this socket. RESUME from `from` gets them.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct GapData {
    pub(crate) from: Revision,
    pub(crate) to: Revision,
}

/// `ERROR`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<Arc<str>>,
    pub(crate) code: String,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
}

/// What an event tells everybody.
#[derive(Clone, Debug)]
pub(crate) enum DurableData {
    Message(MessageData),
    Tip(TipData),
    Status(StatusData),
    Reactions(ReactionsData),
}

impl DurableData {
    /// The frame's bytes. `previous` is the durable frame before it in this show, if there is one.
    pub(crate) fn encode(
        &self,
        sequence: Revision,
        previous: Option<Revision>,
    ) -> Result<Bytes, serde_json::Error> {
        match self {
            Self::Message(data) => encode(FrameType::NewMessage, sequence, previous, data),
            Self::Tip(data) => encode(FrameType::NewTip, sequence, previous, data),
            Self::Status(data) => encode(FrameType::StreamStatusUpdate, sequence, previous, data),
            Self::Reactions(data) => encode(FrameType::NewReactions, sequence, previous, data),
        }
    }
}

#[derive(Serialize)]
struct Frame<'a, T> {
    #[serde(rename = "type")]
    kind: FrameType,
    sequence: Revision,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Revision>,
    data: &'a T,
}

/// A frame of no event: it has no `previous`, and is not replayed.
pub(crate) fn coalesced<T: Serialize>(
    kind: FrameType,
    sequence: Revision,
    data: &T,
) -> Result<Bytes, serde_json::Error> {
    encode(kind, sequence, None, data)
}

fn encode<T: Serialize>(
    kind: FrameType,
    sequence: Revision,
    previous: Option<Revision>,
    data: &T,
) -> Result<Bytes, serde_json::Error> {
    let json = serde_json::to_vec(&Frame { kind, sequence, previous, data })?;
    Ok(wire::text(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_of_the_specification() {
        for kind in FrameType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
