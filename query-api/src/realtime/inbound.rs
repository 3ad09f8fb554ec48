//! What clients say, as it comes over a socket, and which command that is.

use platform::http::json;
use schemas::{Revision, ShowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

use super::frame::ErrorData;

/// Longest request id: it is an idempotency key.
const REQUEST_ID_LENGTH_MAX: usize = 255;

/// A client's frame. What is beside these members is not looked at: newer clients may say more.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientFrame {
    #[serde(rename = "type")]
    kind: String,
    request_id: Option<String>,
    sequence: Option<Revision>,
    #[serde(default)]
    data: Option<ClientData>,
}

/// The data of all types in one: a command's own service judges its fields.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    stream_id: Option<String>,
    user_id: Option<String>,
    request_id: Option<String>,
    sequence: Option<Revision>,
    message: Option<Box<RawValue>>,
    #[serde(rename = "type")]
    message_type: Option<Box<RawValue>>,
    reply_to: Option<Box<RawValue>>,
    client_message_id: Option<Box<RawValue>>,
    amount: Option<Box<RawValue>>,
    currency: Option<Box<RawValue>>,
    reaction_type: Option<Box<RawValue>>,
    count: Option<Box<RawValue>>,
    device_id: Option<Box<RawValue>>,
    device_type: Option<Box<RawValue>>,
    location: Option<Box<RawValue>>,
    session_id: Option<Box<RawValue>>,
}

/// The body of a command's request: the fields that the client gave, exactly as written.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Box<RawValue>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    message_type: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reaction_type: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_type: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Box<RawValue>>,
}

/// Which command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CommandKind {
    Join,
    Leave,
    Message,
    Tip,
    React,
}

impl CommandKind {
    /// The last part of the command's path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Message => "chat",
            Self::Tip => "tip",
            Self::React => "reactions",
        }
    }
}

/// What a client wants.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// A command of the show.
    Command { kind: CommandKind, body: Vec<u8> },
    /// Everything after this sequence.
    Resume(Revision),
    /// A sign of life.
    Heartbeat,
}

/// A client's wish with its request id; or the error that it gets.
pub(crate) struct Said {
    pub(crate) request_id: Option<Arc<str>>,
    pub(crate) wish: Result<Wish, Box<ErrorData>>,
}

/// The types that clients may send, for the document of the sockets.
pub const CLIENT_TYPES: [&str; 7] =
    ["JOIN_STREAM", "LEAVE_STREAM", "HEARTBEAT", "SEND_MESSAGE", "SEND_TIP", "REACT", "RESUME"];

/// Understands a text message. `person` is the token's subject, where there is a token.
pub(crate) fn understand(text: &str, show: ShowId, person: Option<&str>) -> Said {
    let mut frame: ClientFrame = match json::parse(text.as_bytes()) {
        Ok(frame) => frame,
        Err(problem) => {
            return Said { request_id: None, wish: Err(refusal("bad_frame", problem.detail())) };
        }
    };
    let mut data = frame.data.take().unwrap_or_default();
    let request_id = frame.request_id.take().or_else(|| data.request_id.take());
    if request_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > REQUEST_ID_LENGTH_MAX) {
        let detail = format!("a requestId has 1 to {REQUEST_ID_LENGTH_MAX} bytes");
        return Said { request_id: None, wish: Err(refusal("bad_frame", detail)) };
    }
    let is_keyed = request_id.is_some();
    let wish = check_identity(&data, show, person)
        .and_then(|()| wish_of(&frame, data, is_keyed))
        .and_then(|wish| check_token(wish, person));
    Said { request_id: request_id.map(Arc::from), wish }
}

fn check_identity(data: &ClientData, show: ShowId, person: Option<&str>) -> Result<(), Box<ErrorData>> {
    let is_other_show = |id: &String| id.parse() != Ok(show);
    if data.stream_id.as_ref().is_some_and(is_other_show) {
        return Err(refusal("stream_mismatch", "this socket is for another stream; leave streamId out"));
    }
    if data.user_id.as_deref().is_some_and(|user| Some(user) != person) {
        return Err(refusal("user_mismatch", "userId is not the token's subject; leave it out"));
    }
    Ok(())
}

fn check_token(wish: Wish, person: Option<&str>) -> Result<Wish, Box<ErrorData>> {
    match wish {
        Wish::Command { .. } if person.is_none() => {
            Err(refusal("token_missing", "this socket has no token and is for reading only"))
        }
        Wish::Command { .. } | Wish::Resume(_) | Wish::Heartbeat => Ok(wish),
    }
}

fn wish_of(frame: &ClientFrame, data: ClientData, is_keyed: bool) -> Result<Wish, Box<ErrorData>> {
    let own = CommandBody::default();
    match frame.kind.as_str() {
        "JOIN_STREAM" => {
            let (device_id, device_type, location) = (data.device_id, data.device_type, data.location);
            command(CommandKind::Join, &CommandBody { device_id, device_type, location, ..own })
        }
        "LEAVE_STREAM" => command(CommandKind::Leave, &CommandBody { session_id: data.session_id, ..own }),
        "SEND_MESSAGE" => {
            let (message, message_type) = (data.message, data.message_type);
            let (reply_to, client_message_id) = (data.reply_to, data.client_message_id);
            // with type REACTION, as over REST
            let reaction_type = data.reaction_type;
            let body =
                CommandBody { message, message_type, reply_to, client_message_id, reaction_type, ..own };
            command(CommandKind::Message, &body)
        }
        "SEND_TIP" if !is_keyed => Err(refusal(
            "idempotency_key_required",
            "send a requestId: a new unique value for each tip, the same one when you retry it",
        )),
        "SEND_TIP" => {
            let (amount, currency, message) = (data.amount, data.currency, data.message);
            command(CommandKind::Tip, &CommandBody { amount, currency, message, ..own })
        }
        "REACT" => {
            let (reaction_type, count) = (data.reaction_type, data.count);
            command(CommandKind::React, &CommandBody { reaction_type, count, ..own })
        }
        "RESUME" => match data.sequence.or(frame.sequence) {
            Some(sequence) => Ok(Wish::Resume(sequence)),
            None => Err(refusal("bad_frame", "RESUME needs the sequence of the last frame that you have")),
        },
        "HEARTBEAT" => Ok(Wish::Heartbeat),
        "VOTE" | "ASK" | "UPVOTE" => {
            Err(refusal("not_available", "polls and questions are not available yet"))
        }
        _ => Err(refusal("unknown_type", "send one of the types of the socket's document")),
    }
}

fn command(kind: CommandKind, body: &CommandBody) -> Result<Wish, Box<ErrorData>> {
    let body = serde_json::to_vec(body);
    body.map(|body| Wish::Command { kind, body }).map_err(|_| refusal("bad_frame", "send plain JSON"))
}

/// An error frame's data.
pub(crate) fn refusal(code: &str, detail: impl Into<String>) -> Box<ErrorData> {
    Box::new(ErrorData { code: code.to_owned(), detail: detail.into(), ..ErrorData::default() })
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
