//! How long the batch under way has taken: who would only wait is told so at once.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::bounds::{STALL, WAITING_WHILE_STALLED_MAX};
use super::job::Job;

/// A show's queue as the directory knows it, and how its actor gets on.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) queue: mpsc::Sender<Job>,
    pub(super) pace: Pace,
}

/// When the actor began what it is doing now. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Pace(Arc<Mutex<Option<Instant>>>);

impl Pace {
    pub(super) fn begin(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    pub(super) fn end(&self) {
        *self.0.lock() = None;
    }

    fn is_stalled(&self) -> bool {
        self.0.lock().is_some_and(|since| since.elapsed() >= STALL)
    }
}

impl Entrance {
    /// Whether a further command would wait for nobody knows how long. A few may: the first to be done when the log
    /// answers again.
    pub(super) fn is_closed_for_now(&self) -> bool {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        waiting >= WAITING_WHILE_STALLED_MAX && self.pace.is_stalled()
    }
}
