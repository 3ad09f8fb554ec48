//! From the log to batches: reads, decodes and prepares ahead while the database works on the batch before.
//!
//! There is no timer: while one batch is being applied the next one gathers, so a quiet log is followed event by
//! event and a busy one in large batches. One that is full is prepared ahead; any other waits until it is asked for,
//! so that nothing comes too late for it that could have come with it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use platform::event_log::{EventLog, LogItem, LogItems, ReadError, StoredEvent};
use schemas::Position;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use super::apply::Batch;
use super::{Failure, Recorded, View};

/// Beyond this larger batches make a transaction hardly cheaper for each row. Sums over persons and shows gain most:
/// a row that many events of a batch change is written once.
const BATCH_EVENTS_MAX: usize = 5_000;

/// Bounds the memory of a batch of large events.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Batches that wait for the database: one is enough to keep it busy.
const BATCHES_AHEAD: usize = 1;

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
        after: Option<Position>,
        view: &Arc<dyn View>,
    ) -> Result<Self, Failure> {
        // read before the subscription begins: once that has caught up, everything up to here was seen
        let head = log.head().await?;
        let items = log.subscribe(after, view.wanted()).await?;
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let hungry = Arc::new(Notify::new());
        let reader = Reader {
            items,
            head,
            view: Arc::clone(view),
            hungry: Arc::clone(&hungry),
            is_wanted: false,
            gathering: Batch::default(),
            events: Vec::new(),
            bytes: 0,
            failure: None,
            idle_due: Instant::now(),
        };
        Ok(Self { batches, hungry, reader: tokio::spawn(reader.run(sender)) })
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
    items: LogItems,
    head: Option<Position>,
    view: Arc<dyn View>,
    hungry: Arc<Notify>,
    /// Somebody waits for a batch, whatever its size.
    is_wanted: bool,
    gathering: Batch,
    /// The events that gather.
    events: Vec<Recorded>,
    bytes: usize,
    /// What comes after the batch that gathers.
    failure: Option<Failure>,
    /// From then on a batch without events is worth a transaction.
    idle_due: Instant,
}

impl Reader {
    async fn run(mut self, sender: mpsc::Sender<Result<Batch, Failure>>) {
        loop {
            let has_room = self.has_room();
            let is_due = self.is_due();
            let is_idle = self.is_wanted && self.gathering.position.is_some() && !is_due;
            tokio::select! {
                biased;
                item = self.items.next(), if has_room => self.take(item),
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
        self.is_wanted = false;
        self.bytes = 0;
        self.idle_due = Instant::now() + IDLE_CHECKPOINT_INTERVAL;
        let (mut batch, events) = (std::mem::take(&mut self.gathering), std::mem::take(&mut self.events));
        batch.events = events.len();
        if !events.is_empty() {
            batch.change = Some(self.view.prepare(events)?);
        }
        Ok(batch)
    }

    fn take(&mut self, item: Option<Result<LogItem, ReadError>>) {
        match item {
            Some(Ok(LogItem::Event(stored))) => {
                if let Err(failure) = self.add(&stored) {
                    self.failure = Some(failure);
                }
            }
            Some(Ok(LogItem::Checkpoint(position))) => self.reach(Some(position)),
            Some(Ok(LogItem::CaughtUp)) => {
                self.reach(self.head);
                self.gathering.is_caught_up = true;
            }
            Some(Err(error)) => self.failure = Some(error.into()),
            None => self.failure = Some(ended()),
        }
    }

    fn add(&mut self, stored: &StoredEvent) -> Result<(), Failure> {
        let recorded = Recorded::read(stored)?;
        let streams = &mut self.gathering.streams;
        if let Some((_, last)) = streams.get_mut(&stored.stream) {
            if *last + 1 != stored.revision {
                let stream = stored.stream.clone();
                return Err(Failure::Gap { stream, expected: *last + 1, found: stored.revision });
            }
            *last = stored.revision;
        } else {
            streams.insert(stored.stream.clone(), (stored.revision, stored.revision));
        }
        self.bytes += stored.data.len() + stored.metadata.len();
        self.gathering.occurred_at = Some(recorded.occurred_at());
        self.events.push(recorded);
        self.reach(Some(stored.position));
        Ok(())
    }

    fn reach(&mut self, position: Option<Position>) {
        self.gathering.position = self.gathering.position.max(position);
    }
}
