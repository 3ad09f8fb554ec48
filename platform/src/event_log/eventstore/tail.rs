//! A subscription to the whole log.

use std::sync::Arc;
use std::time::Duration;

use eventstore::{
    ReadAllOptions, StreamPosition, SubscribeToAllOptions, SubscriptionEvent, SubscriptionFilter,
};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use schemas::Position;
use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::link::{Connected, Link, TakenLink};
use super::{DeadlineError, FILTER_WINDOW, READ_DEADLINE, convert};
use crate::event_log::{CHECKPOINT_INTERVAL, Cause, LogItem, Prefixes, ReadError};

/// A subscription that is silent for so long is helped to a checkpoint. Servers that send live checkpoints do
/// it within half a second; with the two reads that it takes, this stays below [`CHECKPOINT_INTERVAL`].
const SILENCE: Duration = Duration::from_millis(700);
const _: () = assert!(SILENCE.as_millis() < CHECKPOINT_INTERVAL.as_millis());

/// The server sent something earlier than what it had sent before.
#[derive(Clone, Copy, Debug, Error)]
#[error("the log sent position {sent} after {before}")]
struct OutOfOrder {
    sent: Position,
    before: Position,
}

/// The client's messages. Its own `next` must not be dropped half-way: it would subscribe anew. As a stream
/// it can be waited for together with other things.
type Messages = BoxStream<'static, eventstore::Result<SubscriptionEvent>>;

struct Tail {
    messages: Messages,
    link: TakenLink,
    connected: Arc<Connected>,
    reads: Arc<Link>,
    wanted: Prefixes,
    /// Everything wanted up to here was yielded.
    seen: Option<Position>,
    silent_since: Instant,
}

/// Subscribes, and waits until the server has confirmed.
pub(super) async fn open(
    link: TakenLink,
    reads: Arc<Link>,
    after: Option<Position>,
    wanted: Prefixes,
) -> Result<impl Stream<Item = Result<LogItem, ReadError>> + Send, ReadError> {
    let deadline = Instant::now() + READ_DEADLINE;
    let connected = link.link().client(deadline).await.map_err(|error| ReadError(error.into()))?;
    let options = SubscribeToAllOptions::default().position(start(after)).filter(filter(wanted));
    let subscription = connected.get().subscribe_to_all(&options).await;
    let mut messages = messages(subscription);
    let failure: Cause = match timeout_at(deadline, messages.next()).await {
        Ok(Some(Ok(SubscriptionEvent::Confirmed(_)))) => {
            link.link().succeeded(Duration::ZERO);
            let silent_since = Instant::now();
            let tail = Tail { messages, link, connected, reads, wanted, seen: after, silent_since };
            return Ok(items(tail));
        }
        Ok(Some(Err(error))) => {
            link.link().failed(&connected, &error);
            error.into()
        }
        Ok(Some(Ok(other))) => format!("the server began a subscription with {other:?}").into(),
        Ok(None) => "the subscription ended before it began".into(),
        Err(_) => {
            link.link().failed(&connected, &eventstore::Error::DeadlineExceeded);
            DeadlineError.into()
        }
    };
    Err(ReadError(failure))
}

fn messages(subscription: eventstore::Subscription) -> Messages {
    stream::unfold(subscription, |mut subscription| async {
        let message = subscription.next_subscription_event().await;
        Some((message, subscription))
    })
    .boxed()
}

fn items(tail: Tail) -> impl Stream<Item = Result<LogItem, ReadError>> + Send {
    stream::unfold(Some(tail), |tail| async {
        let mut tail = tail?;
        let item = tail.next_item().await;
        let rest = item.is_ok().then_some(tail);
        Some((item, rest))
    })
}

fn start(after: Option<Position>) -> StreamPosition<eventstore::Position> {
    after.map_or(StreamPosition::Start, |after| StreamPosition::Position(convert::position(after)))
}

fn filter(wanted: Prefixes) -> SubscriptionFilter {
    let all = SubscriptionFilter::on_stream_name().max(FILTER_WINDOW);
    wanted.iter().fold(all, SubscriptionFilter::add_prefix)
}

