//! Subscriptions: first what is stored, then what comes, without a gap and without an end.
//!
//! A subscription's place is a position (or a revision) of its own. It reads from there, and when there is
//! nothing more it waits for the next commit and reads on from the same place. So there is no hand-over from
//! stored to live events at which one could be lost or doubled. It ends with an error only: a client that
//! is told OK would take the log for finished.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tonic::Status;
use uuid::Uuid;

use super::super::filter::Filter;
use super::super::locate::StreamCursor;
use super::super::proto::shared::AllStreamPosition;
use super::super::proto::streams::read_message::{CaughtUp, Checkpoint, Content, SubscriptionConfirmation};
use super::super::status;
use super::super::writer::now_ticks;
use super::deliver::{Ended, blocking};
use super::read::{From, Reader, STEP_BYTES};

/// A live subscription with a filter tells how far it is at least this often while unwanted events pass.
const LIVE_CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);

/// Counts a subscription while it is open.
#[derive(Debug)]
struct Open;

impl Open {
    fn new() -> Self {
        metrics::gauge!("event_log_subscriptions").increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("event_log_subscriptions").decrement(1.0);
    }
}

fn confirmation() -> Content {
    Content::Confirmation(SubscriptionConfirmation { subscription_id: Uuid::new_v4().to_string() })
}

fn timestamp() -> prost_types::Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    prost_types::Timestamp {
        seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(now.subsec_nanos()).unwrap_or(0),
    }
}

/// Runs a subscription until it ends, and says why.
async fn finish(mut reader: Reader, ended: Result<(), Ended>) {
    let status = match ended {
        Ok(()) => status::shutting_down(),
        Err(Ended::Failed(status)) => status,
        Err(Ended::Gone) => return,
    };
    reader.delivery.fail(status).await;
}

/// Follows one stream.
pub(super) async fn to_stream(mut reader: Reader, name: String, from: From) {
    let _open = Open::new();
    let stop = reader.service.stop.clone();
    let ended = tokio::select! {
        ended = follow_stream(&mut reader, &name, from) => ended,
        () = stop.cancelled() => Ok(()),
    };
    finish(reader, ended).await;
}

async fn follow_stream(reader: &mut Reader, name: &str, from: From) -> Result<(), Ended> {
    let store = reader.service.store.clone();
    let mut commits = store.watch();
    let head_of = async |name: &str| {
        let name = name.to_owned();
        blocking(&store, move |store| store.head(&name)).await
    };
    let mut next = match from {
        From::Start => 0,
        From::At(revision) => revision.saturating_add(1),
        From::End => head_of(name).await?.next_revision(),
    };
    reader.delivery.message(confirmation());
    let mut live = false;
    loop {
        commits.mark_unchanged();
        let head = head_of(name).await?;
        if head.tombstoned {
            return Err(Ended::Failed(status::stream_deleted(name)));
        }
        if head.last.is_some_and(|last| next <= last) && !head.is_soft_deleted() {
            let mut cursor = StreamCursor::at(next.max(head.first_visible()));
            let wanted = name.to_owned();
            let (records, cursor) = blocking(&store, move |store| {
                let records = store.read_stream_forwards(&wanted, &head, &mut cursor)?;
                Ok((records, cursor))
            })
            .await?;
            let now = now_ticks();
            reader.delivery.reserve(&records);
            for record in records.iter().filter(|record| !head.is_expired(record.created_ticks(), now)) {
                reader.delivery.event(record);
            }
            next = cursor.revision;
            reader.delivery.flush().await?;
            if head.last.is_some_and(|last| next <= last) {
                continue;
            }
        }
        if !live {
            live = true;
            let stream_revision = head.last.and_then(|last| i64::try_from(last).ok());
            let timestamp = Some(timestamp());
            reader.delivery.message(Content::CaughtUp(CaughtUp {
                timestamp,
                stream_revision,
                position: None,
            }));
        }
        reader.delivery.flush().await?;
        wait(reader, &mut commits, None).await?;
    }
}

/// Waits for the next commit, or for `pause` to pass.
async fn wait(
    reader: &Reader,
    commits: &mut watch::Receiver<u64>,
    pause: Option<Duration>,
) -> Result<(), Ended> {
    let sleep = async {
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        changed = commits.changed() => changed.map_err(|_| Ended::Failed(status::shutting_down())),
        () = reader.delivery.closed() => Err(Ended::Gone),
        () = sleep => Ok(()),
    }
}

