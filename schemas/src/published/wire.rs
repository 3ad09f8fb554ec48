//! The envelope as it stands on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{EventId, Position, Revision, Timestamp};

/// A CloudEvent 1.0 in structured JSON, with the extensions `revision`, `position` and `previous`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct CloudEvent {
    /// Always `1.0`.
    pub(crate) specversion: String,
    /// The event's id, or for a watermark partition and position.
    pub(crate) id: String,
    /// Always `urn:tally:log`.
    pub(crate) source: String,
    /// `tally.` with the event's name and `.v` with the version of its published shape, or `tally.watermark.v1`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The stream; a watermark has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// When it happened; of a watermark, up to when the partition is complete.
    pub(crate) time: Timestamp,
    /// The event's number within its stream, in decimal digits; a watermark has none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digits::option")]
    #[schemars(with = "Option<String>")]
    pub(crate) revision: Option<Revision>,
    /// The place in the log, in decimal digits.
    #[serde(with = "digits")]
    #[schemars(with = "String")]
    pub(crate) position: Position,
    /// The position of the record before this one in the partition, in decimal digits; the first has none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digits::option")]
    #[schemars(with = "Option<String>")]
    pub(crate) previous: Option<Position>,
    /// `application/json` where there are data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datacontenttype: Option<String>,
    /// The event's published fields; a watermark has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub(crate) data: Option<Box<RawValue>>,
}

/// What can be told of a record whose other fields cannot be read.
#[derive(Deserialize)]
pub(crate) struct Place {
    pub(crate) source: String,
    #[serde(with = "digits")]
    pub(crate) position: Position,
    #[serde(default, with = "digits::option")]
    pub(crate) previous: Option<Position>,
}

/// What `specversion` says.
pub(crate) const SPEC_VERSION: &str = "1.0";
/// What `source` says.
pub(crate) const SOURCE: &str = "urn:tally:log";
/// What `datacontenttype` says.
pub(crate) const CONTENT_TYPE: &str = "application/json";
/// The `type` of a watermark.
pub(crate) const WATERMARK: &str = "tally.watermark.v1";

/// The `type` of an event.
pub(crate) fn kind(name: &str, version: u16) -> String {
    format!("tally.{name}.v{version}")
}

/// Name and version of an event's `type`.
pub(crate) fn parse_kind(kind: &str) -> Option<(&str, u16)> {
    let (name, version) = kind.strip_prefix("tally.")?.rsplit_once(".v")?;
    Some((name, version.parse().ok()?))
}

/// The id of an event.
pub(crate) fn parse_id(id: &str) -> Option<EventId> {
    id.parse().ok()
}

/// Large numbers as decimal digits.
mod digits {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::borrow::Cow;

    use crate::Position;

    pub(super) fn serialize<S: Serializer>(value: &Position, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Position, D::Error> {
        number(deserializer).map(Position)
    }

    fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("expected decimal digits"))
    }

    /// Where there may be none.
    pub(super) mod option {
        use serde::{Deserializer, Serializer};

        use crate::Position;

        /// What stands there as digits.
        pub(crate) trait Digits: Copy {
            fn to_number(self) -> u64;
            fn of_number(number: u64) -> Self;
        }

        impl Digits for u64 {
            fn to_number(self) -> u64 {
                self
            }
            fn of_number(number: u64) -> Self {
                number
            }
        }

        impl Digits for Position {
            fn to_number(self) -> u64 {
                self.0
            }
            fn of_number(number: u64) -> Self {
                Self(number)
            }
        }

        // the signature is serde's; absent values are skipped before they come here
        #[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
        pub(crate) fn serialize<T: Digits, S: Serializer>(
            value: &Option<T>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => serializer.collect_str(&value.to_number()),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, T: Digits, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<T>, D::Error> {
            super::number(deserializer).map(|number| Some(T::of_number(number)))
        }
    }
}
