use super::*;

#[tokio::test(start_paused = true)]
async fn a_join_begins_a_session_and_another_one_continues_it() {
    let service = Service::new();
    let path = service.live().await;
    let join = format!("{path}/join");
    let first = service.send("anna", Method::POST, &join, &[], None).await.expect(200);
    assert_eq!(first.body["accessGranted"], true);
    assert_eq!((first.text("agoraToken"), &first.body["agoraUid"]), ("viewer-2", &json!(2)));
    assert_eq!((&first.body["canTip"], &first.body["chatEnabled"]), (&json!(true), &json!(true)));
    assert_eq!((&first.body["sequence"], &first.body["heartbeatSeconds"]), (&json!(2), &json!(20)));
    let again = service.post("anna", &join, json!({})).await.expect(200);
    assert_eq!(again.body["sessionId"], first.body["sessionId"]);
    let phone = service.post("anna", &join, json!({ "deviceId": "phone", "deviceType": "MOBILE" })).await;
    assert_ne!(phone.expect(200).body["sessionId"], first.body["sessionId"]);
    let host = service.post("host", &join, json!({})).await.expect(200);
    assert_eq!((host.text("agoraToken"), &host.body["sessionId"]), ("host-1", &Value::Null));
    assert_eq!(host.body["canTip"], false);
    let bad = service.post("anna", &join, json!({ "location": { "country": "Germany" } })).await.expect(422);
    assert_eq!(bad.text("field"), "location.country");
}

#[tokio::test(start_paused = true)]
async fn a_refused_join_says_why() {
    let service = Service::new();
    let body = json!({ "title": "A", "isSubscriberOnly": true });
    let created = service.post("host", "/streams", body).await.expect(201);
    let path = format!("/streams/{}", created.text("streamId"));
    service.post("anna", &format!("{path}/join"), json!({})).await.problem(409, "wrong_status");
    service.post("host", &format!("{path}/start"), json!({})).await.expect(200);
    let refused = service.post("anna", &format!("{path}/join"), json!({})).await;
    let refused = refused.problem(403, "subscription_required");
    assert_eq!(refused.body["accessGranted"], false);
    assert_eq!(refused.body["reason"], "subscription_required");
}

#[tokio::test(start_paused = true)]
async fn sessions_are_kept_renewed_and_left_by_their_owner_only() {
    let service = Service::new();
    let path = service.live().await;
    let joined = service.post("anna", &format!("{path}/join"), json!({})).await.expect(200);
    let session = json!({ "sessionId": joined.body["sessionId"] });
    let alive = service.post("anna", &format!("{path}/heartbeat"), session.clone()).await.expect(200);
    assert_eq!(alive.body["sessions"][0], joined.body["sessionId"]);
    let token = service.post("anna", &format!("{path}/rtc-token"), json!({})).await.expect(200);
    assert_eq!(token.text("agoraToken"), "viewer-2");
    for verb in ["heartbeat", "rtc-token", "leave"] {
        let stranger = service.post("eve", &format!("{path}/{verb}"), session.clone()).await;
        stranger.problem(404, "session_unknown");
    }
    let left = service.post_keyed("anna", &format!("{path}/leave"), "l", json!({})).await.expect(200);
    assert_eq!(left.body["sessionsLeft"][0], joined.body["sessionId"]);
    let again = service.post_keyed("anna", &format!("{path}/leave"), "l", json!({})).await.expect(200);
    assert_eq!(again.body, left.body);
    service.post("anna", &format!("{path}/heartbeat"), json!({})).await.problem(404, "session_unknown");
}
