//! The log's contract, held against every adapter; and what is particular to the one over the network.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the failure")]

#[path = "event_log/conformance.rs"]
mod conformance;
#[path = "event_log/delay.rs"]
mod delay;
#[path = "event_log/endless.rs"]
mod endless;
#[path = "event_log/network.rs"]
mod network;
#[path = "event_log/relay.rs"]
mod relay;

use std::time::Duration;

use embedded::event_log::{Node, NodeConfig};
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::memory::MemoryLog;
use tempfile::TempDir;

/// A node takes a moment to check its files.
const READY: Duration = Duration::from_secs(60);

async fn node(directory: &TempDir) -> Node {
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Node::start(NodeConfig::new(directory.path()).listen(any_port)).await.unwrap()
}

async fn connect(address: std::net::SocketAddr) -> EventStoreLog {
    let log = EventStoreLog::new(&format!("esdb://{address}?tls=false"), "test").unwrap();
    log.wait_until_ready(READY).await.unwrap();
    log
}

macro_rules! hold_against_every_adapter {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $( #[tokio::test] async fn $name() { crate::conformance::$name(&crate::MemoryLog::new(1)).await; } )+
        }
        mod eventstore {
            $( #[tokio::test(flavor = "multi_thread")] async fn $name() {
                let directory = tempfile::tempdir().unwrap();
                let node = crate::node(&directory).await;
                crate::conformance::$name(&crate::connect(node.addr()).await).await;
                node.shutdown().await.unwrap();
            } )+
        }
    };
}

hold_against_every_adapter!(
    what_is_appended_is_read_back_in_order,
    a_stream_must_be_as_expected,
    the_same_append_again_is_no_second_write,
    a_part_of_an_append_again_is_a_conflict,
    one_of_many_rivals_wins,
    reads_are_bounded_and_know_both_directions,
    what_is_no_event_is_refused,
    a_subscription_yields_what_is_wanted_after_a_position,
    a_subscription_goes_from_stored_to_live_without_a_gap,
    the_position_advances_on_unwanted_events_too,
    a_checkpoint_is_a_place_to_go_on_from,
    the_head_is_the_last_event,
);
