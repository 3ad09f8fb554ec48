//! A show's state from the log: the newest usable snapshot, and what happened since.

use std::future::Future;
use std::sync::Arc;

use domain::Show;
use platform::event_log::{EventLog, ReadError, StoredEvent, codec};
use schemas::events::ShowEvent;
use schemas::{Envelope, Event, EventError, Position, Revision, ShowId, streams};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::bounds::{LOG_CALL_MAX, PAGE};
use super::snapshot::{self, SharedWritten, Snapshot};

/// A state, and where in the log it stands.
pub(super) struct Loaded {
    /// What is acknowledged.
    pub(super) base: Show,
    /// The same, and what is being decided.
    pub(super) working: Show,
    /// The position of the last event.
    pub(super) position: Position,
    /// Events since the last snapshot.
    pub(super) since_snapshot: u64,
    /// What the log has of snapshots.
    pub(super) written: SharedWritten,
}

impl Loaded {
    /// The last acknowledged revision.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.base.last().map(|(revision, _)| revision)
    }
}

/// Why there is no state.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    /// The log did not answer.
    #[error("stream cannot be read")]
    Read(#[source] ReadError),
    /// The log did not answer in time.
    #[error("reading the stream took too long")]
    TimedOut,
    /// An event is missing: nothing may be decided on such a state.
    #[error("stream has revision {found} where {expected} should be")]
    Gap { expected: Revision, found: Revision },
    /// An event cannot be understood.
    #[error("stream has an event that cannot be read at revision {revision}")]
    Event { revision: Revision, source: EventError },
    /// An event of another aggregate.
    #[error("stream has an event that is no show's at revision {revision}")]
    Foreign { revision: Revision },
}

impl LoadError {
    /// Whether another try may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Read(_) | Self::TimedOut => true,
            Self::Gap { .. } | Self::Event { .. } | Self::Foreign { .. } => false,
        }
    }
}

/// Reads a show's state at the log's head.
pub(super) async fn load(log: &dyn EventLog, show: ShowId) -> Result<Loaded, LoadError> {
    let Snapshot { show: mut base, mut position, written } =
        snapshot::read(log, show, None).await?.unwrap_or_default();
    let since_snapshot = catch_up(log, &streams::show(show), &mut base, &mut position, None).await?;
    let written = Arc::new(Mutex::new(written));
    Ok(Loaded { working: base.clone(), base, position, since_snapshot, written })
}

/// Reads a show's state as it was at a revision.
pub(super) async fn load_until(log: &dyn EventLog, show: ShowId, until: Revision) -> Result<Show, LoadError> {
    let Snapshot { show: mut state, mut position, .. } =
        snapshot::read(log, show, Some(until)).await?.unwrap_or_default();
    catch_up(log, &streams::show(show), &mut state, &mut position, Some(until)).await?;
    Ok(state)
}

/// Applies what the log has beyond the state, up to `until`; answers how many events that were.
pub(super) async fn catch_up(
    log: &dyn EventLog,
    stream: &str,
    show: &mut Show,
    position: &mut Position,
    until: Option<Revision>,
) -> Result<u64, LoadError> {
    let mut applied = 0;
    loop {
        let next = show.last().map_or(0, |(revision, _)| revision + 1);
        let page = in_time(log.read_stream(stream, next, PAGE)).await?;
        let is_last = page.len() < PAGE;
        for stored in &page {
            if until.is_some_and(|until| stored.revision > until) {
                return Ok(applied);
            }
            let expected = show.last().map_or(0, |(revision, _)| revision + 1);
            if stored.revision != expected {
                return Err(LoadError::Gap { expected, found: stored.revision });
            }
            show.evolve(&decode(stored)?);
            *position = stored.position;
            applied += 1;
        }
        if is_last {
            return Ok(applied);
        }
    }
}

/// A stored event as a show's.
pub(super) fn decode(stored: &StoredEvent) -> Result<Envelope<ShowEvent>, LoadError> {
    let revision = stored.revision;
    let envelope = codec::decode(stored).map_err(|source| LoadError::Event { revision, source })?;
    let Envelope { event_id, revision, position, meta, event } = envelope;
    match event {
        Event::Show(event) => Ok(Envelope { event_id, revision, position, meta, event }),
        Event::Payment(_) => Err(LoadError::Foreign { revision }),
    }
}

/// A read that is bounded in time.
pub(super) async fn in_time<T>(read: impl Future<Output = Result<T, ReadError>>) -> Result<T, LoadError> {
    match timeout(LOG_CALL_MAX, read).await {
        Ok(answer) => answer.map_err(LoadError::Read),
        Err(_) => Err(LoadError::TimedOut),
    }
}
