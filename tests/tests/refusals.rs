//! Bad input of every kind, on every route: it gets its problem, and the log stays as it was.
#![allow(clippy::unwrap_used, reason = "a stage that cannot be set fails the test")]

#[path = "refusals/codes.rs"]
mod codes;

use platform::event_log::EventLog;
use platform::event_log::eventstore::EventStoreLog;
use platform::http::auth::{DevToken, Role, mint_dev_token};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tally_tests::server::{SECRET, data_dir, settings};
use tally_tests::{Answer, Api, Server};

/// Somebody's request that must be refused.
struct Case {
    name: &'static str,
    who: Who,
    method: Method,
    path: String,
    key: Option<&'static str>,
    body: Option<String>,
    expect: (u16, &'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Garbage,
    Forged,
    Expired,
    Viewer,
    OtherCreator,
    Host,
}

/// Where the cases happen.
struct Stage {
    server: Server,
    live: String,
    scheduled: String,
    ended: String,
    ticketed: String,
}

impl Stage {
    fn client(&self, who: Who) -> Api {
        let token = match who {
            Who::Nobody => None,
            Who::Garbage => Some("not.a.token".to_owned()),
            Who::Forged => Some(mint("host", "another-secret-that-is-long-enough-for-hs256!", 3_600)),
            Who::Expired => Some(mint_at("host", SECRET, 1_000_000_000)),
            Who::Viewer => Some(mint("viewer", SECRET, 3_600)),
            Who::OtherCreator => Some(tally_tests::server::token("other", &[Role::Creator])),
            Who::Host => Some(tally_tests::server::token("host", &[Role::Creator])),
        };
        Api::new(&self.server.url, token)
    }
}

fn mint(sub: &str, secret: &str, lifetime_seconds: u32) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = DevToken {
        sub,
        roles: &[Role::Viewer],
        name: None,
        issuer: "tally",
        audience: "tally",
        lifetime_seconds,
    };
    mint_dev_token(&SecretString::from(secret), &token, i64::try_from(now).unwrap()).unwrap()
}

fn mint_at(sub: &str, secret: &str, now: i64) -> String {
    let token = DevToken {
        sub,
        roles: &[Role::Creator],
        name: None,
        issuer: "tally",
        audience: "tally",
        lifetime_seconds: 60,
    };
    mint_dev_token(&SecretString::from(secret), &token, now).unwrap()
}

async fn show(host: &Api, body: Value) -> String {
    host.post("/streams", body).await.unwrap().expect(201).text_of("streamId")
}

async fn stage() -> (Stage, EventStoreLog, tempfile::TempDir) {
    let data = data_dir();
    let mut settings = settings(data.path());
    let port = tally_tests::cluster::free_port().unwrap();
    settings.insert("TALLY_EVENT_LOG__LISTEN".into(), format!("127.0.0.1:{port}"));
    let server = Server::start("up", &settings).await.unwrap();
    server.ready().await.unwrap();
    let host = server.client("host", &[Role::Creator]);
    let live = show(&host, json!({ "title": "Live" })).await;
    let scheduled = show(&host, json!({ "title": "Scheduled" })).await;
    let ended = show(&host, json!({ "title": "Ended" })).await;
    let ticketed = show(&host, json!({ "title": "Ticketed", "ticketPrice": 5 })).await;
    for (id, verb) in [(&live, "start"), (&ended, "start"), (&ended, "end"), (&ticketed, "start")] {
        let _ = host.post(&format!("/streams/{id}/{verb}"), Value::Null).await.unwrap().expect(200);
    }
    let tipped = server
        .client("viewer", &[Role::Viewer])
        .post_with_key(&format!("/streams/{live}/tip"), "used-key", json!({ "amount": 1 }))
        .await
        .unwrap()
        .expect(201);
    // whose show it is, figures learn from the read model
    let _ = host.get_reached(&format!("/streams/{live}"), &tipped).await.unwrap().expect(200);
    let log = EventStoreLog::new(&format!("kurrentdb://127.0.0.1:{port}?tls=false"), "refusals").unwrap();
    (Stage { server, live, scheduled, ended, ticketed }, log, data)
}

