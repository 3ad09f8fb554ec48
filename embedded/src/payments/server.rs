//! Connections. Ours and not the router's own loop, because a fault must be able to cut one before the answer.

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// More clients than this wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// Keeps a failing `accept` (no file descriptors left) from spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Marks an answer that the client shall never see.
#[derive(Clone, Copy)]
pub(super) struct HangUp;

/// Why a connection was cut.
#[derive(Debug, Error)]
#[error("connection cut on purpose")]
struct Cut;

/// Accepts until stopped.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accept = async {
        loop {
            let Ok(permit) = connections.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    tasks.spawn(converse(stream, router.clone(), stop.clone(), permit));
                }
                Err(error) => {
                    tracing::warn!(%error, "payment sandbox cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! { () = stop.cancelled() => {}, () = accept => {} }
}

async fn converse(stream: TcpStream, router: Router, stop: CancellationToken, _permit: OwnedSemaphorePermit) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            if response.extensions().get::<HangUp>().is_some() { Err(Cut) } else { Ok(response) }
        }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // a client that goes away or is cut off is no failure of the sandbox
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
