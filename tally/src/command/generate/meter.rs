//! How far the writing is: a bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where nobody looks at a bar, a line this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

const STYLE: &str = "{elapsed:>4} [{bar:40}] {human_pos} of about {human_len} events, {per_sec}, {eta} to go";

/// Counts what was written, and shows it.
pub(super) struct Meter {
    bar: ProgressBar,
    is_terminal: bool,
    told: Mutex<Instant>,
    new: AtomicU64,
    known: AtomicU64,
}

impl Meter {
    pub(super) fn new(expected: u64) -> anyhow::Result<Self> {
        Ok(Self {
            bar: ProgressBar::new(expected).with_style(ProgressStyle::with_template(STYLE)?),
            is_terminal: std::io::stderr().is_terminal(),
            told: Mutex::new(Instant::now()),
            new: AtomicU64::new(0),
            known: AtomicU64::new(0),
        })
    }

    /// So many events more are in the log.
    pub(super) fn wrote(&self, events: u64) {
        self.new.fetch_add(events, Ordering::Relaxed);
        self.moved(events);
    }

    /// So many events more were in it already.
    pub(super) fn knew(&self, events: u64) {
        self.known.fetch_add(events, Ordering::Relaxed);
        self.moved(events);
    }

    /// What is new, and what was there.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.new.load(Ordering::Relaxed), self.known.load(Ordering::Relaxed))
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn moved(&self, events: u64) {
        self.bar.inc(events);
        if self.is_terminal {
            return;
        }
        let mut told = self.told.lock();
        if told.elapsed() >= LINE_EVERY {
            *told = Instant::now();
            let (position, length) = (self.bar.position(), self.bar.length().unwrap_or(0));
            println!("{position} of about {length} events, {:.0}/s", self.bar.per_sec());
        }
    }
}
