//! The log in EventStoreDB, KurrentDB or the embedded node, through the official client.
//!
//! What this adapter adds to the client, and why:
//! - Appends, reads and subscriptions have connections of their own, each subscription one for itself: a
//!   server takes 100 streams on one connection, and a slow subscriber's full window stalls its neighbours.
//! - A client whose first connection fails is dead for ever, and one in a cluster clings to a node that
//!   went away: `link` makes new ones.
//! - The client leaves Nagle's algorithm on, which costs 40 ms an append: `nodelay` turns it off.
//! - Appends share one long request, as long as none of them fails: `session`.
//! - The client's deadlines are only told to the server: here they also hold if it does not answer.

mod classify;
mod convert;
mod link;
mod nodelay;
mod session;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eventstore::{
    AppendToStreamOptions, ClientSettings, ReadAllOptions, ReadStream, ReadStreamOptions, StreamPosition,
};
use futures::StreamExt;
use schemas::{Position, Revision};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use self::link::{ConnectError, Connected, Link, SubscriptionLinks};
use self::session::Sessions;
use super::{
    AppendError, Appended, EventLog, Expected, LogItems, NewEvent, NoEvents, Prefixes, ReadError, StoredEvent,
};

/// An append is given up (its outcome is unknown then) after this time, connecting included: longer than
/// a leader's election or a slow disk, shorter than people wait.
pub const APPEND_DEADLINE: Duration = Duration::from_secs(5);

/// A read is given up after this time, connecting and its repeat included.
pub const READ_DEADLINE: Duration = Duration::from_secs(10);

/// A read is made at most so often: a connection that was lost while nobody used it fails the first.
const READ_ATTEMPTS: u32 = 2;

/// So many events are looked at between two checkpoints of a subscription, and in one step of a filtered read.
const FILTER_WINDOW: u32 = 1_000;

/// The log behind an `esdb://` or `kurrentdb://` URL. Clones are the same connections.
#[derive(Clone)]
pub struct EventStoreLog {
    appends: Arc<Link>,
    sessions: Arc<Sessions>,
    reads: Arc<Link>,
    subscriptions: Arc<SubscriptionLinks>,
}

/// The URL is none. (It is not shown: it may hold a password.)
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the event log's url is not like esdb://user:password@host:2113?tls=true")]
pub struct UrlError;

/// An operation took longer than it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the event log did not answer in time")]
pub(crate) struct DeadlineError;

impl EventStoreLog {
    /// A log that connects when it is used. `name` is what the server calls us in its own logs.
    ///
    /// # Errors
    /// If the URL is none.
    pub fn new(url: &str, name: &str) -> Result<Self, UrlError> {
        let settings = |purpose| client_settings(url, &format!("{name}-{purpose}"));
        Ok(Self {
            appends: Arc::new(Link::new(settings("append")?)),
            sessions: Arc::default(),
            reads: Arc::new(Link::new(settings("read")?)),
            subscriptions: Arc::new(SubscriptionLinks::new(settings("subscribe")?)),
        })
    }

    /// Connects and asks for the head, until the server answers or the time is over.
    ///
    /// # Errors
    /// The last failure.
    pub async fn wait_until_ready(&self, patience: Duration) -> Result<(), ReadError> {
        let deadline = Instant::now() + patience;
        loop {
            let failure = match timeout_at(deadline, self.probe()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(failure)) => failure,
                Err(_) => ReadError(DeadlineError.into()),
            };
            if Instant::now() + link::RETRY_MAX >= deadline {
                return Err(failure);
            }
            tokio::time::sleep(link::RETRY_MAX).await;
        }
    }

    /// Appends over the session, where there is one for this. A session that ends does not say what became of this append:
    /// the same events at the same revision in a request of their own do, since the log takes them for one append.
    async fn append_in_session(
        &self,
        client: &Arc<Connected>,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
        deadline: Instant,
    ) -> InSession {
        if !Sessions::suit(expected, &events) {
            return InSession::Open(events);
        }
        let Some(session) = self.sessions.of(client).await else { return InSession::Open(events) };
        let proposed = match convert::proposed(events.clone()) {
            Ok(proposed) => proposed,
            Err(refused) => return InSession::Settled(Err(refused)),
        };
        let begun = Instant::now();
        let appending = session.append(stream, convert::stream_state(expected), proposed);
        match timeout_at(deadline, appending).await {
            Ok(Ok(written)) => {
                if let Some(appended) = convert::appended_in_session(&written) {
                    self.appends.succeeded(begun.elapsed());
                    return InSession::Settled(Ok(appended));
                }
                InSession::Open(events)
            }
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "session for appends ended");
                self.sessions.end(&session);
                InSession::Open(events)
            }
            Err(_) => {
                self.sessions.end(&session);
                self.appends.failed(client, &eventstore::Error::DeadlineExceeded);
                InSession::Settled(Err(AppendError::OutcomeUnknown(DeadlineError.into())))
            }
        }
    }

    async fn probe(&self) -> Result<(), ReadError> {
        self.head().await?;
        let deadline = Instant::now() + APPEND_DEADLINE;
        self.appends.client(deadline).await.map(drop).map_err(|error| ReadError(error.into()))
    }
}

