//! A client of our sockets: the handshake, and frames (RFC 6455) from the client's side.

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The key of RFC 6455's own example, and the answer that it names: every server must give it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Longest head of an answer to a handshake.
const HEAD_LENGTH_MAX: usize = 16 * 1024;

/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;

/// Largest frame that a server of ours sends: a snapshot is some tens of KiB.
const FRAME_BYTES_MAX: u64 = 4 * 1024 * 1024;

const FINAL_TEXT: u8 = 0x81;
const FINAL_CLOSE: u8 = 0x88;
const FINAL_PING: u8 = 0x89;
const FINAL_PONG: u8 = 0x8A;
const MASKED: u8 = 0x80;

/// Where a server is, for connections of our own.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Host and port.
    pub(crate) authority: String,
}

impl Server {
    /// Of a base URL. Sockets are opened without TLS, which ends at a proxy.
    pub(crate) fn of(url: &str) -> anyhow::Result<Self> {
        let authority = url.strip_prefix("http://").context("the URL must begin with http://")?;
        let authority = authority.trim_end_matches('/');
        ensure!(
            !authority.is_empty() && !authority.contains('/'),
            "the URL must be http://host:port, without a path"
        );
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Ok(Self { authority: if has_port { authority.to_owned() } else { format!("{authority}:80") } })
    }

    /// Opens a socket of a show. What the server sent right behind its answer comes back too.
    pub(crate) async fn open(&self, show: &str, token: Option<&str>) -> anyhow::Result<(TcpStream, Vec<u8>)> {
        let authorization =
            token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        self.open_at(&format!("/api/v1/streams/{show}/socket"), &authorization).await
    }

    /// The same at any path, with further lines for the request's head.
    pub(crate) async fn open_at(&self, path: &str, lines: &str) -> anyhow::Result<(TcpStream, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.authority)
            .await
            .with_context(|| format!("cannot connect to {}", self.authority))?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: tally\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{lines}\r\n",
            self.authority
        );
        stream.write_all(request.as_bytes()).await?;
        let rest = read_handshake(&mut stream).await?;
        Ok((stream, rest))
    }
}

async fn read_handshake(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut read = Vec::with_capacity(1_024);
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            ensure!(
                head.starts_with("HTTP/1.1 101 "),
                "the server refuses the socket: {}",
                refusal(&head, &read[end..])
            );
            ensure!(head.contains(ACCEPT), "the server's handshake is not RFC 6455's");
            return Ok(read.split_off(end + 4));
        }
        ensure!(read.len() < HEAD_LENGTH_MAX, "the server's handshake has no end");
        if stream.read_buf(&mut read).await? == 0 {
            bail!("the server closes the connection during the handshake");
        }
    }
}

fn refusal(head: &str, body: &[u8]) -> String {
    let status = head.lines().next().unwrap_or_default();
    format!("{status} {}", String::from_utf8_lossy(body).trim())
}

/// A text frame, masked as clients must.
pub(crate) fn text(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    masked(FINAL_TEXT, payload, mask)
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    masked(FINAL_PONG, payload, [0; 4])
}

/// The polite end.
pub(crate) fn close() -> Vec<u8> {
    masked(FINAL_CLOSE, &1_000_u16.to_be_bytes(), [0; 4])
}

fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(payload.len() + 14);
    wire.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => wire.push(MASKED | short),
        (_, Ok(medium)) => {
            wire.push(MASKED | 126);
            wire.extend_from_slice(&medium.to_be_bytes());
        }
        (_, Err(_)) => {
            wire.push(MASKED | 127);
            wire.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    wire.extend_from_slice(&mask);
    wire.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    wire
}

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Text(String),
    Ping(Vec<u8>),
    /// With its code and reason.
    Close(String),
    Other,
}

/// Frames of a server, from bytes as they come.
#[derive(Default)]
pub(crate) struct Incoming {
    unread: Vec<u8>,
    start: usize,
}

