//! From a reading task to the client: a bounded queue of encoded messages.
//!
//! The queue is what holds a reader back: when the client does not take what was read, the task waits, and
//! memory stays bounded however slow the client is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use metrics::Counter;
use prost::Message;
use tokio::sync::mpsc;
use tonic::Status;

use super::super::error::StoreError;
use super::super::frame::Record;
use super::super::proto::streams::read_message::Content;
use super::super::status;
use super::super::store::Store;
use super::super::wire::{EventEncoder, ReadResp, UuidForm};

/// Groups of messages between a reader and its client; each is at most one step of reading.
const GROUPS_MAX: usize = 4;

/// What a client receives.
#[derive(Debug)]
pub(crate) struct Deliveries {
    groups: mpsc::Receiver<Result<Vec<ReadResp>, Status>>,
    current: IntoIter<ReadResp>,
}

impl futures::Stream for Deliveries {
    type Item = Result<ReadResp, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(message) = self.current.next() {
                return Poll::Ready(Some(Ok(message)));
            }
            match self.groups.poll_recv(context) {
                Poll::Ready(Some(Ok(group))) => self.current = group.into_iter(),
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The client went away; there is nobody left to read for.
#[derive(Debug)]
pub(super) struct Gone;

/// Why a reading task ends early.
#[derive(Debug)]
pub(super) enum Ended {
    Gone,
    Failed(Status),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

/// The reader's end of the queue.
#[derive(Debug)]
pub(super) struct Delivery {
    groups: mpsc::Sender<Result<Vec<ReadResp>, Status>>,
    encoder: EventEncoder,
    group: Vec<ReadResp>,
    messages: Counter,
    bytes: Counter,
}

/// A queue from a reader to its client.
pub(super) fn channel(uuid_form: UuidForm) -> (Delivery, Deliveries) {
    let (sender, receiver) = mpsc::channel(GROUPS_MAX);
    let delivery = Delivery {
        groups: sender,
        encoder: EventEncoder::new(uuid_form),
        group: Vec::new(),
        messages: metrics::counter!("event_log_read_messages_total"),
        bytes: metrics::counter!("event_log_read_bytes_total"),
    };
    (delivery, Deliveries { groups: receiver, current: Vec::new().into_iter() })
}

impl Delivery {
    /// Makes room for these records.
    pub(super) fn reserve(&mut self, records: &[Record]) {
        self.encoder.reserve(records);
        self.group.reserve(records.len());
    }

    /// Adds an event to the group that is sent next.
    pub(super) fn event(&mut self, record: &Record) {
        self.group.push(self.encoder.encode(record));
    }

    /// Adds another message to the group that is sent next.
    pub(super) fn message(&mut self, content: Content) {
        self.group.push(ReadResp::message(content));
    }

    /// Adds another message, if there is one.
    pub(super) fn maybe(&mut self, content: Option<Content>) {
        self.group.extend(content.map(ReadResp::message));
    }

    /// Sends the group; waits while the client has enough to do.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if self.group.is_empty() {
            return Ok(());
        }
        self.messages.increment(self.group.len() as u64);
        self.bytes.increment(self.group.iter().map(Message::encoded_len).sum::<usize>() as u64);
        self.groups.send(Ok(std::mem::take(&mut self.group))).await.map_err(|_| Gone)
    }

    /// Ends with an error.
    pub(super) async fn fail(&mut self, status: Status) {
        // whoever went away does not need to know
        drop(self.flush().await);
        drop(self.groups.send(Err(status)).await);
    }

    /// Returns when the client has gone.
    pub(super) async fn closed(&self) {
        self.groups.closed().await;
    }
}

/// Runs a read of the store where it may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    store: &Arc<Store>,
    read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Status> {
    let store = Arc::clone(store);
    match tokio::task::spawn_blocking(move || read(&store)).await {
        Ok(result) => result.map_err(|cause| status::of_read(&cause)),
        Err(_) => Err(status::shutting_down()),
    }
}
