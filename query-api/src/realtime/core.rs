//! What all sockets of a node share.

use chrono::{DateTime, Utc};
use platform::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

use super::admission::Admission;
use super::commands::CommandClient;
use super::history::History;
use super::life_signs::LifeSigns;
use super::rooms::Rooms;
use super::seats::Seats;
use super::settings::RealtimeSettings;

/// What all sockets of a node share.
pub(crate) struct Core {
    pub(crate) history: Arc<History>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) seats: Arc<Seats>,
    pub(crate) life_signs: LifeSigns,
    pub(crate) admission: Admission,
    pub(crate) commands: CommandClient,
    pub(crate) settings: Arc<RealtimeSettings>,
    pub(crate) clock: Clock,
    pub(crate) sockets: AtomicU64,
}

impl Core {
    /// The moment of a time.
    pub(crate) fn until(&self, time: DateTime<Utc>) -> Instant {
        let left_ms = time.timestamp_millis() - self.clock.now().millis();
        Instant::now() + Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }

    /// A number for a socket, its own on this node.
    pub(crate) fn next_socket(&self) -> u64 {
        self.sockets.fetch_add(1, Ordering::Relaxed)
    }
}
