//! Slow clients, broken subscriptions, nodes that are behind, long absences.

use platform::event_log::memory::MemoryLog;
use platform::http::auth::Role;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::realtime::RealtimeSettings;
use crate::testkit::{Client, Happening, KEY_LEASE, Node, person, token};

/// Of 2,000 characters each, more than a narrow connection and the room hold together.
const MESSAGES_TOO_MANY: u64 = 1_500;

/// What must happen happens well within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// More messages than are read from the log at once.
const PAST_THE_FIRST_PAGE: u64 = 300;

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "took too long: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sequences of the durable frames up to `last`, each with its `previous` checked.
async fn durable_until(client: &mut Client, mut before: u64, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while before < last {
        let frame = client.frame().await;
        if frame.get("previous").is_some() {
            assert_eq!(frame["previous"], before, "a frame is missing or repeated");
            before = frame["sequence"].as_u64().unwrap();
            seen.push(before);
        }
    }
    seen
}

#[tokio::test]
async fn a_slow_client_is_told_of_the_gap_and_resumes_without_losing_a_frame() {
    let settings = RealtimeSettings {
        backlog_bytes_max: 64 * 1024,
        wake_interval: Duration::ZERO,
        ..RealtimeSettings::default()
    };
    let node = Node::narrow(settings);
    let show = node.live_show().await;
    let mut client = Client::watch_narrowly(node.address, show.id).await;
    client.frame_of("SNAPSHOT").await;
    // while the client reads nothing
    let text = "x".repeat(2_000);
    for _ in 0..MESSAGES_TOO_MANY {
        show.message("ben", &text).await;
    }
    let mut before = 1;
    let gap = loop {
        let frame = client.frame().await;
        if frame["type"] == "GAP" {
            break frame;
        }
        assert_eq!(frame["previous"], before);
        before = frame["sequence"].as_u64().unwrap();
    };
    assert_eq!(gap["data"]["from"], before);
    assert!(gap["data"]["to"].as_u64().unwrap() > before);
    assert!(client.is_quiet(Duration::from_millis(100)).await, "nothing comes between a gap and its resume");
    client.send(json!({ "type": "RESUME", "data": { "sequence": before } })).await;
    durable_until(&mut client, before, 1 + MESSAGES_TOO_MANY).await;
    show.message("ben", "on it goes").await;
    assert_eq!(client.frame_of("NEW_MESSAGE").await["previous"], 1 + MESSAGES_TOO_MANY);
}

#[tokio::test]
async fn a_client_that_does_not_resume_after_a_gap_is_closed() {
    let settings = RealtimeSettings {
        backlog_bytes_max: 1_024,
        backlog_age_max: Duration::from_millis(1),
        gap_resume_max: Duration::from_millis(200),
        wake_interval: Duration::ZERO,
        ..RealtimeSettings::default()
    };
    let node = Node::narrow(settings);
    let show = node.live_show().await;
    let mut client = Client::watch_narrowly(node.address, show.id).await;
    client.frame_of("SNAPSHOT").await;
    let text = "x".repeat(2_000);
    for _ in 0..MESSAGES_TOO_MANY {
        show.message("ben", &text).await;
    }
    client.frame_of("GAP").await;
    assert_eq!(client.closed().await, (4429, "slow_consumer".to_owned()));
}

#[tokio::test]
async fn a_long_absence_is_made_up_for_page_by_page_while_the_show_goes_on() {
    let node = Node::start().await;
    let show = node.live_show().await;
    for index in 0..1_500 {
        let what = match index % 3 {
            0 => Happening::Joined("ben"),
            1 => Happening::Reactions(1),
            _ => Happening::Posted("ben", format!("message {index}")),
        };
        show.let_happen(what).await;
    }
    let mut client = Client::watch(node.address, show.id).await;
    client.send(json!({ "type": "RESUME", "requestId": "r", "data": { "sequence": 0 } })).await;
    let going_on = tokio::spawn({
        let show = show.clone();
        async move {
            for index in 0..200 {
                show.message("ben", &format!("meanwhile {index}")).await;
                tokio::task::yield_now().await;
            }
        }
    });
    assert_eq!(client.frame().await["type"], "ACK");
    let seen = durable_until(&mut client, 0, 1_701).await;
    assert_eq!(seen.len(), 1 + 1_000 + 200);
    going_on.await.unwrap();
}

