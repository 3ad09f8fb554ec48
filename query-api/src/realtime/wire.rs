//! WebSocket frames (RFC 6455) over plain bytes. The server's side only: what it writes is never masked, so
//! one encoding serves every socket of a room; what it reads must be masked and is small.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Payload of a control frame, by the standard.
const CONTROL_PAYLOAD_MAX: usize = 125;

/// Longest reason of a close: a control frame's payload less the code.
const CLOSE_REASON_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

/// Longest head of a frame that we write: two bytes and a 64-bit length.
const HEAD_MAX: usize = 10;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const MASKED: u8 = 0x80;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Why a socket is closed: the codes of RFC 6455, and ours from 4000 on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseCode {
    /// Both sides are done.
    Normal,
    /// The server goes; connect again, maybe to another node.
    GoingAway,
    /// What the client sent is no WebSocket.
    Protocol,
    /// Binary messages are not understood.
    Unsupported,
    /// Text that is no UTF-8.
    InvalidText,
    /// A message beyond the limit.
    TooBig,
    /// The node cannot follow the log.
    Internal,
    /// The token's time is over: get a new one.
    TokenExpired,
    /// The show's access rules do not let this person in any more.
    AccessLost,
    /// No sign of life.
    Idle,
    /// The client reads too slowly and did not resume in time.
    TooSlow,
}

impl CloseCode {
    /// All of them, for the document of the sockets.
    pub const ALL: [Self; 11] = [
        Self::Normal,
        Self::GoingAway,
        Self::Protocol,
        Self::Unsupported,
        Self::InvalidText,
        Self::TooBig,
        Self::Internal,
        Self::TokenExpired,
        Self::AccessLost,
        Self::Idle,
        Self::TooSlow,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::InvalidText => 1007,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::TokenExpired => 4401,
            Self::AccessLost => 4403,
            Self::Idle => 4408,
            Self::TooSlow => 4429,
        }
    }

    /// The reason on the wire.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::GoingAway => "going_away",
            Self::Protocol => "protocol_error",
            Self::Unsupported => "text_only",
            Self::InvalidText => "invalid_utf8",
            Self::TooBig => "frame_too_large",
            Self::Internal => "internal_error",
            Self::TokenExpired => "token_expired",
            Self::AccessLost => "access_lost",
            Self::Idle => "no_sign_of_life",
            Self::TooSlow => "slow_consumer",
        }
    }
}

/// What is wrong with what a client sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(crate) enum WireError {
    #[error("the client broke the WebSocket protocol: {0}")]
    Protocol(&'static str),
    #[error("the client sent a binary message")]
    Binary,
    #[error("the client sent text that is no UTF-8")]
    InvalidText,
    #[error("the client sent a message beyond the limit")]
    TooBig,
}

impl WireError {
    pub(crate) fn close_code(self) -> CloseCode {
        match self {
            Self::Protocol(_) => CloseCode::Protocol,
            Self::Binary => CloseCode::Unsupported,
            Self::InvalidText => CloseCode::InvalidText,
            Self::TooBig => CloseCode::TooBig,
        }
    }
}

/// What a client sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Inbound {
    /// A whole text message.
    Text(String),
    /// Answer it with the same payload.
    Ping(Bytes),
    /// An answer to a ping of ours.
    Pong,
    /// The client is done; with its code, where it gave one.
    Close(Option<u16>),
}

/// One text frame with its head.
pub(crate) fn text(payload: &[u8]) -> Bytes {
    frame(TEXT, payload)
}

/// A ping without payload.
pub(crate) fn ping() -> Bytes {
    Bytes::from_static(&[FIN | PING, 0])
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    frame(PONG, payload)
}

/// A close with code and reason.
pub(crate) fn close(code: u16, reason: &str) -> Bytes {
    let end = reason.floor_char_boundary(CLOSE_REASON_MAX);
    let mut payload = Vec::with_capacity(2 + end);
    payload.put_u16(code);
    payload.put_slice(&reason.as_bytes()[..end]);
    frame(CLOSE, &payload)
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut wire = BytesMut::with_capacity(HEAD_MAX + payload.len());
    wire.put_u8(FIN | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => wire.put_u8(short),
        (_, Ok(medium)) => {
            wire.put_u8(126);
            wire.put_u16(medium);
        }
        (_, Err(_)) => {
            wire.put_u8(127);
            wire.put_u64(payload.len() as u64);
        }
    }
    wire.put_slice(payload);
    wire.freeze()
}

/// The payloads of frames that we wrote ourselves, for the event streams that carry the same without heads.
pub(crate) fn payloads(mut wire: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let (start, length) = measure(&wire)?;
        if wire.len() < start + length {
            return None;
        }
        wire.advance(start);
        Some(wire.split_to(length))
    })
}

/// Where the frame ends that the byte before `at` belongs to, in whole frames that we wrote ourselves.
pub(crate) fn frame_end(wire: &[u8], at: usize) -> usize {
    let mut end = 0;
    while end < at {
        match measure(&wire[end..]) {
            Some((start, length)) => end += start + length,
            None => return wire.len(),
        }
    }
    end.min(wire.len())
}

