//! A show that remembers more than any single event of the log could hold.

use super::*;
use futures::StreamExt;
use futures::stream;
use schemas::CommandId;

/// Commands of the show.
const COMMANDS: u128 = 200_000;

/// Of so many commands one writes or comes in, the others are reactions, of which many are one event.
const REACTIONS_A_MESSAGE: u128 = 20;

/// Events between two snapshots: a small part of all.
const SNAPSHOT_EVERY: u64 = 1_000;

/// Commands that come while at most one snapshot is written, however slow the machine is: no more events than lie between two.
const SLICE: usize = 1_000;

/// What one event of the log may hold by default, whichever server it is.
const EVENT_BYTES_MAX: usize = 512 * 1024;

async fn command(node: Shows, n: u128) {
    // odd, as ids are that belong to one attempt
    let (who, id) = (1_000 + n / 10, 10_001 + 2 * n);
    let action = if n.is_multiple_of(2 * REACTIONS_A_MESSAGE) { join() } else { post(n) };
    if n.is_multiple_of(REACTIONS_A_MESSAGE) {
        run(&node, by(who, id, action)).await.unwrap();
    } else {
        node.react(show_id(), reaction(who, id), NOW).await.unwrap();
    }
}

/// Events after those that are in the newest snapshot.
async fn beyond_snapshot(log: &MemoryLog) -> u64 {
    #[derive(serde::Deserialize)]
    struct Head {
        revision: Revision,
    }
    let newest = async |stream: String| log.read_stream_back(&stream, None, 1).await.unwrap().pop();
    let events = newest(streams::show(show_id())).await.map_or(0, |event| event.revision + 1);
    let snapshot = newest(streams::show_snapshot(show_id())).await;
    let within = snapshot.map_or(0, |snapshot| {
        let head: Head = serde_json::from_slice(&snapshot.data).unwrap();
        head.revision + 1
    });
    events - within
}

#[tokio::test]
async fn a_load_reads_pieces_and_a_bounded_tail_however_much_a_show_remembers() {
    let log = MemoryLog::new(5);
    let settings = ActorSettings {
        snapshot_every: SNAPSHOT_EVERY,
        reaction_window: Duration::from_millis(1),
        ..ActorSettings::default()
    };
    let node = node_with(&log, settings);
    run(&node, by(HOST, 1, create(None))).await.unwrap();
    run(&node, by(HOST, 2, Action::Start)).await.unwrap();
    for first in (0..COMMANDS).step_by(SLICE) {
        let slice = first..first + SLICE as u128;
        stream::iter(slice.map(|n| command(node.clone(), n))).buffer_unordered(500).collect::<()>().await;
        until("the snapshot is written", async || beyond_snapshot(&log).await < 2 * SNAPSHOT_EVERY).await;
    }
    node.shutdown().await;

    let watched = Watched::new(&log, []);
    let loaded = load(&watched, show_id()).await.unwrap();
    let tail = watched.times_read(&streams::show(show_id())) as u64;
    assert_eq!(tail, loaded.since_snapshot);
    assert!(
        tail < 3 * SNAPSHOT_EVERY,
        "{tail} events, of {COMMANDS}: no more than came while one was written"
    );
    assert_eq!(watched.times_read(&streams::show_snapshot(show_id())), 1);
    assert!(loaded.base == folded(&log));
    let is_known = |n: u128| loaded.base.remembers(CommandId(Uuid::from_u128(10_001 + 2 * n))).is_some();
    assert!((0..COMMANDS).step_by(999).all(is_known));

    let events = || pieces(&log).into_iter().chain(snapshots(&log));
    assert!(events().all(|event| event.data.len() < EVENT_BYTES_MAX));
    let written: usize = events().map(|event| event.data.len()).sum();
    let each = written / COMMANDS as usize;
    assert!(each < 800, "{each} bytes are written for each command: some hundred, some four times");
}
