//! The handlers over a log in memory, as clients meet them behind the edge.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, header};
use chrono::DateTime;
use domain::Rules;
use http_body_util::BodyExt;
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::event_log::memory::MemoryLog;
use platform::http::auth::{AuthOutcome, BearerToken, Caller, Role};
use platform::pseudonym::Pseudonyms;
use platform::vault::Vault;
use secrecy::{SecretBox, SecretString};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::actors::{ActorSettings, Shows};
use crate::adapters::audience_facts::AudienceFacts;
use crate::ports::payments::{IntentStatus, Payments};
use crate::ports::video::{RtcAccess, Video, VideoError};
use crate::presence::Presence;
use crate::sealing::Sealing;
use crate::state::App;
use crate::test_kit::NOW;
use crate::test_kit::provider::Provider;
use crate::tips::Tips;
use schemas::{ShowId, Timestamp};

mod audience;
mod chat;
mod streams;
mod tips;

/// A video provider that tells what it was asked.
struct FakeVideo;

impl FakeVideo {
    fn access(role: &str, channel: &str, uid: u32, now: Timestamp) -> RtcAccess {
        RtcAccess {
            app_id: "app".to_owned(),
            channel: channel.to_owned(),
            uid,
            token: SecretString::from(format!("{role}-{uid}")),
            expires_at: now.plus_millis(3_600_000),
        }
    }
}

impl Video for FakeVideo {
    fn host_access(&self, channel: &str, uid: u32, now: Timestamp) -> Result<RtcAccess, VideoError> {
        Ok(Self::access("host", channel, uid, now))
    }

    fn viewer_access(&self, channel: &str, uid: u32, now: Timestamp) -> Result<RtcAccess, VideoError> {
        Ok(Self::access("viewer", channel, uid, now))
    }

    fn ingest_url(&self, show: ShowId) -> String {
        format!("rtmp://ingest.example.com/live/{show}")
    }

    fn stream_key(&self, _show: ShowId) -> SecretString {
        SecretString::from("key")
    }

    fn recording_url(&self, show: ShowId) -> String {
        format!("https://recordings.example.com/{show}")
    }
}

/// The service over a log in memory, without a database.
struct Service {
    router: Router,
    log: MemoryLog,
}

/// What came back.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
    /// As it was sent: amounts are exact here only.
    raw: String,
}

impl Answer {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap()
    }

    /// Whether the answer has this member, spelled exactly so.
    #[track_caller]
    fn spells(&self, member: &str) {
        assert!(self.raw.contains(member), "{}", self.raw);
    }

    #[track_caller]
    fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.text("code")), (status, code), "{}", self.body);
        self
    }
}

impl Service {
    fn new() -> Self {
        Self::paid_by(Provider::that(Some(IntentStatus::Succeeded)))
    }

    fn paid_by(provider: Provider) -> Self {
        let log = MemoryLog::new(3);
        let port: Arc<dyn EventLog> = Arc::new(log.clone());
        let clock = Clock::manual(NOW);
        let vault = Vault::in_memory(1);
        let settings = ActorSettings::default();
        let shows = Shows::new(Arc::clone(&port), Rules::default(), settings);
        let payments: Arc<dyn Payments> = Arc::new(provider);
        let app = App {
            tips: Tips::new(shows.clone(), Arc::clone(&port), payments, vault.clone(), clock.clone()),
            shows,
            presence: Presence::default(),
            sealing: Sealing {
                vault,
                pseudonyms: Arc::new(Pseudonyms::new(&SecretBox::new(Box::new([1; 32])))),
            },
            log: port,
            video: Arc::new(FakeVideo),
            audience_facts: AudienceFacts::open(None),
            clock,
        };
        let (router, _) = super::router(Arc::new(app)).split_for_parts();
        Self { router, log }
    }

    /// A request of somebody, as it comes from the edge.
    async fn send(
        &self,
        who: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| body.to_string());
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(body.map_or_else(Body::empty, Body::from)).unwrap();
        request.extensions_mut().insert(AuthOutcome(Ok(Arc::new(caller(who)))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let raw = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&raw).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body, raw }
    }

    async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(who, Method::POST, path, &[], Some(body)).await
    }

    async fn post_keyed(&self, who: &str, path: &str, key: &str, body: Value) -> Answer {
        self.send(who, Method::POST, path, &[("idempotency-key", key)], Some(body)).await
    }

    /// A stream on air; its path.
    async fn live(&self) -> String {
        let created = self.post("host", "/streams", json!({ "title": "A stream" })).await.expect(201);
        let path = format!("/streams/{}", created.text("streamId"));
        self.send("host", Method::POST, &format!("{path}/start"), &[], None).await.expect(200);
        path
    }
}

/// `host` creates; everybody else watches.
fn caller(who: &str) -> Caller {
    let role = if who == "host" { Role::Creator } else { Role::Viewer };
    Caller {
        sub: Arc::from(who),
        name: None,
        roles: [role].into_iter().collect(),
        expires_at: DateTime::from_timestamp(4_000_000_000, 0).unwrap(),
        token: BearerToken::from("token"),
    }
}
