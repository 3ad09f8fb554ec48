//! A show's room on this node: its state, what was said last, and the one task that writes both.

use bytes::Bytes;
use platform::event_log::StoredEvent;
use schemas::{PersonId, Revision, ShowId};
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::time::Instant;

use super::crowd::Crowd;
use super::frame::{self, FrameType, GapData, RecentMessage};
use super::history::{History, HistoryError, retried};
use super::ring::{Cursor, Entry, Pulled, Ring};
use super::state::ShowState;
use super::translate;
use super::wire::CloseCode;

/// How long opened messages may be kept for further snapshots: an erasure must not wait for more than this.
const RECENT_CACHE_AGE_MAX: Duration = Duration::from_secs(5);

/// What the subscription brings to a room.
pub(super) enum Fed {
    /// An event.
    Event(StoredEvent),
    /// There is more in the log than was brought.
    Look,
}

/// What became of a room's opening.
pub(super) type Opened = Result<Mutex<Shared>, Arc<HistoryError>>;

/// A show's room.
pub struct Room {
    /// The show.
    pub(super) show: ShowId,
    pub(super) opened: OnceLock<Opened>,
    /// Ticks when there is something to see: frames, the end of the opening, the end of the room.
    pub(super) wake: watch::Sender<()>,
    /// Events from the subscription. A full queue loses none: the room reads the log, see `announced`.
    pub(super) events: mpsc::Sender<Fed>,
    /// One more than the latest revision that the subscription has seen.
    pub(super) announced: AtomicU64,
    /// Why all sockets must go.
    pub(super) closing: OnceLock<CloseCode>,
    /// Grows when the access rules become stricter: sockets then ask again.
    pub(super) access_epoch: AtomicU32,
    /// The sockets.
    pub(super) crowd: Crowd,
    /// Set when what was said before the room opened was brought into it.
    past: OnceCell<()>,
}

/// What a room has told since the last time, for sockets that have all before it.
pub(crate) struct Burst {
    pub(crate) from: Cursor,
    pub(crate) to: Cursor,
    /// The sequences of the first frame and of the last.
    pub(crate) first: Revision,
    pub(crate) last: Revision,
    /// All frames in one piece: a single write.
    pub(crate) wire: Bytes,
    /// Read after the frames: none of them was said under later rules.
    pub(crate) access_epoch: u32,
    /// The room ends.
    pub(crate) is_over: bool,
}

/// What the room's task writes and its sockets read, in one lock: what a snapshot says and where it stands
/// among the frames can then not disagree.
pub(super) struct Shared {
    pub(super) state: ShowState,
    pub(super) ring: Ring,
    /// Up to here sockets may read: what is said between two wakes goes out together.
    pub(super) told: Cursor,
    recent: Option<OpenedRecent>,
}

struct OpenedRecent {
    up_to: Option<Revision>,
    at: Instant,
    json: Arc<RawValue>,
}

/// A snapshot, and where the frames after it begin.
pub(crate) struct Snapshot {
    pub(crate) wire: Bytes,
    pub(crate) cursor: Cursor,
    pub(crate) sequence: Revision,
}

/// Who may see a show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience {
    pub(crate) creator: PersonId,
    pub(crate) is_protected: bool,
}

impl Shared {
    pub(super) fn new(state: ShowState, backlog_bytes_max: usize) -> Self {
        let ring = Ring::new(backlog_bytes_max, state.revision);
        Self { state, told: ring.end(), ring, recent: None }
    }
}

impl Room {
    pub(super) fn new(show: ShowId, events: mpsc::Sender<Fed>) -> Self {
        Self {
            show,
            opened: OnceLock::new(),
            wake: watch::Sender::new(()),
            events,
            announced: AtomicU64::new(0),
            closing: OnceLock::new(),
            access_epoch: AtomicU32::new(0),
            crowd: Crowd::default(),
            past: OnceCell::new(),
        }
    }

    /// The show.
    pub(crate) fn show(&self) -> ShowId {
        self.show
    }

    /// Hands the room an event that the subscription saw. Never waits.
    pub(super) fn offer(&self, event: StoredEvent) {
        self.announced.fetch_max(event.revision + 1, Ordering::AcqRel);
        // full: the room reads from the log what it was told of here
        drop(self.events.try_send(Fed::Event(event)));
    }

