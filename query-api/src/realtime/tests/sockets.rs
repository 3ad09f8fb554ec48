//! What people on sockets see.

use platform::http::auth::Role;
use serde_json::{Value, json};
use std::time::Duration;

use crate::testkit::{Client, Happening, Node, Show, token};

fn viewer(sub: &str) -> String {
    token(sub, &[Role::Viewer], 60)
}

#[tokio::test]
async fn a_message_is_seen_by_everybody_while_it_is_said() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut anna = Client::join(node.address, show.id, &viewer("anna")).await;
    let mut ben = Client::watch(node.address, show.id).await;

    anna.send(json!({ "type": "JOIN_STREAM", "data": { "streamId": show.id, "userId": "anna" } })).await;
    let ack = anna.frame_of("ACK").await;
    assert_eq!(ack["data"]["sessionId"], "s-1");
    assert_eq!(anna.frame_of("SNAPSHOT").await["data"]["status"], "LIVE");
    assert_eq!(ben.frame_of("SNAPSHOT").await["data"]["streamId"], json!(show.id));

    let said = json!({ "message": "Hello everyone!", "userId": "anna" });
    anna.send(json!({ "type": "SEND_MESSAGE", "requestId": "r1", "data": said })).await;
    let (ack, own) = both(&mut anna, "ACK", "NEW_MESSAGE").await;
    assert_eq!(ack["data"]["requestId"], "r1");
    for seen in [own, ben.frame_of("NEW_MESSAGE").await] {
        assert_eq!(seen["sequence"], ack["data"]["sequence"]);
        assert_eq!(seen["previous"], 1);
        assert_eq!(seen["data"]["message"], "Hello everyone!");
        assert_eq!(seen["data"]["userId"], "anna");
        assert_eq!(seen["data"]["username"], "anna the name");
        assert_eq!(seen["data"]["isSubscriber"], true);
        assert_eq!(seen["data"]["timestamp"], "2025-06-27T20:30:00.000Z");
    }
    let seen = node.commands.seen.lock().clone();
    assert_eq!(seen.iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), ["join", "chat"]);
    assert!(seen.iter().all(|seen| seen.sub == "anna"));
    assert_eq!(seen[1].key.as_deref(), Some("r1"));
    assert_eq!(seen[1].body, r#"{"message":"Hello everyone!"}"#);
}

/// Two frames that may come in either order.
async fn both(client: &mut Client, one: &str, other: &str) -> (Value, Value) {
    let (mut first, mut second) = (None, None);
    while first.is_none() || second.is_none() {
        let frame = client.frame().await;
        if frame["type"] == one {
            first = Some(frame);
        } else if frame["type"] == other {
            second = Some(frame);
        }
    }
    (first.unwrap(), second.unwrap())
}

#[tokio::test]
async fn a_snapshot_tells_how_the_show_stands_and_frames_go_on_from_it() {
    let node = Node::start().await;
    let show = node.live_show().await;
    for index in 0..60 {
        show.message("ben", &format!("message {index}")).await;
    }
    show.let_happen(Happening::Joined("ben")).await;
    show.let_happen(Happening::TipCaptured("ben", 1_050)).await;
    show.let_happen(Happening::Settings { is_chat_enabled: false }).await;
    let mut client = Client::watch(node.address, show.id).await;
    let snapshot = client.frame().await;
    assert_eq!(snapshot["type"], "SNAPSHOT");
    assert_eq!(snapshot.get("previous"), None);
    let data = &snapshot["data"];
    assert_eq!(data["status"], "LIVE");
    assert_eq!((&data["viewerCount"], &data["peakViewers"]), (&json!(1), &json!(1)));
    assert_eq!((&data["totalTips"], &data["currency"]), (&json!(10.5), &json!("USD")));
    assert_eq!((&data["chatEnabled"], &data["tipsEnabled"]), (&json!(false), &json!(true)));
    assert_eq!(data["messagesCount"], 60);
    assert_eq!((&data["sequence"], &snapshot["sequence"]), (&json!(64), &json!(64)));
    let recent = data["recentMessages"].as_array().unwrap();
    assert_eq!(recent.len(), 50);
    assert_eq!((&recent[0]["message"], &recent[0]["sequence"]), (&json!("message 10"), &json!(12)));
    assert_eq!(recent[49]["message"], "message 59");

    show.message("ben", "after").await;
    let next = client.frame_of("NEW_MESSAGE").await;
    assert_eq!((&next["sequence"], &next["previous"]), (&json!(65), &json!(63)));
}

#[tokio::test]
async fn a_listener_that_says_nothing_is_sent_the_snapshot_all_the_same_and_one_that_resumes_none() {
    let node = Node::start().await;
    let show = node.live_show().await;
    show.message("ben", "one").await;
    let mut silent = Client::watch(node.address, show.id).await;
    assert_eq!(silent.frame().await["type"], "SNAPSHOT");

    let mut resuming = Client::watch(node.address, show.id).await;
    resuming.send(json!({ "type": "RESUME", "data": { "sequence": 1 } })).await;
    let missed = resuming.frame().await;
    assert_eq!((&missed["type"], &missed["sequence"]), (&json!("NEW_MESSAGE"), &json!(2)));
    assert_eq!(missed["previous"], 1);
    assert_eq!(resuming.frame().await["type"], "VIEWER_COUNT_UPDATE");
    show.message("ben", "two").await;
    let next = resuming.frame().await;
    assert_eq!((&next["sequence"], &next["previous"]), (&json!(3), &json!(2)));
    assert!(resuming.is_quiet(Duration::from_millis(1_200)).await, "no snapshot follows a resume");
}

