//! Signs of life: an open socket that joined keeps its session alive, with heartbeats that go out together.

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use platform::http::auth::BearerToken;
use schemas::ShowId;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

use super::commands::{CommandCall, CommandClient};
use super::settings::RealtimeSettings;

/// Heartbeats under way at a time: they are small, and must not crowd out people's commands.
const AT_ONCE_MAX: usize = 16;

/// A session that a socket keeps alive.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) show: ShowId,
    pub(crate) token: BearerToken,
    pub(crate) client: Option<IpAddr>,
    pub(crate) user_agent: Option<http::HeaderValue>,
    /// As the join's answer gave it.
    pub(crate) session_id: Box<RawValue>,
}

/// When a socket last heard of its client: milliseconds after the node's start.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastHeard(Arc<AtomicU64>);

struct Beat {
    session: Arc<Session>,
    heard: LastHeard,
    sent_at: Instant,
    /// What `heard` was when the last heartbeat went out.
    heard_then: u64,
}

/// The sessions of this node's sockets.
pub(crate) struct LifeSigns {
    started: Instant,
    beats: Mutex<HashMap<u64, Beat>>,
    commands: CommandClient,
    settings: Arc<RealtimeSettings>,
}

impl LifeSigns {
    pub(crate) fn new(commands: CommandClient, settings: Arc<RealtimeSettings>) -> Self {
        Self { started: Instant::now(), beats: Mutex::new(HashMap::new()), commands, settings }
    }

    /// Notes that a client was heard of.
    pub(crate) fn hear(&self, heard: &LastHeard) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        heard.0.store(ms, Ordering::Relaxed);
    }

    /// A socket's client has joined: the join itself was the first sign.
    pub(crate) fn begin(&self, socket: u64, session: Session, heard: &LastHeard) {
        let heard_then = heard.0.load(Ordering::Relaxed);
        let beat =
            Beat { session: Arc::new(session), heard: heard.clone(), sent_at: Instant::now(), heard_then };
        self.beats.lock().insert(socket, beat);
    }

    /// A socket is closed, or its client left.
    pub(crate) fn end(&self, socket: u64) {
        self.beats.lock().remove(&socket);
    }

    /// Sends what is due, for as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut tick = tokio::time::interval(self.settings.heartbeat_tick);
        loop {
            tick.tick().await;
            let due = self.take_due();
            stream::iter(due).for_each_concurrent(AT_ONCE_MAX, |session| self.send(session)).await;
        }
    }

    /// Those who were heard of since their last heartbeat, and whose last one is long enough ago.
    fn take_due(&self) -> Vec<Arc<Session>> {
        let now = Instant::now();
        let mut due = Vec::new();
        for beat in self.beats.lock().values_mut() {
            let heard = beat.heard.0.load(Ordering::Relaxed);
            if heard != beat.heard_then && now - beat.sent_at >= self.settings.heartbeat_interval {
                beat.heard_then = heard;
                beat.sent_at = now;
                due.push(Arc::clone(&beat.session));
            }
        }
        due
    }

    async fn send(&self, session: Arc<Session>) {
        let call = CommandCall {
            path: format!("/api/v1/streams/{}/heartbeat", session.show),
            token: session.token.clone(),
            idempotency_key: None,
            body: format!(r#"{{"sessionId":{}}}"#, session.session_id).into_bytes(),
            client: session.client,
            user_agent: session.user_agent.clone(),
        };
        let timeout = self.settings.heartbeat_tick.max(Duration::from_secs(1));
        match tokio::time::timeout(timeout, self.commands.send(call)).await {
            Ok(Ok(answer)) if answer.status.is_success() => {
                metrics::counter!("tally_realtime_heartbeats_total", "outcome" => "sent").increment(1);
            }
            Ok(Ok(answer)) => {
                metrics::counter!("tally_realtime_heartbeats_total", "outcome" => "refused").increment(1);
                tracing::debug!(show.id = %session.show, status = answer.status.as_u16(), "heartbeat refused");
            }
            // the next one comes well within the session's grace
            Ok(Err(_)) | Err(_) => {
                metrics::counter!("tally_realtime_heartbeats_total", "outcome" => "failed").increment(1);
            }
        }
    }
}
