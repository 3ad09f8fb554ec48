//! One connection: what was read of it, and its outlet. Buffers exist only while they hold something, so that an idle
//! socket costs next to nothing.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustix::net::sockopt::set_socket_send_buffer_size;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::outlet::Outlet;
use crate::realtime::room::Room;
use crate::realtime::wire::{Decoder, Inbound, WireError};

/// Bytes of one read, on the stack: a command is far smaller.
const READ_BYTES: usize = 4 * 1024;

/// What the kernel may hold for a client that reads slowly; it counts its own overhead in, and doubles the number.
/// Left to itself it would take some MiB, and a slow client would be noticed minutes too late.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

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
        // frames are small and wanted at once; a socket that cannot do these still works
        let _ = stream.set_nodelay(true);
        let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
        Self::Tcp(stream)
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
    pub(super) outlet: Arc<Outlet>,
    /// Where the outlet has no stream of its own.
    other: Option<Box<TokioIo<Upgraded>>>,
    decoder: Decoder,
}

impl Link {
    pub(crate) fn new(io: Io, already_read: &[u8], message_bytes_max: usize, room: &Room) -> Self {
        let mut decoder = Decoder::new(message_bytes_max);
        decoder.feed(already_read);
        let (stream, other) = match io {
            Io::Tcp(stream) => (Some(stream), None),
            Io::Other(other) => (None, Some(other)),
        };
        Self { outlet: Arc::new(Outlet::new(stream, room)), other, decoder }
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
        if self.outlet.unwritten_bytes() > 0 {
            match self.poll_flush(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Moved::Flushed),
                Poll::Ready(Err(_)) => return Poll::Ready(Moved::Gone),
                Poll::Pending => {}
            }
        }
        if wants_read { self.poll_fill(cx) } else { Poll::Pending }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        let mut bytes = [0; READ_BYTES];
        match ready!(self.poll_read(cx, &mut bytes)) {
            Ok(length @ 1..) => {
                self.decoder.feed(&bytes[..length]);
                Poll::Ready(Moved::Read)
            }
            Ok(0) | Err(_) => Poll::Ready(Moved::Gone),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(other) = &mut self.other {
            let mut read = ReadBuf::new(into);
            ready!(Pin::new(other).poll_read(cx, &mut read))?;
            return Poll::Ready(Ok(read.filled().len()));
        }
        let Some(stream) = self.outlet.stream() else { return Poll::Ready(Ok(0)) };
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let written = match (&mut self.other, self.outlet.stream()) {
                (Some(other), _) => {
                    self.outlet.write(|pieces| match Pin::new(other).poll_write_vectored(cx, pieces) {
                        Poll::Ready(written) => written,
                        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
                    })
                }
                (None, Some(stream)) => self.outlet.write(|pieces| stream.try_write_vectored(pieces)),
                (None, None) => Ok(true),
            };
            match written {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => match self.outlet.stream() {
                    Some(stream) => ready!(stream.poll_write_ready(cx))?,
                    // the other transport has noted whom to wake
                    None => return Poll::Pending,
                },
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}
