//! Commands of sockets: the same requests as over REST, through one client, with the user's own token.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use platform::event_log::Cause;
use platform::http::auth::BearerToken;
use platform::http::idempotency::{IDEMPOTENCY_KEY, IdempotencyKey};
use platform::http::server::Connection;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use thiserror::Error;
use tower::ServiceExt;
use uuid::Uuid;

/// Largest answer of a command that is read: all are far smaller.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How long a connection to another node may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Namespace of keys that are made of request ids which cannot be keys themselves. Never change it: a repeat
/// after an upgrade must give the same key.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x0d1c_5e57_77a4_4b0a_9d0e_3a55_6f1e_88c1);

/// A command as a request.
#[derive(Clone, Debug)]
pub struct CommandCall {
    /// The path below the base, `/api/v1/streams/…`.
    pub path: String,
    /// In whose name.
    pub token: BearerToken,
    /// What makes a repeat recognisable.
    pub idempotency_key: Option<String>,
    /// JSON.
    pub body: Vec<u8>,
    /// Where the client is, as the edge found it: limits and the coarse place follow it.
    pub client: Option<IpAddr>,
    /// What the client calls itself, from which its kind of device may follow.
    pub user_agent: Option<http::HeaderValue>,
}

/// What the command's service answered.
#[derive(Clone, Debug)]
pub struct CommandAnswer {
    /// The status.
    pub status: StatusCode,
    /// The body, JSON.
    pub body: Bytes,
}

/// Why there is no answer. The outcome is unknown.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The service cannot be reached, or broke off.
    #[error("the command service does not answer")]
    Unreachable(#[source] Cause),
    /// The base URL is none, or the client cannot be built.
    #[error("the client of the command service cannot be set up")]
    Setup(#[source] Cause),
}

/// Sends commands to the service that decides them.
#[derive(Clone)]
pub struct CommandClient(Transport);

#[derive(Clone)]
enum Transport {
    InProcess(Router),
    Remote { client: reqwest::Client, base: reqwest::Url },
}

impl CommandClient {
    /// The service is in this process: its router, with the edge around it.
    #[must_use]
    pub fn in_process(router: Router) -> Self {
        Self(Transport::InProcess(router))
    }

    /// The service is elsewhere.
    ///
    /// # Errors
    /// [`CommandError::Setup`].
    pub fn remote(base: &str) -> Result<Self, CommandError> {
        let base = base.parse().map_err(|error| CommandError::Setup(Box::new(error)))?;
        let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let client = client.map_err(|error| CommandError::Setup(error.into()))?;
        Ok(Self(Transport::Remote { client, base }))
    }

    /// Sends a command and waits for its answer; the caller bounds the time.
    ///
    /// # Errors
    /// [`CommandError::Unreachable`]: it may or may not have been carried out.
    pub async fn send(&self, call: CommandCall) -> Result<CommandAnswer, CommandError> {
        match &self.0 {
            Transport::InProcess(router) => in_process(router.clone(), call).await,
            Transport::Remote { client, base } => remote(client, base, call).await,
        }
    }
}

/// The `Idempotency-Key` of a request id: itself where it can be one, so that a repeat over REST is the same
/// command; else a name made of it.
#[must_use]
pub fn key_of(request_id: &str) -> String {
    match IdempotencyKey::parse(request_id) {
        Ok(key) if key.as_str() == request_id => request_id.to_owned(),
        Ok(_) | Err(_) => Uuid::new_v5(&KEY_NAMESPACE, request_id.as_bytes()).to_string(),
    }
}

async fn in_process(router: Router, call: CommandCall) -> Result<CommandAnswer, CommandError> {
    let unreachable = |cause: Cause| CommandError::Unreachable(cause);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(call.path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", call.token.expose()));
    if let Some(key) = call.idempotency_key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    if let Some(user_agent) = call.user_agent {
        request = request.header(header::USER_AGENT, user_agent);
    }
    if let Some(address) = call.client {
        // as if the client had sent it here itself: no port, since it is another connection
        request = request.extension(Connection::from_peer(SocketAddr::new(address, 0)));
    }
    let request = request.body(Body::from(call.body)).map_err(|error| unreachable(error.into()))?;
    let response = router.oneshot(request).await.map_err(|never| match never {})?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(unreachable)?;
    Ok(CommandAnswer { status, body: body.to_bytes() })
}

async fn remote(
    client: &reqwest::Client,
    base: &reqwest::Url,
    call: CommandCall,
) -> Result<CommandAnswer, CommandError> {
    let unreachable = |cause: Cause| CommandError::Unreachable(cause);
    let url = base.join(&call.path).map_err(|error| unreachable(error.into()))?;
    let mut request = client
        .post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .bearer_auth(call.token.expose())
        .body(call.body);
    if let Some(key) = call.idempotency_key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    if let Some(user_agent) = call.user_agent {
        request = request.header(header::USER_AGENT, user_agent);
    }
    if let Some(address) = call.client {
        request = request.header("x-forwarded-for", address.to_string());
    }
    let response = request.send().await.map_err(|error| unreachable(error.into()))?;
    let status = response.status();
    let body = Limited::new(reqwest::Body::from(response), ANSWER_BYTES_MAX).collect().await;
    Ok(CommandAnswer { status, body: body.map_err(unreachable)?.to_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_its_own_key_where_it_can_be() {
        assert_eq!(key_of("abc-1"), "abc-1");
        for odd in ["", "a b", "é", "\"quoted\"", &"x".repeat(300)] {
            assert_eq!(key_of(odd), key_of(odd));
            assert!(Uuid::parse_str(&key_of(odd)).is_ok(), "{odd}");
        }
        assert_ne!(key_of("a b"), key_of("a c"));
    }
}
