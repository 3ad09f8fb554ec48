//! An event-log node that speaks the EventStoreDB (KurrentDB) gRPC protocol over a log of its own.
//!
//! The product's code talks to the log through the official client only, so one machine and a cluster run the
//! same path. This node is what stands behind that client on one machine: protocol-compatible for streams,
//! `$all`, subscriptions with server-side filters, deletes and stream metadata. It does not serve persistent
//! subscriptions, projections, users, the HTTP API, links or scavenging, and does not advertise them.
//!
//! # Storage
//!
//! The only truth is an append-only log in segment files (`segment`, `frame`, `writer`). Beside it lies an
//! index (`index`: the newest entries in memory, the others in tables of a key-value store, fjall) that says
//! where each stream's events are. Why not the key-value store alone: an append would be written twice at
//! least (journal and tables), reading everything in order would go through the tables, a compaction would
//! delay commits, and recovery would trust a format that is not ours. With a log, one sequential write and one
//! flush carry all the appends that wait, reading `$all` is reading files in order, and recovery is a question
//! of bytes that this module answers itself. Why an index on disk at all: opening must not read the whole log,
//! and stream heads must not have to fit into memory. The index can be deleted at any time.
//!
//! # Invariants
//!
//! - A position is a byte's offset in the log: opaque and sparse for clients, commit equal to prepare.
//! - Nothing is acknowledged, or shown to a reader, before the flush that makes it durable has returned.
//! - After a failed write or flush nothing is acknowledged until the log has been opened again.
//! - Every byte that is served was checked against its checksum, at its own position.
//! - A torn tail is cut; damage before it stops the node with the file, the offset and what to do.
//! - A subscription never ends with OK: the official Rust client would spin.
//! - Every queue, buffer, batch and limit is a named constant.

mod appender;
mod backup;
mod config;
mod decide;
mod directory;
mod disk;
mod error;
mod filter;
mod frame;
mod head;
mod index;
mod inspect;
mod items;
mod locate;
mod log;
pub mod measure;
mod meters;
mod node;
mod proto;
mod recovery;
mod repeats;
mod scan;
mod segment;
mod service;
mod snapshot;
mod socket;
mod space;
mod spare;
mod stage;
mod status;
mod store;
mod tail;
mod types;
mod verify;
pub(crate) mod wire;
mod writer;

pub use backup::{Copied, backup, restore, resume_backup};
pub use config::{NodeConfig, StoreConfig};
pub use disk::{Disk, DiskFile, SystemDisk};
pub use error::{AppendError, StoreError};
pub use frame::{Record, TOMBSTONE_REVISION};
pub use head::Head;
pub use inspect::{Progress, Report, inspect};
pub use locate::StreamCursor;
pub use log::Chunk;
pub use node::{Node, NodeError};
pub use store::Store;
pub use types::{Command, Expected, NewEvent, WriteResult, Written};
pub use verify::Verified;
