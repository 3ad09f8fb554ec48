//! The catalogue: stored name ↔ type. The only place where stored bytes become events.
//!
//! A reader that meets a name or version that is not here must stop and alarm: skipping it would make every
//! figure after it wrong.

use serde_json::Value;
use thiserror::Error;

use crate::events::{PaymentEvent, ShowEvent};
use crate::upcast;

/// Any event of the log.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Of a `show-` stream.
    Show(ShowEvent),
    /// Of a `payment-` stream.
    Payment(PaymentEvent),
}

/// Why stored bytes are no event to this version of the code.
#[derive(Debug, Error)]
pub enum EventError {
    /// No event has this name.
    #[error("unknown event type {0}: a newer version of Tally wrote it; upgrade this node")]
    UnknownType(String),
    /// The event exists, but this version of the code knows no such shape of it.
    #[error(
        "unknown version {version} of event {name}: a newer version of Tally wrote it; upgrade this node"
    )]
    UnknownVersion {
        /// The stored name.
        name: String,
        /// The stored version.
        version: u16,
    },
    /// The data do not have the shape that name and version promise.
    #[error("event {name} cannot be read")]
    Malformed {
        /// The stored name.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Event {
    /// Reads a stored event, older versions through their upcasters.
    ///
    /// # Errors
    /// [`EventError`]: stop and alarm.
    pub fn decode(name: &str, version: u16, data: &[u8]) -> Result<Self, EventError> {
        let current = Self::version_of(name).ok_or_else(|| EventError::UnknownType(name.to_owned()))?;
        if version == current {
            return Self::read(name, Source::Bytes(data));
        }
        let old = serde_json::from_slice(data)
            .map_err(|source| EventError::Malformed { name: name.to_owned(), source })?;
        let value = upcast::to_current(name, version, current, old)
            .ok_or_else(|| EventError::UnknownVersion { name: name.to_owned(), version })?;
        Self::read(name, Source::Value(value))
    }

    /// The stored name and the version that is written today.
    #[must_use]
    pub fn stored(&self) -> (&'static str, u16) {
        match self {
            Self::Show(event) => event.stored(),
            Self::Payment(event) => event.stored(),
        }
    }

    /// The data as stored.
    ///
    /// # Errors
    /// None in practice: every event is plain data with text keys.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Show(event) => event.encode(),
            Self::Payment(event) => event.encode(),
        }
    }

    /// Every stored name with its current version, and the JSON Schema of its data.
    #[must_use]
    pub fn all() -> Vec<(&'static str, u16, schemars::Schema)> {
        [ShowEvent::all(), PaymentEvent::all()].concat()
    }

    fn version_of(name: &str) -> Option<u16> {
        ShowEvent::version_of(name).or_else(|| PaymentEvent::version_of(name))
    }

    fn read(name: &str, source: Source<'_>) -> Result<Self, EventError> {
        let malformed = |source| EventError::Malformed { name: name.to_owned(), source };
        if ShowEvent::version_of(name).is_some() {
            return ShowEvent::read(name, source).map(Self::Show).map_err(malformed);
        }
        PaymentEvent::read(name, source).map(Self::Payment).map_err(malformed)
    }
}

impl From<ShowEvent> for Event {
    fn from(event: ShowEvent) -> Self {
        Self::Show(event)
    }
}

impl From<PaymentEvent> for Event {
    fn from(event: PaymentEvent) -> Self {
        Self::Payment(event)
    }
}

/// Where an event's data come from: bytes in today's shape, or a value that an upcaster made.
pub(crate) enum Source<'a> {
    Bytes(&'a [u8]),
    Value(Value),
}

impl Source<'_> {
    pub(crate) fn parse<T: serde::de::DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        match self {
            Self::Bytes(bytes) => serde_json::from_slice(bytes),
            Self::Value(value) => serde_json::from_value(value),
        }
    }
}

/// Declares the events of one part: `Variant(Payload) = "StoredName" version`. The stored name is the
/// variant's at the time it was first written, and stays when the variant is renamed.
macro_rules! stored_events {
    (
        $(#[$doc:meta])*
        $part:ident { $( $(#[$vdoc:meta])* $variant:ident($payload:ty) = $name:literal v $version:literal ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug)]
        pub enum $part { $( $(#[$vdoc])* $variant($payload) ),+ }

        impl $part {
            pub(crate) fn version_of(name: &str) -> Option<u16> {
                match name { $( $name => Some($version), )+ _ => None }
            }

            pub(crate) fn read(
                name: &str,
                source: $crate::catalogue::Source<'_>,
            ) -> Result<Self, serde_json::Error> {
                match name {
                    $( $name => source.parse().map(Self::$variant), )+
                    _ => Err(serde::de::Error::custom("no event of this part")),
                }
            }

            /// The stored name and the version that is written today.
            #[must_use]
            pub fn stored(&self) -> (&'static str, u16) {
                match self { $( Self::$variant(_) => ($name, $version) ),+ }
            }

            pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self { $( Self::$variant(payload) => serde_json::to_vec(payload) ),+ }
            }

            pub(crate) fn all() -> Vec<(&'static str, u16, schemars::Schema)> {
                vec![ $( ($name, $version, schemars::schema_for!($payload)) ),+ ]
            }
        }
    };
}

/// Declares an aggregate's event as one of its parts' events.
macro_rules! part_of {
    (
        $(#[$doc:meta])*
        $whole:ident { $( $(#[$vdoc:meta])* $variant:ident($part:ident) ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug)]
        pub enum $whole { $( $(#[$vdoc])* $variant($part) ),+ }

        impl $whole {
            pub(crate) fn version_of(name: &str) -> Option<u16> {
                None $( .or_else(|| $part::version_of(name)) )+
            }

            pub(crate) fn read(
                name: &str,
                source: $crate::catalogue::Source<'_>,
            ) -> Result<Self, serde_json::Error> {
                $( if $part::version_of(name).is_some() {
                    return $part::read(name, source).map(Self::$variant);
                } )+
                Err(serde::de::Error::custom("no event of this aggregate"))
            }

            /// The stored name and the version that is written today.
            #[must_use]
            pub fn stored(&self) -> (&'static str, u16) {
                match self { $( Self::$variant(event) => event.stored() ),+ }
            }

            pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self { $( Self::$variant(event) => event.encode() ),+ }
            }

            pub(crate) fn all() -> Vec<(&'static str, u16, schemars::Schema)> {
                [ $( $part::all() ),+ ].concat()
            }
        }

        $( impl From<$part> for $whole {
            fn from(event: $part) -> Self { Self::$variant(event) }
        } )+
    };
}

pub(crate) use {part_of, stored_events};
