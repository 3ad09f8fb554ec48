//! The read models over a real Postgres and a log in memory.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod bench;
mod crashes;
mod events;
mod fencing;
mod halting;
mod history;
mod messages;
mod payments;
mod rebuilds;
mod relay;
mod standings;
mod streams;
mod tips;
mod viewers;
