//! The figures: what each means, computed by a plain fold over the log.
//!
//! The warehouse (Kafka to ClickHouse) comes here with its own issue; this fold is the yardstick that every
//! store is measured against. It trusts no count that an event carries and recomputes everything.

pub mod figures;
