//! The node: the store behind a gRPC server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::Server;
use tracing::{info, warn};
use uuid::Uuid;

use super::config::NodeConfig;
use super::disk::{Disk, SystemDisk};
use super::error::StoreError;
use super::proto::gossip::gossip_server::GossipServer;
use super::proto::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptionsServer;
use super::proto::server_features::server_features_server::ServerFeaturesServer;
use super::proto::streams::streams_server::StreamsServer;
use super::service::{Cluster, NoPersistentSubscriptions, Streams};
use super::socket;
use super::store::Store;

/// The largest message: an event at its limit with everything around it.
const MESSAGE_BYTES_MAX: usize = 20 * 1024 * 1024;
/// What one request may send ahead of being read.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// What one connection may send ahead of being read.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// A silent connection is asked for a sign of life this often, so that half-open ones are found.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// A connection without an answer for so long is closed.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a shutdown waits for clients to take their last messages.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a node cannot run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The log cannot be opened or closed.
    #[error("the event log cannot be opened")]
    Store(#[source] StoreError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A task of the node died.
    #[error("a task of the event log died")]
    Task(#[source] tokio::task::JoinError),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    store: Arc<Store>,
    stop: CancellationToken,
    tasks: TaskTracker,
    server: JoinHandle<()>,
}

impl Node {
    /// Opens the log and serves it. Returns when connections are accepted.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        Self::start_on(config, Arc::new(SystemDisk)).await
    }

    /// The same, on another disk.
    pub async fn start_on(config: NodeConfig, disk: Arc<dyn Disk>) -> Result<Self, NodeError> {
        let listen = config.listen;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| NodeError::Listen { address: listen, source })?;
        let address =
            listener.local_addr().map_err(|source| NodeError::Listen { address: listen, source })?;
        let store_config = config.store();
        let store = tokio::task::spawn_blocking(move || Store::open_on(store_config, disk))
            .await
            .map_err(NodeError::Task)?
            .map_err(NodeError::Store)?;
        let store = Arc::new(store);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (host, port) = config.advertise.clone().unwrap_or((address.ip().to_string(), address.port()));
        let routes = routes(
            Streams { store: Arc::clone(&store), stop: stop.clone(), tasks: tasks.clone() },
            Cluster { instance: Uuid::new_v4(), host, port },
        );
        let stopped = stop.clone().cancelled_owned();
        let server = server(config.streams_per_connection_max)
            .add_routes(routes)
            .serve_with_incoming_shutdown(socket::accept(listener), stopped);
        let server = tokio::spawn(async move {
            if let Err(error) = server.await {
                warn!(%error, "the event log's server ended: {error}");
            }
        });
        info!(%address, "the event log listens on {address}");
        Ok(Self { address, store, stop, tasks, server })
    }

    /// The address that the node listens on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The store behind the node, for verification in the same process.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Ends subscriptions with an error that tells clients to come back, writes what is queued, marks the log
    /// as cleanly closed and releases the directory.
    pub async fn shutdown(self) -> Result<(), NodeError> {
        let Self { address, store, stop, tasks, mut server } = self;
        stop.cancel();
        tasks.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, &mut server).await.is_err() {
            warn!("clients did not let go in time and are cut off");
            server.abort();
            drop(server.await);
        }
        if tokio::time::timeout(DRAIN_TIMEOUT, tasks.wait()).await.is_err() {
            warn!("some readers of the event log did not end in time");
        }
        let closing = Arc::clone(&store);
        tokio::task::spawn_blocking(move || closing.close())
            .await
            .map_err(NodeError::Task)?
            .map_err(NodeError::Store)?;
        drop(store);
        info!(%address, "the event log on {address} is closed");
        Ok(())
    }
}

/// The server's settings, also for what it is measured against.
pub(crate) fn server(streams_per_connection_max: u32) -> Server {
    Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(streams_per_connection_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

fn routes(streams: Streams, cluster: Cluster) -> Routes {
    let store = Arc::clone(&streams.store);
    let streams = StreamsServer::new(streams).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut routes = Routes::builder();
    routes
        .add_service(streams)
        .add_service(ServerFeaturesServer::new(cluster.clone()))
        .add_service(GossipServer::new(cluster))
        .add_service(PersistentSubscriptionsServer::new(NoPersistentSubscriptions));
    let health = axum::Router::new().route("/health/live", get(health)).with_state(store);
    Routes::from(routes.routes().into_axum_router().merge(health))
}

#[derive(Debug, Deserialize)]
struct HealthQuery {
    /// The status that means alive.
    #[serde(rename = "liveCode")]
    live_code: Option<u16>,
}

/// Alive while the log takes writes.
async fn health(State(store): State<Arc<Store>>, Query(query): Query<HealthQuery>) -> StatusCode {
    if store.failure().is_some() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    query.live_code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::NO_CONTENT)
}
