//! Queries over a real database, as clients ask them.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use platform::clock::Clock;
use platform::event_log::memory::MemoryLog;
use platform::health::Health;
use platform::http::auth::Role;
use platform::http::edge::edge;
use platform::vault::Vault;
use projections::Projections;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

use crate::realtime::RealtimeSettings;
use crate::realtime::commands::CommandClient;
use crate::testkit::{Database, Happening, Show, edge_config, person, pseudonyms, token, vault};
use crate::{Deps, QueryApi};

struct Service {
    log: MemoryLog,
    vault: Vault,
    api: QueryApi,
    app: Router,
    projections: Projections,
    database: Database,
}

struct Answer {
    status: u16,
    position: Option<u64>,
    etag: Option<String>,
    body: Value,
}

impl Service {
    async fn start() -> Self {
        let (log, vault, database) = (MemoryLog::new(1), vault(), Database::start().await);
        let projections = database.project(&log);
        let api = QueryApi::start(Deps {
            log: Arc::new(log.clone()),
            pool: database.pool.clone(),
            vault: vault.clone(),
            pseudonyms: Arc::new(pseudonyms()),
            commands: CommandClient::in_process(Router::new()),
            clock: Clock::system(),
            agora_app_id: "app".to_owned(),
            recordings_base: "https://recordings.example.com/".to_owned(),
            realtime: RealtimeSettings::default(),
            health: Health::new(),
        });
        let (router, _) = api.router().split_for_parts();
        let app = edge(router.merge(api.sockets()), edge_config());
        Self { log, vault, api, app, projections, database }
    }

    async fn stop(self) {
        self.api.shutdown().await;
        self.projections.shutdown().await;
        self.database.stop().await;
    }

    /// The position of the last event.
    fn head(&self) -> u64 {
        self.log.events().last().map_or(0, |event| event.position.0)
    }

    /// Asks as a person, for everything that is in the log.
    async fn get(&self, sub: &str, path: &str) -> Answer {
        self.ask(sub, &[Role::Viewer], path, &[("tally-min-position", &self.head().to_string())]).await
    }

    async fn ask(&self, sub: &str, roles: &[Role], path: &str, headers: &[(&str, &str)]) -> Answer {
        let authorization = format!("Bearer {}", token(sub, roles, 60));
        let mut request = Request::get(path).header("authorization", authorization);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
    }

    async fn live(&self) -> Show {
        Show::live(&self.log, &self.vault).await
    }
}

async fn answer(response: Response<Body>) -> Answer {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, position, etag) = (
        response.status().as_u16(),
        header("tally-position").map(|position| position.parse().unwrap()),
        header("etag"),
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Answer { status, position, etag, body }
}

/// All of it in one cluster: starting one takes longer than everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_answer_what_the_log_says() {
    let service = Service::start().await;
    streams_are_documents(&service).await;
    discovery_is_ordered_filtered_and_paged(&service).await;
    chat_is_read_both_ways(&service).await;
    tips_make_a_leaderboard(&service).await;
    viewers_are_for_staff(&service).await;
    protected_shows_are_for_those_who_entered(&service).await;
    positions_are_waited_for(&service).await;
    bad_queries_are_refused(&service).await;
    long_shows_begin_with_their_row(&service).await;
    service.stop().await;
}

/// A tip that is asked for and paid.
async fn tip(show: &Show, sub: &'static str, cents: i64) {
    show.let_happen(Happening::TipRequested(sub, cents)).await;
    show.let_happen(Happening::TipCaptured(sub, cents)).await;
}

async fn streams_are_documents(service: &Service) {
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
    for (known, status) in
        [("\"0\"", 304), ("W/\"0\"", 304), ("\"1\", \"0\"", 304), ("*", 304), ("\"1\"", 200)]
    {
        let answer = service.ask("ben", &[Role::Viewer], &path, &[("if-none-match", known)]).await;
        assert_eq!(answer.status, status, "{known}");
    }
    let unknown = format!("/api/v1/streams/{}", uuid::Uuid::new_v4());
    for path in [&unknown, "/api/v1/streams/stream_123"] {
        assert_eq!(service.get("ben", path).await.body["code"], "stream_not_found");
    }
    let nobody = Request::get(&path).body(Body::empty()).unwrap();
    assert_eq!(answer_status(service, nobody).await, 401);
}

