//! The bytes of the log: frames and records.
//!
//! A frame is what one write to the disk carried: a header and then records. Items describe themselves: an
//! item's first four bytes are either one of the magic numbers, all above [`MAGIC_FLOOR`], or the length of a
//! record, always below it. So reading can start at any item, and a position alone is a cursor.
//!
//! Every checksum starts from a seed drawn from the log's own random id, and each item carries its own
//! position. So bytes copied from elsewhere, also from the payload of an event, never pass for an item here.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::types::NewEvent;

/// First bytes of a frame.
pub(crate) const FRAME_MAGIC: u32 = 0xF7A1_1C01;
/// First bytes of the footer that seals a segment.
pub(crate) const FOOTER_MAGIC: u32 = 0xF7A1_1C02;
/// Below: a record's length. Above: a magic number.
const MAGIC_FLOOR: u32 = 0xF000_0000;
/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 32;
/// Bytes of a record before its variable parts.
pub(crate) const RECORD_HEADER_BYTES: usize = 64;
/// The longest record: an event at its limit with the longest names. Anything longer is not a record.
pub(crate) const RECORD_BYTES_MAX: usize = 18 * 1024 * 1024;
/// Revision of the record that closes a stream for ever.
pub const TOMBSTONE_REVISION: u64 = i64::MAX as u64;

/// What an item's first four bytes say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Frame,
    Footer,
    Record(usize),
    /// Nothing was ever written here.
    Blank,
    Invalid,
}

pub(crate) fn item_kind(first: u32) -> ItemKind {
    match first {
        FRAME_MAGIC => ItemKind::Frame,
        FOOTER_MAGIC => ItemKind::Footer,
        0 => ItemKind::Blank,
        other if other >= MAGIC_FLOOR => ItemKind::Invalid,
        length => {
            let length = length as usize;
            if (RECORD_HEADER_BYTES..=RECORD_BYTES_MAX).contains(&length) {
                ItemKind::Record(length)
            } else {
                ItemKind::Invalid
            }
        }
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let mut raw = [0; 2];
    raw.copy_from_slice(&bytes[at..at + 2]);
    u16::from_le_bytes(raw)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

/// The seed of every checksum in one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    pub(crate) fn of(log_id: Uuid) -> Self {
        Self(crc32c::crc32c(log_id.as_bytes()))
    }

    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }
}

/// A frame's header, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of the whole frame.
    pub(crate) length: u32,
    /// How many records follow.
    pub(crate) count: u32,
    /// Checksum over the records' checksums: which records, and in which order.
    pub(crate) records_crc: u32,
    /// The header's own checksum.
    pub(crate) crc: u32,
}

impl FrameHeader {
    /// Reads the header at `position`; `None` unless every byte of it is as written.
    pub(crate) fn parse(bytes: &[u8], position: u64, seed: Seed) -> Option<Self> {
        if bytes.len() < FRAME_HEADER_BYTES || u32_at(bytes, 0) != FRAME_MAGIC {
            return None;
        }
        let intact = u32_at(bytes, 4) == seed.checksum(&bytes[8..FRAME_HEADER_BYTES]);
        if !intact || u64_at(bytes, 8) != position {
            return None;
        }
        let header = Self {
            length: u32_at(bytes, 16),
            count: u32_at(bytes, 20),
            records_crc: u32_at(bytes, 24),
            crc: u32_at(bytes, 4),
        };
        (header.length as usize >= FRAME_HEADER_BYTES).then_some(header)
    }
}

/// Builds one frame.
#[derive(Debug)]
pub(crate) struct FrameBuilder {
    position: u64,
    seed: Seed,
    buffer: BytesMut,
    count: u32,
    records_crc: u32,
}

