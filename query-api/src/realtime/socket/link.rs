//! One connection: what is still to be written, and what was read. Buffers exist only while they hold something,
//! so that an idle socket costs next to nothing.

use bytes::{Buf, Bytes};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::realtime::wire::{Decoder, Inbound, WireError};

/// Bytes of one read, on the stack: a command is far smaller.
const READ_BYTES: usize = 4 * 1024;

/// Pieces of one write: far more than a busy room says between two flushes of a healthy socket.
const WRITE_PIECES_MAX: usize = 64;

/// The connection below a socket.
pub(crate) enum Io {
    /// As the server accepted it: no layer in between.
    Tcp(TcpStream),
    /// Behind another server or TLS.
    Other(Box<TokioIo<Upgraded>>),
}

impl Io {
    /// The connection of an upgrade, with what was read of it already.
    pub(crate) fn of(upgraded: Upgraded) -> (Self, Bytes) {
        let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => return (Self::tcp(parts.io), parts.read_buf),
            Err(upgraded) => upgraded,
        };
        match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => (Self::tcp(parts.io), parts.read_buf),
            Err(upgraded) => (Self::Other(Box::new(TokioIo::new(upgraded))), Bytes::new()),
        }
    }

    fn tcp(io: TokioIo<TcpStream>) -> Self {
        let stream = io.into_inner();
        // frames are small and wanted at once; a socket that cannot do this still works
        let _ = stream.set_nodelay(true);
        Self::Tcp(stream)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Other(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Other(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }
}

/// What became of waiting for the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moved {
    /// Something was read.
    Read,
    /// Everything was written.
    Flushed,
    /// The other end is gone.
    Gone,
}

/// A connection with its queues.
pub(crate) struct Link {
    io: Io,
    unwritten: VecDeque<Bytes>,
    unwritten_bytes: usize,
    decoder: Decoder,
    /// Whether the first of them is partly written.
    is_begun: bool,
    /// Bytes taken by the connection so far: a change is progress.
    written: u64,
}

impl Link {
    pub(crate) fn new(io: Io, already_read: &[u8], message_bytes_max: usize) -> Self {
        let mut decoder = Decoder::new(message_bytes_max);
        decoder.feed(already_read);
        Self { io, unwritten: VecDeque::new(), unwritten_bytes: 0, decoder, is_begun: false, written: 0 }
    }

    /// Queues a frame.
    pub(crate) fn send(&mut self, wire: Bytes) {
        self.unwritten_bytes += wire.len();
        self.unwritten.push_back(wire);
    }

    /// Forgets what is not yet being written. A frame that is half out has to be finished.
    pub(crate) fn abandon(&mut self) {
        self.unwritten.truncate(usize::from(self.is_begun));
        self.unwritten_bytes = self.unwritten.iter().map(Bytes::len).sum();
    }

    pub(crate) fn unwritten_bytes(&self) -> usize {
        self.unwritten_bytes
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The next thing that the client said.
    pub(crate) fn next_inbound(&mut self) -> Result<Option<Inbound>, WireError> {
        self.decoder.next()
    }

    /// Waits until everything is written, or something was read where `wants_read`.
    pub(crate) async fn moved(&mut self, wants_read: bool) -> Moved {
        std::future::poll_fn(|cx| self.poll_moved(cx, wants_read)).await
    }

    fn poll_moved(&mut self, cx: &mut Context<'_>, wants_read: bool) -> Poll<Moved> {
        if !self.unwritten.is_empty() {
            match self.poll_flush(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Moved::Flushed),
                Poll::Ready(Err(_)) => return Poll::Ready(Moved::Gone),
                Poll::Pending => {}
            }
        }
        if wants_read { self.poll_fill(cx) } else { Poll::Pending }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut bytes);
        match ready!(self.io.poll_read(cx, &mut read)) {
            Ok(()) if !read.filled().is_empty() => {
                self.decoder.feed(read.filled());
                Poll::Ready(Moved::Read)
            }
            Ok(()) | Err(_) => Poll::Ready(Moved::Gone),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES_MAX];
            let mut count = 0;
            for (piece, bytes) in pieces.iter_mut().zip(&self.unwritten) {
                *piece = IoSlice::new(bytes);
                count += 1;
            }
            let written = ready!(self.io.poll_write(cx, &pieces[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.take_written(written);
        }
        // an idle socket keeps no queue
        self.unwritten = VecDeque::new();
        Poll::Ready(Ok(()))
    }

    fn take_written(&mut self, mut written: usize) {
        self.written += written as u64;
        self.unwritten_bytes -= written;
        while let Some(first) = self.unwritten.front_mut() {
            if first.len() > written {
                first.advance(written);
                self.is_begun |= written > 0;
                return;
            }
            written -= first.len();
            self.is_begun = false;
            self.unwritten.pop_front();
        }
    }
}
