//! What the edge costs: a chat-like request (token, JSON in, JSON out) with and without it, by requests a second of
//! one thread, without sockets.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use platform::http::auth::{
    Authenticated, DevToken, Role, Verifier, VerifierSettings, mint_dev_token, system_now,
};
use platform::http::edge::{EdgeConfig, edge};
use platform::http::json::{Json, json};
use platform::http::limits::{LimitSettings, RequestLimits};
use platform::http::server::Connection;
use secrecy::SecretString;
use tower::ServiceExt;

const REQUESTS: u32 = 200_000;
const SECRET: &str = "a secret of at least thirty-two bytes";

#[derive(serde::Deserialize, serde::Serialize)]
struct Message {
    message: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _ = tracing_subscriber::fmt().with_env_filter("info").json().try_init();
    let secret = SecretString::from(SECRET);
    let token = DevToken {
        sub: "alice",
        roles: &[Role::Viewer],
        name: Some("Alice"),
        issuer: "tally",
        audience: "tally",
        lifetime_seconds: 3_600,
    };
    let authorization = format!("Bearer {}", mint_dev_token(&secret, &token, system_now()())?);
    let plain = Router::new().route("/streams/{id}/chat", post(plain_chat));
    let edged = Router::new().route("/streams/{id}/chat", post(chat));
    for _ in 0..3 {
        let plain = measure(plain.clone(), &authorization).await?;
        let ours = measure(edge(edged.clone(), config(&secret)?), &authorization).await?;
        println!("plain axum {plain:.0}/s, with the edge {ours:.0}/s: {:.2}", ours / plain);
    }
    Ok(())
}

async fn plain_chat(axum::Json(message): axum::Json<Message>) -> (StatusCode, axum::Json<Message>) {
    (StatusCode::CREATED, axum::Json(message))
}

async fn chat(Authenticated(_): Authenticated, message: Json<Message>) -> axum::response::Response {
    json(StatusCode::CREATED, &message.value)
}

fn config(secret: &SecretString) -> Result<EdgeConfig, Box<dyn std::error::Error>> {
    let settings = VerifierSettings {
        issuer: "tally".into(),
        audience: "tally".into(),
        leeway_seconds: 60,
        hs256_secret: Some(secret.clone()),
        jwks_url: None,
    };
    let limits =
        LimitSettings { per_person: NonZeroU32::MAX, per_address: NonZeroU32::MAX, keys_max: 100_000 };
    Ok(EdgeConfig {
        body_limit: 65_536,
        request_timeout: Duration::from_secs(30),
        compression: true,
        cors_allowed_origins: Vec::new(),
        trusted_proxies: Vec::new(),
        verifier: Some(Arc::new(Verifier::new(settings, system_now())?)),
        limits: Some(Arc::new(RequestLimits::new(limits))),
        keeps_fallback: false,
    })
}

async fn measure(app: Router, authorization: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let peer: SocketAddr = "203.0.113.5:1234".parse()?;
    let begun = Instant::now();
    for _ in 0..REQUESTS {
        let mut request = Request::builder()
            .method("POST")
            .uri("/streams/8a0f/chat")
            .header("content-type", "application/json")
            .header("authorization", authorization)
            .body(Body::from(r#"{"message":"Great stream!"}"#))?;
        request.extensions_mut().insert(Connection::from_peer(peer));
        let response = app.clone().oneshot(request).await?;
        assert_eq!(response.status(), StatusCode::CREATED);
    }
    Ok(f64::from(REQUESTS) / begun.elapsed().as_secs_f64())
}