#[tokio::test]
async fn what_was_said_before_a_node_began_anew_is_read_once_for_all_who_come_back() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut last = 1;
    for index in 0..20 {
        last = show.message("ben", &format!("message {index}")).await;
    }
    let mut first = Client::watch(node.address, show.id).await;
    first.send(json!({ "type": "RESUME", "data": { "sequence": 5 } })).await;
    durable_until(&mut first, 5, last).await;
    node.log.faults().fail_reads(u32::MAX);
    for sequence in [0, 5, 13, last] {
        let mut other = Client::watch(node.address, show.id).await;
        other.send(json!({ "type": "RESUME", "requestId": "r", "data": { "sequence": sequence } })).await;
        assert_eq!(other.frame().await["type"], "ACK");
        let seen = durable_until(&mut other, sequence, last).await;
        assert_eq!(seen, (sequence + 1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_resume_waits_for_a_vault_that_is_away_for_a_moment() {
    let node = Node::start().await;
    let show = node.live_show().await;
    for index in 0..PAST_THE_FIRST_PAGE {
        show.message("ben", &format!("message {index}")).await;
    }
    // from the room, and from the log
    for sequence in [PAST_THE_FIRST_PAGE, 1] {
        node.keys.set_available(false);
        tokio::time::sleep(2 * KEY_LEASE).await;
        let mut client = Client::watch(node.address, show.id).await;
        client.send(json!({ "type": "RESUME", "data": { "sequence": sequence } })).await;
        let back = tokio::spawn({
            let keys = node.keys.clone();
            async move {
                tokio::time::sleep(KEY_LEASE).await;
                keys.set_available(true);
            }
        });
        durable_until(&mut client, sequence, 1 + PAST_THE_FIRST_PAGE).await;
        back.await.unwrap();
    }
}

#[tokio::test]
async fn a_sequence_that_the_log_does_not_have_is_refused_with_a_fresh_start() {
    let settings =
        RealtimeSettings { behind_wait_max: Duration::from_millis(200), ..RealtimeSettings::default() };
    let node = Node::with(MemoryLog::new(1), settings).await;
    let show = node.live_show().await;
    let mut client = Client::watch(node.address, show.id).await;
    client.send(json!({ "type": "RESUME", "requestId": "r", "data": { "sequence": 99 } })).await;
    let error = client.frame().await;
    assert_eq!((&error["type"], &error["data"]["code"]), (&json!("ERROR"), &json!("sequence_unknown")));
    assert_eq!(error["data"]["requestId"], "r");
    let snapshot = client.frame().await;
    assert_eq!((&snapshot["type"], &snapshot["sequence"]), (&json!("SNAPSHOT"), &json!(1)));
    show.message("ben", "on").await;
    assert_eq!(client.frame_of("NEW_MESSAGE").await["sequence"], 2);
}

#[tokio::test]
async fn a_node_that_is_behind_the_client_repeats_nothing_when_it_comes_up() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut keeper = Client::watch(node.address, show.id).await;
    keeper.frame_of("SNAPSHOT").await;
    node.log.faults().stall(true);
    show.message("ben", "seen elsewhere").await;
    let mut client = Client::watch(node.address, show.id).await;
    client.send(json!({ "type": "RESUME", "requestId": "r", "data": { "sequence": 2 } })).await;
    assert_eq!(client.frame().await["type"], "ACK");
    assert!(client.is_quiet(Duration::from_millis(200)).await);
    node.log.faults().stall(false);
    show.message("ben", "new").await;
    let next = client.frame_of("NEW_MESSAGE").await;
    assert_eq!((&next["data"]["message"], &next["previous"]), (&json!("new"), &json!(2)));
    assert_eq!(keeper.frame_of("NEW_MESSAGE").await["data"]["message"], "seen elsewhere");
}

#[tokio::test]
async fn nothing_is_lost_when_the_subscription_breaks_or_leaves_events_out() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut client = Client::watch(node.address, show.id).await;
    client.frame_of("SNAPSHOT").await;
    let mut last = 1;
    for round in 0..5 {
        node.log.faults().disconnect();
        for index in 0..20 {
            last = show.message("ben", &format!("{round} {index}")).await;
        }
    }
    durable_until(&mut client, 1, last).await;
    node.log.faults().hide_events(3);
    for _ in 0..5 {
        show.message("ben", "hidden or not").await;
    }
    durable_until(&mut client, last, last + 5).await;
}

#[tokio::test]
async fn health_tells_when_the_log_is_not_followed() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut client = Client::watch(node.address, show.id).await;
    client.frame_of("SNAPSHOT").await;
    assert!(node.health.is_ready());
    node.log.faults().stall(true);
    show.message("ben", "unheard").await;
    until("it is seen that the log is not followed", || !node.health.is_ready()).await;
    node.log.faults().stall(false);
    until("the log is followed again", || node.health.is_ready()).await;
    client.frame_of("NEW_MESSAGE").await;
    show.message("ben", "back").await;
    client.frame_of("NEW_MESSAGE").await;
}

