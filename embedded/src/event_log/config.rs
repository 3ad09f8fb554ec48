//! What can be set about a log and a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// A segment is sealed at this size: small enough to check the newest one whole at every start.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// The real server's limit on one append.
const APPEND_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The real server's limit on one event.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What is not on the index's disk yet is read again after a crash, up to three times this: a tenth of a second.
const INDEX_LAYER_LOG_BYTES: u64 = 32 * 1024 * 1024;
/// Kept free on the disk: what the index needs to be written and merged, and a clean close.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// The port that the protocol's clients expect.
const DEFAULT_PORT: u16 = 2113;

/// What can be set about the store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The directory that holds the log; created if missing. One process at a time.
    pub data_dir: PathBuf,
    /// Size at which a segment is sealed, in bytes. Default 64 MiB.
    pub segment_bytes: u64,
    /// The largest append, in bytes of its events. Default 256 MiB, as on the real server.
    pub append_bytes_max: usize,
    /// The largest event, in bytes of data, metadata and type. Default 16 MiB, as on the real server; a
    /// larger value is lowered to it.
    pub event_bytes_max: usize,
    /// Bytes of the log after which the index's newest entries go to the disk, if their memory does not call for
    /// it earlier. Default 32 MiB.
    pub index_layer_log_bytes: u64,
    /// With less room on the disk than this nothing is written, in bytes. Default 256 MiB.
    pub free_bytes_min: u64,
}

impl StoreConfig {
    /// The defaults, for this directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            segment_bytes: SEGMENT_BYTES,
            append_bytes_max: APPEND_BYTES_MAX,
            event_bytes_max: EVENT_BYTES_MAX,
            index_layer_log_bytes: INDEX_LAYER_LOG_BYTES,
            free_bytes_min: FREE_BYTES_MIN,
        }
    }

    /// The event limit in force: records are read back into memory whole, so it has a ceiling.
    pub(crate) fn event_limit_bytes(&self) -> usize {
        self.event_bytes_max.min(EVENT_BYTES_MAX)
    }

    /// The append limit in force: a frame's length has 32 bits.
    pub(crate) fn append_limit_bytes(&self) -> usize {
        self.append_bytes_max.min(APPEND_BYTES_MAX)
    }
}

/// What can be set about a node.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The directory that holds the log; created if missing. One process at a time.
    pub data_dir: PathBuf,
    /// Where to listen. Port 0 takes a free one, see [`Node::addr`](super::Node::addr).
    pub listen: SocketAddr,
    /// Host and port that gossip tells to clients that discover; by default the address listened on.
    pub advertise: Option<(String, u16)>,
    /// Size at which a segment is sealed, in bytes. Default 64 MiB.
    pub segment_bytes: u64,
    /// The largest append, in bytes. Default 256 MiB.
    pub append_bytes_max: usize,
    /// The largest event, in bytes. Default and ceiling 16 MiB.
    pub event_bytes_max: usize,
    /// Requests and subscriptions that one connection may have open. Default 100, as on the real server, so
    /// that what would hang there hangs here too.
    pub streams_per_connection_max: u32,
}

impl NodeConfig {
    /// The defaults, for this directory: port 2113 on the loopback address.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let store = StoreConfig::new(data_dir);
        Self {
            data_dir: store.data_dir,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            advertise: None,
            segment_bytes: store.segment_bytes,
            append_bytes_max: store.append_bytes_max,
            event_bytes_max: store.event_bytes_max,
            streams_per_connection_max: 100,
        }
    }

    /// The same, listening elsewhere.
    #[must_use]
    pub fn listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    pub(crate) fn store(&self) -> StoreConfig {
        StoreConfig {
            segment_bytes: self.segment_bytes,
            append_bytes_max: self.append_bytes_max,
            event_bytes_max: self.event_bytes_max,
            ..StoreConfig::new(&self.data_dir)
        }
    }
}