impl Tail {
    async fn next_item(&mut self) -> Result<LogItem, ReadError> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.messages.next() => message,
                () = sleep_until(self.silent_since + SILENCE) => {
                    if let Some(head) = all_seen_up_to(&self.reads, self.seen, self.wanted).await {
                        return self.advance(head).map(|()| LogItem::Checkpoint(head));
                    }
                    self.silent_since = Instant::now();
                    continue;
                }
            };
            match message {
                Some(Ok(message)) => {
                    if let Some(item) = self.item(message)? {
                        return Ok(item);
                    }
                }
                Some(Err(error)) => {
                    self.link.link().failed(&self.connected, &error);
                    return Err(ReadError(error.into()));
                }
                None => return Err(ReadError("the subscription ended".into())),
            }
        }
    }

    /// What a message tells, if it tells anything.
    fn item(&mut self, message: SubscriptionEvent) -> Result<Option<LogItem>, ReadError> {
        match message {
            SubscriptionEvent::EventAppeared(event) => {
                let Some(event) = convert::stored(event) else { return Ok(None) };
                self.advance(event.position)?;
                Ok(Some(LogItem::Event(event)))
            }
            // one that is behind a checkpoint found here tells nothing new
            SubscriptionEvent::Checkpoint(position) => {
                let position = Position(position.commit);
                if self.seen >= Some(position) {
                    return Ok(None);
                }
                self.advance(position)?;
                Ok(Some(LogItem::Checkpoint(position)))
            }
            SubscriptionEvent::CaughtUp(_) => Ok(Some(LogItem::CaughtUp)),
            SubscriptionEvent::Confirmed(_)
            | SubscriptionEvent::FirstStreamPosition(_)
            | SubscriptionEvent::LastStreamPosition(_)
            | SubscriptionEvent::LastAllPosition(_)
            | SubscriptionEvent::FellBehind(_) => Ok(None),
        }
    }

    fn advance(&mut self, to: Position) -> Result<(), ReadError> {
        if let Some(before) = self.seen
            && to <= before
        {
            return Err(ReadError(OutOfOrder { sent: to, before }.into()));
        }
        self.seen = Some(to);
        self.silent_since = Instant::now();
        Ok(())
    }
}

/// The log's head, if nothing wanted stands between what was yielded and that head.
///
/// The head is read first. The log only grows at its end, so whatever stands at or before that head stands
/// there when the second read is made: if that finds nothing wanted up to the head, there is nothing, and
/// never will be. If it finds something, the subscription has yet to deliver it, and nothing is claimed.
async fn all_seen_up_to(reads: &Link, seen: Option<Position>, wanted: Prefixes) -> Option<Position> {
    let asked = async {
        let head = reads.head().await.ok()??;
        if seen >= Some(head) {
            return None;
        }
        // the read begins *at* a position, where an event may stand that was yielded
        let options = ReadAllOptions::default().forwards().position(start(seen)).filter(filter(wanted));
        let next = reads.read_all(options.max_count(2)).await.ok()?;
        let unseen = |position| seen < Some(position) && position <= head;
        let is_clear = !next.iter().any(|event| unseen(event.position));
        is_clear.then_some(head)
    };
    timeout(CHECKPOINT_INTERVAL, asked).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_log::eventstore::EventStoreLog;
    use crate::event_log::{EventLog, Expected, NewEvent};
    use bytes::Bytes;
    use embedded::event_log::{Node, NodeConfig};
    use schemas::EventId;
    use uuid::Uuid;

    const SHOWS: Prefixes = &["show-"];

    async fn append(log: &EventStoreLog, stream: &str) -> Position {
        let event = NewEvent {
            id: EventId(Uuid::new_v4()),
            kind: "Tested".to_owned(),
            data: Bytes::from_static(b"{}"),
            metadata: Bytes::from_static(b"{}"),
        };
        log.append(stream, Expected::Any, vec![event]).await.unwrap().position
    }

    /// The embedded node sends live checkpoints, so that subscriptions to it do not need this.
    #[tokio::test]
    async fn nothing_is_claimed_to_be_seen_that_is_still_to_come() {
        let directory = tempfile::tempdir().unwrap();
        let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let node = Node::start(NodeConfig::new(directory.path()).listen(any_port)).await.unwrap();
        let log = EventStoreLog::new(&format!("esdb://{}?tls=false", node.addr()), "test").unwrap();
        let claim = async |seen| all_seen_up_to(&log.reads, seen, SHOWS).await;

        let unwanted = append(&log, "payment-a").await;
        assert_eq!(claim(None).await, Some(unwanted));
        assert_eq!(claim(Some(unwanted)).await, None, "nothing new");
        let wanted = append(&log, "show-a").await;
        assert_eq!(claim(None).await, None);
        assert_eq!(claim(Some(unwanted)).await, None, "the wanted event is still to come");
        let head = append(&log, "payment-a").await;
        assert_eq!(claim(Some(unwanted)).await, None);
        assert_eq!(claim(Some(wanted)).await, Some(head));
        assert_eq!(claim(Some(head)).await, None);
        node.shutdown().await.unwrap();
    }
}
