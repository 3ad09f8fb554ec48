//! What one machine needs behind the production protocols: servers that a cluster would provide, hosted
//! in this process or supervised as its children. The product's own code cannot tell the difference.

/// The event log: a node that speaks the EventStoreDB protocol over a durable store of its own.
pub mod event_log;
/// A payment provider: a stateful sandbox of Stripe's wire format, with its idempotency and its faults.
pub mod payments;
/// A private Postgres: the system's server over a cluster of our own, supervised as a child process.
pub mod postgres;
