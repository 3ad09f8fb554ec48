//! The one task that writes a room: opens it, takes events in, tells the sockets, and ends it.

use platform::event_log::StoredEvent;
use platform::http::problem::Chain;
use schemas::Envelope;
use schemas::events::ShowEvent;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::frame::{self, FrameType, ViewerCountData};
use super::history::{self, History, HistoryError, retried};
use super::room::{Fed, Room, Shared};
use super::settings::RealtimeSettings;
use super::wire::CloseCode;

/// Between two reads of what the subscription has seen and the log does not show yet.
const HEAL_PAUSE: Duration = Duration::from_millis(50);

/// How often an otherwise idle room looks whether something is too old, or it is empty.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The writer of a room.
pub(super) struct RoomTask {
    pub(super) room: Arc<Room>,
    pub(super) history: Arc<History>,
    pub(super) settings: Arc<RealtimeSettings>,
    /// Whether the room may end: nobody is there, and nobody can come in meanwhile.
    pub(super) leave_if_empty: Box<dyn Fn() -> bool + Send + Sync>,
}

/// What is due when.
struct Clockwork {
    told_count: u32,
    count_due: Option<Instant>,
    count_next: Instant,
    wake_due: Option<Instant>,
    wake_next: Instant,
    heal_due: Option<Instant>,
    upkeep: Instant,
}

impl Clockwork {
    fn next(&self) -> Instant {
        [self.count_due, self.wake_due, self.heal_due].into_iter().flatten().fold(self.upkeep, Instant::min)
    }
}

impl RoomTask {
    /// Runs until the room is empty or cannot go on.
    pub(super) async fn run(self, mut events: mpsc::Receiver<Fed>) {
        let opened = retried(|| self.history.state(self.room.show)).await;
        let state = match opened {
            Ok(state) => state,
            Err(error) => {
                if !matches!(error, HistoryError::UnknownShow) {
                    tracing::error!(show.id = %self.room.show, error.chain = %Chain(&error), "room cannot be opened");
                }
                // nobody can have set it before this task
                let _ = self.room.opened.set(Err(Arc::new(error)));
                self.room.wake.send_replace(());
                return;
            }
        };
        let now = Instant::now();
        let mut due = Clockwork {
            told_count: state.audience.viewer_count,
            count_due: None,
            count_next: now,
            wake_due: None,
            wake_next: now,
            heal_due: None,
            upkeep: now + UPKEEP_INTERVAL,
        };
        let _ = self.room.opened.set(Ok(Mutex::new(Shared::new(state, self.settings.backlog_bytes_max))));
        self.room.wake.send_replace(());
        if let Err(error) = self.follow(&mut events, &mut due).await {
            tracing::error!(show.id = %self.room.show, error.chain = %Chain(&error), "room cannot go on");
            self.room.close(CloseCode::Internal);
        }
    }

    async fn follow(
        &self,
        events: &mut mpsc::Receiver<Fed>,
        due: &mut Clockwork,
    ) -> Result<(), HistoryError> {
        loop {
            tokio::select! {
                biased;
                event = events.recv() => {
                    let Some(event) = event else { return Ok(()) };
                    self.take(event, events, due).await?;
                }
                () = sleep_until(due.next()) => {}
            }
            let now = Instant::now();
            if self.is_behind() && events.is_empty() && due.heal_due.is_none_or(|at| at <= now) {
                self.heal(due).await?;
                // the log's follower that was read may be behind the subscription
                due.heal_due = self.is_behind().then(|| Instant::now() + HEAL_PAUSE);
            }
            self.tell_count(due, now)?;
            if due.wake_due.is_some_and(|at| at <= now) {
                self.wake(due, now);
            }
            if due.upkeep <= now {
                due.upkeep = now + UPKEEP_INTERVAL;
                self.forget(now);
                if self.room.closing().is_some() || (self.leave_if_empty)() {
                    return Ok(());
                }
            }
        }
    }

    /// Whether the subscription has seen more than the room has.
    fn is_behind(&self) -> bool {
        self.room.announced.load(Ordering::Acquire) > self.room.revision() + 1
    }