async fn answer_status(service: &Service, request: Request<Body>) -> u16 {
    service.app.clone().oneshot(request).await.unwrap().status().as_u16()
}

async fn discovery_is_ordered_filtered_and_paged(service: &Service) {
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

async fn chat_is_read_both_ways(service: &Service) {
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

async fn tips_make_a_leaderboard(service: &Service) {
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

async fn viewers_are_for_staff(service: &Service) {
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

async fn protected_shows_are_for_those_who_entered(service: &Service) {
    let show = Show::created(&service.log, &service.vault).await;
    show.let_happen(Happening::Revised { is_protected: true }).await;
    show.let_happen(Happening::Started).await;
    show.let_happen(Happening::Joined("anna")).await;
    show.message("anna", "among us").await;
    for resource in ["chat", "tips", "leaderboard"] {
        let path = format!("/api/v1/streams/{}/{resource}", show.id);
        assert_eq!(service.get("ben", &path).await.body["reason"], "not_entered", "{resource}");
        assert_eq!(service.get("anna", &path).await.status, 200, "{resource}");
        assert_eq!(service.get("host", &path).await.status, 200, "{resource}");
    }
    let access = format!("/api/v1/streams/{}/access", show.id);
    for (sub, granted, reason) in
        [("anna", true, "entered"), ("ben", false, "subscription_required"), ("host", true, "creator")]
    {
        let body = service.get(sub, &access).await.body;
        assert_eq!((&body["accessGranted"], &body["reason"]), (&json!(granted), &json!(reason)), "{sub}");
    }
    assert_eq!(service.ask("mo", &[Role::Moderator], &access, &[]).await.body["reason"], "staff");
    let open = service.live().await;
    let access = format!("/api/v1/streams/{}/access", open.id);
    assert_eq!(service.get("ben", &access).await.body["reason"], "public");
}

async fn positions_are_waited_for(service: &Service) {
    let show = service.live().await;
    let path = format!("/api/v1/streams/{}", show.id);
    // many at once, each for what was just written
    let asked = (0..10).map(|_| async {
        show.message("anna", "hi").await;
        let answer = service.get("ben", &path).await;
        assert!(answer.position >= Some(0), "{}", answer.body);
        answer.body["streamStats"]["messagesCount"].as_i64().unwrap()
    });
    let counts = futures::future::join_all(asked).await;
    assert_eq!(counts.into_iter().max(), Some(10));
    let beyond = (service.head() + 1_000_000).to_string();
    let answer = service.ask("ben", &[Role::Viewer], &path, &[("tally-min-position", &beyond)]).await;
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("position_unknown")));
    let bad = service.ask("ben", &[Role::Viewer], &path, &[("tally-min-position", "x")]).await;
    assert_eq!(bad.status, 422);
}

async fn bad_queries_are_refused(service: &Service) {
    let long = format!("q={}", "x".repeat(201));
    for bad in ["status=live", "status=X", "limit=0", "cursor=abc", &long] {
        let answer = service.get("ben", &format!("/api/v1/streams?{bad}")).await;
        assert_eq!(answer.status, 422, "{bad}: {}", answer.body);
    }
    assert_eq!(service.get("ben", "/api/v1/streams?q=a&q=b").await.status, 400);
}

/// A show beyond what is folded from its first event: the snapshot is the same as the fold's.
async fn long_shows_begin_with_their_row(service: &Service) {
    let show = service.live().await;
    for index in 0..4_200 {
        let what = match index % 4 {
            0 => Happening::Joined("anna"),
            1 => Happening::Reactions(1),
            2 => Happening::TipRequested("ben", 1),
            _ => Happening::Posted("anna", format!("message {index}")),
        };
        let is_tip = matches!(what, Happening::TipRequested(..));
        show.let_happen(what).await;
        if is_tip {
            show.let_happen(Happening::TipCaptured("ben", 1)).await;
        }
    }
    service.get("ben", &format!("/api/v1/streams/{}", show.id)).await;
    show.message("anna", "beyond the row").await;
    let seeded = service.api.realtime().state_of(show.id, true).await.unwrap();
    let folded = service.api.realtime().state_of(show.id, false).await.unwrap();
    assert_eq!(format!("{seeded:?}"), format!("{folded:?}"));
    assert_eq!(seeded.messages_count, 1_051);
    assert_eq!(seeded.recent.len(), 50);
}
