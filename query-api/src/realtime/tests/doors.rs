//! Who comes in, how many, and how long.

use fastwebsockets::{Frame, OpCode, Payload};
use platform::event_log::memory::MemoryLog;
use platform::http::auth::Role;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

use crate::realtime::RealtimeSettings;
use crate::testkit::{Client, Happening, Node, Show, person, token};

/// A token that ends within the test: a busy machine needs some of it to come in.
const SHORT_LIFE_SECONDS: u32 = 8;

fn viewer(sub: &str) -> String {
    token(sub, &[Role::Viewer], 60)
}

async fn refused(node: &Node, path: &str, headers: &[(&str, &str)]) -> u16 {
    match Client::connect(node.address, path, headers).await {
        Ok(_) => 101,
        Err(status) => status,
    }
}

#[tokio::test]
async fn a_token_is_taken_from_each_place_and_a_bad_one_refused() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let token = viewer("anna");
    for base in [format!("/stream/{}/chat", show.id), format!("/api/v1/streams/{}/socket", show.id)] {
        let query = format!("{base}?access_token={token}");
        let protocol = format!("bearer, {token}");
        let places: [(&str, Vec<(&str, &str)>); 2] =
            [(&query, vec![]), (&base, vec![("sec-websocket-protocol", &protocol)])];
        for (path, headers) in places {
            let (mut client, answer) = Client::connect(node.address, path, &headers).await.unwrap();
            let echoed = answer.get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
            assert_eq!(echoed, (!headers.is_empty()).then_some("bearer"));
            client.send(json!({ "type": "SEND_MESSAGE", "data": { "message": "hi" } })).await;
            client.frame_of("ACK").await;
        }
        assert_eq!(refused(&node, &base, &[("authorization", "Bearer nonsense")]).await, 401);
        assert_eq!(refused(&node, &format!("{base}?access_token=x.y.z"), &[]).await, 401);
        assert_eq!(refused(&node, &base, &[]).await, 101, "public shows may be watched without a token");
    }
}

#[tokio::test]
async fn without_a_token_one_reads_only_and_not_even_that_where_it_is_switched_off() {
    let settings = RealtimeSettings { is_anonymous_reading: false, ..RealtimeSettings::default() };
    let closed = Node::with(MemoryLog::new(1), settings).await;
    let show = closed.live_show().await;
    assert_eq!(refused(&closed, &format!("/stream/{}/chat", show.id), &[]).await, 401);

    let open = Node::start().await;
    let show = open.live_show().await;
    let mut client = Client::watch(open.address, show.id).await;
    client.send(json!({ "type": "SEND_MESSAGE", "data": { "message": "hi" } })).await;
    assert_eq!(client.frame_of("ERROR").await["data"]["code"], "token_missing");
    assert_eq!(open.commands.paths(), [""; 0]);
}

#[tokio::test]
async fn unknown_shows_and_requests_that_do_not_upgrade_are_refused() {
    let node = Node::start().await;
    let show = node.live_show().await;
    assert_eq!(refused(&node, &format!("/stream/{}/chat", Uuid::new_v4()), &[]).await, 404);
    assert_eq!(refused(&node, "/stream/stream_123/chat", &[]).await, 404);
    let url = format!("http://{}/stream/{}/chat", node.address, show.id);
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.status(), 426);
    assert_eq!(answer.headers()["upgrade"], "websocket");
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "upgrade_required");
    assert_eq!(node.realtime.open(), (0, 0), "nothing is kept of what was refused");
}

#[tokio::test]
async fn a_protected_show_is_for_its_host_staff_and_those_who_entered() {
    let node = Node::start().await;
    let show = Show::created(&node.log, &node.vault).await;
    show.let_happen(Happening::Revised { is_protected: true }).await;
    let path = format!("/stream/{}/chat", show.id);
    let status = async |token: Option<String>| {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> =
            authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        refused(&node, &path, &headers).await
    };
    assert_eq!(status(None).await, 401);
    assert_eq!(status(Some(viewer("anna"))).await, 403);
    assert_eq!(status(Some(token("ben", &[Role::Creator], 60))).await, 403);
    assert_eq!(status(Some(viewer("host"))).await, 101);
    assert_eq!(status(Some(token("mo", &[Role::Moderator], 60))).await, 101);
    assert_eq!(status(Some(token("ada", &[Role::Admin], 60))).await, 101);
    node.entered.0.lock().insert((show.id, person("anna")));
    assert_eq!(status(Some(viewer("anna"))).await, 101);
}

