use super::*;

#[tokio::test(start_paused = true)]
async fn a_created_stream_is_answered_whole_and_a_repeat_alike() {
    let service = Service::new();
    let body = json!({ "title": "  A stream ", "ticketPrice": 5.00, "isSubscriberOnly": true,
        "settings": { "quality": "4K", "maxViewers": 3 }, "unknownMember": 1 });
    let first = service.post_keyed("host", "/streams", "k", body.clone()).await.expect(201);
    let id = first.text("streamId").to_owned();
    assert_eq!(first.headers["location"], format!("/api/v1/streams/{id}"));
    assert_eq!(first.headers["etag"], "\"0\"");
    assert!(first.headers.contains_key("tally-position"));
    assert_eq!(first.body["title"], "A stream");
    assert_eq!(first.body["creatorId"], "host");
    first.spells("\"ticketPrice\":5.00");
    assert_eq!(first.body["streamSettings"]["quality"], "4K");
    assert_eq!(first.body["agoraConfig"]["appId"], "app");
    assert_eq!(first.body["recordingUrl"], Value::Null);

    // whatever happened since, a repeat tells what the first answer told
    let path = format!("/streams/{id}");
    let renamed = json!({ "title": "Another" });
    service.send("host", Method::PATCH, &path, &[], Some(renamed)).await.expect(200);
    let again = service.post_keyed("host", "/streams", "k", body).await.expect(201);
    assert_eq!(again.body, first.body);
    assert_eq!(again.headers["tally-position"], first.headers["tally-position"]);
    let other = json!({ "title": "Other" });
    service.post_keyed("host", "/streams", "k", other).await.problem(422, "idempotency_key_reused");
    service.post("eve", "/streams", json!({ "title": "x" })).await.problem(403, "role_required");
}

#[tokio::test(start_paused = true)]
async fn invalid_fields_are_named() {
    let service = Service::new();
    let table = [
        ("title", json!({ "title": "" })),
        ("title", json!({})),
        ("description", json!({ "title": "x", "description": "x".repeat(5_001) })),
        ("category", json!({ "title": "x", "category": "x".repeat(51) })),
        ("tags", json!({ "title": "x", "tags": vec!["x"; 11] })),
        ("tags[1]", json!({ "title": "x", "tags": ["a", ""] })),
        ("language", json!({ "title": "x", "language": "english?" })),
        ("ticketPrice", json!({ "title": "x", "ticketPrice": -1 })),
        ("ticketPrice", json!({ "title": "x", "ticketPrice": "1.005" })),
        ("currency", json!({ "title": "x", "currency": "usd" })),
        ("thumbnailUrl", json!({ "title": "x", "thumbnailUrl": "javascript:alert(1)" })),
        ("scheduledStartTime", json!({ "title": "x", "scheduledStartTime": "tomorrow" })),
        ("settings.maxViewers", json!({ "title": "x", "settings": { "maxViewers": 0 } })),
        ("settings.quality", json!({ "title": "x", "settings": { "quality": "8K" } })),
    ];
    for (field, body) in table {
        let answer = service.post("host", "/streams", body).await.expect(422);
        assert_eq!(answer.text("field"), field);
    }
    assert!(service.log.events().is_empty());
}

#[tokio::test(start_paused = true)]
async fn changes_are_guarded_by_the_version_that_was_seen() {
    let service = Service::new();
    let body = json!({ "title": "A", "category": "music", "settings": { "maxViewers": 5 } });
    let created = service.post("host", "/streams", body).await.expect(201);
    let path = format!("/streams/{}", created.text("streamId"));
    let patch = async |who: &str, headers: &[(&str, &str)], body: Value| {
        service.send(who, Method::PATCH, &path, headers, Some(body)).await
    };
    let body = json!({ "category": null, "settings": { "maxViewers": null } });
    let changed = patch("host", &[("if-match", "\"0\"")], body).await.expect(200);
    assert_eq!(changed.body["category"], Value::Null);
    assert_eq!(changed.body["streamSettings"]["maxViewers"], Value::Null);
    assert_eq!(changed.headers["etag"], "\"2\"");

    let stale = patch("host", &[("if-match", "\"0\"")], json!({ "title": "B" })).await;
    assert_eq!(stale.problem(412, "stale_version").body["currentVersion"], 2);
    patch("host", &[("if-match", "W/\"2\"")], json!({ "title": "B" })).await.problem(412, "stale_version");
    patch("host", &[("if-match", "*")], json!({ "title": "B" })).await.expect(200);
    patch("eve", &[], json!({ "title": "C" })).await.problem(403, "not_the_creator");
    patch("host", &[], json!({ "title": null })).await.expect(200);

    service.send("host", Method::POST, &format!("{path}/start"), &[], None).await.expect(200);
    patch("host", &[], json!({ "title": "D" })).await.problem(409, "wrong_status");
    let live = patch("host", &[], json!({ "settings": { "chatEnabled": false } })).await.expect(200);
    assert_eq!(live.body["streamSettings"]["chatEnabled"], false);
}

#[tokio::test(start_paused = true)]
async fn start_and_end_answer_what_the_specification_shows() {
    let service = Service::new();
    let created = service.post("host", "/streams", json!({ "title": "A" })).await.expect(201);
    let path = format!("/streams/{}", created.text("streamId"));
    let started = service.post_keyed("host", &format!("{path}/start"), "s", json!({})).await.expect(200);
    assert_eq!(started.text("agoraToken"), "host-1");
    assert!(started.text("streamUrl").ends_with(created.text("streamId")));
    assert_eq!(started.text("streamKey"), "key");
    service.post("host", &format!("{path}/start"), json!({})).await.problem(409, "wrong_status");
    let again = service.post_keyed("host", &format!("{path}/start"), "s", json!({})).await.expect(200);
    assert_eq!(again.headers["tally-position"], started.headers["tally-position"]);

    let ended = service.post_keyed("host", &format!("{path}/end"), "e", json!({})).await.expect(200);
    ended.spells("\"totalTips\":0.00");
    assert_eq!((ended.text("recordingStatus"), ended.text("status")), ("PROCESSING", "ENDED"));
    let again = service.post_keyed("host", &format!("{path}/end"), "e", json!({})).await.expect(200);
    assert_eq!(again.body, ended.body);
    service.post("host", &format!("{path}/cancel"), json!({})).await.problem(409, "wrong_status");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_id_is_no_stream() {
    let service = Service::new();
    for verb in ["start", "end", "cancel", "join", "leave", "heartbeat", "rtc-token"] {
        for id in ["x", "00000000-0000-0000-0000-000000000000"] {
            let path = format!("/streams/{id}/{verb}");
            service.post("host", &path, json!({})).await.problem(404, "stream_not_found");
        }
    }
}