impl FrameBuilder {
    pub(crate) fn new(position: u64, seed: Seed, capacity_bytes: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(capacity_bytes + FRAME_HEADER_BYTES);
        buffer.put_bytes(0, FRAME_HEADER_BYTES);
        Self { position, seed, buffer, count: 0, records_crc: seed.0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Adds a record and returns its position. Lengths were checked before: names fit 16 bits, bodies 32.
    pub(crate) fn push(&mut self, stream: &str, revision: u64, created_ticks: u64, event: &NewEvent) -> u64 {
        let start = self.buffer.len();
        let position = self.position + start as u64;
        let length = RECORD_HEADER_BYTES
            + stream.len()
            + event.event_type.len()
            + event.content_type.len()
            + event.metadata.len()
            + event.data.len();
        let buffer = &mut self.buffer;
        buffer.put_u32_le(narrow(length));
        buffer.put_u32_le(0);
        buffer.put_u64_le(position);
        buffer.put_u64_le(revision);
        buffer.put_u64_le(created_ticks);
        buffer.put_slice(event.id.as_bytes());
        buffer.put_u16_le(narrow_name(stream.len()));
        buffer.put_u16_le(narrow_name(event.event_type.len()));
        buffer.put_u16_le(narrow_name(event.content_type.len()));
        buffer.put_u16_le(0);
        buffer.put_u32_le(narrow(event.metadata.len()));
        buffer.put_u32_le(narrow(event.data.len()));
        buffer.put_slice(stream.as_bytes());
        buffer.put_slice(event.event_type.as_bytes());
        buffer.put_slice(event.content_type.as_bytes());
        buffer.put_slice(&event.metadata);
        buffer.put_slice(&event.data);
        let crc = self.seed.checksum(&self.buffer[start + 8..]);
        self.buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        self.records_crc = crc32c::crc32c_append(self.records_crc, &crc.to_le_bytes());
        self.count += 1;
        position
    }

    /// The frame's bytes, ready to be written at its position.
    pub(crate) fn finish(mut self) -> Bytes {
        let length = narrow(self.buffer.len());
        let mut header = [0; FRAME_HEADER_BYTES];
        header[0..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        header[8..16].copy_from_slice(&self.position.to_le_bytes());
        header[16..20].copy_from_slice(&length.to_le_bytes());
        header[20..24].copy_from_slice(&self.count.to_le_bytes());
        header[24..28].copy_from_slice(&self.records_crc.to_le_bytes());
        let crc = self.seed.checksum(&header[8..]);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        self.buffer[..FRAME_HEADER_BYTES].copy_from_slice(&header);
        self.buffer.freeze()
    }
}

/// Lengths are bounded by the limits of an append, far below 32 bits; a breach is a defect, never input.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).expect("lengths are checked against the append limits before encoding")
}

fn narrow_name(length: usize) -> u16 {
    u16::try_from(length).expect("names are checked against their limit before encoding")
}

/// Continues a checksum over the checksums of a frame's records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordsCrc(u32);

impl RecordsCrc {
    pub(crate) fn new(seed: Seed) -> Self {
        Self(seed.0)
    }

    pub(crate) fn add(&mut self, record: &Record) {
        self.0 = crc32c::crc32c_append(self.0, &record.raw[4..8]);
    }

    pub(crate) fn value(self) -> u32 {
        self.0
    }
}

/// A recorded event: a slice of the log whose checksum was verified when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    raw: Bytes,
}

impl Record {
    /// Takes `raw` as the record at `position`; `None` unless every byte of it is as written.
    pub(crate) fn parse(raw: Bytes, position: u64, seed: Seed) -> Option<Self> {
        if raw.len() < RECORD_HEADER_BYTES || u32_at(&raw, 0) as usize != raw.len() {
            return None;
        }
        if u32_at(&raw, 4) != seed.checksum(&raw[8..]) || u64_at(&raw, 8) != position {
            return None;
        }
        let record = Self { raw };
        (record.data_start() + u32_at(&record.raw, 60) as usize == record.raw.len()).then_some(record)
    }

    /// The records of a frame that was built by this process.
    pub(crate) fn split_frame(frame: &Bytes) -> impl Iterator<Item = Self> {
        let mut at = FRAME_HEADER_BYTES;
        std::iter::from_fn(move || {
            let length = (at < frame.len()).then(|| u32_at(frame, at) as usize)?;
            at += length;
            Some(Self { raw: frame.slice(at - length..at) })
        })
    }

    /// The record's length in the log.
    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    /// Where the record starts in the log.
    pub fn position(&self) -> u64 {
        u64_at(&self.raw, 8)
    }

    /// The event's number in its stream.
    pub fn revision(&self) -> u64 {
        u64_at(&self.raw, 16)
    }

    /// When it was recorded: 100 ns ticks since 1970.
    pub fn created_ticks(&self) -> u64 {
        u64_at(&self.raw, 24)
    }

    /// The event's id.
    pub fn id(&self) -> Uuid {
        let mut id = [0; 16];
        id.copy_from_slice(&self.raw[32..48]);
        Uuid::from_bytes(id)
    }

    /// The stream's name; UTF-8.
    pub fn stream(&self) -> &[u8] {
        &self.raw[RECORD_HEADER_BYTES..self.type_start()]
    }

    /// The event's type; UTF-8.
    pub fn event_type(&self) -> &[u8] {
        &self.raw[self.type_start()..self.content_type_start()]
    }

    /// The MIME type of the payload; UTF-8.
    pub fn content_type(&self) -> &[u8] {
        &self.raw[self.content_type_start()..self.metadata_start()]
    }

    /// The caller's metadata.
    pub fn metadata(&self) -> &[u8] {
        &self.raw[self.metadata_start()..self.data_start()]
    }

    /// The payload.
    pub fn data(&self) -> &[u8] {
        &self.raw[self.data_start()..]
    }

    fn type_start(&self) -> usize {
        RECORD_HEADER_BYTES + usize::from(u16_at(&self.raw, 48))
    }

    fn content_type_start(&self) -> usize {
        self.type_start() + usize::from(u16_at(&self.raw, 50))
    }

    fn metadata_start(&self) -> usize {
        self.content_type_start() + usize::from(u16_at(&self.raw, 52))
    }

    fn data_start(&self) -> usize {
        self.metadata_start() + u32_at(&self.raw, 56) as usize
    }
}