#[tokio::test]
async fn who_may_no_longer_watch_is_shown_the_door_at_once() {
    let node = Node::start().await;
    let show = Show::created(&node.log, &node.vault).await;
    let mut stranger = Client::watch(node.address, show.id).await;
    let mut host = Client::join(node.address, show.id, &viewer("host")).await;
    stranger.frame_of("SNAPSHOT").await;
    show.let_happen(Happening::Revised { is_protected: true }).await;
    assert_eq!(stranger.closed().await, (4403, "access_lost".to_owned()));
    show.let_happen(Happening::Started).await;
    host.frame_of("STREAM_STATUS_UPDATE").await;
}

#[tokio::test]
async fn a_person_has_so_many_sockets_in_a_show_and_gets_them_back() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let path = format!("/stream/{}/chat?access_token={}", show.id, viewer("anna"));
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(Client::connect(node.address, &path, &[]).await.unwrap().0);
    }
    assert_eq!(refused(&node, &path, &[]).await, 429);
    let others = format!("/stream/{}/chat?access_token={}", show.id, viewer("ben"));
    assert_eq!(refused(&node, &others, &[]).await, 101);
    drop(sockets.pop());
    for attempt in 0.. {
        if refused(&node, &path, &[]).await == 101 {
            break;
        }
        assert!(attempt < 100, "the seat is not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_socket_ends_with_its_token() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut client =
        Client::join(node.address, show.id, &token("anna", &[Role::Viewer], SHORT_LIFE_SECONDS)).await;
    client.frame_of("SNAPSHOT").await;
    assert_eq!(client.closed().await, (4401, "token_expired".to_owned()));
}

#[tokio::test]
async fn a_client_that_shows_no_sign_of_life_is_cut_off_and_one_that_answers_pings_is_not() {
    let settings = RealtimeSettings {
        ping_interval: Duration::from_millis(100),
        // as long as a busy machine may stand still
        idle_max: Duration::from_secs(3),
        ..RealtimeSettings::default()
    };
    let node = Node::with(MemoryLog::new(1), settings).await;
    let show = node.live_show().await;
    let mut living = Client::watch(node.address, show.id).await;
    let mut dead = Client::watch_silently(node.address, show.id).await;
    tokio::select! {
        end = dead.closed() => assert_eq!(end, (4408, "no_sign_of_life".to_owned())),
        end = living.closed() => panic!("the living one is cut off: {end:?}"),
    }
    show.message("ben", "still there?").await;
    living.frame_of("NEW_MESSAGE").await;
}

#[tokio::test]
async fn what_breaks_the_protocol_closes_with_its_code() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let large = vec![b'x'; 16 * 1024 + 1];
    let frames: [(OpCode, &[u8], u16, &str); 3] = [
        (OpCode::Binary, b"x", 1003, "text_only"),
        (OpCode::Text, &[0xFF], 1007, "invalid_utf8"),
        (OpCode::Text, &large, 1009, "frame_too_large"),
    ];
    for (opcode, payload, code, reason) in frames {
        let mut client = Client::watch(node.address, show.id).await;
        client.send_frame(Frame::new(true, opcode, None, Payload::Borrowed(payload))).await;
        assert_eq!(client.closed().await, (code, reason.to_owned()));
    }
    let mut client = Client::watch(node.address, show.id).await;
    client.send_frame(Frame::close(1000, b"bye")).await;
    assert_eq!(client.closed().await.0, 1000);
}

#[tokio::test]
async fn a_stopping_node_tells_its_clients_to_go_elsewhere() {
    let settings =
        RealtimeSettings { shutdown_spread: Duration::from_millis(300), ..RealtimeSettings::default() };
    let node = Node::with(MemoryLog::new(1), settings).await;
    let show = node.live_show().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(Client::watch(node.address, show.id).await);
    }
    let closing = tokio::spawn(async move {
        for client in &mut clients {
            assert_eq!(client.closed().await, (1001, "going_away".to_owned()));
        }
    });
    node.realtime.shutdown().await;
    closing.await.unwrap();
    assert_eq!(node.realtime.open().0, 0);
}