#[tokio::test]
async fn the_erased_are_silent_in_snapshots_and_resumes() {
    let node = Node::start().await;
    let show = node.live_show().await;
    show.message("anna", "forget me").await;
    show.message("ben", "keep me").await;
    let mut early = Client::watch(node.address, show.id).await;
    assert_eq!(early.frame_of("SNAPSHOT").await["data"]["recentMessages"][0]["message"], "forget me");
    drop(early);
    node.vault.erase(person("anna")).await.unwrap();
    // a snapshot's messages may be kept opened for five seconds; here somebody writes and it is made anew
    show.message("ben", "next").await;
    let mut client = Client::watch(node.address, show.id).await;
    client.send(json!({ "type": "RESUME", "data": { "sequence": 1 } })).await;
    let erased = client.frame().await;
    assert_eq!((&erased["type"], &erased["sequence"]), (&json!("NEW_MESSAGE"), &json!(2)));
    assert_eq!((&erased["data"]["message"], &erased["data"]["username"]), (&Value::Null, &Value::Null));
    assert_eq!(client.frame().await["data"]["message"], "keep me");
    let mut late = Client::watch(node.address, show.id).await;
    let recent = late.frame_of("SNAPSHOT").await["data"]["recentMessages"].clone();
    assert_eq!((&recent[0]["message"], &recent[1]["message"]), (&Value::Null, &json!("keep me")));
}

#[tokio::test]
async fn an_open_socket_keeps_its_session_alive_and_a_closed_one_does_not_leave() {
    const INTERVAL: Duration = Duration::from_millis(150);
    let settings = RealtimeSettings {
        ping_interval: Duration::from_millis(50),
        heartbeat_interval: INTERVAL,
        heartbeat_tick: Duration::from_millis(50),
        ..RealtimeSettings::default()
    };
    let node = Node::with(MemoryLog::new(1), settings).await;
    let show = node.live_show().await;
    let mut watcher = Client::join(node.address, show.id, &token("ben", &[Role::Viewer], 60)).await;
    watcher.frame_of("SNAPSHOT").await;
    let begun = Instant::now();
    let mut client = Client::join(node.address, show.id, &token("anna", &[Role::Viewer], 60)).await;
    client.send(json!({ "type": "JOIN_STREAM", "data": { "deviceId": "phone" } })).await;
    client.frame_of("SNAPSHOT").await;
    let beats = || node.commands.paths().iter().filter(|path| *path == "heartbeat").count();
    tokio::select! {
        end = client.closed() => panic!("the socket is closed: {end:?}"),
        () = until("it beats", || beats() >= 3) => {}
    }
    drop(client);
    until("the socket is closed", || node.realtime.open() == (1, 1)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (sent, intervals) = (beats(), begun.elapsed().as_millis() / INTERVAL.as_millis());
    assert!(sent as u128 <= intervals, "{sent} heartbeats in {intervals} intervals");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(beats(), sent, "a closed socket is no sign of life");
    let seen = node.commands.seen.lock().clone();
    assert!(seen.iter().all(|seen| seen.sub == "anna" && seen.path != "leave"));
    assert_eq!(seen.last().unwrap().body, r#"{"sessionId":"s-1"}"#);
}

#[tokio::test]
async fn rooms_close_when_nobody_is_left() {
    let settings = RealtimeSettings { room_linger: Duration::ZERO, ..RealtimeSettings::default() };
    let node = Node::with(MemoryLog::new(1), settings).await;
    let show = node.live_show().await;
    let mut client = Client::watch(node.address, show.id).await;
    client.frame_of("SNAPSHOT").await;
    assert_eq!(node.realtime.open(), (1, 1));
    drop(client);
    until("the room is closed", || node.realtime.open() == (0, 0)).await;
    // and opens again, with all that was said before
    show.message("ben", "hello?").await;
    let mut client = Client::watch(node.address, show.id).await;
    assert_eq!(client.frame_of("SNAPSHOT").await["data"]["messagesCount"], 1);
}
