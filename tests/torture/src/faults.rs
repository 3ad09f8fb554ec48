//! The fault tests, one file each.

mod api_kills;
mod bit_flips;
mod disk_errors;
#[cfg(target_os = "linux")]
mod full_disks;
mod log_contents;
pub mod log_reader;
mod node_kills;
mod pipeline;
mod postgres_kills;
#[cfg(target_os = "linux")]
mod power_cuts;
mod projector_kills;
mod read_models;
mod relay_cuts;
mod storms;
mod warehouse_kills;

use crate::harness::FaultTest;

/// All of them, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Box<dyn FaultTest>> {
    vec![
        Box::new(node_kills::NodeKills),
        #[cfg(target_os = "linux")]
        Box::new(power_cuts::PowerCuts),
        Box::new(bit_flips::BitFlips),
        Box::new(disk_errors::DiskErrors),
        Box::new(api_kills::ApiKills),
        Box::new(projector_kills::ProjectorKills),
        Box::new(postgres_kills::PostgresKills),
        Box::new(relay_cuts::RelayCuts),
        Box::new(warehouse_kills::WarehouseKills),
        Box::new(storms::Storms),
        #[cfg(target_os = "linux")]
        Box::new(full_disks::FullDisks),
    ]
}

/// One of them.
#[must_use]
pub fn named(name: &str) -> Option<Box<dyn FaultTest>> {
    all().into_iter().find(|test| test.name() == name)
}