fn case(
    name: &'static str,
    who: Who,
    path: String,
    body: impl Into<Option<Value>>,
    expect: (u16, &'static str),
) -> Case {
    let body = body.into().map(|body| body.to_string());
    Case { name, who, method: Method::POST, path, key: None, body, expect }
}

/// Every command's route with a body that would do.
fn routes(stage: &Stage) -> Vec<(Method, String, Value)> {
    let of = |verb: &str| format!("/streams/{}/{verb}", stage.live);
    vec![
        (Method::POST, "/streams".into(), json!({ "title": "T" })),
        (Method::PATCH, format!("/streams/{}", stage.live), json!({ "settings": { "chatEnabled": false } })),
        (Method::POST, format!("/streams/{}/start", stage.scheduled), json!({})),
        (Method::POST, of("end"), json!({})),
        (Method::POST, format!("/streams/{}/cancel", stage.scheduled), json!({})),
        (Method::POST, of("join"), json!({})),
        (Method::POST, of("leave"), json!({})),
        (Method::POST, of("heartbeat"), json!({})),
        (Method::POST, of("rtc-token"), json!({})),
        (Method::POST, of("chat"), json!({ "message": "hello" })),
        (Method::POST, of("reactions"), json!({ "reactionType": "FIRE", "count": 1 })),
        (Method::POST, of("tip"), json!({ "amount": 1 })),
    ]
}

/// Tokens that are none, on every route.
fn token_cases(stage: &Stage) -> Vec<Case> {
    let kinds = [
        (Who::Nobody, "token_missing"),
        (Who::Garbage, "token_invalid"),
        (Who::Forged, "token_invalid"),
        (Who::Expired, "token_expired"),
    ];
    let mut cases = Vec::new();
    for (method, path, body) in routes(stage) {
        for (who, code) in kinds {
            let body = Some(body.to_string());
            let (method, path) = (method.clone(), path.clone());
            cases.push(Case { name: "token", who, method, path, key: Some("k"), body, expect: (401, code) });
        }
    }
    cases
}

/// Shows that do not exist, and ids that are none, on every route of a show.
fn unknown_cases(stage: &Stage) -> Vec<Case> {
    let mut cases = Vec::new();
    for (method, path, body) in routes(stage).into_iter().filter(|(_, path, _)| path.len() > "/streams".len())
    {
        for id in ["0199d0a0-0000-7000-8000-000000000000", "stream_123"] {
            let mut parts: Vec<&str> = path.split('/').collect();
            parts[2] = id;
            cases.push(Case {
                name: "unknown show",
                who: Who::Host,
                method: method.clone(),
                path: parts.join("/"),
                key: Some("unknown"),
                body: Some(body.to_string()),
                expect: (404, "stream_not_found"),
            });
        }
    }
    cases
}

/// Bodies that are not what the route takes.
fn body_cases(stage: &Stage) -> Vec<Case> {
    let mut cases = Vec::new();
    for (method, path, _) in routes(stage) {
        let takes_none = ["start", "end", "cancel", "rtc-token"].iter().any(|verb| path.ends_with(verb));
        if takes_none {
            continue;
        }
        for (name, body) in [
            ("cut off", "{\"message\": "),
            ("not a number", "{\"amount\": NaN, \"message\": NaN, \"title\": NaN, \"count\": NaN}"),
            (
                "trailing garbage",
                "{\"title\": \"T\", \"message\": \"x\", \"reactionType\": \"FIRE\", \"amount\": 1} {}",
            ),
        ] {
            cases.push(Case {
                name,
                who: Who::Host,
                method: method.clone(),
                path: path.clone(),
                key: Some("malformed"),
                body: Some(body.to_owned()),
                expect: (400, "malformed_json"),
            });
        }
    }
    cases
}

/// Fields out of range or of the wrong type.
fn field_cases(stage: &Stage) -> Vec<Case> {
    let chat = format!("/streams/{}/chat", stage.live);
    let invalid = (422, "invalid_field");
    let create = |name, body: Value| case(name, Who::Host, "/streams".into(), body, invalid);
    let say = |name, body: Value| case(name, Who::Viewer, chat.clone(), body, invalid);
    vec![
        create("no title", json!({})),
        create("empty title", json!({ "title": "  " })),
        create("long title", json!({ "title": "x".repeat(141) })),
        create("title of another type", json!({ "title": 5 })),
        create("long description", json!({ "title": "T", "description": "x".repeat(5_001) })),
        create("unknown quality", json!({ "title": "T", "settings": { "quality": "8K" } })),
        create("no seats", json!({ "title": "T", "settings": { "maxViewers": 0 } })),
        create("negative seats", json!({ "title": "T", "settings": { "maxViewers": -1 } })),
        create("negative price", json!({ "title": "T", "ticketPrice": -1 })),
        create("price too exact", json!({ "title": "T", "ticketPrice": 1.005 })),
        create("no currency", json!({ "title": "T", "currency": "XXX" })),
        create("no time", json!({ "title": "T", "scheduledStartTime": "tomorrow" })),
        create("too many tags", json!({ "title": "T", "tags": vec!["t"; 11] })),
        say("empty", json!({ "message": "" })),
        say("blank", json!({ "message": " \n " })),
        say("long", json!({ "message": "x".repeat(501) })),
        say("no text", json!({ "type": "MESSAGE" })),
        say("another type", json!({ "message": ["x"] })),
        say("system", json!({ "message": "x", "type": "SYSTEM" })),
        say("reply to nothing", json!({ "message": "x", "replyTo": "nothing" })),
    ]
}

fn tip_cases(stage: &Stage) -> Vec<Case> {
    let path = format!("/streams/{}/tip", stage.live);
    let tip = |name, body: Value, expect| Case {
        key: Some("tip-case"),
        ..case(name, Who::Viewer, path.clone(), body, expect)
    };
    let invalid = (422, "invalid_field");
    vec![
        Case { key: None, ..tip("no key", json!({ "amount": 1 }), (400, "idempotency_key_required")) },
        Case {
            key: Some("used-key"),
            ..tip("used key", json!({ "amount": 2 }), (422, "idempotency_key_reused"))
        },
        tip("nothing", json!({ "amount": 0 }), invalid),
        tip("less", json!({ "amount": -5 }), invalid),
        tip("too exact", json!({ "amount": "1.005" }), invalid),
        tip("no amount", json!({ "message": "x" }), invalid),
        tip("text", json!({ "amount": "ten" }), invalid),
        tip("no money", json!({ "amount": true }), invalid),
        tip("unknown currency", json!({ "amount": 1, "currency": "ABC" }), invalid),
        tip("other currency", json!({ "amount": 1, "currency": "EUR" }), (422, "currency_mismatch")),
        Case { who: Who::Host, ..tip("own show", json!({ "amount": 1 }), (403, "own_stream")) },
    ]
}

/// Who may not, and when nobody may.
fn state_cases(stage: &Stage) -> Vec<Case> {
    let of = |id: &str, verb: &str| format!("/streams/{id}/{verb}");
    let wrong = (409, "wrong_status");
    let mut cases = vec![
        case(
            "viewer creates",
            Who::Viewer,
            "/streams".into(),
            json!({ "title": "T" }),
            (403, "role_required"),
        ),
        case("start twice", Who::Host, of(&stage.live, "start"), None, wrong),
        case("cancel on air", Who::Host, of(&stage.live, "cancel"), None, wrong),
        case("end before the start", Who::Host, of(&stage.scheduled, "end"), None, wrong),
        case("join before the start", Who::Viewer, of(&stage.scheduled, "join"), json!({}), wrong),
        case("chat after the end", Who::Viewer, of(&stage.ended, "chat"), json!({ "message": "x" }), wrong),
        case("start after the end", Who::Host, of(&stage.ended, "start"), None, wrong),
        case("no ticket", Who::Viewer, of(&stage.ticketed, "join"), json!({}), (403, "ticket_required")),
        case(
            "chat without a ticket",
            Who::Viewer,
            of(&stage.ticketed, "chat"),
            json!({ "message": "x" }),
            (403, "ticket_required"),
        ),
        case(
            "unknown reaction",
            Who::Viewer,
            of(&stage.live, "reactions"),
            json!({ "reactionType": "YAWN" }),
            (422, "reaction_unknown"),
        ),
        case(
            "unknown session",
            Who::Viewer,
            of(&stage.live, "leave"),
            json!({ "sessionId": "0199d0a0-0000-7000-8000-000000000000" }),
            (404, "session_unknown"),
        ),
    ];
    for verb in ["start", "end", "cancel"] {
        for who in [Who::Viewer, Who::OtherCreator] {
            cases.push(case("another's show", who, of(&stage.live, verb), None, (403, "not_the_creator")));
        }
    }
    cases
}

/// An installation without a warehouse says so, whoever may ask for figures.
fn figure_cases(stage: &Stage) -> Vec<Case> {
    let absent = (503, "warehouse_unavailable");
    let get = |name, who, path| Case { method: Method::GET, ..case(name, who, path, None, absent) };
    vec![
        get("a show's figures", Who::Host, format!("/streams/{}/analytics", stage.live)),
        get("a file", Who::Host, format!("/streams/{}/analytics/facts/events?format=csv", stage.live)),
        get("a creator's figures", Who::Host, "/creators/host/analytics".to_owned()),
    ]
}

async fn send(stage: &Stage, case: &Case) -> Answer {
    let headers: Vec<(&str, &str)> = case.key.map(|key| ("Idempotency-Key", key)).into_iter().collect();
    stage.client(case.who).send(case.method.clone(), &case.path, &headers, case.body.clone()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_request_gets_its_problem_and_changes_nothing() {
    let (stage, log, _data) = stage().await;
    let before = log.head().await.unwrap();
    let cases = [
        token_cases(&stage),
        unknown_cases(&stage),
        body_cases(&stage),
        field_cases(&stage),
        tip_cases(&stage),
        state_cases(&stage),
        figure_cases(&stage),
    ]
    .concat_cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let answer = send(&stage, case).await;
        let got = (answer.status, answer.body["code"].as_str().unwrap_or("(no code)").to_owned());
        if got != (case.expect.0, case.expect.1.to_owned()) {
            wrong.push(format!(
                "{} {} {}: {got:?} instead of {:?}: {}",
                case.name, case.method, case.path, case.expect, answer.text
            ));
        }
        let has_words = ["title", "detail"].iter().all(|field| answer.body[*field].is_string());
        if !has_words || answer.header("content-type") != "application/problem+json" {
            wrong.push(format!("{} {}: no problem document: {}", case.name, case.path, answer.text));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(log.head().await.unwrap(), before, "a refusal left an event in the log");
    stage.server.stop().await.unwrap();
}

trait Concat {
    fn concat_cases(self) -> Vec<Case>;
}

impl<const N: usize> Concat for [Vec<Case>; N] {
    fn concat_cases(self) -> Vec<Case> {
        self.into_iter().flatten().collect()
    }
}
