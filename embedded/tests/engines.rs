//! The private Kafka broker and the private ClickHouse against the real programs: life, death and what is left behind.
//! `scripts/setup` fetches both.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

#[path = "engines/clickhouse.rs"]
mod clickhouse;
#[path = "engines/kafka.rs"]
mod kafka;
#[path = "engines/support.rs"]
mod support;