/// Follows the whole log.
pub(super) async fn to_all(mut reader: Reader, from: From, filter: Option<Filter>) {
    let _open = Open::new();
    let stop = reader.service.stop.clone();
    let ended = tokio::select! {
        ended = follow_all(&mut reader, from, filter) => ended,
        () = stop.cancelled() => Ok(()),
    };
    finish(reader, ended).await;
}

/// Where a subscription to the whole log is.
#[derive(Debug)]
struct Progress {
    /// The next item to read.
    position: u64,
    /// The last event that was considered: where a resumed subscription goes on after.
    seen: Option<u64>,
    /// Events considered since the last checkpoint.
    considered: u64,
    filter: Option<Filter>,
}

impl Progress {
    async fn start(reader: &Reader, from: From, filter: Option<Filter>) -> Result<Self, Status> {
        let store = &reader.service.store;
        let end = store.end();
        let (position, seen) = match from {
            From::Start => (0, None),
            From::At(after) if after < end => {
                let position = blocking(store, move |store| store.align(after)).await?;
                (position, Some(after))
            }
            From::At(_) | From::End => {
                let last = blocking(store, move |store| store.read_backwards(end)).await?;
                (end, last.records.first().map(super::super::frame::Record::position))
            }
        };
        Ok(Self { position, seen, considered: 0, filter })
    }

    fn checkpoint(&mut self) -> Option<Content> {
        self.considered = 0;
        self.seen.map(|position| {
            let timestamp = Some(timestamp());
            let (commit_position, prepare_position) = (position, position);
            Content::Checkpoint(Checkpoint { commit_position, prepare_position, timestamp })
        })
    }

    /// Reads and delivers one step; false if there was nothing to read.
    async fn step(&mut self, reader: &mut Reader) -> Result<bool, Ended> {
        let position = self.position;
        let store = reader.service.store.clone();
        if position >= store.end() {
            return Ok(false);
        }
        let chunk = match store.read_newest(position, STEP_BYTES) {
            Some(chunk) => chunk,
            None => blocking(&store, move |store| store.read_forwards(position, STEP_BYTES)).await?,
        };
        reader.delivery.reserve(&chunk.records);
        // the first event of a resumed subscription is the one that the client has already
        let known = self.seen;
        for record in chunk.records.iter().filter(|record| known.is_none_or(|seen| record.position() > seen))
        {
            let wanted = self.filter.as_ref().map_or(Ok(true), |filter| filter.accepts(record))?;
            if wanted {
                reader.delivery.event(record);
            }
            self.seen = Some(record.position());
            self.considered += 1;
            let interval = self.filter.as_ref().map(|filter| filter.checkpoint_interval);
            if interval.is_some_and(|interval| self.considered >= interval) {
                reader.delivery.maybe(self.checkpoint());
            }
        }
        self.position = chunk.next;
        reader.delivery.flush().await?;
        Ok(true)
    }
}

async fn follow_all(reader: &mut Reader, from: From, filter: Option<Filter>) -> Result<(), Ended> {
    let mut commits = reader.service.store.watch();
    let filtered = filter.is_some();
    reader.delivery.message(confirmation());
    let mut progress = Progress::start(reader, from, filter).await?;
    let mut live = false;
    loop {
        commits.mark_unchanged();
        if progress.step(reader).await? {
            continue;
        }
        if !live {
            live = true;
            if filtered {
                let checkpoint = progress.checkpoint();
                reader.delivery.maybe(checkpoint);
            }
            let position = progress.seen.map(AllStreamPosition::at);
            let timestamp = Some(timestamp());
            reader.delivery.message(Content::CaughtUp(CaughtUp {
                timestamp,
                stream_revision: None,
                position,
            }));
        }
        reader.delivery.flush().await?;
        let due = filtered && progress.considered > 0;
        wait(reader, &mut commits, due.then_some(LIVE_CHECKPOINT_INTERVAL)).await?;
        if due && progress.position >= reader.service.store.end() {
            let checkpoint = progress.checkpoint();
            reader.delivery.maybe(checkpoint);
            reader.delivery.flush().await?;
        }
    }
}
