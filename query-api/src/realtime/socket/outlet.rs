//! What a socket sends. Its own task and the one that passes on what the room says both write here, in turn.
//!
//! While nothing waits, what the room says goes straight into the connection, from one loop over many sockets, and
//! the socket's own task sleeps on. What the connection does not take at once waits here, and is that task's work.

use bytes::Bytes;
use parking_lot::Mutex;
use schemas::Revision;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::realtime::ring::{Cursor, Entry, Pulled};
use crate::realtime::room::{Burst, Room, Snapshot};
use crate::realtime::wire;

/// Pieces of one write: far more than a busy room says between two flushes of a healthy socket.
const WRITE_PIECES_MAX: usize = 64;

/// Where a socket stands with its room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Just opened, at this place, or held there: a snapshot or a resume comes first.
    Fresh(Cursor),
    /// It gets what the room says.
    Live(Cursor),
    /// It gets nothing: it lost frames and must resume, is being replayed to, or is being closed.
    Apart,
}

/// The sending side of a socket.
pub(crate) struct Outlet {
    /// `None`: behind another server, where only the socket's own task can write.
    stream: Option<TcpStream>,
    sending: Mutex<Sending>,
    called: Notify,
}

struct Sending {
    unwritten: VecDeque<Piece>,
    unwritten_bytes: usize,
    /// Bytes taken by the connection so far: a change is progress.
    written: u64,
    /// When something began to wait, or the connection last took some of it.
    progress_at: Instant,
    standing: Standing,
    /// Frames up to here are with the client, or on their way.
    delivered: Revision,
    /// Frames up to here it has from elsewhere: the room's are not repeated.
    floor: Revision,
    /// The access rules that the client was last admitted under.
    access_epoch: u32,
}

/// Whole frames, of which the connection took the first bytes already.
struct Piece {
    frames: Bytes,
    taken: usize,
}

impl Outlet {
    pub(crate) fn new(stream: Option<TcpStream>, room: &Room) -> Self {
        let (entrance, delivered) = room.entrance().unwrap_or_default();
        let sending = Sending {
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
            written: 0,
            progress_at: Instant::now(),
            standing: Standing::Fresh(entrance),
            delivered,
            floor: 0,
            access_epoch: room.access_epoch(),
        };
        Self { stream, sending: Mutex::new(sending), called: Notify::new() }
    }

    /// The connection, where it is one that is shared.
    pub(super) fn stream(&self) -> Option<&TcpStream> {
        self.stream.as_ref()
    }

    /// Waits until the socket's own task has something to do about what the room says.
    pub(super) async fn called(&self) {
        self.called.notified().await;
    }

    /// Passes on what the room says, or calls the socket's own task where it takes more than a write.
    pub(crate) fn offer(&self, burst: &Burst) {
        if self.is_task_needed(burst) {
            self.called.notify_one();
        }
    }

    fn is_task_needed(&self, burst: &Burst) -> bool {
        let mut sending = self.sending.lock();
        if burst.is_over || sending.access_epoch != burst.access_epoch {
            return true;
        }
        let Standing::Live(cursor) = sending.standing else { return false };
        // what waits is the task's work, and it looks at the room after it
        if cursor >= burst.to || !sending.unwritten.is_empty() {
            return false;
        }
        let is_next = cursor == burst.from && sending.floor < burst.first;
        let Some(stream) = self.stream.as_ref().filter(|_| is_next) else { return true };
        // a connection that fails is told to the task by its own write or read
        let taken = stream.try_write(&burst.wire).unwrap_or(0);
        sending.standing = Standing::Live(burst.to);
        sending.delivered = sending.delivered.max(burst.last);
        sending.written += taken as u64;
        let is_done = taken == burst.wire.len();
        if !is_done {
            sending.queue(Piece { frames: burst.wire.clone(), taken });
        }
        !is_done
    }

    /// Queues a frame.
    pub(super) fn send(&self, frame: Bytes) {
        self.sending.lock().queue(Piece { frames: frame, taken: 0 });
    }

    /// Queues an answer to the client, with the sequence up to which it has everything.
    pub(super) fn answer(
        &self,
        encode: impl FnOnce(Revision) -> Result<Bytes, serde_json::Error>,
    ) -> Result<(), serde_json::Error> {
        // under one lock: no frame of the room comes between the number and the answer that bears it
        let mut sending = self.sending.lock();
        let frame = encode(sending.delivered)?;
        sending.queue(Piece { frames: frame, taken: 0 });
        Ok(())
    }

    /// Queues what was told and the socket has not sent, at most about so many bytes.
    pub(super) fn take_from(&self, room: &Room, bytes_max: usize) -> Pulled {
        let mut sending = self.sending.lock();
        let Standing::Live(mut cursor) = sending.standing else { return Pulled::Nothing };
        let pulled = room.pull(&mut cursor, bytes_max, |entry| sending.take(entry));
        sending.stand_after(pulled, cursor)
    }

