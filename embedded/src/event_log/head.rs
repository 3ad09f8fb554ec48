//! What is known about a stream without reading its events.

use super::frame::u64_at;

/// Type of the events that carry a stream's metadata.
pub(crate) const METADATA_TYPE: &str = "$metadata";
/// Type of the event that closes a stream for ever.
pub(crate) const TOMBSTONE_TYPE: &str = "$streamDeleted";
/// A metadata stream is the stream's name behind this.
pub(crate) const METASTREAM_PREFIX: &str = "$$";
/// `$tb` of a deleted stream: before every possible event.
pub(crate) const DELETED_BEFORE: u64 = i64::MAX as u64;

const NONE: u64 = u64::MAX;
const HEAD_BYTES: usize = 41;
const TICKS_PER_SECOND: u64 = 10_000_000;

/// The newest state of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Names the stream in the index: the position of its first record. `None` before the first event.
    pub(crate) key: Option<u64>,
    /// Revision of the last event.
    pub(crate) last: Option<u64>,
    pub(crate) tombstoned: bool,
    /// `$tb`: events before this revision are hidden.
    pub(crate) truncate_before: Option<u64>,
    /// `$maxCount`: only so many of the last events are shown.
    pub(crate) max_count: Option<u64>,
    /// `$maxAge`: older events are hidden.
    pub(crate) max_age_seconds: Option<u64>,
}

impl Head {
    /// Closed for ever.
    pub fn is_tombstoned(&self) -> bool {
        self.tombstoned
    }

    /// Deleted, and not yet revived by a later append.
    pub fn is_soft_deleted(&self) -> bool {
        self.truncate_before == Some(DELETED_BEFORE)
    }

    /// Revision of the last event; `None` before the first.
    pub fn last_revision(&self) -> Option<u64> {
        self.last
    }

    /// The revision that the next event gets.
    pub(crate) fn next_revision(&self) -> u64 {
        self.last.map_or(0, |last| last + 1)
    }

    /// The first revision that reads may show.
    pub fn first_visible(&self) -> u64 {
        let by_count = self.max_count.map_or(0, |count| self.next_revision().saturating_sub(count));
        by_count.max(self.truncate_before.unwrap_or(0))
    }

    /// Whether an event recorded at `created_ticks` is too old to be shown at `now_ticks`.
    pub(crate) fn is_expired(&self, created_ticks: u64, now_ticks: u64) -> bool {
        self.max_age_seconds.is_some_and(|seconds| {
            created_ticks.saturating_add(seconds.saturating_mul(TICKS_PER_SECOND)) < now_ticks
        })
    }

    /// Takes over what a `$metadata` event says. What is not valid JSON says nothing.
    pub(crate) fn apply_metadata(&mut self, json: &[u8]) {
        let value: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
        let number = |key: &str| value.get(key).and_then(serde_json::Value::as_u64);
        self.truncate_before = number("$tb");
        self.max_count = number("$maxCount");
        self.max_age_seconds = number("$maxAge");
    }

    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let fields = [self.key, self.last, self.truncate_before, self.max_count, self.max_age_seconds];
        let mut bytes = [0; HEAD_BYTES];
        for (slot, field) in bytes.chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.unwrap_or(NONE).to_le_bytes());
        }
        bytes[HEAD_BYTES - 1] = u8::from(self.tombstoned);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != HEAD_BYTES {
            return None;
        }
        let field = |at: usize| Some(u64_at(bytes, at * 8)).filter(|value| *value != NONE);
        Some(Self {
            key: field(0),
            last: field(1),
            truncate_before: field(2),
            max_count: field(3),
            max_age_seconds: field(4),
            tombstoned: bytes[HEAD_BYTES - 1] == 1,
        })
    }
}

/// The stream that `stream` is the metadata of, if it is a metadata stream.
pub(crate) fn described_stream(stream: &str) -> Option<&str> {
    stream.strip_prefix(METASTREAM_PREFIX)
}
