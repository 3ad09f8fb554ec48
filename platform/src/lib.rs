//! Shared infrastructure without business words: configuration, telemetry, the HTTP edge, stores and the log.

pub mod config;
pub mod http;
pub mod telemetry;
