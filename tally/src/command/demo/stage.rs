//! What everybody in the show shares: the clock, the server, the pace, and how far it is.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

use super::socket::Server;

/// The show as seen from here.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) show: String,
    pub(super) seed: u64,
    pub(super) pacer: Pacer,
    pub(super) live: Live,
    /// The show's time zero: when it went live. `None`: not yet.
    pub(super) start: watch::Sender<Option<Instant>>,
    /// Latencies are told by times since this.
    pub(super) epoch: Instant,
}

/// What happens now, for the progress line.
#[derive(Default)]
pub(super) struct Live {
    pub(super) watching: AtomicI64,
    pub(super) messages: AtomicU64,
    pub(super) reactions: AtomicU64,
    pub(super) tips: AtomicU64,
    pub(super) tip_cents: AtomicI64,
    pub(super) reconnects: AtomicU64,
    pub(super) frames: AtomicU64,
    /// Requests without an answer.
    pub(super) unanswered: AtomicI64,
    /// Acts of the script that are not done yet.
    pub(super) acts_left: AtomicU64,
}

impl Live {
    pub(super) fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn line(&self) -> String {
        let cents = self.tip_cents.load(Ordering::Relaxed);
        format!(
            "{} watching, {} messages, {} reactions, {} tips ({}.{:02} USD), {} reconnects, {} frames",
            self.watching.load(Ordering::Relaxed),
            self.messages.load(Ordering::Relaxed),
            self.reactions.load(Ordering::Relaxed),
            self.tips.load(Ordering::Relaxed),
            cents / 100,
            cents % 100,
            self.reconnects.load(Ordering::Relaxed),
            self.frames.load(Ordering::Relaxed),
        )
    }
}

impl Stage {
    pub(super) fn now_micros(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// All viewers come from one address, and requests of an address are limited: everyone takes a number.
pub(super) struct Pacer {
    pause: Duration,
    next: std::sync::Mutex<Instant>,
}

impl Pacer {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            pause: Duration::from_secs(1) / per_second.max(1),
            next: std::sync::Mutex::new(Instant::now()),
        }
    }

    /// When the caller's turn is. It is his, whether he uses it or not.
    pub(super) fn turn(&self) -> Instant {
        // a poisoned lock still holds a time
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + self.pause;
        turn
    }

    pub(super) async fn wait(&self) {
        tokio::time::sleep_until(self.turn()).await;
    }
}
