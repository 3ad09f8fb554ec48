//! The scenarios: given these commands, when this one, then these events or this rejection.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what is not as given fails the test"
)]

#[path = "scenario/audience.rs"]
mod audience;
#[path = "scenario/chat.rs"]
mod chat;
#[path = "scenario/kit.rs"]
mod kit;
#[path = "scenario/ledger.rs"]
mod ledger;
#[path = "scenario/lifecycle.rs"]
mod lifecycle;
#[path = "scenario/properties.rs"]
mod properties;
#[path = "scenario/reactions.rs"]
mod reactions;
