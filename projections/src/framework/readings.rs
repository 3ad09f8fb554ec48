//! Readings of the log that views share: one subscription, and one decoding of each event, for all views that want the
//! same streams and are at about the same place.
//!
//! A view that is elsewhere (behind, or rebuilt) has a reading of its own until that comes to where an older one is, and
//! then goes over to that. One that is slower than a reading's ring is long loses its place and reads for itself again;
//! nobody waits for it. Whoever changes over takes along how far they are, so that nothing is missing or comes twice.

mod ring;

use std::error::Error;
use std::sync::{Arc, Weak};

use futures::StreamExt;
use parking_lot::Mutex;
use platform::event_log::{EventLog, LogItem, Prefixes, ReadError};
use schemas::Position;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use self::ring::{Bounds, Ring, Taken};
use super::Failure;
use super::recorded::Read;

pub(crate) use self::ring::Item;

/// What a reading keeps: more than two of the largest batches, one that a slow view applies and one that it gathers.
const KEPT: Bounds = Bounds { items: 16_384, bytes: 16 * 1024 * 1024 };

/// Items that are decoded before anybody is told of them: many enough for few wake-ups.
const CHUNK_ITEMS: usize = 256;

/// All readings of a process. Clones are the same.
#[derive(Clone, Default)]
pub struct Readings(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    /// How many there have been.
    begun: u64,
    readings: Vec<Weak<Reading>>,
}

/// One subscription. It ends when nobody follows it any more.
struct Reading {
    /// Older ones have smaller numbers: followers gather there.
    number: u64,
    wanted: Prefixes,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    ring: Mutex<Ring>,
    /// Why it ended; taken together with the ring, so that what came before is told before.
    ended: Mutex<Option<Arc<dyn Error + Send + Sync>>>,
    /// There is something to take.
    news: Notify,
    /// Something was taken.
    room: Notify,
}

impl Readings {
    /// Follows the log after a position, together with others where that is possible.
    pub(crate) fn follow(
        &self,
        log: &Arc<dyn EventLog>,
        after: Option<Position>,
        wanted: Prefixes,
    ) -> Follower {
        self.follow_within(log, after, wanted, KEPT)
    }

    fn follow_within(
        &self,
        log: &Arc<dyn EventLog>,
        after: Option<Position>,
        wanted: Prefixes,
        bounds: Bounds,
    ) -> Follower {
        let (reading, place) = self.find_or_begin(log, after, wanted, bounds);
        let (readings, log) = (self.clone(), Arc::clone(log));
        Follower { readings, log, wanted, bounds, reading, place, position: after }
    }

    fn find_or_begin(
        &self,
        log: &Arc<dyn EventLog>,
        after: Option<Position>,
        wanted: Prefixes,
        bounds: Bounds,
    ) -> (Arc<Reading>, u64) {
        let mut open = self.0.lock();
        if let Some(found) = open.find(after, wanted, u64::MAX) {
            return found;
        }
        open.begun += 1;
        let shared = Arc::new(Shared {
            ring: Mutex::new(Ring::new(after, bounds)),
            ended: Mutex::new(None),
            news: Notify::new(),
            room: Notify::new(),
        });
        let task = tokio::spawn(fill(Arc::clone(&shared), Arc::clone(log), after, wanted, bounds));
        let _task = AbortOnDropHandle::new(task);
        let reading = Arc::new(Reading { number: open.begun, wanted, shared, _task });
        open.readings.retain(|reading| reading.strong_count() > 0);
        open.readings.push(Arc::downgrade(&reading));
        (reading, 0)
    }
}

impl Open {
    /// A reading older than `before` in which somebody finds a place, the oldest first.
    fn find(&self, after: Option<Position>, wanted: Prefixes, before: u64) -> Option<(Arc<Reading>, u64)> {
        let readings = self.readings.iter().filter_map(Weak::upgrade);
        let older = readings.take_while(|reading| reading.number < before);
        older.filter(|reading| reading.wanted == wanted).find_map(|reading| {
            let place = reading.shared.place_after(after)?;
            Some((reading, place))
        })
    }
}

impl Shared {
    /// `None` also where it has ended.
    fn place_after(&self, position: Option<Position>) -> Option<u64> {
        if self.ended.lock().is_some() { None } else { self.ring.lock().place_after(position) }
    }
}

