use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_is_answered_as_everybody_gets_it() {
    let service = Service::new();
    let path = format!("{}/chat", service.live().await);
    let body = json!({ "message": " Great stream! ", "type": "MESSAGE", "clientMessageId": "c1" });
    let first = service.post_keyed("anna", &path, "k", body.clone()).await.expect(201);
    assert_eq!((first.text("userId"), first.text("username")), ("anna", "anna"));
    assert_eq!((first.text("message"), first.text("clientMessageId")), ("Great stream!", "c1"));
    assert_eq!((&first.body["sequence"], &first.body["isSubscriber"]), (&json!(2), &json!(false)));
    let again = service.post_keyed("anna", &path, "k", body).await.expect(201);
    assert_eq!(again.body, first.body);
    let reply = json!({ "message": "Indeed", "replyTo": first.body["messageId"] });
    let reply = service.post("ben", &path, reply).await.expect(201);
    assert_eq!(reply.body["replyTo"], first.body["messageId"]);
    let repeated = service.post("anna", &path, json!({ "message": "GREAT  stream!" })).await;
    assert!(repeated.problem(429, "duplicate_message").headers.contains_key("retry-after"));
    // not one word of it is in the log in clear
    for event in service.log.events() {
        let data = String::from_utf8(event.data.to_vec()).unwrap();
        assert!(!data.contains("Great") && !data.contains("anna"), "{data}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_is_refused_by_its_field() {
    let service = Service::new();
    let path = format!("{}/chat", service.live().await);
    let table = [
        ("message", json!({})),
        ("message", json!({ "message": "  " })),
        ("message", json!({ "message": "x".repeat(501) })),
        ("message", json!({ "message": "a\u{7}b" })),
        ("type", json!({ "message": "x", "type": "TIP" })),
        ("type", json!({ "message": "x", "type": "SYSTEM" })),
        ("replyTo", json!({ "message": "x", "replyTo": "not an id" })),
        ("replyTo", json!({ "message": "x", "replyTo": "00000000-0000-0000-0000-000000000000" })),
        ("clientMessageId", json!({ "message": "x", "clientMessageId": "x".repeat(65) })),
        ("reactionType", json!({ "type": "REACTION" })),
        ("reactionType", json!({ "type": "REACTION", "reactionType": "NO_SUCH" })),
    ];
    for (field, body) in table {
        let answer = service.post("anna", &path, body).await.expect(422);
        assert_eq!(answer.text("field"), field);
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_limited_exactly() {
    let service = Service::new();
    let path = format!("{}/chat", service.live().await);
    for number in 0..20 {
        service.post("anna", &path, json!({ "message": format!("message {number}") })).await.expect(201);
    }
    let limited = service.post("anna", &path, json!({ "message": "one more" })).await;
    let limited = limited.problem(429, "rate_limited");
    assert_eq!((&limited.body["limit"], &limited.body["window"]), (&json!(20), &json!(30)));
    assert!(limited.headers.contains_key("retry-after"));
}

#[tokio::test(start_paused = true)]
async fn reactions_come_by_both_ways() {
    let service = Service::new();
    let path = service.live().await;
    let body = json!({ "reactionType": "FIRE", "count": 3 });
    let counted = service.post("anna", &format!("{path}/reactions"), body).await.expect(200);
    assert_eq!((&counted.body["count"], &counted.body["sequence"]), (&json!(3), &json!(2)));
    let body = json!({ "type": "REACTION", "reactionType": "HEART" });
    let counted = service.post("ben", &format!("{path}/chat"), body).await.expect(200);
    assert_eq!((&counted.body["count"], &counted.body["sequence"]), (&json!(1), &json!(3)));
    let body = json!({ "reactionType": "FIRE", "count": 51 });
    let refused = service.post("anna", &format!("{path}/reactions"), body).await.expect(422);
    assert_eq!((refused.text("field"), &refused.body["limit"]), ("count", &json!(50)));
}
