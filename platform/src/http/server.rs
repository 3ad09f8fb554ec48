//! Serving a router over TCP: HTTP/1.1 and HTTP/2 without TLS (which ends at the proxy), upgrades, limits, draining.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::config::Config;
use crate::shutdown::{Ended, Shutdown};

/// Pause after a failed accept: it fails for want of descriptors, which come back by and by.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Largest request head: a token of 8 KiB, and as much again for the rest.
const HEAD_LENGTH_MAX: u32 = 32 * 1024;

/// Streams of one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 256;

/// How often an HTTP/2 connection is asked whether it lives, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What an HTTP/2 connection begins with, and no HTTP/1 request does. All of it has to come in time.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Between two looks at a preface of which only a part has come: a peek is ready at once as long as there is a part.
const PREFACE_PAUSE: Duration = Duration::from_millis(5);

/// How requests are served.
#[derive(Debug, Clone, Copy)]
pub struct ServerConfig {
    /// A connection that does not send a whole head within this time is closed.
    pub header_read_timeout: Duration,
    /// Open connections; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long running requests may take at the end.
    pub drain: Duration,
}

impl ServerConfig {
    /// The server that the configuration describes.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let http = &config.http;
        Self {
            header_read_timeout: Duration::from_secs(http.header_read_timeout_seconds),
            connections_max: http.connections_max,
            drain: Duration::from_secs(http.shutdown_drain_seconds),
        }
    }
}

/// A request's connection; an extension of the request.
///
/// Whoever upgrades the connection keeps a clone for as long as the socket lives: it is the socket's place among the
/// connections allowed.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end: a client or a proxy.
    pub peer: SocketAddr,
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

impl Connection {
    /// A connection from `peer` that takes no place, for tests and for other servers.
    #[must_use]
    pub fn from_peer(peer: SocketAddr) -> Self {
        Self { peer, _place: None }
    }
}

/// Serves until `shutdown` begins, then lets running requests end.
pub async fn serve(listener: TcpListener, app: Router, config: ServerConfig, shutdown: &Shutdown) -> Ended {
    let connections = shutdown.child();
    let places = Arc::new(Semaphore::new(config.connections_max));
    let ending = shutdown.part();
    loop {
        let accepted = tokio::select! {
            () = ending.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, connection)) => {
                let serving = serve_connection(stream, connection, app.clone(), config, ending.clone());
                drop(connections.spawn(serving));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.drain(config.drain).await
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, Connection)> {
    // the semaphore is never closed
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // answers are small and wanted at once
    stream.set_nodelay(true)?;
    Ok((stream, Connection { peer, _place: Some(Arc::new(place)) }))
}

async fn serve_connection(
    stream: TcpStream,
    connection: Connection,
    app: Router,
    config: ServerConfig,
    ending: CancellationToken,
) {
    let begun = tokio::select! {
        () = ending.cancelled() => return,
        begun = timeout(config.header_read_timeout, is_http2(&stream)) => begun,
    };
    let Ok(Ok(is_http2)) = begun else { return };
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        app.clone().call(request)
    });
    let served = if is_http2 {
        let mut serving = pin!(http2_builder().serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            served = serving.as_mut() => served,
            () = ending.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        }
    } else {
        let builder = http1_builder(config.header_read_timeout);
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
        tokio::select! {
            served = serving.as_mut() => served,
            () = ending.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        }
    };
    if let Err(error) = served {
        // clients that leave or talk nonsense are everyday
        tracing::trace!(%error, "connection ended");
    }
}

/// Looks at the first bytes without taking them.
async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..seen] != HTTP2_PREFACE[..seen] {
            return Ok(false);
        }
        if seen == first.len() {
            return Ok(true);
        }
        tokio::time::sleep(PREFACE_PAUSE).await;
    }
}

fn http1_builder(header_read_timeout: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(header_read_timeout)
        .max_buf_size(HEAD_LENGTH_MAX as usize);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_LENGTH_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

#[cfg(test)]
#[path = "server/tests.rs"]
mod tests;
