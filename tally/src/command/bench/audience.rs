//! A thousand sockets on one thread, which counts what they receive and looks at little more.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::super::demo::socket;

/// Bytes of one read, into one buffer for all sockets.
const READ_BYTES: usize = 256 * 1024;

/// The messages in flight whose arrivals are still counted: far more than ever are.
const TRACKED_MAX: usize = 4_096;

/// What the payload of a message's frame begins with.
const MESSAGE_START: &[u8] = b"{\"type\":\"NEW_MESSAGE\"";

const PING: u8 = 0x89;

/// How a server's bytes are read: each socket has one of these.
pub(super) trait Wire: Default + 'static {
    /// Counts messages in bytes as they come.
    fn feed(&mut self, bytes: &[u8], counts: &Counts, now: Instant);
    /// What is to be sent because of what was read: the answer to a sign of life that the server asked for.
    fn answer(&mut self) -> Option<Vec<u8>>;
}

/// What all sockets together received.
pub(super) struct Counts {
    pub(super) messages: Cell<u64>,
    pub(super) message_bytes: Cell<u64>,
    sockets: usize,
    /// How many sockets have the message of this number so far, and when the last of them got it.
    arrivals: RefCell<Vec<usize>>,
    complete: Cell<u64>,
    last_arrival: Cell<Option<Instant>>,
    changed: Notify,
    closed: Cell<usize>,
}

impl Counts {
    pub(super) fn new(sockets: usize) -> Self {
        Self {
            messages: Cell::new(0),
            message_bytes: Cell::new(0),
            sockets,
            arrivals: RefCell::new(vec![0; TRACKED_MAX]),
            complete: Cell::new(0),
            last_arrival: Cell::new(None),
            changed: Notify::new(),
            closed: Cell::new(0),
        }
    }

    /// Somebody got a message; it is that socket's `number_of_socket`th.
    pub(super) fn message(&self, number_of_socket: u64, bytes: u64, now: Instant) {
        self.messages.set(self.messages.get() + 1);
        self.message_bytes.set(self.message_bytes.get() + bytes);
        let slot = usize::try_from(number_of_socket).unwrap_or(0) % TRACKED_MAX;
        let mut arrivals = self.arrivals.borrow_mut();
        arrivals[slot] += 1;
        if arrivals[slot] == self.sockets {
            arrivals[slot] = 0;
            self.complete.set(self.complete.get() + 1);
            self.last_arrival.set(Some(now));
            self.changed.notify_one();
        }
    }

    /// When the last socket got the message that makes `count` of them at every socket.
    pub(super) async fn wait_for(&self, count: u64, within: Duration) -> anyhow::Result<Instant> {
        let wait = async {
            while self.complete.get() < count {
                self.changed.notified().await;
            }
        };
        if timeout(within, wait).await.is_err() {
            anyhow::bail!(
                "a message did not reach all {} sockets ({} closed)",
                self.sockets,
                self.closed.get()
            );
        }
        Ok(self.last_arrival.get().unwrap_or_else(Instant::now))
    }

    pub(super) fn complete(&self) -> u64 {
        self.complete.get()
    }

    pub(super) fn closed(&self) -> usize {
        self.closed.get()
    }
}

/// Sockets that are read.
pub(super) struct Audience {
    pub(super) counts: Rc<Counts>,
    // dropping it closes all sockets
    _readers: JoinSet<()>,
}

impl Audience {
    /// Takes open connections to a server of ours, with what was read of each already.
    pub(super) fn of(connections: Vec<(TcpStream, Vec<u8>)>) -> Self {
        Self::reading::<Frames>(connections)
    }

    /// The same for any server.
    pub(super) fn reading<W: Wire>(connections: Vec<(TcpStream, Vec<u8>)>) -> Self {
        let counts = Rc::new(Counts::new(connections.len()));
        let scratch = Rc::new(RefCell::new(vec![0; READ_BYTES]));
        let mut readers = JoinSet::new();
        for (stream, rest) in connections {
            readers.spawn_local(read::<W>(stream, rest, Rc::clone(&counts), Rc::clone(&scratch)));
        }
        Self { counts, _readers: readers }
    }
}

