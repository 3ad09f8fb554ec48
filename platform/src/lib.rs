//! Shared infrastructure without business words: configuration, telemetry, the HTTP edge, stores and the log.

pub mod backoff;
pub mod clock;
pub mod config;
pub mod event_log;
pub mod health;
pub mod http;
pub mod ids;
pub mod kafka;
pub mod postgres;
pub mod pseudonym;
pub mod shutdown;
pub mod telemetry;
pub mod vault;
