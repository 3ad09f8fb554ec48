//! Answers to one client: ACK and ERROR.

use bytes::Bytes;
use schemas::Revision;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::realtime::commands::CommandAnswer;
use crate::realtime::frame::{self, ErrorData, FrameType};

/// What of a join's answer concerns the socket.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinAnswer {
    pub(super) session_id: Option<Box<RawValue>>,
}

/// The members of a problem that clients of sockets get too.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ProblemBody {
    code: Option<String>,
    detail: Option<String>,
    retry_after: Option<u64>,
    field: Option<String>,
    limit: Option<u64>,
}

/// ACK with the command's answer as it was given, and the request id beside it.
pub(super) fn acknowledgement(
    delivered: Revision,
    request_id: Option<&str>,
    answer: &[u8],
) -> Result<Bytes, serde_json::Error> {
    // as written: amounts keep their digits
    let mut data: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(answer).unwrap_or_default();
    if let Some(request_id) = request_id {
        data.insert("requestId".to_owned(), serde_json::value::to_raw_value(request_id)?);
    }
    frame::coalesced(FrameType::Ack, delivered, &data)
}

/// ERROR.
pub(super) fn error(delivered: Revision, error: &ErrorData) -> Result<Bytes, serde_json::Error> {
    frame::coalesced(FrameType::Error, delivered, error)
}

/// The error that a refused command becomes.
pub(super) fn problem(request_id: Option<&str>, answer: &CommandAnswer) -> ErrorData {
    let body: ProblemBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    ErrorData {
        request_id: request_id.map(Arc::from),
        code: body.code.unwrap_or_else(|| "command_failed".to_owned()),
        detail: body.detail.unwrap_or_else(|| "the command was refused".to_owned()),
        retry_after: body.retry_after,
        field: body.field,
        limit: body.limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::wire;
    use http::StatusCode;
    use serde_json::{Map, Value};

    fn json(wire: Bytes) -> Value {
        let payload = wire::payloads(wire).next().unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    #[test]
    fn an_acknowledgement_is_the_answer_with_the_request_id() {
        let wire = acknowledgement(4, Some("r"), br#"{"messageId":"m","amount":5.00}"#).unwrap();
        assert!(String::from_utf8_lossy(&wire).contains("5.00"));
        let frame = json(wire);
        assert_eq!(frame["type"], "ACK");
        assert_eq!(frame["sequence"], 4);
        assert_eq!(frame["data"]["requestId"], "r");
        assert_eq!(frame["data"]["messageId"], "m");
        assert_eq!(json(acknowledgement(4, None, b"").unwrap())["data"], Value::Object(Map::new()));
    }

    #[test]
    fn a_problem_becomes_an_error_with_its_code() {
        let body =
            Bytes::from_static(br#"{"code":"rate_limited","detail":"slow down","retryAfter":7,"limit":20}"#);
        let answer = CommandAnswer { status: StatusCode::TOO_MANY_REQUESTS, body };
        let frame = json(error(9, &problem(Some("r"), &answer)).unwrap());
        assert_eq!(frame["data"]["code"], "rate_limited");
        assert_eq!(frame["data"]["retryAfter"], 7);
        assert_eq!(frame["data"]["requestId"], "r");
        let nothing = CommandAnswer { status: StatusCode::BAD_GATEWAY, body: Bytes::new() };
        assert_eq!(problem(None, &nothing).code, "command_failed");
    }
}
