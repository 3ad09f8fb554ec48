//! Room on the disk, watched before it runs out: a log that stops while there is still room can write down its
//! index and close cleanly, and goes on by itself when room was made.

use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::meters::figure;
use super::store::Shared;

/// Bytes written after which the room is looked at again: far less than what is kept free.
const CHECK_BYTES: u64 = 16 * 1024 * 1024;
/// Others write to the disk, too.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// With less than so many times the minimum there is a warning.
const WARN_FACTOR: u64 = 4;

/// What is known of the room.
#[derive(Debug)]
pub(crate) struct Space {
    min_bytes: u64,
    checked: Option<(Instant, u64)>,
    is_warned: bool,
    refusal: Option<String>,
}

impl Space {
    /// Watches that `min_bytes` stay free.
    pub(crate) fn new(min_bytes: u64) -> Self {
        Self { min_bytes, checked: None, is_warned: false, refusal: None }
    }

    /// Why nothing may be written now; `None` if it may. `end` is where the log ends.
    pub(crate) fn refusal(&mut self, shared: &Shared, end: u64) -> Option<&str> {
        let is_fresh =
            self.checked.is_some_and(|(at, then)| at.elapsed() < CHECK_INTERVAL && end - then < CHECK_BYTES);
        if !is_fresh {
            self.checked = Some((Instant::now(), end));
            self.check(shared);
        }
        self.refusal.as_deref()
    }

    fn check(&mut self, shared: &Shared) {
        let directory = shared.log.directory();
        // a file system that does not say is not held against the log: a write that fails will tell
        let Ok(Some(free_bytes)) = shared.log.disk().free_bytes(directory) else { return };
        shared.meters.free_bytes.set(figure(free_bytes));
        let (free_mib, min_mib) = (free_bytes >> 20, self.min_bytes >> 20);
        let is_low = free_bytes < self.min_bytes.saturating_mul(WARN_FACTOR);
        if is_low && !self.is_warned {
            warn!(
                free_mib,
                "the log's disk has only {free_mib} MiB left; below {min_mib} MiB no more is written"
            );
        }
        self.is_warned = is_low;
        let is_full = free_bytes < self.min_bytes;
        match (is_full, self.refusal.is_some()) {
            (true, false) => {
                let reason = format!(
                    "the disk has only {free_mib} MiB left and {min_mib} MiB are kept free: make room"
                );
                error!(%reason, "the log takes no writes: {reason}");
                shared.set_full(Some(reason.clone()));
                self.refusal = Some(reason);
            }
            (false, true) => {
                info!(free_mib, "the log takes writes again: its disk has {free_mib} MiB left");
                shared.set_full(None);
                self.refusal = None;
            }
            (true, true) | (false, false) => {}
        }
    }
}