/// Reads until the log goes away.
async fn fill(
    shared: Arc<Shared>,
    log: Arc<dyn EventLog>,
    after: Option<Position>,
    wanted: Prefixes,
    bounds: Bounds,
) {
    let cause = match read(&shared, &log, after, wanted, bounds).await {
        Ok(()) => "a reading ends at an event that cannot be read".into(),
        Err(ReadError(cause)) => cause,
    };
    *shared.ended.lock() = Some(Arc::from(cause));
    shared.news.notify_waiters();
}

/// Reads until an event cannot be read.
async fn read(
    shared: &Shared,
    log: &Arc<dyn EventLog>,
    after: Option<Position>,
    wanted: Prefixes,
    bounds: Bounds,
) -> Result<(), ReadError> {
    // read before the subscription begins: once that has caught up, everything up to here was seen
    let head = log.head().await?;
    let mut chunks = log.subscribe(after, wanted).await?.ready_chunks(CHUNK_ITEMS.min(bounds.items / 2));
    loop {
        shared.wait_for_room().await;
        let chunk = chunks.next().await.ok_or_else(|| ReadError("the subscription ended".into()))?;
        let (mut items, mut is_live, mut failure) = (Vec::with_capacity(chunk.len()), false, None);
        for item in chunk {
            match item {
                Ok(LogItem::Event(stored)) => match Read::of(&stored) {
                    Ok(read) => items.push(Item::Event(Arc::new(read))),
                    Err(_) => {
                        items.push(Item::Unreadable(Arc::new(stored)));
                        shared.add(items, is_live);
                        return Ok(());
                    }
                },
                Ok(LogItem::Checkpoint(position)) => items.push(Item::Reached(position)),
                Ok(LogItem::CaughtUp) => {
                    items.extend(head.map(Item::Reached));
                    is_live = true;
                }
                Err(error) => failure = Some(error),
            }
        }
        shared.add(items, is_live);
        if let Some(error) = failure {
            return Err(error);
        }
    }
}

impl Shared {
    async fn wait_for_room(&self) {
        loop {
            let room = self.room.notified();
            if self.ring.lock().has_room() {
                return;
            }
            room.await;
        }
    }

    fn add(&self, items: Vec<Item>, is_live: bool) {
        let mut ring = self.ring.lock();
        items.into_iter().for_each(|item| ring.push(item));
        ring.is_live |= is_live;
        drop(ring);
        self.news.notify_waiters();
    }
}

/// Somebody who follows the log.
pub(crate) struct Follower {
    readings: Readings,
    log: Arc<dyn EventLog>,
    wanted: Prefixes,
    bounds: Bounds,
    reading: Arc<Reading>,
    /// The number of the next item in the reading.
    place: u64,
    /// They have everything wanted up to here.
    position: Option<Position>,
}

impl Follower {
    /// What comes next, at most so much, and at least something. Nothing is lost where it is dropped half-way.
    ///
    /// # Errors
    /// [`Failure::LogUnavailable`], after everything before it was handed out.
    pub(crate) async fn next(&mut self, max: usize) -> Result<Vec<Item>, Failure> {
        loop {
            self.go_over();
            let shared = Arc::clone(&self.reading.shared);
            let news = shared.news.notified();
            // looked at first: what was read before the end is in the ring by then
            let ended = shared.ended.lock().clone();
            let taken = shared.ring.lock().take(&mut self.place, max);
            shared.room.notify_one();
            match taken {
                Taken::Items(items) => {
                    let items = self.unseen(items);
                    if !items.is_empty() {
                        return Ok(items);
                    }
                }
                Taken::Lost => {
                    metrics::counter!("projection_readings_lost_total").increment(1);
                    (self.reading, self.place) =
                        self.readings.find_or_begin(&self.log, self.position, self.wanted, self.bounds);
                }
                Taken::Nothing => match ended {
                    Some(cause) => return Err(Failure::LogUnavailable(ReadError(Box::new(cause)))),
                    None => news.await,
                },
            }
        }
    }

    /// Goes over to an older reading that is at the same place, if there is one.
    fn go_over(&mut self) {
        let older = self.readings.0.lock().find(self.position, self.wanted, self.reading.number);
        if let Some(older) = older {
            (self.reading, self.place) = older;
        }
    }

    /// Those that are not among what they had already when they came over.
    fn unseen(&mut self, mut items: Vec<Item>) -> Vec<Item> {
        let position = self.position;
        items.retain(|item| Some(item.position()) > position);
        if let Some(last) = items.last() {
            self.position = Some(last.position());
        }
        items
    }
}

#[cfg(test)]
mod tests;
