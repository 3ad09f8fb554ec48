//! The write side: commands over HTTP become events in the log, exactly once and by the rules.
//!
//! `http` turns requests into commands, `actors` decides and appends them by show, `tips` drives payments,
//! `presence` ends sessions of those who are gone. The rules themselves are the crate `domain`.

pub mod actors;
/// The ports' implementations over the providers' wire formats.
pub mod adapters;
/// What is known of a message without its text.
pub mod features;
mod http;
/// What this service needs from outside, as traits.
pub mod ports;
mod presence;
mod sealing;
mod state;
mod tips;

pub use presence::PresenceSettings;
pub use state::{CommandApi, Deps};
pub use tips::SettlerSettings;

#[cfg(test)]
mod test_kit;
