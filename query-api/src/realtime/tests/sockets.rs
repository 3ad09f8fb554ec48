//! What people on sockets see.

use platform::http::auth::Role;
use serde_json::json;
use std::time::Duration;

use crate::realtime::RealtimeSettings;
use crate::testkit::{Client, Node, Show, token};
use platform::event_log::memory::MemoryLog;

#[tokio::test]
async fn a_message_is_seen_by_everybody_while_it_is_said() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut anna = Client::join(node.address, show.id, &token("anna", &[Role::Viewer], 60)).await;
    let mut ben = Client::watch(node.address, show.id).await;

    anna.send(json!({ "type": "JOIN_STREAM", "data": { "streamId": show.id, "userId": "anna" } })).await;
    let ack = anna.frame_of("ACK").await;
    assert_eq!(ack["data"]["sessionId"], "s-1");
    assert_eq!(anna.frame_of("SNAPSHOT").await["data"]["status"], "LIVE");
    assert_eq!(ben.frame_of("SNAPSHOT").await["data"]["streamId"], json!(show.id));

    let said = json!({ "message": "Hello everyone!", "userId": "anna" });
    anna.send(json!({ "type": "SEND_MESSAGE", "requestId": "r1", "data": said })).await;
    let ack = anna.frame_of("ACK").await;
    assert_eq!(ack["data"]["requestId"], "r1");
    for client in [&mut anna, &mut ben] {
        let seen = client.frame_of("NEW_MESSAGE").await;
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
}
