//! What each resource answers.

use super::*;

pub(super) async fn streams_are_documents(service: &Service) {
    let show = service.live().await;
    show.let_happen(Happening::Joined("anna")).await;
    show.message("anna", "hi").await;
    tip(&show, "anna", 1_050).await;
    show.let_happen(Happening::Ended).await;
    let path = format!("/api/v1/streams/{}", show.id);
    let answer = service.get("ben", &path).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.etag.as_deref(), Some("\"0\""));
    assert!(answer.position >= Some(service.head()));
    let mut document = answer.body;
    assert!(document["createdAt"].is_string() && document["updatedAt"].is_string());
    assert!(document["actualStartTime"].is_string() && document["endTime"].is_string());
    for time in ["createdAt", "updatedAt", "actualStartTime", "endTime"] {
        document.as_object_mut().unwrap().remove(time);
    }
    let expected = json!({
        "streamId": show.id, "creatorId": "host", "title": "A show", "description": "About music",
        "category": "music", "tags": ["jazz"], "language": "en", "status": "ENDED",
        "isSubscriberOnly": false, "ticketPrice": 0.0, "currency": "USD",
        "streamSettings": { "quality": "HD", "recordingEnabled": true, "chatEnabled": true, "tipsEnabled": true,
                            "maxViewers": null },
        "streamStats": { "viewerCount": 0, "peakViewers": 1, "totalTips": 10.50, "duration": 3600,
                         "messagesCount": 1 },
        "agoraConfig": { "channelName": "channel", "appId": "app", "uid": 1 },
        "scheduledStartTime": null, "recordingUrl": format!("https://recordings.example.com/{}", show.id),
        "recordingStatus": "PROCESSING", "thumbnailUrl": null, "sequence": 6,
    });
    assert_eq!(document, expected);
    let unknown = format!("/api/v1/streams/{}", uuid::Uuid::new_v4());
    for path in [&unknown, "/api/v1/streams/stream_123"] {
        assert_eq!(service.get("ben", path).await.body["code"], "stream_not_found");
    }
    let nobody = Request::get(&path).body(Body::empty()).unwrap();
    assert_eq!(answer_status(service, nobody).await, 401);
}

pub(super) async fn discovery_is_ordered_filtered_and_paged(service: &Service) {
    let (busy, quiet) = (service.live().await, service.live().await);
    for _ in 0..3 {
        busy.let_happen(Happening::Joined("anna")).await;
    }
    quiet.let_happen(Happening::Joined("anna")).await;
    let scheduled = Show::created(&service.log, &service.vault).await;
    let cancelled = Show::created(&service.log, &service.vault).await;
    cancelled.let_happen(Happening::Cancelled).await;
    let all = service.get("ben", "/api/v1/streams").await.body;
    let ids = |body: &Value| -> Vec<String> {
        body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["streamId"].as_str().unwrap().to_owned())
            .collect()
    };
    let statuses: Vec<&str> =
        all["items"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["LIVE", "LIVE", "SCHEDULED", "ENDED"]);
    assert_eq!(ids(&all)[..3], [busy.id.to_string(), quiet.id.to_string(), scheduled.id.to_string()]);
    assert_eq!(all.get("nextCursor"), None);

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.get("ben", &format!("/api/v1/streams?limit=1{cursor}")).await.body;
        paged.extend(ids(&page));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, ids(&all));

    for (query, count) in [
        ("status=CANCELLED", 1),
        ("status=LIVE", 2),
        ("creatorId=host", 4),
        ("creatorId=nobody", 0),
        ("category=music&status=SCHEDULED", 1),
        ("category=other", 0),
        ("q=jazz", 4),
        ("q=jazz%20-music", 0),
        ("q=%22A%20show%22&status=LIVE", 2),
        ("q=nothing", 0),
        ("q=%00", 4),
    ] {
        let answer = service.get("ben", &format!("/api/v1/streams?{query}")).await;
        assert_eq!(ids(&answer.body).len(), count, "{query}: {}", answer.body);
    }
}

