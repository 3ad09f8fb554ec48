//! The baseline of durable chat: the same edge with tokens, limits and JSON, and a handler that keeps nothing.

use axum::extract::Path;
use axum::response::Response;
use axum::{Router, routing};
use http::StatusCode;
use platform::config::Config;
use platform::http::auth::{Authenticated, Verifier, VerifierSettings, system_now};
use platform::http::edge::{EdgeConfig, edge};
use platform::http::idempotency::CommandKey;
use platform::http::json::{Json, json};
use platform::http::server::{ServerConfig, serve};
use platform::shutdown::Shutdown;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::net::TcpListener;

/// The body of a chat message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chat {
    message: String,
}

/// What a chat message is answered with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    message_id: String,
    user_id: String,
    username: Option<String>,
    message: String,
    stream_id: String,
}

/// Serves until it is told to stop.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let auth = &config.auth;
    let settings = VerifierSettings {
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        leeway_seconds: auth.leeway_seconds,
        hs256_secret: auth.hs256_secret.get().cloned(),
        jwks_url: None,
    };
    let verifier = Arc::new(Verifier::new(settings, system_now())?);
    let router = Router::new().route("/api/v1/streams/{id}/chat", routing::post(post));
    let router = edge(router, EdgeConfig::of(config, verifier));
    let shutdown = Shutdown::new();
    shutdown.watch_signals()?;
    let listener = TcpListener::bind(config.http.listen).await?;
    serve(listener, router, ServerConfig::of(config), &shutdown).await;
    Ok(())
}

async fn post(
    Authenticated(caller): Authenticated,
    Path(stream_id): Path<String>,
    key: CommandKey,
    chat: Json<Chat>,
) -> Response {
    let posted = Posted {
        message_id: key.id.to_string(),
        user_id: caller.sub.to_string(),
        username: caller.name.as_deref().map(str::to_owned),
        message: chat.message.clone(),
        stream_id,
    };
    json(StatusCode::CREATED, &posted)
}
