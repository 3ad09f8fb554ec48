//! The contract of Tally: typed ids, money, the event envelope, every event with its stored name and
//! version, and the one catalogue that turns stored bytes into events.
//!
//! This crate does no IO, reads no clock and knows no store. Services depend on it; it depends on nothing of ours.

pub mod catalogue;
mod envelope;
pub mod events;
mod ids;
mod money;
pub mod published;
mod sealed;
pub mod streams;
mod time;
pub mod upcast;

pub use catalogue::{Event, EventError};
pub use envelope::{Actor, BodyHash, Envelope, Metadata, Position, Revision};
pub use ids::{
    AttemptId, CommandId, DeviceId, EventId, KeyId, MessageId, PaymentId, PersonId, SessionId, ShowId, TipId,
};
pub use money::{Currency, Money, MoneyError};
pub use sealed::{Bytes, Identity, Sealed, TextDigest};
pub use time::Timestamp;
