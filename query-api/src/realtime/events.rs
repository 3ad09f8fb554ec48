//! `GET /streams/{id}/events`: the same frames as server-sent events, for those who only listen.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::{Stream, stream};
use platform::http::auth::MaybeAuthenticated;
use platform::http::problem::{Chain, Problem};
use schemas::Revision;
use serde::Deserialize;
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::core::Core;
use super::history::{HistoryError, retried};
use super::ring::{Cursor, Pulled};
use super::room::Room;
use super::rooms::Occupant;
use super::seats::Seat;
use super::upgrade::{enter, take_seat};
use super::wire;

/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Bytes that one look takes from the room.
const PULL_BYTES_MAX: usize = 64 * 1024;

/// How often a node that is behind the client looks again.
const BEHIND_PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn router(core: Arc<Core>) -> Router {
    Router::new().route("/api/v1/streams/{stream_id}/events", get(events)).with_state(core)
}

async fn events(
    State(core): State<Arc<Core>>,
    MaybeAuthenticated(caller): MaybeAuthenticated,
    Path(stream_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = last_event_id(&headers)?;
    let occupant = enter(&core, &stream_id, caller.as_deref()).await?;
    let seat = take_seat(&core, occupant.room().show(), caller.as_deref())?;
    let expiry = caller.as_ref().map(|caller| core.until(caller.expires_at));
    let listener = Listener {
        wake: occupant.room().watch(),
        access_epoch: occupant.room().access_epoch(),
        caller,
        core,
        occupant,
        _seat: seat,
        standing: last.map_or(Standing::Fresh, Standing::Behind),
        ready: VecDeque::new(),
        delivered: last.unwrap_or(0),
        floor: 0,
        previous: None,
        expiry,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("heartbeat");
    Ok(Sse::new(listener.into_stream()).keep_alive(keep_alive).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Revision>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let sequence = value.to_str().ok().and_then(|text| text.parse().ok());
    sequence.map(Some).ok_or_else(|| {
        Problem::invalid_field("Last-Event-ID", "send the id of the last event, as it was given")
    })
}

enum Standing {
    /// Begins with the snapshot.
    Fresh,
    /// Has everything up to here; the rest is read from the log.
    Behind(Revision),
    Live(Cursor),
}

/// Somebody who listens.
struct Listener {
    core: Arc<Core>,
    caller: Option<Arc<platform::http::auth::Caller>>,
    occupant: Occupant,
    _seat: Seat,
    wake: watch::Receiver<()>,
    access_epoch: u32,
    standing: Standing,
    ready: VecDeque<Bytes>,
    delivered: Revision,
    floor: Revision,
    previous: Option<Revision>,
    expiry: Option<Instant>,
}

/// The end of a stream; the client comes again with the last id that it saw.
struct Over;

impl Listener {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut listener| async move {
            let payload = listener.next().await.ok()?;
            Some((Ok(event(&payload)), listener))
        })
    }

    async fn next(&mut self) -> Result<Bytes, Over> {
        loop {
            if let Some(payload) = self.ready.pop_front() {
                return Ok(payload);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Over> {
        let room = Arc::clone(self.occupant.room());
        self.check(&room).await?;
        match self.standing {
            Standing::Fresh => self.begin(&room).await,
            Standing::Behind(sequence) => self.catch_up(&room, sequence).await,
            Standing::Live(cursor) => self.follow(&room, cursor).await,
        }
    }

    /// Whether the listener may stay.
    async fn check(&mut self, room: &Room) -> Result<(), Over> {
        if room.closing().is_some() || self.expiry.is_some_and(|at| at <= Instant::now()) {
            return Err(Over);
        }
        let epoch = room.access_epoch();
        if epoch != self.access_epoch {
            self.access_epoch = epoch;
            self.core.admission.may_enter(room, self.caller.as_deref()).await.map_err(|_| Over)?;
        }
        Ok(())
    }

    async fn begin(&mut self, room: &Room) -> Result<(), Over> {
        let snapshot = retried(|| room.snapshot(&self.core.history)).await;
        let snapshot = snapshot.map_err(|error| broken(room, &error))?;
        self.say(snapshot.wire);
        self.delivered = snapshot.sequence;
        self.standing = Standing::Live(snapshot.cursor);
        Ok(())
    }

    /// What was missed, from the room where it still has it, else from the log, a page at a time.
    async fn catch_up(&mut self, room: &Room, sequence: Revision) -> Result<(), Over> {
        if sequence > room.revision() && !self.is_in_log(room, sequence).await? {
            self.standing = Standing::Fresh;
            return Ok(());
        }
        self.delivered = sequence;
        let (history, show) = (Arc::clone(&self.core.history), room.show());
        let joined = room.join_past(&history, sequence).await;
        if let Some(cursor) = joined.map_err(|error| broken(room, &error))? {
            self.join(room, cursor);
            return Ok(());
        }
        if self.previous.is_none() {
            let previous = retried(|| history.frame_at_or_before(show, sequence)).await;
            self.previous = previous.map_err(|error| broken(room, &error))?;
        }
        let page = retried(|| history.missed(show, sequence, self.previous)).await;
        let page = page.map_err(|error| broken(room, &error))?;
        self.previous = page.previous;
        if page.is_last && page.frames.is_empty() {
            sleep(BEHIND_PAUSE).await;
        }
        for (_, wire) in page.frames {
            self.say(wire);
        }
        self.standing = Standing::Behind(page.read_to);
        Ok(())
    }

    /// Goes on from what the room has, with one current count behind it.
    fn join(&mut self, room: &Room, mut cursor: Cursor) {
        self.floor = self.delivered;
        self.previous = None;
        let (ready, delivered, floor) = (&mut self.ready, &mut self.delivered, self.floor);
        let (pulled, count) = room.rest(&mut cursor, floor, |entry| {
            if entry.sequence > floor && entry.is_durable {
                *delivered = entry.sequence.max(*delivered);
                ready.extend(wire::payloads(entry.wire.clone()));
            }
        });
        self.standing = match pulled {
            Pulled::Lost => Standing::Behind(self.delivered),
            Pulled::Nothing | Pulled::Some => Standing::Live(cursor),
        };
        if let Some(Ok(count)) = count {
            self.say(count);
        }
    }

    async fn is_in_log(&self, room: &Room, sequence: Revision) -> Result<bool, Over> {
        let deadline = Instant::now() + self.core.settings.behind_wait_max;
        loop {
            let last = retried(|| self.core.history.last(room.show())).await;
            let last = last.map_err(|error| broken(room, &error))?;
            if sequence <= last {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(BEHIND_PAUSE).await;
        }
    }

    async fn follow(&mut self, room: &Room, mut cursor: Cursor) -> Result<(), Over> {
        let (ready, delivered, floor) = (&mut self.ready, &mut self.delivered, self.floor);
        let pulled = room.pull(&mut cursor, PULL_BYTES_MAX, |entry| {
            if entry.sequence > floor {
                *delivered = entry.sequence.max(*delivered);
                ready.extend(wire::payloads(entry.wire.clone()));
            }
        });
        match pulled {
            // a slow listener reads from the log what the room no longer has: nothing is lost
            Pulled::Lost => self.standing = Standing::Behind(self.delivered),
            Pulled::Some => self.standing = Standing::Live(cursor),
            Pulled::Nothing => {
                let expiry = self.expiry;
                let expired = async {
                    match expiry {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    _ = self.wake.changed() => {}
                    () = expired => {}
                }
            }
        }
        Ok(())
    }

    fn say(&mut self, wire: Bytes) {
        self.ready.extend(wire::payloads(wire));
    }
}

fn broken(room: &Room, error: &HistoryError) -> Over {
    tracing::error!(show.id = %room.show(), error.chain = %Chain(error), "event stream cannot go on");
    Over
}

/// What of a frame becomes the event's own fields.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    sequence: Revision,
}

fn event(payload: &[u8]) -> Event {
    // our own frames: JSON without line breaks
    let text = std::str::from_utf8(payload).unwrap_or_default();
    let event = Event::default().data(text);
    match serde_json::from_slice::<Head<'_>>(payload) {
        Ok(head) => event.event(head.kind).id(head.sequence.to_string()),
        Err(_) => event,
    }
}
