//! A show's own stream, read: to build a room, to replay what a client missed, to find the frame before.

use bytes::Bytes;
use platform::event_log::{EventLog, ReadError, StoredEvent, codec};
use platform::vault::{Vault, VaultError};
use schemas::events::{ChatEvent, ShowEvent};
use schemas::{Envelope, Event, EventError, Revision, ShowId, streams};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::sleep;

use super::seed::Seeds;
use super::state::{Effect, Posted, RECENT_MESSAGES_MAX, ShowState, effect};
use super::translate;

/// Events of one read: some hundred KiB at most, so that a long history never stands in memory.
const PAGE_EVENTS: usize = 256;

/// Tries of a read that failed, before a room or a replay is given up and its clients go to another node.
const TRIES_MAX: u32 = 8;

/// The pause after the first failure; doubled after each further one, 6 s in all.
const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(50);

/// A show with more events than this is opened from the read model's row and the events after it: below, reading
/// the whole stream costs less than 100 ms on any log, and needs no database.
const WHOLE_FOLD_EVENTS_MAX: Revision = 4_096;

/// Pages that are looked through for the latest messages of a long show.
const RECENT_PAGES_MAX: usize = 32;

/// Why a show's history cannot be had.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// There is no such show.
    #[error("no such show")]
    UnknownShow,
    /// The log cannot be read now.
    #[error("the show's stream cannot be read")]
    Read(#[source] ReadError),
    /// The vault cannot be asked now.
    #[error("the show's sealed fields cannot be opened")]
    Open(#[source] VaultError),
    /// The stream holds what this version does not understand: stop and alarm.
    #[error("the show's stream cannot be understood")]
    Decode(#[source] EventError),
    /// The stream does not begin as a show's stream does, or a frame cannot be written: a defect.
    #[error("the show's stream is not that of a show")]
    Malformed,
}

/// What is needed to read shows.
pub(crate) struct History {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) vault: Vault,
    pub(crate) seeds: Arc<dyn Seeds>,
}

/// What a client missed, a page of it.
pub(crate) struct MissedPage {
    /// The frames of each event that made any, with their sequences.
    pub(crate) frames: Vec<(Revision, Bytes)>,
    /// The last frame up to its end.
    pub(crate) previous: Option<Revision>,
    /// Everything up to here has been read.
    pub(crate) read_to: Revision,
    /// Nothing more is in the log now.
    pub(crate) is_last: bool,
}

/// Reads again where a read or the vault failed; anything else would fail again.
pub(crate) async fn retried<T, F>(read: impl Fn() -> F) -> Result<T, HistoryError>
where
    F: Future<Output = Result<T, HistoryError>>,
{
    let mut pause = RETRY_PAUSE_FIRST;
    for _ in 1..TRIES_MAX {
        match read().await {
            Err(HistoryError::Read(_) | HistoryError::Open(_)) => {
                sleep(pause).await;
                pause *= 2;
            }
            done => return done,
        }
    }
    read().await
}

/// A show's event of the stored bytes.
pub(crate) fn decode(stored: &StoredEvent) -> Result<Envelope<ShowEvent>, HistoryError> {
    let envelope = codec::decode(stored).map_err(HistoryError::Decode)?;
    match envelope.event.clone() {
        Event::Show(event) => Ok(envelope.map(|_| event)),
        Event::Payment(_) => Err(HistoryError::Malformed),
    }
}

impl History {
    /// The revision of the show's last event.
    pub(crate) async fn last(&self, show: ShowId) -> Result<Revision, HistoryError> {
        let last =
            self.log.read_stream_back(&streams::show(show), None, 1).await.map_err(HistoryError::Read)?;
        last.first().map(|event| event.revision).ok_or(HistoryError::UnknownShow)
    }

    /// The show as it stands in the log.
    pub(crate) async fn state(&self, show: ShowId) -> Result<ShowState, HistoryError> {
        let last = self.last(show).await?;
        let mut state = match self.seeded(show, last).await? {
            Some(state) => state,
            None => self.first(show).await?,
        };
        loop {
            let page = self.events(show, state.revision + 1).await?;
            for envelope in &page {
                state.fold(envelope);
            }
            if page.len() < PAGE_EVENTS {
                return Ok(state);
            }
        }
    }

    async fn first(&self, show: ShowId) -> Result<ShowState, HistoryError> {
        let first = self.log.read_stream(&streams::show(show), 0, 1).await.map_err(HistoryError::Read)?;
        let first = decode(first.first().ok_or(HistoryError::UnknownShow)?)?;
        ShowState::begin(&first).ok_or(HistoryError::Malformed)
    }

    /// A long show from the read model. Where that is not to be had, the whole stream still says the same.
    async fn seeded(&self, show: ShowId, last: Revision) -> Result<Option<ShowState>, HistoryError> {
        if last < WHOLE_FOLD_EVENTS_MAX {
            return Ok(None);
        }
        let mut state = match self.seeds.seed(show).await {
            Ok(Some(state)) if state.revision <= last => state,
            Ok(_) => return Ok(None),
            Err(error) => {
                tracing::warn!(show.id = %show, %error, "show {show} is opened from its whole stream");
                return Ok(None);
            }
        };
        state.last_frame = self.frame_at_or_before(show, state.revision).await?;
        state.recent = self.recent(show, state.revision).await?;
        Ok(Some(state))
    }

    /// The latest messages up to `revision`, oldest first; those that stand further back than is looked are left
    /// out, as nobody comes in for them.
    async fn recent(&self, show: ShowId, revision: Revision) -> Result<VecDeque<Arc<Posted>>, HistoryError> {
        let (stream, mut from) = (streams::show(show), Some(revision));
        let mut recent = VecDeque::new();
        for _ in 0..RECENT_PAGES_MAX {
            let Some(start) = from else { break };
            let page = self.log.read_stream_back(&stream, Some(start), PAGE_EVENTS).await;
            let page = page.map_err(HistoryError::Read)?;
            for stored in &page {
                let envelope = decode(stored)?;
                if let ShowEvent::Chat(ChatEvent::Posted(message)) = &envelope.event {
                    recent.push_front(Arc::new(Posted::of(&envelope, message)));
                }
                if recent.len() == RECENT_MESSAGES_MAX {
                    return Ok(recent);
                }
            }
            from = page.last().and_then(|oldest| oldest.revision.checked_sub(1));
        }
        Ok(recent)
    }

    /// Up to a page of events from `from` on.
    pub(crate) async fn events(
        &self,
        show: ShowId,
        from: Revision,
    ) -> Result<Vec<Envelope<ShowEvent>>, HistoryError> {
        let stored = self.log.read_stream(&streams::show(show), from, PAGE_EVENTS).await;
        stored.map_err(HistoryError::Read)?.iter().map(decode).collect()
    }

    /// The latest event up to `revision` that made a frame. A show's first event makes one, so that the search
    /// ends; joins and leaves between two frames are skipped a page at a time.
    pub(crate) async fn frame_at_or_before(
        &self,
        show: ShowId,
        revision: Revision,
    ) -> Result<Option<Revision>, HistoryError> {
        let (stream, mut from) = (streams::show(show), revision);
        loop {
            let page = self.log.read_stream_back(&stream, Some(from), PAGE_EVENTS).await;
            let page = page.map_err(HistoryError::Read)?;
            for stored in &page {
                let envelope = decode(stored)?;
                if effect(&envelope.event) == Effect::Frame {
                    return Ok(Some(envelope.revision));
                }
            }
            match page.last().and_then(|oldest| oldest.revision.checked_sub(1)) {
                Some(before) => from = before,
                None => return Ok(None),
            }
        }
    }

    /// The frames of a page of events after `after`. `previous` is the frame before them.
    pub(crate) async fn missed(
        &self,
        show: ShowId,
        after: Revision,
        mut previous: Option<Revision>,
    ) -> Result<MissedPage, HistoryError> {
        let events = self.events(show, after + 1).await?;
        let mut frames = Vec::new();
        for envelope in &events {
            if let Some(wire) = self.frame(show, envelope, previous).await? {
                frames.push((envelope.revision, wire));
                previous = Some(envelope.revision);
            }
        }
        Ok(MissedPage {
            frames,
            previous,
            read_to: events.last().map_or(after, |event| event.revision),
            is_last: events.len() < PAGE_EVENTS,
        })
    }

    /// The frames of the page of events that ends with `up_to`, and the revision before them.
    pub(crate) async fn page_up_to(
        &self,
        show: ShowId,
        up_to: Revision,
    ) -> Result<(Revision, Vec<(Revision, Bytes)>), HistoryError> {
        let after = up_to.saturating_sub(PAGE_EVENTS as Revision);
        let previous = self.frame_at_or_before(show, after).await?;
        let mut frames = self.missed(show, after, previous).await?.frames;
        frames.retain(|(sequence, _)| *sequence <= up_to);
        Ok((after, frames))
    }

    /// An event's frame, opened and encoded; `None` for an event that makes none.
    pub(crate) async fn frame(
        &self,
        show: ShowId,
        envelope: &Envelope<ShowEvent>,
        previous: Option<Revision>,
    ) -> Result<Option<Bytes>, HistoryError> {
        let data = translate::durable(&self.vault, show, envelope).await.map_err(HistoryError::Open)?;
        let encoded = data.map(|data| data.encode(envelope.revision, previous)).transpose();
        encoded.map_err(|_| HistoryError::Malformed)
    }
}
