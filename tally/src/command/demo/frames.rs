//! Frames of the server, as far as the demonstration looks at them.

use anyhow::Context;
use platform::http::amount::Amount;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Frames that no event made: they have no place in the chain.
const COALESCED: [&str; 5] = ["VIEWER_COUNT_UPDATE", "SNAPSHOT", "GAP", "ACK", "ERROR"];

/// A frame.
#[derive(Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) sequence: u64,
    pub(super) previous: Option<u64>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl<'a> Frame<'a> {
    pub(super) fn parse(text: &'a str) -> anyhow::Result<Self> {
        serde_json::from_str(text).with_context(|| format!("a frame is not {{type, sequence, data}}: {text}"))
    }

    pub(super) fn is_durable(&self) -> bool {
        !COALESCED.contains(&self.kind)
    }

    pub(super) fn data<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(self.data.get())
            .with_context(|| format!("the data of {} is not as documented: {}", self.kind, self.data.get()))
    }
}

/// `NEW_MESSAGE`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) client_message_id: Option<String>,
}

/// `NEW_TIP`.
#[derive(Deserialize)]
pub(super) struct Tip {
    pub(super) amount: Amount,
}

/// `NEW_REACTIONS`.
#[derive(Deserialize)]
pub(super) struct Reactions {
    pub(super) counts: BTreeMap<String, u64>,
}

/// `STREAM_STATUS_UPDATE`.
#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) status: String,
    pub(super) timestamp: schemas::Timestamp,
}

/// `GAP`.
#[derive(Deserialize)]
pub(super) struct Gap {
    pub(super) from: u64,
}

/// `ACK`: the members of any command's answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ack {
    pub(super) request_id: Option<String>,
    pub(super) status: Option<String>,
    pub(super) session_id: Option<String>,
}

/// `ERROR`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refusal {
    pub(super) request_id: Option<String>,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) retry_after: Option<u64>,
}

/// What a show's durable frames say in sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) messages: u64,
    pub(super) reactions: u64,
    pub(super) tips: u64,
    pub(super) tipped: Decimal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_exactly() {
        let frame =
            Frame::parse(r#"{"type":"NEW_TIP","sequence":9,"previous":7,"data":{"amount":0.10,"x":1}}"#)
                .unwrap();
        assert!(frame.is_durable() && frame.sequence == 9 && frame.previous == Some(7));
        assert_eq!(frame.data::<Tip>().unwrap().amount.0, Decimal::new(10, 2));
        let frame = Frame::parse(r#"{"type":"GAP","sequence":9,"data":{"from":2,"to":9}}"#).unwrap();
        assert!(!frame.is_durable() && frame.data::<Gap>().unwrap().from == 2);
        assert!(Frame::parse("[]").is_err());
    }
}
