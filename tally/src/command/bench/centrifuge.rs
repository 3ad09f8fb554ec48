//! Clients of a Centrifuge server: an audience that counts publications, and the connection that orders them.

use anyhow::ensure;
use std::io::BufRead;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::super::demo::socket;
use super::audience::{Audience, Counts, Wire};
use super::machine::until_quiet;
use super::room::{SETTLE, Source};

/// What a message carries, as a JSON string: its quotes included.
pub(super) const DATA_BYTES: u16 = 200;

/// The two commands of a client, a line each, in one frame.
const HELLO: &[u8] = b"{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"show\"}}";

/// What a publication's line begins with.
const PUBLICATION_START: &[u8; 32] = b"{\"push\":{\"channel\":\"show\",\"pub\":";

/// An empty reply that nobody waits for asks for a sign of life; an empty command is one.
const PING: &[u8] = b"{}";

/// The answer to somebody who wants to order messages.
const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

/// Opens sockets that subscribe, and waits until the server has nothing to do any more.
pub(super) async fn audience(address: SocketAddr, process: u32, sockets: usize) -> anyhow::Result<Audience> {
    let server = socket::Server { authority: address.to_string() };
    let mut connections = Vec::with_capacity(sockets);
    for _ in 0..sockets {
        let (mut stream, rest) = server.open_at("/connection/websocket", "").await?;
        stream.write_all(&socket::text(HELLO, rand::random())).await?;
        connections.push((stream, rest));
    }
    let audience = Audience::reading::<Publications>(connections);
    sleep(SETTLE).await;
    until_quiet(process).await;
    let closed = audience.counts.closed();
    ensure!(closed == 0, "Centrifuge closed {closed} sockets at once");
    Ok(audience)
}

/// A source of messages that the server publishes by itself, one for each byte that is sent.
pub(super) async fn source(address: SocketAddr) -> anyhow::Result<Source> {
    let mut orders = TcpStream::connect(address).await?;
    orders.set_nodelay(true)?;
    let request = format!("GET /publish?bytes={DATA_BYTES} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    orders.write_all(request.as_bytes()).await?;
    let mut answer = [0; ACCEPTED.len()];
    orders.read_exact(&mut answer).await?;
    ensure!(answer == ACCEPTED, "Centrifuge's server takes no orders: {}", String::from_utf8_lossy(&answer));
    Ok(Source::Orders(orders))
}

/// Counts publications in bytes as they come. A frame holds as many as were waiting, each a line.
#[derive(Default)]
struct Publications {
    /// Of a frame's head what is here so far.
    head: Vec<u8>,
    payload_left: usize,
    /// The line's first bytes.
    line: [u8; PUBLICATION_START.len()],
    line_bytes: usize,
    messages: u64,
    is_pinged: bool,
}

impl Wire for Publications {
    fn feed(&mut self, mut bytes: &[u8], counts: &Counts, now: Instant) {
        while let Some((first, behind)) = bytes.split_first() {
            if self.payload_left == 0 {
                self.head.push(*first);
                bytes = behind;
                if let Some(length) = payload_length(&self.head) {
                    self.payload_left = length;
                    self.head.clear();
                }
                continue;
            }
            let (payload, rest) = bytes.split_at(self.payload_left.min(bytes.len()));
            self.payload_left -= payload.len();
            self.lines(payload, counts, now);
            if self.payload_left == 0 {
                self.end_line(counts, now);
            }
            bytes = rest;
        }
    }

    fn answer(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.is_pinged).then(|| socket::text(PING, rand::random()))
    }
}

impl Publications {
    fn lines(&mut self, mut payload: &[u8], counts: &Counts, now: Instant) {
        while !payload.is_empty() {
            let before = payload;
            // reading a slice never fails; the standard library looks for the byte quickly
            let taken = payload.skip_until(b'\n').unwrap_or(before.len());
            let piece = &before[..taken];
            let held = self.line_bytes.min(self.line.len());
            let copied = piece.len().min(self.line.len() - held);
            self.line[held..held + copied].copy_from_slice(&piece[..copied]);
            self.line_bytes += piece.len();
            if piece.last() == Some(&b'\n') {
                self.end_line(counts, now);
            }
        }
    }

    fn end_line(&mut self, counts: &Counts, now: Instant) {
        let length = std::mem::take(&mut self.line_bytes);
        if length >= self.line.len() && self.line == *PUBLICATION_START {
            counts.message(self.messages, length as u64, now);
            self.messages += 1;
        }
        let may_end = PING.len()..=PING.len() + 1;
        self.is_pinged |= may_end.contains(&length) && self.line.starts_with(PING);
    }
}

/// The length of the payload behind a frame's head, once the head is whole.
fn payload_length(head: &[u8]) -> Option<usize> {
    match *head {
        [_, 126, high, low] => Some(usize::from(u16::from_be_bytes([high, low]))),
        [_, 127, a, b, c, d, e, f, g, h] => {
            usize::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h])).ok()
        }
        [_, short] if short < 126 => Some(usize::from(short)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &str) -> Vec<u8> {
        let mut frame = vec![0x81, 126];
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload.bytes());
        frame
    }

    #[test]
    fn publications_are_counted_however_they_are_cut() {
        let message = r#"{"push":{"channel":"show","pub":{"data":"xx","offset":1}}}"#;
        let join = r#"{"push":{"channel":"show","join":{"info":{"client":"c"}}}}"#;
        let wire = [
            frame(r#"{"id":1,"connect":{"ping":20,"pong":true}}"#),
            frame(&format!("{message}\n{message}\n{join}\n{message}")),
            frame(message),
            vec![0x81, 2, b'{', b'}'],
        ]
        .concat();
        for cut in 1..wire.len() {
            let counts = Counts::new(1);
            let mut publications = Publications::default();
            for part in wire.chunks(cut) {
                publications.feed(part, &counts, Instant::now());
            }
            assert_eq!((counts.messages.get(), counts.complete()), (4, 4), "{cut}");
            assert_eq!(counts.message_bytes.get(), 4 * message.len() as u64 + 2);
            assert!(publications.answer().is_some() && publications.answer().is_none());
        }
    }

    #[test]
    fn a_ping_among_publications_is_seen() {
        let message = r#"{"push":{"channel":"show","pub":{"data":"xx"}}}"#;
        for payload in [format!("{{}}\n{message}"), format!("{message}\n{{}}"), message.to_owned()] {
            let mut publications = Publications::default();
            publications.feed(&frame(&payload), &Counts::new(1), Instant::now());
            assert_eq!((publications.messages, publications.is_pinged), (1, payload != message));
        }
    }
}