/// The client's settings, with what it must not do by itself: it would wait half a second before its first
/// connection.
fn client_settings(url: &str, name: &str) -> Result<ClientSettings, UrlError> {
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}discoveryInterval=1&connectionName={name}").parse().map_err(|_| UrlError)
}

#[async_trait]
impl EventLog for EventStoreLog {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        if events.is_empty() {
            return Err(AppendError::Refused(NoEvents.into()));
        }
        let begun = Instant::now();
        let deadline = begun + APPEND_DEADLINE;
        let unknown = |cause: ConnectError| AppendError::OutcomeUnknown(cause.into());
        let client = self.appends.client(deadline).await.map_err(unknown)?;
        let events = match self.append_in_session(&client, stream, expected, events, deadline).await {
            InSession::Settled(settled) => return settled,
            InSession::Open(events) => events,
        };
        let options = AppendToStreamOptions::default()
            .stream_state(convert::stream_state(expected))
            .deadline(deadline.saturating_duration_since(Instant::now()));
        let events = convert::proposed(events)?;
        match timeout_at(deadline, client.get().append_to_stream(stream, &options, events)).await {
            Ok(Ok(written)) => {
                self.appends.succeeded(begun.elapsed());
                Ok(convert::appended(&written))
            }
            Ok(Err(error)) => {
                self.appends.failed(&client, &error);
                Err(classify::append_error(error))
            }
            Err(_) => {
                self.appends.failed(&client, &eventstore::Error::DeadlineExceeded);
                Err(AppendError::OutcomeUnknown(DeadlineError.into()))
            }
        }
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        let from = StreamPosition::Position(from);
        let options = ReadStreamOptions::default().forwards().position(from).max_count(limit);
        self.reads.read_stream(stream, options, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &str,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        let from = from.map_or(StreamPosition::End, StreamPosition::Position);
        let options = ReadStreamOptions::default().position(from).backwards().max_count(limit);
        self.reads.read_stream(stream, options, limit).await
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        self.reads.head().await
    }

    async fn subscribe(&self, after: Option<Position>, wanted: Prefixes) -> Result<LogItems, ReadError> {
        let link = self.subscriptions.take().map_err(|error| ReadError(error.into()))?;
        Ok(tail::open(link, Arc::clone(&self.reads), after, wanted).await?.boxed())
    }
}

/// What became of an append over a session.
enum InSession {
    Settled(Result<Appended, AppendError>),
    /// There was no session, or it ended: a request of its own is to tell.
    Open(Vec<NewEvent>),
}

/// What is read.
enum Query {
    Stream(String, ReadStreamOptions),
    All(ReadAllOptions),
}

impl Query {
    async fn run(&self, client: &eventstore::Client) -> eventstore::Result<Vec<StoredEvent>> {
        match self {
            Self::Stream(stream, options) => {
                collect(client.read_stream(stream.as_str(), options).await?).await
            }
            Self::All(options) => collect(client.read_all(options).await?).await,
        }
    }
}

impl Link {
    async fn read_stream(
        &self,
        stream: &str,
        options: ReadStreamOptions,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.read(Query::Stream(stream.to_owned(), options)).await
    }

    /// The position of the last event of all, the server's own events included.
    async fn head(&self) -> Result<Option<Position>, ReadError> {
        let options = ReadAllOptions::default().position(StreamPosition::End).max_count(1);
        let last = self.read_all(options).await?;
        Ok(last.first().map(|event| event.position))
    }

    async fn read_all(&self, options: ReadAllOptions) -> Result<Vec<StoredEvent>, ReadError> {
        self.read(Query::All(options)).await
    }

    async fn read(&self, query: Query) -> Result<Vec<StoredEvent>, ReadError> {
        let deadline = Instant::now() + READ_DEADLINE;
        let mut attempt = 1;
        loop {
            let client = self.client(deadline).await.map_err(|error| ReadError(error.into()))?;
            let begun = Instant::now();
            let error = match timeout_at(deadline, query.run(client.get())).await {
                Ok(Ok(events)) => {
                    self.succeeded(begun.elapsed());
                    return Ok(events);
                }
                Ok(Err(eventstore::Error::ResourceNotFound)) => return Ok(Vec::new()),
                Ok(Err(error)) => error,
                Err(_) => eventstore::Error::DeadlineExceeded,
            };
            self.failed(&client, &error);
            if attempt == READ_ATTEMPTS || !classify::is_connection(&error) {
                return Err(ReadError(error.into()));
            }
            attempt += 1;
        }
    }
}

async fn collect(mut events: ReadStream) -> eventstore::Result<Vec<StoredEvent>> {
    let mut stored = Vec::new();
    while let Some(event) = events.next().await? {
        stored.extend(convert::stored(event));
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_the_client_reads_them_and_never_shown() {
        for url in
            ["esdb://localhost:2113?tls=false", "kurrentdb://a:1,b:2,c:3", "esdb+discover://cluster:2113"]
        {
            let settings = client_settings(url, "tally-append").unwrap();
            assert_eq!(settings.discovery_interval(), Duration::from_millis(1), "{url}");
        }
        let error = EventStoreLog::new("postgres://user:secret@host", "tally").err().unwrap();
        assert!(!error.to_string().contains("secret"));
    }
}