async fn read<W: Wire>(
    mut stream: TcpStream,
    rest: Vec<u8>,
    counts: Rc<Counts>,
    scratch: Rc<RefCell<Vec<u8>>>,
) {
    let mut wire = W::default();
    wire.feed(&rest, &counts, Instant::now());
    loop {
        if stream.readable().await.is_err() {
            break;
        }
        // one statement, one loan: the buffer is everybody's
        let read = stream.try_read(&mut scratch.borrow_mut());
        match read {
            Ok(0) => break,
            Ok(length) => wire.feed(&scratch.borrow()[..length], &counts, Instant::now()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        }
        if let Some(answer) = wire.answer()
            && stream.write_all(&answer).await.is_err()
        {
            break;
        }
    }
    counts.closed.set(counts.closed.get() + 1);
}

/// Counts frames in bytes as they come: looks at each head and at the payload's first bytes, and skips the rest.
#[derive(Default)]
struct Frames {
    /// Of the frame that begins here: its head and the first bytes of its payload.
    begun: Vec<u8>,
    skip: usize,
    messages: u64,
    is_pinged: bool,
}

impl Wire for Frames {
    fn feed(&mut self, mut bytes: &[u8], counts: &Counts, now: Instant) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip > 0 || bytes.is_empty() {
                return;
            }
            if self.begun.is_empty() {
                // nearly always the whole beginning of a frame is here: nothing is copied
                match self.frame(bytes, counts, now) {
                    Some(length) => self.skip = length,
                    None => {
                        self.begun.extend_from_slice(bytes);
                        return;
                    }
                }
            } else {
                let held = self.begun.len();
                self.begun.push(bytes[0]);
                bytes = &bytes[1..];
                let begun = std::mem::take(&mut self.begun);
                match self.frame(&begun, counts, now) {
                    Some(length) => self.skip = length - held - 1,
                    None => self.begun = begun,
                }
            }
        }
    }

    fn answer(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.is_pinged).then(|| socket::pong(b""))
    }
}

impl Frames {
    /// The whole length of the frame that begins here, once enough of it is seen.
    fn frame(&mut self, bytes: &[u8], counts: &Counts, now: Instant) -> Option<usize> {
        let (head, payload) = match (*bytes.get(1)?, bytes) {
            (126, [_, _, high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            (127, [_, _, a, b, c, d, e, f, g, h, ..]) => {
                (10, usize::try_from(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])).ok()?)
            }
            (126 | 127, _) => return None,
            (short, _) => (2, usize::from(short)),
        };
        let start = bytes.get(head..head + payload.min(MESSAGE_START.len()))?;
        self.is_pinged |= bytes[0] == PING;
        if start == MESSAGE_START {
            counts.message(self.messages, (head + payload) as u64, now);
            self.messages += 1;
        }
        Some(head + payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let mut wire = Vec::new();
        let message = [MESSAGE_START, b",\"sequence\":1,\"data\":{}}"].concat();
        for _ in 0..3 {
            wire.extend([0x81, u8::try_from(message.len()).unwrap()]);
            wire.extend(&message);
            wire.extend([0x81, 2, b'{', b'}', 0x81, 126, 0, 200]);
            wire.extend([b' '; 200]);
        }
        wire.extend([PING, 0]);
        for cut in 1..wire.len() {
            let counts = Counts::new(1);
            let mut frames = Frames::default();
            for part in wire.chunks(cut) {
                frames.feed(part, &counts, Instant::now());
            }
            assert_eq!((counts.messages.get(), counts.complete.get()), (3, 3), "{cut}");
            assert_eq!(counts.message_bytes.get(), 3 * (message.len() as u64 + 2));
            assert!(frames.is_pinged && frames.begun.is_empty() && frames.skip == 0);
        }
    }

    #[test]
    fn a_message_is_complete_when_the_last_socket_has_it() {
        let counts = Counts::new(2);
        counts.message(0, 1, Instant::now());
        counts.message(1, 1, Instant::now());
        assert_eq!(counts.complete(), 0);
        counts.message(0, 1, Instant::now());
        assert_eq!(counts.complete(), 1);
    }
}