pub(super) async fn chat_is_read_both_ways(service: &Service) {
    let show = service.live().await;
    for index in 0..5 {
        show.message("erik", &format!("message {index}")).await;
    }
    tip(&show, "ben", 500).await;
    show.let_happen(Happening::Reactions(3)).await;
    let chat = format!("/api/v1/streams/{}/chat", show.id);
    let sequences = |body: &Value| -> Vec<u64> {
        body["items"].as_array().unwrap().iter().map(|item| item["sequence"].as_u64().unwrap()).collect()
    };
    let all = service.get("carl", &chat).await.body;
    assert_eq!(sequences(&all), [9, 8, 6, 5, 4, 3, 2, 1]);
    let items = all["items"].as_array().unwrap();
    assert_eq!((&items[0]["type"], &items[0]["reactionType"]), (&json!("REACTION"), &json!("HEART")));
    assert_eq!((&items[1]["type"], &items[1]["tipAmount"]), (&json!("TIP"), &json!(5.0)));
    assert_eq!(
        (&items[1]["username"], &items[1]["message"]),
        (&json!("ben the name"), &json!("Great content!"))
    );
    assert_eq!((&items[2]["type"], &items[2]["message"]), (&json!("MESSAGE"), &json!("message 4")));
    assert_eq!((&items[2]["userId"], &items[2]["isModerated"]), (&json!("erik"), &json!(false)));
    assert_eq!(items[2]["streamId"], json!(show.id));
    assert_eq!((&items[7]["type"], &items[7]["status"]), (&json!("SYSTEM"), &json!("LIVE")));

    assert_eq!(sequences(&service.get("carl", &format!("{chat}?before=4")).await.body), [3, 2, 1]);
    assert_eq!(sequences(&service.get("carl", &format!("{chat}?after=5")).await.body), [6, 8, 9]);
    let first = service.get("carl", &format!("{chat}?after=1&limit=3")).await.body;
    assert_eq!(sequences(&first), [2, 3, 4]);
    let next = format!("{chat}?limit=3&cursor={}", first["nextCursor"].as_str().unwrap());
    assert_eq!(sequences(&service.get("carl", &next).await.body), [5, 6, 8]);
    for bad in ["after=x", "after=1&before=2", "cursor=abc", "limit=201"] {
        assert_eq!(service.get("carl", &format!("{chat}?{bad}")).await.status, 422, "{bad}");
    }
    service.vault.erase(person("erik")).await.unwrap();
    let erased = service.get("carl", &chat).await.body;
    let last = &erased["items"][2];
    assert_eq!(
        (&last["message"], &last["userId"], &last["username"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!((&erased["items"][1]["username"], &last["sequence"]), (&json!("ben the name"), &json!(6)));
}

pub(super) async fn tips_make_a_leaderboard(service: &Service) {
    let show = service.live().await;
    for (sub, cents) in [("anna", 500), ("ben", 700), ("carl", 500), ("anna", 200)] {
        tip(&show, sub, cents).await;
    }
    show.let_happen(Happening::TipRequested("carl", 900)).await;
    let board = format!("/api/v1/streams/{}/leaderboard", show.id);
    let all = service.get("dora", &board).await.body;
    let places: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["rank"].as_i64().unwrap(), item["userId"].clone(), item["total"].clone()))
        .collect();
    // anna and ben have the same, ben had it first
    assert_eq!(
        places,
        [(1, json!("ben"), json!(7.0)), (2, json!("anna"), json!(7.0)), (3, json!("carl"), json!(5.0))]
    );
    assert_eq!(all["items"][1]["tipsCount"], 2);
    let first = service.get("dora", &format!("{board}?limit=2")).await.body;
    let next = format!("{board}?limit=2&cursor={}", first["nextCursor"].as_str().unwrap());
    let rest = service.get("dora", &next).await.body;
    assert_eq!((&rest["items"][0]["rank"], &rest["items"][0]["userId"]), (&json!(3), &json!("carl")));
    assert_eq!(rest.get("nextCursor"), None);

    let tips = service.get("dora", &format!("/api/v1/streams/{}/tips", show.id)).await.body;
    let amounts: Vec<_> = tips["items"].as_array().unwrap().iter().map(|tip| tip["amount"].clone()).collect();
    assert_eq!(amounts, [json!(2.0), json!(5.0), json!(7.0), json!(5.0)]);
    assert_eq!(tips["items"][0]["message"], "Great content!");
}

pub(super) async fn viewers_are_for_staff(service: &Service) {
    let show = service.live().await;
    for sub in ["anna", "ben"] {
        show.let_happen(Happening::Joined(sub)).await;
    }
    show.message("anna", "hi").await;
    show.let_happen(Happening::Left("anna")).await;
    let viewers = format!("/api/v1/streams/{}/viewers", show.id);
    assert_eq!(service.get("anna", &viewers).await.status, 403);
    let min = service.head().to_string();
    let headers = [("tally-min-position", min.as_str())];
    for roles in [Role::Moderator, Role::Admin] {
        assert_eq!(service.ask("mo", &[roles], &viewers, &headers).await.status, 200);
    }
    let all = service.get("host", &viewers).await.body;
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let anna = &items[0];
    assert_eq!((&anna["viewerId"], &anna["messagesCount"]), (&json!("anna"), &json!(1)));
    assert_eq!(anna["leaveTime"], "2025-06-27T20:30:00.000Z");
    assert_eq!(anna["location"], json!({ "country": "DE", "city": "Berlin" }));
    assert_eq!((&anna["deviceType"], &anna["watchTime"]), (&json!("MOBILE"), &json!(0)));
    assert_eq!(items[1]["leaveTime"], Value::Null);
    assert!(items[1]["watchTime"].as_i64().unwrap() > 0, "whoever is there watches on");
    let first = service.get("host", &format!("{viewers}?limit=1")).await.body;
    let next = format!("{viewers}?limit=1&cursor={}", first["nextCursor"].as_str().unwrap());
    assert_eq!(service.get("host", &next).await.body["items"][0]["viewerId"], "ben");
}