    /// Gets nothing of the room until it goes on from where it stands.
    pub(super) fn hold(&self) {
        let mut sending = self.sending.lock();
        if let Standing::Live(cursor) = sending.standing {
            sending.standing = Standing::Fresh(cursor);
        }
    }

    /// Queues what was said before a snapshot and then the snapshot, and goes on from there.
    pub(super) fn enter(&self, room: &Room, snapshot: Snapshot) -> Pulled {
        let mut sending = self.sending.lock();
        let Standing::Fresh(mut cursor) = sending.standing else { return Pulled::Nothing };
        let pulled = room.pull_until(&mut cursor, snapshot.cursor, |entry| sending.take(entry));
        if sending.stand_after(pulled, snapshot.cursor) != Pulled::Lost {
            sending.queue(Piece { frames: snapshot.wire, taken: 0 });
            sending.delivered = sending.delivered.max(snapshot.sequence);
        }
        pulled
    }

    /// Queues what the room has beyond what the client got from the log, then one current count, and goes on.
    pub(super) fn go_on(&self, room: &Room, mut cursor: Cursor) -> Result<Pulled, serde_json::Error> {
        let mut sending = self.sending.lock();
        sending.floor = sending.delivered;
        let (pulled, count) = room.rest(&mut cursor, sending.delivered, |entry| {
            // one current count follows anyway
            if entry.is_durable {
                sending.take(entry);
            }
        });
        if sending.stand_after(pulled, cursor) != Pulled::Lost
            && let Some(count) = count.transpose()?
        {
            sending.queue(Piece { frames: count, taken: 0 });
        }
        Ok(pulled)
    }

    pub(super) fn standing(&self) -> Standing {
        self.sending.lock().standing
    }

    /// Takes another place in the room. Up to `delivered` the client has everything.
    pub(super) fn stand(&self, standing: Standing, delivered: Revision) {
        let mut sending = self.sending.lock();
        (sending.standing, sending.delivered) = (standing, delivered);
    }

    pub(super) fn delivered(&self) -> Revision {
        self.sending.lock().delivered
    }

    pub(super) fn access_epoch(&self) -> u32 {
        self.sending.lock().access_epoch
    }

    pub(super) fn admit(&self, access_epoch: u32) {
        self.sending.lock().access_epoch = access_epoch;
    }

    pub(super) fn unwritten_bytes(&self) -> usize {
        self.sending.lock().unwritten_bytes
    }

    pub(super) fn written(&self) -> u64 {
        self.sending.lock().written
    }

    /// Since when the connection has taken nothing of what waits; `None`: nothing waits.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        let sending = self.sending.lock();
        (!sending.unwritten.is_empty()).then_some(sending.progress_at)
    }

    /// Sends nothing more of the room, and forgets what waits. A frame that is half out has to be finished.
    pub(super) fn abandon(&self) {
        let mut sending = self.sending.lock();
        sending.standing = Standing::Apart;
        let begun = sending.unwritten.pop_front().filter(|piece| piece.taken > 0);
        sending.unwritten.clear();
        sending.unwritten_bytes = 0;
        if let Some(mut piece) = begun {
            piece.frames.truncate(wire::frame_end(&piece.frames, piece.taken));
            sending.queue(piece);
        }
    }

    /// Hands what waits to `write`, once. `Ok(true)`: nothing waits any more.
    pub(super) fn write(&self, write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<bool> {
        let mut sending = self.sending.lock();
        if sending.unwritten.is_empty() {
            return Ok(true);
        }
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES_MAX];
        let mut count = 0;
        for (slice, piece) in pieces.iter_mut().zip(&sending.unwritten) {
            *slice = IoSlice::new(&piece.frames[piece.taken..]);
            count += 1;
        }
        let written = write(&pieces[..count])?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        sending.take_written(written);
        Ok(sending.unwritten.is_empty())
    }
}

impl Sending {
    fn take(&mut self, entry: &Entry) {
        if entry.sequence > self.floor {
            self.delivered = entry.sequence.max(self.delivered);
            self.queue(Piece { frames: entry.wire.clone(), taken: 0 });
        }
    }

    fn stand_after(&mut self, pulled: Pulled, cursor: Cursor) -> Pulled {
        self.standing = match pulled {
            Pulled::Nothing | Pulled::Some => Standing::Live(cursor),
            Pulled::Lost => Standing::Apart,
        };
        pulled
    }

    fn queue(&mut self, piece: Piece) {
        let waits = piece.frames.len() - piece.taken;
        if waits == 0 {
            return;
        }
        if self.unwritten.is_empty() {
            self.progress_at = Instant::now();
        }
        self.unwritten_bytes += waits;
        self.unwritten.push_back(piece);
    }

    fn take_written(&mut self, mut written: usize) {
        self.written += written as u64;
        self.unwritten_bytes -= written;
        self.progress_at = Instant::now();
        while let Some(first) = self.unwritten.front_mut() {
            let waits = first.frames.len() - first.taken;
            if waits > written {
                first.taken += written;
                return;
            }
            written -= waits;
            self.unwritten.pop_front();
        }
        // an idle socket keeps no queue
        self.unwritten = VecDeque::new();
    }
}
