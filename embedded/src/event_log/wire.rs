//! What `Read` sends: bytes that are encoded already.
//!
//! Reading is the node's hottest path. Building a message struct per event (a map, a dozen strings) only to
//! encode it costs several times the encoding. So events are written into a buffer straight from the log's
//! records, and each message is a slice of that buffer.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::DecodeError;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, encode_varint, encoded_len_varint};
use uuid::Uuid;

use super::frame::Record;
use super::proto::streams::ReadMessage;
use super::proto::streams::read_message::Content;

/// One encoded message of a read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReadResp(Bytes);

impl ReadResp {
    /// Encodes one of the messages that are not events.
    pub(crate) fn message(content: Content) -> Self {
        Self(ReadMessage { content: Some(content) }.encode_to_vec().into())
    }
}

impl Message for ReadResp {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.0);
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    /// The node sends these messages and never receives one.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buffer, context)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// The form of ids that a read asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UuidForm {
    Structured,
    Text,
}

/// Encodes events, many into one buffer.
#[derive(Debug)]
pub(crate) struct EventEncoder {
    buffer: BytesMut,
    uuid_form: UuidForm,
}

/// Bytes that the fields of an event take besides its names and bodies, at most.
const OVERHEAD_BYTES: usize = 192;
/// Key of a length-delimited field.
const fn block(field: u8) -> u8 {
    field << 3 | 2
}
/// Key of a number.
const fn number(field: u8) -> u8 {
    field << 3
}

impl EventEncoder {
    pub(crate) fn new(uuid_form: UuidForm) -> Self {
        Self { buffer: BytesMut::new(), uuid_form }
    }

    /// Room for these records, so that one allocation serves them all.
    pub(crate) fn reserve(&mut self, records: &[Record]) {
        self.buffer.reserve(records.iter().map(|record| record.len() + OVERHEAD_BYTES).sum());
    }

    /// Encodes one event.
    pub(crate) fn encode(&mut self, record: &Record) -> ReadResp {
        let mut ticks = TickText::default();
        let created = ticks.format(record.created_ticks());
        let position = record.position();
        let body = body_len(record, self.uuid_form, created);
        let event = 1 + encoded_len_varint(body as u64) + body + 1 + encoded_len_varint(position);
        let buffer = &mut self.buffer;
        buffer.put_u8(block(1));
        encode_varint(event as u64, buffer);
        buffer.put_u8(block(1));
        encode_varint(body as u64, buffer);
        put_body(buffer, record, self.uuid_form, created);
        buffer.put_u8(number(3));
        encode_varint(position, buffer);
        ReadResp(buffer.split().freeze())
    }
}

fn block_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn body_len(record: &Record, uuid_form: UuidForm, created: &[u8]) -> usize {
    block_len(id_len(record.id(), uuid_form))
        + block_len(block_len(record.stream().len()))
        + 3
        + encoded_len_varint(record.revision())
        + 2 * encoded_len_varint(record.position())
        + block_len(entry_len(b"type", record.event_type()))
        + block_len(entry_len(b"content-type", record.content_type()))
        + block_len(entry_len(b"created", created))
        + block_len(record.metadata().len())
        + block_len(record.data().len())
}

fn put_body(buffer: &mut BytesMut, record: &Record, uuid_form: UuidForm, created: &[u8]) {
    put_id(buffer, record.id(), uuid_form);
    buffer.put_u8(block(2));
    encode_varint(block_len(record.stream().len()) as u64, buffer);
    put_block(buffer, 3, record.stream());
    for (field, value) in [(3, record.revision()), (4, record.position()), (5, record.position())] {
        buffer.put_u8(number(field));
        encode_varint(value, buffer);
    }
    put_entry(buffer, b"type", record.event_type());
    put_entry(buffer, b"content-type", record.content_type());
    put_entry(buffer, b"created", created);
    put_block(buffer, 7, record.metadata());
    put_block(buffer, 8, record.data());
}

fn put_block(buffer: &mut BytesMut, field: u8, bytes: &[u8]) {
    buffer.put_u8(block(field));
    encode_varint(bytes.len() as u64, buffer);
    buffer.put_slice(bytes);
}

/// An entry of the map of system metadata.
fn put_entry(buffer: &mut BytesMut, key: &[u8], value: &[u8]) {
    buffer.put_u8(block(6));
    encode_varint(entry_len(key, value) as u64, buffer);
    put_block(buffer, 1, key);
    put_block(buffer, 2, value);
}

fn entry_len(key: &[u8], value: &[u8]) -> usize {
    block_len(key.len()) + block_len(value.len())
}

fn id_len(id: Uuid, form: UuidForm) -> usize {
    match form {
        UuidForm::Text => block_len(uuid::fmt::Hyphenated::LENGTH),
        UuidForm::Structured => {
            let (most, least) = id.as_u64_pair();
            block_len(2 + encoded_len_varint(most) + encoded_len_varint(least))
        }
    }
}

fn put_id(buffer: &mut BytesMut, id: Uuid, form: UuidForm) {
    buffer.put_u8(block(1));
    encode_varint(id_len(id, form) as u64, buffer);
    match form {
        UuidForm::Text => {
            let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
            put_block(buffer, 2, id.hyphenated().encode_lower(&mut text).as_bytes());
        }
        UuidForm::Structured => {
            let (most, least) = id.as_u64_pair();
            buffer.put_u8(block(1));
            encode_varint((2 + encoded_len_varint(most) + encoded_len_varint(least)) as u64, buffer);
            buffer.put_u8(number(1));
            encode_varint(most, buffer);
            buffer.put_u8(number(2));
            encode_varint(least, buffer);
        }
    }
}

/// A number as decimal text without an allocation.
#[derive(Debug, Default)]
struct TickText([u8; 20]);

impl TickText {
    fn format(&mut self, mut value: u64) -> &[u8] {
        let mut at = self.0.len();
        loop {
            at -= 1;
            self.0[at] = b'0' + u8::try_from(value % 10).unwrap_or(0);
            value /= 10;
            if value == 0 {
                return &self.0[at..];
            }
        }
    }
}
