//! The event-log node, seen through the official Rust client and through its own store.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test asserts what it got instead")]

#[path = "../../platform/tests/event_log/delay.rs"]
mod delay;
#[path = "../../platform/tests/event_log/relay.rs"]
#[expect(dead_code, reason = "not every test cuts connections")]
mod relay;

mod event_log {
    pub(crate) mod support;

    mod appends;
    mod copies;
    mod crashes;
    mod damage;
    mod disk_faults;
    mod index;
    mod model;
    mod reads;
    mod subscriptions;
}