    /// Tells the room that there is an event up to which it should read.
    pub(super) fn announce(&self, revision: Revision) {
        self.announced.fetch_max(revision + 1, Ordering::AcqRel);
        // full: the room is busy, and will see it
        drop(self.events.try_send(Fed::Look));
    }

    /// Waits until the room is open.
    pub(crate) async fn ready(&self) -> Result<(), Arc<HistoryError>> {
        let mut wake = self.wake.subscribe();
        loop {
            match self.opened.get() {
                Some(Ok(_)) => return Ok(()),
                Some(Err(error)) => return Err(Arc::clone(error)),
                // the sender is ours: it outlives this wait
                None => drop(wake.changed().await),
            }
        }
    }

    /// Wakes whenever there may be something to pull.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.wake.subscribe()
    }

    /// Ends the room: its sockets are closed with this code.
    pub(super) fn close(&self, code: CloseCode) {
        // the first reason stays
        let _ = self.closing.set(code);
        self.wake.send_replace(());
    }

    /// Why the room ends, if it does.
    pub(crate) fn closing(&self) -> Option<CloseCode> {
        self.closing.get().copied()
    }

    /// Changes when the access rules became stricter.
    pub(crate) fn access_epoch(&self) -> u32 {
        self.access_epoch.load(Ordering::Acquire)
    }

    /// The shared state; `None` only before [`Room::ready`].
    pub(super) fn shared(&self) -> Option<&Mutex<Shared>> {
        self.opened.get().and_then(|opened| opened.as_ref().ok())
    }

    pub(crate) fn audience(&self) -> Option<Audience> {
        let shared = self.shared()?.lock();
        Some(Audience { creator: shared.state.creator, is_protected: shared.state.is_protected })
    }

    /// What a socket has not seen of what was told.
    pub(crate) fn pull(&self, cursor: &mut Cursor, bytes_max: usize, take: impl FnMut(&Entry)) -> Pulled {
        let Some(shared) = self.shared() else { return Pulled::Nothing };
        let shared = shared.lock();
        shared.ring.pull(cursor, shared.told, bytes_max, take)
    }

    /// What a socket has not seen of what was said, told or not, and the number of viewers as it then is.
    pub(crate) fn rest(
        &self,
        cursor: &mut Cursor,
        delivered: Revision,
        take: impl FnMut(&Entry),
    ) -> (Pulled, Option<Result<Bytes, serde_json::Error>>) {
        let Some(shared) = self.shared() else { return (Pulled::Nothing, None) };
        let shared = shared.lock();
        let pulled = shared.ring.pull(cursor, shared.ring.end(), usize::MAX, take);
        (pulled, shared.state.current_count(delivered))
    }

    /// What was told since `cursor`, which moves behind it. Who stands elsewhere has to pull.
    pub(super) fn burst(&self, cursor: &mut Cursor) -> Burst {
        let (from, mut frames, mut sequences) = (*cursor, Vec::new(), None);
        if let Some(shared) = self.shared() {
            let shared = shared.lock();
            let pulled = shared.ring.pull(cursor, shared.told, usize::MAX, |entry| {
                let (first, _) = sequences.unwrap_or((entry.sequence, entry.sequence));
                sequences = Some((first, entry.sequence));
                frames.push(entry.wire.clone());
            });
            if pulled == Pulled::Lost {
                *cursor = shared.told;
            }
        }
        // an empty burst behind lost frames begins where nobody stands who lost them
        let from = if frames.is_empty() { *cursor } else { from };
        let (first, last) = sequences.unwrap_or_default();
        let wire = match frames.len() {
            1 => frames.pop().unwrap_or_default(),
            _ => Bytes::from(frames.concat()),
        };
        let (access_epoch, is_over) = (self.access_epoch(), self.closing().is_some());
        Burst { from, to: *cursor, first, last, wire, access_epoch, is_over }
    }

    /// Up to where everything was told.
    pub(super) fn told(&self) -> Cursor {
        self.shared().map_or_else(Cursor::default, |shared| shared.lock().told)
    }

    /// What a socket has not seen before a snapshot that it gets.
    pub(crate) fn pull_until(&self, cursor: &mut Cursor, until: Cursor, take: impl FnMut(&Entry)) -> Pulled {
        let Some(shared) = self.shared() else { return Pulled::Nothing };
        shared.lock().ring.pull(cursor, until, usize::MAX, take)
    }

    /// Where a socket that has everything up to `sequence` goes on; `None`: the log has to be read first.
    pub(crate) fn join_after(&self, sequence: Revision) -> Option<Cursor> {
        self.shared()?.lock().ring.after(sequence)
    }

    /// The same, after what was said last before the room opened was brought in where that is needed.
    pub(crate) async fn join_past(
        &self,
        history: &History,
        sequence: Revision,
    ) -> Result<Option<Cursor>, HistoryError> {
        if let Some(cursor) = self.join_after(sequence) {
            return Ok(Some(cursor));
        }
        self.reach_back(history).await?;
        Ok(self.join_after(sequence))
    }

    /// Brings in, once for all sockets, what was said last before the room opened: where a node begins anew its viewers
    /// come back at once, and each of them would have to read the same from the log.
    async fn reach_back(&self, history: &History) -> Result<(), HistoryError> {
        let bring = async || {
            let Some(shared) = self.shared() else { return Ok(()) };
            let up_to = shared.lock().ring.complete_after();
            let (after, frames) = retried(|| history.page_up_to(self.show, up_to)).await?;
            shared.lock().ring.put_before(frames, after, up_to);
            Ok(())
        };
        self.past.get_or_try_init(bring).await.copied()
    }

    /// Where somebody stands who comes in now, and up to which revision everything has been said.
    pub(crate) fn entrance(&self) -> Option<(Cursor, Revision)> {
        let shared = self.shared()?.lock();
        Some((shared.ring.end(), shared.state.revision))
    }

    /// Everything up to this revision has been said.
    pub(crate) fn revision(&self) -> Revision {
        self.shared().map_or(0, |shared| shared.lock().state.revision)
    }

    /// The notice to a socket that has lost what came after `from`.
    pub(crate) fn gap(&self, from: Revision) -> Result<Bytes, serde_json::Error> {
        let to = self.shared().and_then(|shared| shared.lock().state.last_frame).unwrap_or(from);
        // the frame's own sequence is where the client stands: that is what it resumes from
        frame::coalesced(FrameType::Gap, from, &GapData { from, to: to.max(from) })
    }

    /// How the show stands, at one sequence, with the place of the frames after it.
    ///
    /// State and place are taken under one lock; opening the messages happens after, and what is said
    /// meanwhile comes behind the snapshot as ordinary frames.
    pub(crate) async fn snapshot(&self, history: &History) -> Result<Snapshot, HistoryError> {
        let shared = self.shared().ok_or(HistoryError::UnknownShow)?;
        let now = Instant::now();
        let (state, cursor, cached) = {
            let shared = shared.lock();
            let up_to = shared.state.recent.back().map(|posted| posted.revision);
            let fresh =
                |recent: &&OpenedRecent| recent.up_to == up_to && now - recent.at < RECENT_CACHE_AGE_MAX;
            let cached = shared.recent.as_ref().filter(fresh).map(|recent| Arc::clone(&recent.json));
            (shared.state.clone(), shared.ring.end(), cached)
        };
        let json = match cached {
            Some(json) => json,
            None => {
                let json = open_recent(history, &state).await?;
                let up_to = state.recent.back().map(|posted| posted.revision);
                shared.lock().recent = Some(OpenedRecent { up_to, at: now, json: Arc::clone(&json) });
                json
            }
        };
        let wire = frame::coalesced(FrameType::Snapshot, state.revision, &state.snapshot(json));
        Ok(Snapshot { wire: wire.map_err(|_| HistoryError::Malformed)?, cursor, sequence: state.revision })
    }
}

impl Shared {
    /// Forgets opened messages that may not be kept any longer.
    pub(super) fn forget_opened(&mut self, now: Instant) {
        if self.recent.as_ref().is_some_and(|recent| now - recent.at >= RECENT_CACHE_AGE_MAX) {
            self.recent = None;
        }
    }
}

async fn open_recent(history: &History, state: &ShowState) -> Result<Arc<RawValue>, HistoryError> {
    let posted = state.recent.iter().map(|posted| &**posted);
    let shown = translate::messages(&history.vault, posted.clone()).await.map_err(HistoryError::Open)?;
    let messages: Vec<RecentMessage> = posted
        .zip(shown)
        .map(|(posted, message)| RecentMessage { sequence: posted.revision, message })
        .collect();
    let json = serde_json::value::to_raw_value(&messages).map_err(|_| HistoryError::Malformed)?;
    Ok(Arc::from(json))
}
