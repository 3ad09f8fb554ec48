//! The loader over the real broker and the real engine: every figure is what brute force gives, whatever is repeated, killed or taken over.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::type_complexity,
    clippy::redundant_closure_for_method_calls,
    reason = "what is not as expected fails the test"
)]

#[path = "warehouse/checks.rs"]
mod checks;
#[path = "warehouse/engine.rs"]
mod engine;
#[path = "loader/faults.rs"]
mod faults;
#[path = "loader/halts.rs"]
mod halts;
#[path = "loader/loading.rs"]
mod loading;
#[path = "loader/log.rs"]
mod log;
#[path = "warehouse/many.rs"]
mod many;
#[path = "warehouse/oracle.rs"]
mod oracle;
#[path = "loader/rebuilds.rs"]
mod rebuilds;
#[path = "warehouse/recorded.rs"]
mod recorded;
#[path = "loader/scene.rs"]
mod scene;
#[path = "loader/stores.rs"]
mod stores;
#[path = "loader/topic.rs"]
mod topic;
#[path = "warehouse/world.rs"]
mod world;
