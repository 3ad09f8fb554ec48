//! Appends of many streams over one long request: the protocol's `BatchAppend`.
//!
//! A request for each append costs client and server three times what its events do. Over a session each is one message,
//! and messages that wait together go out in one write. The price is the client's: its session ends at the first append
//! that fails, and takes all that are on their way with it: these are sent again by themselves, with the same ids. Where appends meet
//! conflicts, a request for each is therefore the better way, and sessions rest for a while.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use eventstore::{BatchAppendClient, BatchAppendOptions, BatchWriteResult, EventData};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::link::Connected;
use crate::event_log::{Expected, NewEvent};

/// How long no session is begun after one ended, or could not be had. Conflicts come in series, as long as two nodes
/// are sent the same show's commands.
const REST: Duration = Duration::from_secs(2);

/// An append of more bytes than this goes by itself: the small ones of other streams would wait behind it.
const BYTES_MAX: usize = 256 * 1024;

/// The session of one client, begun when it is first wanted.
#[derive(Default)]
pub(super) struct Sessions {
    current: ArcSwapOption<Session>,
    beginning: tokio::sync::Mutex<()>,
    rests_until: Mutex<Option<Instant>>,
}

/// One long request.
pub(super) struct Session {
    appends: BatchAppendClient,
    connected: Arc<Connected>,
}

impl Session {
    /// Appends. After any error nobody knows what became of it.
    pub(super) async fn append(
        &self,
        stream: &str,
        expected: eventstore::StreamState,
        events: Vec<EventData>,
    ) -> eventstore::Result<BatchWriteResult> {
        self.appends.append_to_stream(stream, expected, events).await
    }
}

impl Sessions {
    /// Whether an append is of the kind that a session is for. One that expects nothing of its stream is written
    /// rarely and large (snapshots).
    pub(super) fn suit(expected: Expected, events: &[NewEvent]) -> bool {
        let bytes: usize = events.iter().map(|event| event.data.len() + event.metadata.len()).sum();
        expected != Expected::Any && bytes <= BYTES_MAX
    }

    /// The session of this client; `None` while sessions rest, or where the server knows none.
    pub(super) async fn of(&self, connected: &Arc<Connected>) -> Option<Arc<Session>> {
        if let Some(session) = self.current_of(connected) {
            return Some(session);
        }
        let _turn = self.beginning.lock().await;
        if let Some(session) = self.current_of(connected) {
            return Some(session);
        }
        if self.rests_until.lock().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        match connected.get().batch_append(&BatchAppendOptions::default()).await {
            Ok(appends) => {
                let session = Arc::new(Session { appends, connected: Arc::clone(connected) });
                self.current.store(Some(Arc::clone(&session)));
                Some(session)
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no session for appends");
                self.rest();
                None
            }
        }
    }

    fn current_of(&self, connected: &Arc<Connected>) -> Option<Arc<Session>> {
        self.current.load_full().filter(|session| Arc::ptr_eq(&session.connected, connected))
    }

    /// This session has ended; for a while there is no other.
    pub(super) fn end(&self, ended: &Arc<Session>) {
        let current = self.current.load();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, ended)) {
            self.current.compare_and_swap(&current, None);
            self.rest();
        }
    }

    fn rest(&self) {
        *self.rests_until.lock() = Some(Instant::now() + REST);
    }
}
