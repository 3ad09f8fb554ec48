//! What one machine needs behind the production protocols: servers that a cluster would provide, hosted
//! in this process or supervised as its children. The product's own code cannot tell the difference.

/// ClickHouse: the real server inside a library, over a directory of our own, supervised as a child process.
pub mod clickhouse;
/// The event log: a node that speaks the EventStoreDB protocol over a durable store of its own.
pub mod event_log;
/// Kafka: a real broker over a directory of our own, supervised as a child process.
pub mod kafka;
/// A payment provider: a stateful sandbox of Stripe's wire format, with its idempotency and its faults.
pub mod payments;
/// A private Postgres: the system's server over a cluster of our own, supervised as a child process.
pub mod postgres;
mod supervision;

pub use supervision::cache::fetched;
pub use supervision::error::ServerError;
pub use supervision::{ServerState, free_port};
