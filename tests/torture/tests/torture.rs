//! A short run of each fault test, with its controls. `make torture` runs them for longer.

use std::path::PathBuf;
use std::time::Duration;

use tally_torture::faults;
use tally_torture::harness::{Plan, run};

/// One seed for every run of the tests, so that a failure is a change and no chance.
const SEED: u64 = 20_261_122;

/// Plays a test for so many rounds of so much of a full one.
async fn short(name: &str, rounds: u64, percent: u32) {
    let plan = Plan {
        seed: SEED,
        duration: Duration::MAX,
        rounds_max: rounds,
        percent,
        program: PathBuf::from(env!("CARGO_BIN_EXE_torture")),
        replay: None,
    };
    let test = faults::named(name).expect("a fault test of this name");
    let report = run(&*test, &plan).await;
    println!("{report}");
    assert!(report.is_good(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_is_killed() {
    short("node-kills", 1, 50).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_power_fails() {
    short("power-cuts", 12, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bits_flip() {
    short("bit-flips", 1, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_fails() {
    short("disk-errors", 1, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_process_is_killed() {
    short("api-kills", 1, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projector_is_killed() {
    short("projector-kills", 1, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_killed() {
    short("postgres-kills", 1, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_is_cut_off() {
    short("relay-cuts", 1, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_warehouse_is_killed() {
    short("warehouse-kills", 1, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_killed() {
    short("storms", 1, 25).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_room() {
    short("full-disks", 1, 50).await;
}
