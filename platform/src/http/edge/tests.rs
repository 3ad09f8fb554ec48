use super::*;
use axum::Extension;
use axum::body::Body;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Instant;

use crate::http::auth::{
    Authenticated, DevToken, MaybeAuthenticated, Role, VerifierSettings, mint_dev_token, system_now,
};
use crate::http::idempotency::{CommandKey, RequiredCommandKey};
use crate::http::json::{Json, OptionalJson, json};
use crate::http::page::Page;

const SECRET: &str = "a secret of at least thirty-two bytes";

#[derive(serde::Deserialize, serde::Serialize)]
struct Text {
    text: String,
}

fn config() -> EdgeConfig {
    let settings = VerifierSettings {
        issuer: "tally".into(),
        audience: "tally".into(),
        leeway_seconds: 60,
        hs256_secret: Some(SecretString::from(SECRET)),
        jwks_url: None,
    };
    EdgeConfig {
        body_limit: 1_024,
        request_timeout: Duration::from_secs(5),
        compression: true,
        cors_allowed_origins: vec!["https://console.example.test".into()],
        trusted_proxies: Vec::new(),
        verifier: Some(Arc::new(Verifier::new(settings, system_now()).expect("verifier"))),
        limits: Some(Arc::new(RequestLimits::new(LimitSettings {
            per_person: NonZeroU32::new(3).expect("not zero"),
            per_address: NonZeroU32::new(100).expect("not zero"),
            keys_max: 1_000,
        }))),
        keeps_fallback: false,
    }
}

fn app() -> Router {
    let router = Router::new()
        .route("/echo", post(|body: Json<Text>| async move { json(StatusCode::CREATED, &body.value) }))
        .route("/maybe", post(|body: OptionalJson<Text>| async move { body.value.map(|body| body.text).unwrap_or_default() }))
        .route("/me", get(|Authenticated(caller): Authenticated| async move { caller.sub.to_string() }))
        .route("/anyone", get(|MaybeAuthenticated(caller): MaybeAuthenticated| async move { caller.is_some().to_string() }))
        .route("/streams/{id}/chat", post(|key: CommandKey| async move { format!("{} {}", key.id, key.is_repeatable) }))
        .route("/streams/{id}/tip", post(|RequiredCommandKey(key): RequiredCommandKey| async move { key.id.to_string() }))
        .route("/big", get(|| async { json(StatusCode::OK, &vec!["the same again"; 500]) }))
        .route("/list", get(|page: Page| async move { page.limit.to_string() }))
        .route("/address", get(|address: ClientAddress| async move { address.0.to_string() }))
        .route("/context", get(|context: RequestContext| async move { context.request_id.to_string() }))
        .route("/slow", get(std::future::pending::<()>))
        .route("/panic", get(panics))
        .route("/extension", get(|extension: Option<Extension<AuthOutcome>>| async move { extension.is_some().to_string() }));
    edge(router, config())
}

async fn panics() -> &'static str {
    panic!("password=hunter2")
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn problem(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        (self.status, self.json()["code"].as_str().expect("code").to_owned())
    }
}

async fn ask(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(body.into()).expect("request");
    let peer = "203.0.113.5:1234".parse().expect("address");
    request.extensions_mut().insert(Connection::from_peer(peer));
    let response = router.clone().oneshot(request).await.expect("infallible");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.expect("body").to_bytes().to_vec();
    Answer { status, headers, body }
}

fn bearer(sub: &str, lifetime_seconds: u32, now: i64) -> String {
    let token = DevToken {
        sub,
        roles: &[Role::Viewer],
        name: None,
        issuer: "tally",
        audience: "tally",
        lifetime_seconds,
    };
    format!("Bearer {}", mint_dev_token(&SecretString::from(SECRET), &token, now).expect("signs"))
}