/// The lengths of an unmasked frame's head and of its payload.
fn measure(wire: &[u8]) -> Option<(usize, usize)> {
    match *wire.get(1)? {
        126 => Some((4, usize::from(u16::from_be_bytes([*wire.get(2)?, *wire.get(3)?])))),
        127 => {
            let length = u64::from_be_bytes(wire.get(2..10)?.try_into().ok()?);
            Some((10, usize::try_from(length).ok()?))
        }
        short => Some((2, usize::from(short))),
    }
}

/// Reads a client's frames from bytes as they come. Holds no memory while nothing is half read.
#[derive(Default)]
pub(crate) struct Decoder {
    unread: BytesMut,
    /// The text message whose first fragments are here.
    fragments: Option<Vec<u8>>,
    message_bytes_max: usize,
}

impl Decoder {
    pub(crate) fn new(message_bytes_max: usize) -> Self {
        Self { unread: BytesMut::new(), fragments: None, message_bytes_max }
    }

    /// Takes what was read from the connection.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next thing that the client sent; `None`: more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Inbound>, WireError> {
        loop {
            let Some((head, payload)) = self.take_frame()? else {
                if self.unread.is_empty() {
                    // an idle socket keeps no buffer
                    self.unread = BytesMut::new();
                }
                return Ok(None);
            };
            if let Some(inbound) = self.understand(head, payload)? {
                return Ok(Some(inbound));
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<(u8, BytesMut)>, WireError> {
        let Some(head) = Head::read(&self.unread)? else { return Ok(None) };
        let held = self.fragments.as_ref().map_or(0, Vec::len);
        if head.payload_bytes.saturating_add(held) > self.message_bytes_max {
            return Err(WireError::TooBig);
        }
        if self.unread.len() < head.bytes + head.payload_bytes {
            return Ok(None);
        }
        self.unread.advance(head.bytes);
        let mut payload = self.unread.split_to(head.payload_bytes);
        for (byte, key) in payload.iter_mut().zip(head.mask.iter().cycle()) {
            *byte ^= key;
        }
        Ok(Some((head.first, payload)))
    }

    fn understand(&mut self, first: u8, payload: BytesMut) -> Result<Option<Inbound>, WireError> {
        let is_final = first & FIN != 0;
        match first & 0x0F {
            TEXT if self.fragments.is_some() => Err(WireError::Protocol("text within a fragmented message")),
            TEXT if is_final => whole_text(payload.to_vec()).map(Some),
            TEXT => {
                self.fragments = Some(payload.to_vec());
                Ok(None)
            }
            CONTINUATION => {
                let mut message =
                    self.fragments.take().ok_or(WireError::Protocol("continuation of nothing"))?;
                message.extend_from_slice(&payload);
                if is_final {
                    return whole_text(message).map(Some);
                }
                self.fragments = Some(message);
                Ok(None)
            }
            BINARY => Err(WireError::Binary),
            PING => Ok(Some(Inbound::Ping(payload.freeze()))),
            PONG => Ok(Some(Inbound::Pong)),
            CLOSE => understand_close(&payload).map(Some),
            _ => Err(WireError::Protocol("unknown opcode")),
        }
    }
}

fn whole_text(message: Vec<u8>) -> Result<Inbound, WireError> {
    String::from_utf8(message).map(Inbound::Text).map_err(|_| WireError::InvalidText)
}

fn understand_close(payload: &[u8]) -> Result<Inbound, WireError> {
    match payload {
        [] => Ok(Inbound::Close(None)),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let is_sendable = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            if !is_sendable {
                return Err(WireError::Protocol("close code"));
            }
            std::str::from_utf8(reason).map_err(|_| WireError::InvalidText)?;
            Ok(Inbound::Close(Some(code)))
        }
        [_] => Err(WireError::Protocol("close payload")),
    }
}

struct Head {
    first: u8,
    bytes: usize,
    payload_bytes: usize,
    mask: [u8; 4],
}

impl Head {
    /// Judges a head as soon as its bytes are here, before the payload is.
    fn read(unread: &[u8]) -> Result<Option<Self>, WireError> {
        let &[first, second, ref rest @ ..] = unread else { return Ok(None) };
        if first & RSV != 0 {
            return Err(WireError::Protocol("reserved bits"));
        }
        if second & MASKED == 0 {
            return Err(WireError::Protocol("unmasked frame"));
        }
        let short = usize::from(second & !MASKED);
        let is_control = first & 0x08 != 0;
        if is_control && (short > CONTROL_PAYLOAD_MAX || first & FIN == 0) {
            return Err(WireError::Protocol("control frame"));
        }
        let (length_bytes, payload_bytes) = match (short, rest) {
            (126, &[high, low, ..]) => (2, usize::from(u16::from_be_bytes([high, low]))),
            (127, &[a, b, c, d, e, f, g, h, ..]) => {
                let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                (8, usize::try_from(length).map_err(|_| WireError::TooBig)?)
            }
            (126 | 127, _) => return Ok(None),
            _ => (0, short),
        };
        let Some(&[a, b, c, d]) = rest.get(length_bytes..length_bytes + 4) else { return Ok(None) };
        Ok(Some(Self { first, bytes: 2 + length_bytes + 4, payload_bytes, mask: [a, b, c, d] }))
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
