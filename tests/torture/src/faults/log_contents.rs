//! What a log holds, read in every way that there is and compared with what went in.

use bytes::Bytes;
use embedded::event_log::{Command, Expected, NewEvent, Record, Store, StoreError, StreamCursor};
use rand::Rng;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::harness::{Violation, promise};

/// Bytes per read: small, so that reads end in the middle of everything.
const READ_BYTES: usize = 3_000;

/// One append.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) stream: String,
    pub(super) events: Vec<(Uuid, Bytes)>,
}

impl Sent {
    /// A random one.
    pub(super) fn draw(chance: &mut StdRng, streams: u32) -> Self {
        let stream = format!("stream-{}", chance.random_range(0..streams));
        let events = (0..chance.random_range(1..4)).map(|_| (Uuid::from_u128(chance.random()), body(chance)));
        Self { stream, events: events.collect() }
    }

    /// It as a command.
    pub(super) fn command(&self) -> Command {
        let event = |(id, data): &(Uuid, Bytes)| NewEvent {
            id: *id,
            event_type: "Happened".to_owned(),
            content_type: "application/octet-stream".to_owned(),
            metadata: Bytes::new(),
            data: data.clone(),
        };
        let events = self.events.iter().map(event).collect();
        Command::Append { stream: self.stream.clone(), expected: Expected::Any, events }
    }
}

fn body(chance: &mut StdRng) -> Bytes {
    // mostly small, now and then more than some sectors and pages
    let size = if chance.random_ratio(1, 20) { 12_000 } else { 300 };
    let size = chance.random_range(0..size);
    (0..size).map(|_| chance.random::<u8>()).collect()
}

/// Everything in the log, in order.
pub(super) fn read_all(store: &Store) -> Result<Vec<Record>, StoreError> {
    let (mut position, mut all) = (0, Vec::new());
    loop {
        let chunk = store.read_forwards(position, READ_BYTES)?;
        if chunk.records.is_empty() {
            return Ok(all);
        }
        position = chunk.next;
        all.extend(chunk.records);
    }
}

/// Everything in a stream, in order.
pub(super) fn read_stream(store: &Store, stream: &str) -> Result<Vec<Record>, StoreError> {
    let head = store.head(stream)?;
    let (mut cursor, mut all) = (StreamCursor::at(0), Vec::new());
    loop {
        let records = store.read_stream_forwards(stream, &head, &mut cursor)?;
        if records.is_empty() {
            return Ok(all);
        }
        all.extend(records);
    }
}

/// The streams of some appends.
pub(super) fn streams_of(sent: &[Sent]) -> Vec<String> {
    let mut streams: Vec<_> = sent.iter().map(|sent| sent.stream.clone()).collect();
    streams.sort();
    streams.dedup();
    streams
}

/// Compares records with what was sent: all of one, in order, and nothing else. Says how many appends they are.
pub(super) fn compare(records: &[Record], sent: &[Sent]) -> Result<usize, Violation> {
    let mut left = records;
    for (number, append) in sent.iter().enumerate() {
        if left.is_empty() {
            return Ok(number);
        }
        promise(left.len() >= append.events.len(), || format!("append {number} is there in part"))?;
        let (these, rest) = left.split_at(append.events.len());
        for (record, (id, data)) in these.iter().zip(&append.events) {
            let is_same = record.id() == *id && record.stream() == append.stream.as_bytes();
            promise(is_same && record.data() == data, || {
                format!("at position {} stands another event than append {number} wrote", record.position())
            })?;
        }
        left = rest;
    }
    promise(left.is_empty(), || format!("{} events that nobody wrote", left.len()))?;
    Ok(sent.len())
}

/// Compares a stream with what was sent to it, and its revisions with their order.
pub(super) fn compare_stream(records: &[Record], stream: &str, sent: &[Sent]) -> Result<(), Violation> {
    let sent: Vec<Sent> = sent.iter().filter(|sent| sent.stream == stream).cloned().collect();
    let complete = compare(records, &sent)?;
    promise(complete == sent.len(), || format!("{stream} has {complete} of {} appends", sent.len()))?;
    let in_order = (0..).zip(records).all(|(revision, record)| record.revision() == revision);
    promise(in_order, || format!("the revisions of {stream} have gaps"))
}