#[tokio::test]
async fn viewer_counts_are_told_together_and_the_last_one_is_right() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut client = Client::watch(node.address, show.id).await;
    client.frame_of("SNAPSHOT").await;
    for _ in 0..40 {
        show.let_happen(Happening::Joined("ben")).await;
    }
    let (mut told, mut frames) = (json!(0), 0);
    while told != 40 {
        let frame = client.frame().await;
        assert_eq!(frame["type"], "VIEWER_COUNT_UPDATE");
        assert_eq!(frame.get("previous"), None);
        assert_eq!(frame["data"]["isIncreasing"], true);
        assert_eq!(frame["data"]["streamId"], json!(show.id));
        told = frame["data"]["viewerCount"].clone();
        frames += 1;
    }
    assert!(frames <= 3, "{frames} frames for one rush");
    show.let_happen(Happening::Left("ben")).await;
    let frame = client.frame().await;
    assert_eq!((&frame["data"]["viewerCount"], &frame["data"]["isIncreasing"]), (&json!(39), &json!(false)));
    assert_eq!(frame["sequence"], 42);
    show.let_happen(Happening::Ended).await;
    let ended = client.frame_of("STREAM_STATUS_UPDATE").await;
    assert_eq!(ended["data"]["status"], "ENDED");
    assert_eq!(client.frame_of("VIEWER_COUNT_UPDATE").await["data"]["viewerCount"], 0);
}

#[tokio::test]
async fn what_is_said_while_a_fresh_socket_makes_up_its_mind_is_not_lost_to_it() {
    let node = Node::start().await;
    let show = Show::created(&node.log, &node.vault).await;
    let mut client = Client::watch(node.address, show.id).await;
    show.let_happen(Happening::Started).await;
    show.message("ben", "first").await;
    let live = client.frame().await;
    assert_eq!((&live["data"]["status"], &live["previous"]), (&json!("LIVE"), &json!(0)));
    assert_eq!(client.frame().await["data"]["message"], "first");
    let snapshot = client.frame_of("SNAPSHOT").await;
    assert_eq!((&snapshot["data"]["status"], &snapshot["sequence"]), (&json!("LIVE"), &json!(2)));
}

#[tokio::test]
async fn a_socket_may_wait_for_a_show_that_has_not_begun() {
    let node = Node::start().await;
    let show = Show::created(&node.log, &node.vault).await;
    let mut client = Client::watch(node.address, show.id).await;
    assert_eq!(client.frame_of("SNAPSHOT").await["data"]["status"], "SCHEDULED");
    show.let_happen(Happening::Started).await;
    let live = client.frame().await;
    assert_eq!((&live["data"]["status"], &live["previous"]), (&json!("LIVE"), &json!(0)));
}

#[tokio::test]
async fn what_is_refused_comes_as_an_error_and_the_socket_stays() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut client = Client::join(node.address, show.id, &viewer("anna")).await;
    let refusal = platform::http::problem::Problem::limited("slow down", 7).with_limit(20);
    *node.commands.refuses.lock() = Some(refusal);
    client.send(json!({ "type": "SEND_MESSAGE", "requestId": "r", "data": { "message": "x" } })).await;
    let error = client.frame_of("ERROR").await;
    let expected = json!({
        "requestId": "r", "code": "rate_limited", "detail": "slow down", "retryAfter": 7, "limit": 20,
    });
    assert_eq!(error["data"], expected);
    let table = [
        ("hello", "bad_frame"),
        (r#"{"type":"DANCE"}"#, "unknown_type"),
        (r#"{"type":"VOTE"}"#, "not_available"),
        (r#"{"type":"SEND_TIP","data":{"amount":5}}"#, "idempotency_key_required"),
        (r#"{"type":"SEND_MESSAGE","data":{"message":"x","userId":"ben"}}"#, "user_mismatch"),
    ];
    for (text, code) in table {
        client.send_text(text.as_bytes()).await;
        assert_eq!(client.frame_of("ERROR").await["data"]["code"], code, "{text}");
    }
    client.send(json!({ "type": "HEARTBEAT", "requestId": "h" })).await;
    assert_eq!(client.frame_of("ACK").await["data"], json!({ "requestId": "h" }));
    assert_eq!(node.commands.paths(), ["chat"]);
}

#[tokio::test]
async fn commands_of_one_socket_are_carried_out_in_order() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut client = Client::join(node.address, show.id, &viewer("anna")).await;
    for index in 0..40 {
        let data = json!({ "message": format!("m{index}") });
        client.send(json!({ "type": "SEND_MESSAGE", "requestId": format!("r{index}"), "data": data })).await;
    }
    for index in 0..40 {
        assert_eq!(client.frame_of("ACK").await["data"]["requestId"], format!("r{index}"));
    }
    let bodies: Vec<String> = node.commands.seen.lock().iter().map(|seen| seen.body.clone()).collect();
    let sent: Vec<String> = (0..40).map(|index| format!(r#"{{"message":"m{index}"}}"#)).collect();
    assert_eq!(bodies, sent);
}
