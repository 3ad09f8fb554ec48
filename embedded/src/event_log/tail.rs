//! The newest frames in memory, for subscribers that keep up. Whoever is behind reads the files instead, so
//! nothing is ever missed: the ring only saves work.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::frame::Record;
use super::log::Chunk;

/// Memory for the newest frames.
const RING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Frames in the ring: a bound on the search and on the overhead of small frames.
const RING_FRAMES_MAX: usize = 8 * 1024;

/// One frame that was committed.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    /// The first position that belongs to this frame alone: where the one before it ended.
    pub(crate) start: u64,
    /// Position after the frame.
    pub(crate) end: u64,
    pub(crate) frame: Bytes,
}

#[derive(Debug, Default)]
struct Ring {
    frames: VecDeque<Committed>,
    bytes: usize,
}

/// The ring, and the word that something was committed.
#[derive(Debug)]
pub(crate) struct Tail {
    ring: RwLock<Ring>,
    committed: watch::Sender<u64>,
}

impl Tail {
    pub(crate) fn new(committed: u64) -> Self {
        Self { ring: RwLock::default(), committed: watch::Sender::new(committed) }
    }

    /// A receiver that changes with every commit.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    pub(crate) fn push(&self, frame: Committed) {
        let mut ring = self.ring.write();
        ring.bytes += frame.frame.len();
        ring.frames.push_back(frame);
        while ring.bytes > RING_BYTES_MAX || ring.frames.len() > RING_FRAMES_MAX {
            let Some(oldest) = ring.frames.pop_front() else { break };
            ring.bytes -= oldest.frame.len();
        }
    }

    /// Wakes the subscribers. Called after the frame is in the ring and its position is committed.
    pub(crate) fn announce(&self, committed: u64) {
        self.committed.send_replace(committed);
    }

    /// The records from `position` on, up to about `bytes_max`; `None` if the ring does not reach back so far.
    pub(crate) fn read(&self, position: u64, bytes_max: usize) -> Option<Chunk> {
        let ring = self.ring.read();
        let first = ring.frames.partition_point(|frame| frame.end <= position);
        if ring.frames.get(first)?.start > position {
            return None;
        }
        let mut chunk = Chunk { records: Vec::new(), next: position };
        let mut bytes = 0;
        for committed in ring.frames.range(first..) {
            if bytes > 0 && bytes + committed.frame.len() > bytes_max {
                break;
            }
            let records = Record::split_frame(&committed.frame);
            chunk.records.extend(records.filter(|record| record.position() >= position));
            chunk.next = committed.end;
            bytes += committed.frame.len();
        }
        Some(chunk)
    }
}
