//! The specification's journey, field by field: a creator's show from its announcement to its end, over REST
//! and WebSocket, on the real node and the real Postgres.
#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "a journey is told in one piece")]

use platform::http::auth::Role;
use serde_json::{Value, json};
use tally_tests::server::named_token;
use tally_tests::{Api, Server, Socket};

/// The value; that it is written with the currency's digits shows only in the text of an answer.
fn number(value: &Value, literal: &str) {
    assert_eq!(value.as_f64(), literal.parse().ok());
}

fn create_body() -> Value {
    json!({
        "title": "My Live Stream",
        "description": "Stream description",
        "isSubscriberOnly": false,
        "ticketPrice": 0,
        "scheduledStartTime": "2025-06-27T20:00:00Z",
        "settings": { "quality": "HD", "recordingEnabled": true, "chatEnabled": true, "tipsEnabled": true }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_show() -> anyhow::Result<()> {
    let server = Server::up().await?;
    server.ready().await?;
    let creator = server.client("creator_1", &[Role::Creator]);
    let john_token = named_token("user_456", &[Role::Viewer], Some("john_doe"));
    let john = Api::new(&server.url, Some(john_token.clone()));

    // create
    let created = creator.post("/streams", create_body()).await?.expect(201);
    let show = created.text_of("streamId");
    assert_eq!(created.header("location"), format!("/api/v1/streams/{show}"));
    assert_document(&created.body, "SCHEDULED");
    let read = creator.get_reached(&format!("/streams/{show}"), &created).await?.expect(200);
    assert_document(&read.body, "SCHEDULED");
    assert_eq!(read.header("etag"), created.header("etag"));
    for (field, value) in created.body.as_object().unwrap() {
        assert_eq!(&read.body[field], value, "{field} differs between POST and GET");
    }

    // a socket may wait for the start
    let mut socket = Socket::open(&server.url, &show, Some(&john_token)).await?;

    // start
    let started = creator.post(&format!("/streams/{show}/start"), Value::Null).await?.expect(200);
    assert_eq!(started.text_of("streamId"), show);
    assert!(started.text_of("agoraToken").starts_with("007"));
    assert!(started.text_of("streamUrl").starts_with("rtmp://"));
    assert!(!started.text_of("streamKey").is_empty());
    let status = socket.next_of("STREAM_STATUS_UPDATE").await?;
    assert_eq!(status["data"]["streamId"], show);
    assert_eq!(status["data"]["status"], "LIVE");
    assert!(status["data"]["timestamp"].is_string());
    assert_eq!(status["sequence"], 1);

    // join over REST, then over the socket: one session
    let joined = john.post(&format!("/streams/{show}/join"), Value::Null).await?.expect(200);
    assert_eq!(joined.body["accessGranted"], true);
    assert_eq!(joined.body["chatEnabled"], true);
    assert_eq!(joined.body["canTip"], true);
    assert_eq!(joined.text_of("agoraChannelName"), started.text_of("agoraChannelName"));
    assert!(joined.text_of("agoraToken").starts_with("007"));
    socket.send("JOIN_STREAM", "r1", json!({ "streamId": show, "userId": "user_456" })).await?;
    let ack = socket.next_of("ACK").await?;
    assert_eq!(ack["data"]["sessionId"], joined.body["sessionId"], "{ack}");
    let snapshot = socket.next_of("SNAPSHOT").await?;
    assert_eq!(snapshot["data"]["viewerCount"], 1);

    // chat over the socket and over REST
    socket
        .send(
            "SEND_MESSAGE",
            "r2",
            json!({ "streamId": show, "message": "Hello everyone!", "userId": "user_456" }),
        )
        .await?;
    let message = socket.next_of("NEW_MESSAGE").await?;
    assert_message(&message, "Hello everyone!");
    let posted = john
        .post(&format!("/streams/{show}/chat"), json!({ "message": "Great stream!", "type": "MESSAGE" }))
        .await?
        .expect(201);
    let message = socket.next_of("NEW_MESSAGE").await?;
    assert_message(&message, "Great stream!");
    assert_eq!(message["data"]["messageId"], posted.body["messageId"]);
    assert_eq!(message["sequence"], posted.body["sequence"]);

    // tip
    let tip = json!({ "amount": 10.00, "message": "Keep up the great work!", "currency": "USD" });
    john.post(&format!("/streams/{show}/tip"), tip.clone()).await?.problem(400, "idempotency_key_required");
    let tipped = john.post_with_key(&format!("/streams/{show}/tip"), "tip-1", tip.clone()).await?.expect(201);
    let again = john.post_with_key(&format!("/streams/{show}/tip"), "tip-1", tip).await?.expect(201);
    assert_eq!(tipped.text, again.text);
    let notice = socket.next_of("NEW_TIP").await?;
    assert_tip(&notice, &tipped.body, "10.00");
    socket
        .send(
            "SEND_TIP",
            "tip-2",
            json!({ "streamId": show, "amount": 5.00, "message": "Great content!", "userId": "user_456" }),
        )
        .await?;
    let notice = socket.next_of("NEW_TIP").await?;
    number(&notice["data"]["amount"], "5.00");

    // reactions
    john.post(&format!("/streams/{show}/reactions"), json!({ "reactionType": "FIRE", "count": 3 }))
        .await?
        .expect(200);
    let reactions = socket.next_of("NEW_REACTIONS").await?;
    assert_eq!(reactions["data"]["counts"]["FIRE"], 3, "{reactions}");

    // another viewer is counted
    let ann = server.client("ann", &[Role::Viewer]);
    let ann_joined =
        ann.post(&format!("/streams/{show}/join"), json!({ "deviceType": "MOBILE" })).await?.expect(200);
    loop {
        let count = socket.next_of("VIEWER_COUNT_UPDATE").await?;
        assert_eq!(count["data"]["streamId"], show);
        if count["data"]["viewerCount"] == 2 {
            assert_eq!(count["data"]["isIncreasing"], true);
            break;
        }
    }
    let heartbeat = ann.post(&format!("/streams/{show}/heartbeat"), json!({})).await?;
    assert!((200..300).contains(&heartbeat.status), "{}", heartbeat.text);
    let left = ann
        .post(&format!("/streams/{show}/leave"), json!({ "sessionId": ann_joined.body["sessionId"] }))
        .await?;
    assert!((200..300).contains(&left.status), "{}", left.text);

    // end
    let ended = creator.post(&format!("/streams/{show}/end"), Value::Null).await?.expect(200);
    assert_eq!(ended.text_of("streamId"), show);
    assert!(ended.body["duration"].is_u64());
    assert_eq!(ended.body["viewerCount"], 1);
    number(&ended.body["totalTips"], "15.00");
    assert!(ended.text.contains("\"totalTips\":15.00"), "{}", ended.text);
    assert_eq!(ended.body["pendingTips"], 0);
    assert!(ended.text_of("recordingUrl").starts_with("http"));
    let status = socket.next_of("STREAM_STATUS_UPDATE").await?;
    assert_eq!(status["data"]["status"], "ENDED");
    john.post(&format!("/streams/{show}/chat"), json!({ "message": "late" }))
        .await?
        .problem(409, "wrong_status");

    // the read side agrees
    let document = john.get_reached(&format!("/streams/{show}"), &ended).await?.expect(200);
    assert_document(&document.body, "ENDED");
    let stats = &document.body["streamStats"];
    assert_eq!(stats["viewerCount"], 0);
    assert_eq!(stats["peakViewers"], 2);
    assert_eq!(stats["messagesCount"], 2);
    number(&stats["totalTips"], "15.00");
    assert_eq!(stats["duration"], ended.body["duration"]);
    let chat = john.get_reached(&format!("/streams/{show}/chat"), &ended).await?.expect(200);
    let said: Vec<_> =
        chat.body["items"].as_array().unwrap().iter().filter(|item| item["type"] == "MESSAGE").collect();
    assert_eq!(said.len(), 2);
    assert!(said.iter().all(|item| item["userId"] == "user_456" && item["streamId"] == show));
    let tips = john.get_reached(&format!("/streams/{show}/tips"), &ended).await?.expect(200);
    assert_eq!(tips.body["items"].as_array().unwrap().len(), 2);
    let board = john.get_reached(&format!("/streams/{show}/leaderboard"), &ended).await?.expect(200);
    assert_eq!(board.body["items"][0]["userId"], "user_456");
    let viewers = creator.get_reached(&format!("/streams/{show}/viewers"), &ended).await?.expect(200);
    assert_eq!(viewers.body["items"].as_array().unwrap().len(), 2);
    let list = john.get_reached("/streams?status=ENDED", &ended).await?.expect(200);
    assert_eq!(list.body["items"][0]["streamId"], show);

    // a socket that lost everything since the start resumes without a gap
    let mut late = Socket::open(&server.url, &show, Some(&john_token)).await?;
    late.send("RESUME", "r9", json!({ "sequence": 1 })).await?;
    let mut previous = 1;
    loop {
        let frame = late.next().await?;
        if let Some(before) = frame["previous"].as_u64() {
            assert!(before == previous || frame["sequence"] == previous, "gap before {frame}");
            previous = frame["sequence"].as_u64().unwrap();
        }
        if frame["type"] == "STREAM_STATUS_UPDATE" {
            break;
        }
    }
    server.stop().await
}

fn assert_document(document: &Value, status: &str) {
    assert_eq!(document["status"], status);
    assert_eq!(document["creatorId"], "creator_1");
    assert_eq!(document["title"], "My Live Stream");
    assert_eq!(document["description"], "Stream description");
    assert_eq!(document["isSubscriberOnly"], false);
    assert_eq!(document["streamSettings"]["quality"], "HD");
    for setting in ["recordingEnabled", "chatEnabled", "tipsEnabled"] {
        assert_eq!(document["streamSettings"][setting], true);
    }
    assert!(document["streamSettings"].as_object().unwrap().contains_key("maxViewers"));
    for stat in ["viewerCount", "peakViewers", "totalTips", "duration", "messagesCount"] {
        assert!(document["streamStats"][stat].is_number(), "{stat}");
    }
    assert!(document["agoraConfig"]["channelName"].is_string());
    assert!(document["agoraConfig"]["appId"].is_string());
    assert!(document["agoraConfig"]["uid"].is_u64());
    assert_eq!(document["scheduledStartTime"], "2025-06-27T20:00:00.000Z");
    for field in [
        "actualStartTime",
        "endTime",
        "recordingUrl",
        "thumbnailUrl",
        "createdAt",
        "updatedAt",
        "ticketPrice",
    ] {
        assert!(document.as_object().unwrap().contains_key(field), "{field}");
    }
}

fn assert_message(frame: &Value, text: &str) {
    let data = &frame["data"];
    assert_eq!(data["userId"], "user_456");
    assert_eq!(data["username"], "john_doe");
    assert_eq!(data["message"], text);
    assert_eq!(data["isSubscriber"], false);
    assert!(data["messageId"].is_string() && data["timestamp"].is_string());
    assert!(frame["sequence"].is_u64() && frame["previous"].is_u64());
}

fn assert_tip(frame: &Value, answer: &Value, amount: &str) {
    let data = &frame["data"];
    assert_eq!(data["tipId"], answer["tipId"]);
    assert_eq!(data["userId"], "user_456");
    assert_eq!(data["username"], "john_doe");
    number(&data["amount"], amount);
    number(&answer["amount"], amount);
    assert_eq!(data["message"], "Keep up the great work!");
    assert!(data["timestamp"].is_string());
}
