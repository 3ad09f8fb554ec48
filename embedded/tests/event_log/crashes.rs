//! Kill the node at random instants under load: what was acknowledged is there once and in order.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded::event_log::Node;
use eventstore::{Client, EventData, StreamState};
use uuid::Uuid;

use super::support::{client, config, read_numbers};

/// Tells the process that it is to be the node, and where.
const DIRECTORY_VARIABLE: &str = "TALLY_TEST_NODE_DIRECTORY";
const ROUNDS: u64 = 6;
const WRITERS: usize = 8;
/// Fixed, so that a failure can be repeated.
const SEED: u64 = 0x7A11_1E5D;

/// Not a test: the node that the test kills. Without the variable it does nothing.
#[tokio::test]
async fn node_process() {
    let Ok(directory) = std::env::var(DIRECTORY_VARIABLE) else { return };
    let node = Node::start(config(Path::new(&directory), 0)).await.unwrap();
    println!("\nlistening {}", node.addr());
    std::future::pending::<()>().await;
}

fn spawn_node(directory: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "event_log::crashes::node_process", "--nocapture"])
        .env(DIRECTORY_VARIABLE, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if let Some(address) = line.strip_prefix("listening ") {
            return (child, address.parse().unwrap());
        }
    }
    child.wait().unwrap();
    panic!("the node did not start");
}

/// What a writer knows: events that were acknowledged, and the one whose outcome is unknown.
#[derive(Default)]
struct Ledger {
    acknowledged: u64,
    pending: Option<EventData>,
}

async fn write(client: Client, stream: String, ledger: Arc<Mutex<Ledger>>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let event = {
            let mut ledger = ledger.lock().unwrap();
            let number = ledger.acknowledged;
            ledger
                .pending
                .get_or_insert_with(|| {
                    let body = serde_json::json!({ "number": number });
                    EventData::json("a", &body).unwrap().id(Uuid::new_v4())
                })
                .clone()
        };
        let options = eventstore::AppendToStreamOptions::default().stream_state(StreamState::Any);
        if client.append_to_stream(stream.as_str(), &options, vec![event]).await.is_err() {
            return;
        }
        let mut ledger = ledger.lock().unwrap();
        ledger.acknowledged += 1;
        ledger.pending = None;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_loses_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ledgers: Vec<Arc<Mutex<Ledger>>> = (0..WRITERS).map(|_| Arc::default()).collect();
    let stream = |writer: usize| format!("writer-{writer}");
    let mut random = SEED;
    for round in 0..=ROUNDS {
        let (mut child, address) = spawn_node(directory.path());
        let client = client(address);
        for (writer, ledger) in ledgers.iter().enumerate() {
            let acknowledged = ledger.lock().unwrap().acknowledged;
            if acknowledged == 0 {
                continue;
            }
            let found = read_numbers(&client, &stream(writer)).await;
            let in_order: Vec<u64> = (0..found.len() as u64).collect();
            assert_eq!(found, in_order, "round {round}, writer {writer}");
            let count = found.len() as u64;
            assert!(
                count == acknowledged || count == acknowledged + 1,
                "round {round}, writer {writer}: {count} events, {acknowledged} acknowledged"
            );
        }
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (ledger, stop) = (Arc::clone(&ledgers[writer]), Arc::clone(&stop));
                tokio::spawn(write(client.clone(), stream(writer), ledger, stop))
            })
            .collect();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(100 + (random >> 33) % 300)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        stop.store(true, Ordering::SeqCst);
        for writer in writers {
            let ended = tokio::time::timeout(Duration::from_secs(20), writer).await;
            ended.expect("a writer notices that its node is gone").unwrap();
        }
    }
    let total: u64 = ledgers.iter().map(|ledger| ledger.lock().unwrap().acknowledged).sum();
    assert!(total > 100, "only {total} events in all rounds");
}