impl Incoming {
    pub(crate) fn new(already_read: Vec<u8>) -> Self {
        Self { unread: already_read, start: 0 }
    }

    /// Reads once. Nothing is lost where it is cancelled. `false`: the connection has ended.
    pub(crate) async fn fill(&mut self, stream: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<bool> {
        self.unread.drain(..self.start);
        self.start = 0;
        self.unread.reserve(READ_BYTES);
        Ok(stream.read_buf(&mut self.unread).await? > 0)
    }

    /// The next whole frame. Servers of ours never split a message.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Received>> {
        let unread = &self.unread[self.start..];
        let Some(head) = Head::read(unread)? else { return Ok(None) };
        let Some(payload) = unread.get(head.bytes..head.bytes + head.payload_bytes) else { return Ok(None) };
        let received = match head.first {
            FINAL_TEXT => {
                Received::Text(String::from_utf8(payload.to_vec()).context("a frame is not UTF-8")?)
            }
            FINAL_PING => Received::Ping(payload.to_vec()),
            FINAL_CLOSE => Received::Close(close_text(payload)),
            _ => Received::Other,
        };
        self.start += head.bytes + head.payload_bytes;
        Ok(Some(received))
    }
}

fn close_text(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("{code} {}", String::from_utf8_lossy(reason)).trim_end().to_owned()
        }
        _ => "no code".to_owned(),
    }
}

struct Head {
    first: u8,
    bytes: usize,
    payload_bytes: usize,
}

impl Head {
    fn read(unread: &[u8]) -> anyhow::Result<Option<Self>> {
        let &[first, second, ref rest @ ..] = unread else { return Ok(None) };
        ensure!(second & MASKED == 0, "a server's frame is masked");
        let (bytes, payload_bytes) = match (second, rest) {
            (126, &[high, low, ..]) => (4, u64::from(u16::from_be_bytes([high, low]))),
            (127, &[a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            (126 | 127, _) => return Ok(None),
            (short, _) => (2, u64::from(short)),
        };
        ensure!(payload_bytes <= FRAME_BYTES_MAX, "a frame of {payload_bytes} bytes is too large");
        Ok(Some(Self { first, bytes, payload_bytes: usize::try_from(payload_bytes)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let mut wire = vec![FINAL_TEXT, 2, b'h', b'i', FINAL_PING, 1, b'x', FINAL_TEXT, 126, 0, 200];
        wire.extend([b'a'; 200]);
        wire.extend([FINAL_CLOSE, 5, 0x03, 0xE8, b'b', b'y', b'e']);
        for cut in 1..wire.len() {
            let mut incoming = Incoming::default();
            let mut seen = Vec::new();
            for part in wire.chunks(cut) {
                incoming.unread.extend_from_slice(part);
                while let Some(received) = incoming.next().unwrap() {
                    seen.push(received);
                }
            }
            let expected = [
                Received::Text("hi".to_owned()),
                Received::Ping(b"x".to_vec()),
                Received::Text("a".repeat(200)),
                Received::Close("1000 bye".to_owned()),
            ];
            assert_eq!(seen, expected, "{cut}");
        }
    }

    #[test]
    fn what_clients_send_is_masked() {
        assert_eq!(text(b"ab", [1, 2, 3, 4]), [FINAL_TEXT, 0x82, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2]);
        assert_eq!(text(&[0; 300], [0; 4])[..4], [FINAL_TEXT, 0xFE, 1, 44]);
    }

    #[test]
    fn urls_are_hosts_and_ports() {
        assert_eq!(Server::of("http://127.0.0.1:8085/").unwrap().authority, "127.0.0.1:8085");
        assert_eq!(Server::of("http://tally.test").unwrap().authority, "tally.test:80");
        assert!(Server::of("https://tally.test").is_err() && Server::of("http://x/y").is_err());
    }
}