    /// Takes an event in, then those behind it.
    async fn take(
        &self,
        event: Fed,
        events: &mut mpsc::Receiver<Fed>,
        due: &mut Clockwork,
    ) -> Result<(), HistoryError> {
        let mut next = Some(event);
        // as many as the queue holds: the clock is looked at in between
        let mut taken = 0;
        while let Some(event) = next {
            if let Fed::Event(event) = event {
                self.take_stored(&event, due).await?;
            }
            taken += 1;
            next = if taken < events.max_capacity() { events.try_recv().ok() } else { None };
        }
        Ok(())
    }

    async fn take_stored(&self, event: &StoredEvent, due: &mut Clockwork) -> Result<(), HistoryError> {
        // known already, or beyond a gap: that is read from the log as a whole
        if event.revision != self.room.revision() + 1 {
            return Ok(());
        }
        let envelope = history::decode(event)?;
        self.apply(&envelope, due).await
    }

    /// Reads from the log what the queue did not bring.
    async fn heal(&self, due: &mut Clockwork) -> Result<(), HistoryError> {
        metrics::counter!("tally_realtime_room_heals_total").increment(1);
        loop {
            let from = self.room.revision() + 1;
            let page = retried(|| self.history.events(self.room.show, from)).await?;
            for envelope in &page {
                self.apply(envelope, due).await?;
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    }

    async fn apply(&self, envelope: &Envelope<ShowEvent>, due: &mut Clockwork) -> Result<(), HistoryError> {
        let Some(shared) = self.room.shared() else { return Ok(()) };
        let previous = shared.lock().state.last_frame;
        let wire = retried(|| self.history.frame(self.room.show, envelope, previous)).await?;
        let now = Instant::now();
        let (has_become_protected, viewer_count) = {
            let mut shared = shared.lock();
            let was_protected = shared.state.is_protected;
            shared.state.fold(envelope);
            if let Some(wire) = wire {
                push(&mut shared, wire, true, now);
                due.wake_due.get_or_insert(now.max(due.wake_next));
            }
            (!was_protected && shared.state.is_protected, shared.state.audience.viewer_count)
        };
        if has_become_protected {
            self.room.access_epoch.fetch_add(1, Ordering::AcqRel);
            due.wake_due.get_or_insert(now);
        }
        if viewer_count != due.told_count {
            due.count_due.get_or_insert(now.max(due.count_next));
        }
        Ok(())
    }

    fn tell_count(&self, due: &mut Clockwork, now: Instant) -> Result<(), HistoryError> {
        if due.count_due.is_none_or(|at| at > now) {
            return Ok(());
        }
        due.count_due = None;
        let Some(shared) = self.room.shared() else { return Ok(()) };
        let mut shared = shared.lock();
        let viewer_count = shared.state.audience.viewer_count;
        if viewer_count == due.told_count {
            return Ok(());
        }
        let is_increasing = viewer_count > due.told_count;
        let data = ViewerCountData { stream_id: self.room.show, viewer_count, is_increasing };
        let wire = frame::coalesced(FrameType::ViewerCountUpdate, shared.state.revision, &data);
        push(&mut shared, wire.map_err(|_| HistoryError::Malformed)?, false, now);
        due.told_count = viewer_count;
        due.count_next = now + self.settings.count_interval;
        due.wake_due.get_or_insert(now.max(due.wake_next));
        Ok(())
    }

    fn wake(&self, due: &mut Clockwork, now: Instant) {
        due.wake_due = None;
        due.wake_next = now + self.settings.wake_interval;
        if let Some(shared) = self.room.shared() {
            let mut shared = shared.lock();
            shared.told = shared.ring.end();
        }
        self.room.wake.send_replace(());
    }

    fn forget(&self, now: Instant) {
        if let Some(shared) = self.room.shared() {
            let mut shared = shared.lock();
            shared.forget_opened(now);
            let limit = now.checked_sub(self.settings.backlog_age_max);
            if let Some(limit) =
                limit.filter(|limit| shared.ring.oldest().is_some_and(|oldest| oldest < *limit))
            {
                shared.ring.forget_before(limit);
            }
        }
    }
}

fn push(shared: &mut Shared, wire: Bytes, is_durable: bool, now: Instant) {
    metrics::counter!("tally_realtime_frames_total").increment(1);
    shared.ring.push(wire, shared.state.revision, is_durable, now);
}
