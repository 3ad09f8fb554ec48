//! Every figure over the real engine against a brute-force computation, on random shows whose rows come late, repeated and reordered.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::type_complexity,
    clippy::redundant_closure_for_method_calls,
    reason = "what is not as expected fails the test"
)]

#[path = "warehouse/agreement.rs"]
mod agreement;
#[path = "warehouse/analysts.rs"]
mod analysts;
#[path = "warehouse/asking.rs"]
mod asking;
#[path = "warehouse/audience.rs"]
mod audience;
#[path = "warehouse/checks.rs"]
mod checks;
#[path = "warehouse/dashboards.rs"]
mod dashboards;
#[path = "warehouse/engine.rs"]
mod engine;
#[path = "warehouse/grafana.rs"]
mod grafana;
#[path = "warehouse/latest.rs"]
mod latest;
#[path = "warehouse/many.rs"]
mod many;
#[path = "warehouse/oracle.rs"]
mod oracle;
#[path = "warehouse/promql.rs"]
mod promql;
#[path = "warehouse/properties.rs"]
mod properties;
#[path = "warehouse/recorded.rs"]
mod recorded;
#[path = "warehouse/tables.rs"]
mod tables;
#[path = "warehouse/verifying.rs"]
mod verifying;
#[path = "warehouse/verifying_rollups.rs"]
mod verifying_rollups;
#[path = "warehouse/world.rs"]
mod world;
