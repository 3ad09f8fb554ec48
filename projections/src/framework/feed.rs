//! From readings to batches: gathers and prepares ahead while the database works on the batch before.
//!
//! While one batch is being applied the next one gathers, so a busy log is followed in large batches. One that is full
//! is prepared ahead; any other waits until it is asked for, so that nothing comes too late for it that could have come
//! with it, and until some time has gone by since the one before. The first events after a silence go at once.

use std::sync::Arc;
use std::time::Duration;

use platform::event_log::{EventLog, ReadError};
use schemas::Position;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use super::apply::Batch;
use super::readings::{Follower, Item, Readings};
use super::recorded::Read;
use super::{Failure, View};

/// Beyond this larger batches make a transaction hardly cheaper for each row. Sums over persons and shows gain most:
/// a row that many events of a batch change is written once.
const BATCH_EVENTS_MAX: usize = 5_000;

/// Bounds the memory of a batch of large events.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Batches that wait for the database: one is enough to keep it busy.
const BATCHES_AHEAD: usize = 1;

/// Between two batches that are not full, at least: half of what a row may be late (20 ms). A transaction costs more than
/// a few rows in it, and a busy log would otherwise be followed by as many as the database manages.
const GATHERING: Duration = Duration::from_millis(10);

/// How often a checkpoint moves when nothing but unwanted events are appended.
const IDLE_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// Batches of one subscription. Dropping it ends the subscription.
pub(crate) struct Feed {
    batches: mpsc::Receiver<Result<Batch, Failure>>,
    /// Tells the reader that somebody waits.
    hungry: Arc<Notify>,
    reader: tokio::task::JoinHandle<()>,
}

impl Feed {
    /// Opens the log after a position.
    pub(crate) async fn open(
        log: &Arc<dyn EventLog>,
        readings: &Readings,
        after: Option<Position>,
        view: &Arc<dyn View>,
    ) -> Result<Self, Failure> {
        let head = log.head().await?;
        let items = readings.follow(log, after, view.wanted());
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let hungry = Arc::new(Notify::new());
        let now = Instant::now();
        let reader = Reader {
            items,
            head,
            has_caught_up: false,
            view: Arc::clone(view),
            hungry: Arc::clone(&hungry),
            is_wanted: false,
            gathering: Batch::default(),
            events: Vec::new(),
            bytes: 0,
            failure: None,
            gathered_at: now,
            idle_due: now,
        };
        Ok(Self { batches, hungry, reader: tokio::spawn(reader.run(after, sender)) })
    }

    /// The next batch.
    pub(crate) async fn next(&mut self) -> Result<Batch, Failure> {
        if self.batches.is_empty() {
            self.hungry.notify_one();
        }
        self.batches.recv().await.unwrap_or_else(|| Err(ended()))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn ended() -> Failure {
    Failure::LogUnavailable(ReadError("the subscription ended".into()))
}

struct Reader {
    items: Follower,
    /// Where the log was before any of this was read.
    head: Option<Position>,
    has_caught_up: bool,
    view: Arc<dyn View>,
    hungry: Arc<Notify>,
    /// Somebody waits for a batch, whatever its size.
    is_wanted: bool,
    gathering: Batch,
    /// The events that gather.
    events: Vec<Arc<Read>>,
    bytes: usize,
    /// What comes after the batch that gathers.
    failure: Option<Failure>,
    /// Until then what comes is left to gather.
    gathered_at: Instant,
    /// From then on a batch without events is worth a transaction.
    idle_due: Instant,
}

impl Reader {
    async fn run(mut self, after: Option<Position>, sender: mpsc::Sender<Result<Batch, Failure>>) {
        self.note_caught_up(after);
        loop {
            let has_room = self.has_room();
            let is_gathering = has_room && Instant::now() < self.gathered_at;
            let is_due = !is_gathering && self.is_due();
            let is_idle = self.is_wanted && self.gathering.position.is_some() && !is_due && !is_gathering;
            let space = BATCH_EVENTS_MAX.saturating_sub(self.events.len());
            tokio::select! {
                biased;
                items = self.items.next(space), if has_room && !is_gathering => self.take(items),
                () = sleep_until(self.gathered_at), if is_gathering => {}
                permit = sender.reserve(), if is_due => {
                    let Ok(permit) = permit else { return };
                    permit.send(self.finish());
                }
                () = self.hungry.notified(), if !self.is_wanted => self.is_wanted = true,
                () = sleep_until(self.idle_due), if is_idle => {}
            }
            if self.gathering.position.is_none()
                && let Some(failure) = self.failure.take()
            {
                // the receiver is gone where nobody wants to know
                drop(sender.send(Err(failure)).await);
                return;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.failure.is_none() && self.events.len() < BATCH_EVENTS_MAX && self.bytes < BATCH_BYTES_MAX
    }

    /// Whether what has gathered should go to the database.
    fn is_due(&self) -> bool {
        // an empty log is caught up with too, and has no position
        let is_caught_up = self.is_wanted && self.gathering.is_caught_up;
        if self.gathering.position.is_none() || is_caught_up {
            return is_caught_up;
        }
        let is_worth_it = !self.events.is_empty() || Instant::now() >= self.idle_due;
        !self.has_room() || self.is_wanted && is_worth_it
    }

    fn finish(&mut self) -> Result<Batch, Failure> {
        let now = Instant::now();
        if self.has_room() {
            self.gathered_at = now + GATHERING;
        }
        self.is_wanted = false;
        self.bytes = 0;
        self.idle_due = now + IDLE_CHECKPOINT_INTERVAL;
        let (mut batch, events) = (std::mem::take(&mut self.gathering), std::mem::take(&mut self.events));
        batch.events = events.len();
        if !events.is_empty() {
            batch.change = Some(self.view.prepare(events)?);
        }
        Ok(batch)
    }

    fn take(&mut self, items: Result<Vec<Item>, Failure>) {
        let added = items.and_then(|items| items.into_iter().try_for_each(|item| self.add(item)));
        self.failure = added.err();
    }

    fn add(&mut self, item: Item) -> Result<(), Failure> {
        match item {
            Item::Event(read) => self.add_event(read),
            // once more, for the cause
            Item::Unreadable(stored) => Read::of(&stored).map(drop),
            Item::Reached(position) => {
                self.reach(position);
                Ok(())
            }
        }
    }

    fn add_event(&mut self, read: Arc<Read>) -> Result<(), Failure> {
        let streams = &mut self.gathering.streams;
        if let Some((_, last)) = streams.get_mut(&read.stream) {
            if *last + 1 != read.revision {
                let stream = read.stream.clone();
                return Err(Failure::Gap { stream, expected: *last + 1, found: read.revision });
            }
            *last = read.revision;
        } else {
            streams.insert(read.stream.clone(), (read.revision, read.revision));
        }
        self.bytes += read.bytes;
        self.gathering.occurred_at = Some(read.event.occurred_at());
        self.reach(read.position);
        self.events.push(read);
        Ok(())
    }

    fn reach(&mut self, position: Position) {
        self.gathering.position = self.gathering.position.max(Some(position));
        self.note_caught_up(self.gathering.position);
    }

    /// Notes, once, that everything that stood in the log at first is there.
    fn note_caught_up(&mut self, position: Option<Position>) {
        if !self.has_caught_up && position >= self.head {
            self.has_caught_up = true;
            self.gathering.is_caught_up = true;
        }
    }
}