fn good(sub: &str) -> String {
    bearer(sub, 60, system_now()())
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn json_bodies_are_judged() {
    let app = app();
    let table: &[(&str, &str, u16, &str)] = &[
        ("application/json", r#"{"text":"#, 400, "malformed_json"),
        ("application/json", r#"{"text":1}"#, 422, "invalid_field"),
        ("application/json", "", 400, "malformed_json"),
        ("text/plain", r#"{"text":"a"}"#, 415, "unsupported_media_type"),
        ("application/json; charset=latin1", r#"{"text":"a"}"#, 415, "unsupported_media_type"),
        ("application/jsonx", r#"{"text":"a"}"#, 415, "unsupported_media_type"),
        ("application/+json", r#"{"text":"a"}"#, 415, "unsupported_media_type"),
    ];
    for (kind, body, status, code) in table {
        let answer = ask(&app, "POST", "/echo", &[("content-type", kind)], *body).await;
        assert_eq!(answer.problem(), (*status, (*code).to_owned()), "{kind} {body}");
    }
    assert_eq!(ask(&app, "POST", "/echo", &[], "{}").await.status, 415);
    for kind in ["application/json", "Application/JSON; charset=\"UTF-8\"", "application/vnd.tally+json"] {
        let answer = ask(&app, "POST", "/echo", &[("content-type", kind)], r#"{"text":"a"}"#).await;
        assert_eq!((answer.status, answer.text()), (201, r#"{"text":"a"}"#.into()), "{kind}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    assert_eq!(ask(&app, "POST", "/maybe", &[], "").await.status, 200);
    assert_eq!(ask(&app, "POST", "/maybe", &[JSON], r#"{"text":"b"}"#).await.text(), "b");
    assert_eq!(ask(&app, "POST", "/maybe", &[], r#"{"text":"b"}"#).await.status, 415);
}

#[tokio::test]
async fn large_bodies_are_refused_announced_or_not() {
    let app = app();
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(2_000));
    let length = large.len().to_string();
    let announced = ask(&app, "POST", "/echo", &[JSON, ("content-length", &length)], large.clone()).await;
    assert_eq!(announced.problem(), (413, "body_too_large".into()));
    assert_eq!(announced.json()["limit"], 1_024);
    let chunks = futures::stream::iter(
        large.into_bytes().chunks(100).map(|chunk| Ok::<_, Infallible>(chunk.to_vec())).collect::<Vec<_>>(),
    );
    let streamed = ask(&app, "POST", "/echo", &[JSON], Body::from_stream(chunks)).await;
    assert_eq!(streamed.problem(), (413, "body_too_large".into()));
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let app = app();
    let answer = ask(&app, "GET", "/nowhere?access_token=secret", &[("x-request-id", "r-1")], "").await;
    assert_eq!(answer.problem(), (404, "route_not_found".into()));
    assert_eq!(answer.json()["instance"], "/nowhere");
    assert_eq!(answer.json()["requestId"], "r-1");
    assert_eq!(answer.headers["x-request-id"], "r-1");
    assert!(answer.headers.contains_key("ratelimit"));
    let answer = ask(&app, "DELETE", "/echo", &[], "").await;
    assert_eq!(answer.problem(), (405, "method_not_allowed".into()));
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn panics_and_time_outs_tell_nothing() {
    let app = app();
    let answer = ask(&app, "GET", "/panic", &[], "").await;
    assert_eq!(answer.problem(), (500, "internal_error".into()));
    assert!(!answer.text().contains("hunter2"));
    tokio::time::pause();
    let answer = ask(&app, "GET", "/slow", &[], "").await;
    assert_eq!(answer.problem(), (503, "timeout".into()));
    assert_eq!(answer.headers["retry-after"], "2");
}

#[tokio::test]
async fn callers_are_known_by_their_tokens() {
    let app = app();
    let alice = good("alice");
    let answer = ask(&app, "GET", "/me", &[("authorization", &alice)], "").await;
    assert_eq!((answer.status, answer.text()), (200, "alice".into()));
    assert_eq!(answer.headers["ratelimit-policy"], "\"person\";q=3;w=1, \"address\";q=100;w=1");
    let missing = ask(&app, "GET", "/me", &[], "").await;
    assert_eq!(missing.problem(), (401, "token_missing".into()));
    assert_eq!(missing.headers["www-authenticate"], "Bearer");
    let expired = bearer("alice", 60, 1_000_000);
    let invalid = format!("{alice}x");
    for (token, code) in
        [(expired.as_str(), "token_expired"), (&invalid, "token_invalid"), ("Basic eA==", "token_invalid")]
    {
        for path in ["/me", "/anyone"] {
            let answer = ask(&app, "GET", path, &[("authorization", token)], "").await;
            assert_eq!(answer.problem(), (401, code.into()), "{path}");
            assert!(answer.headers["www-authenticate"].to_str().expect("text").starts_with("Bearer"));
        }
    }
    assert_eq!(ask(&app, "GET", "/anyone", &[], "").await.text(), "false");
    assert_eq!(ask(&app, "GET", "/anyone", &[("authorization", &alice)], "").await.text(), "true");
}

#[tokio::test]
async fn a_person_who_is_too_fast_is_told_when_to_come_back() {
    let app = app();
    let bob = good("bob");
    let (mut allowed, began) = (0_u32, Instant::now());
    let refused = loop {
        let answer = ask(&app, "GET", "/me", &[("authorization", &bob)], "").await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, 200);
        allowed += 1;
        // while a slow machine answers there is room for further ones
        let most = 3.0 + 3.0 * began.elapsed().as_secs_f64();
        assert!(f64::from(allowed) <= most, "{allowed} of {most}");
    };
    assert!(allowed >= 3, "{allowed}");
    assert_eq!(refused.problem().1, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.json()["retryAfter"], 1);
    assert_eq!(refused.json()["limit"], 3);
    assert!(refused.headers["ratelimit"].to_str().expect("text").starts_with("\"person\";r=0;t=1"));
}

#[tokio::test]
async fn a_command_is_known_again_by_its_key() {
    let app = app();
    let (carol, dave) = (good("carol"), good("dave"));
    let send = async |path: &str, who: &str, key: &str| {
        let headers = [("authorization", who), ("idempotency-key", key)];
        ask(&app, "POST", path, &headers, "").await.text()
    };
    let first = send("/streams/1/chat", &carol, "k").await;
    assert!(first.ends_with("true"));
    assert_eq!(send("/streams/1/chat", &carol, "\"k\"").await, first);
    assert_ne!(send("/streams/2/chat", &carol, "k").await, first);
    assert_ne!(send("/streams/1/chat", &dave, "k").await, first);
    let headers = [("authorization", dave.as_str())];
    assert!(ask(&app, "POST", "/streams/1/chat", &headers, "").await.text().ends_with("false"));
    let missing = ask(&app, "POST", "/streams/1/tip", &headers, "").await;
    assert_eq!(missing.problem(), (400, "idempotency_key_required".into()));
    let unknown = ask(&app, "POST", "/streams/1/tip", &[("idempotency-key", "k")], "").await;
    assert_eq!(unknown.problem(), (401, "token_missing".into()));
}

#[tokio::test]
async fn large_json_is_compressed_for_those_who_accept_it() {
    let app = app();
    let plain = ask(&app, "GET", "/big", &[], "").await;
    assert!(!plain.headers.contains_key("content-encoding"));
    let small = ask(&app, "GET", "/big", &[("accept-encoding", "br, gzip")], "").await;
    assert_eq!(small.headers["content-encoding"], "gzip");
    assert_eq!(small.headers["vary"], "accept-encoding");
    assert_eq!(small.headers["content-length"], small.body.len().to_string().as_str());
    let mut text = Vec::new();
    std::io::copy(&mut flate2::read::GzDecoder::new(&small.body[..]), &mut text).expect("gzip");
    assert_eq!(text, plain.body);
    assert!(small.body.len() < text.len() / 10);
    let little = ask(&app, "GET", "/nowhere", &[("accept-encoding", "gzip")], "").await;
    assert!(!little.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call() {
    let app = app();
    let preflight = |origin: &'static str| {
        let app = app.clone();
        async move {
            let headers = [("origin", origin), ("access-control-request-method", "POST")];
            ask(&app, "OPTIONS", "/echo", &headers, "").await
        }
    };
    let allowed = preflight("https://console.example.test").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://console.example.test");
    assert!(
        allowed.headers["access-control-allow-headers"].to_str().expect("text").contains("idempotency-key")
    );
    assert!(
        !preflight("https://evil.example.test").await.headers.contains_key("access-control-allow-origin")
    );
    let answer = ask(&app, "GET", "/me", &[("origin", "https://console.example.test")], "").await;
    let exposed = answer.headers["access-control-expose-headers"].to_str().expect("text");
    for name in
        ["tally-position", "etag", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id", "location"]
    {
        assert!(exposed.contains(name), "{name}");
    }
}

#[tokio::test]
async fn requests_have_an_id_an_address_and_a_page() {
    let app = app();
    assert_eq!(ask(&app, "GET", "/context", &[("x-request-id", "r-2")], "").await.text(), "r-2");
    let made = ask(&app, "GET", "/context", &[("x-request-id", "not one")], "").await;
    assert_eq!(made.headers["x-request-id"], made.text().as_str());
    assert_eq!(
        ask(&app, "GET", "/address", &[("x-forwarded-for", "9.9.9.9")], "").await.text(),
        "203.0.113.5"
    );
    assert_eq!(ask(&app, "GET", "/list?limit=7", &[], "").await.text(), "7");
    assert_eq!(ask(&app, "GET", "/list?limit=900", &[], "").await.problem(), (422, "invalid_field".into()));
    assert_eq!(ask(&app, "GET", "/extension", &[], "").await.text(), "false");
}
