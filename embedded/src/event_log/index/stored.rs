//! The tables of the index on the disk: a key-value store (fjall) that only ever takes whole sorted layers.
//!
//! A layer is added as a table of its own, past the store's journal and memory: it is there whole, flushed, or
//! not at all, and nothing has to be replayed when the store is opened. All kinds of entries share one key
//! space, so that one step adds all that a layer knows and the position that it reaches. Keys, by first byte:
//! `0` → version, log id, watermark; `h` stream name → [`Head`]; `r` (stream key, first revision) → position of
//! that revision's record, one entry for all the events of one append, which lie side by side in the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use uuid::Uuid;

use super::super::error::StoreError;
use super::super::frame::u64_at;
use super::super::head::Head;
use super::recent::Layer;

/// Memory for cached blocks.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// One thread merges tables: the other cores belong to those who wait for answers.
const MERGING_THREADS: usize = 1;
/// Newest tables that are merged into the older ones at a time. Each merge rewrites much of the first level,
/// so fewer and bigger merges are cheaper; every newest table is one more place to look.
const MERGE_TABLES: u8 = 8;
/// Newest tables beyond which no more are added before some were merged: the store counts them in a byte, and
/// every look-up visits them all.
const NEWEST_TABLES_MAX: usize = 32;
/// How often the number of newest tables is looked at while there are too many.
const MERGE_LOOK: Duration = Duration::from_millis(20);
/// A merge that takes longer has failed: the store does not say so.
const MERGE_WAIT_MAX: Duration = Duration::from_secs(120);

/// The one key space. An index of an earlier version has others, and is made again.
const KEYSPACE: &str = "entries";
/// Changes when keys or values change: an index of another version is made again.
const VERSION: u64 = 3;
const STATE_KEY: &[u8] = b"0";
const STATE_BYTES: usize = 32;
const HEAD: u8 = b'h';
const RUN: u8 = b'r';
/// No watermark: the tables are empty, or not of this log.
const NONE: u64 = u64::MAX;

/// Has the store do something. On tables with flipped bits it may panic instead of returning an error: then the index
/// is wrong all the same, and is made again.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let what = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(StoreError::IndexMismatch { what: format!("its store gave up: {what}") })
    })
}

/// The open tables.
pub(super) struct Stored {
    entries: Keyspace,
    log_id: Uuid,
    watermark: AtomicU64,
    // closed after its key space
    database: Database,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stored").field("watermark", &self.watermark).finish_non_exhaustive()
    }
}

impl Stored {
    pub(super) fn open(directory: &Path, log_id: Uuid) -> Result<Self, StoreError> {
        let database =
            Database::builder(directory).cache_size(CACHE_BYTES).worker_threads(MERGING_THREADS).open()?;
        if let Some(name) = database.list_keyspace_names().iter().find(|name| &***name != KEYSPACE) {
            return Err(StoreError::IndexMismatch { what: format!("it has a key space called {name}") });
        }
        let merging = Arc::new(Leveled::default().with_l0_threshold(MERGE_TABLES));
        let options = || KeyspaceCreateOptions::default().compaction_strategy(merging);
        let entries = database.keyspace(KEYSPACE, options)?;
        let watermark = entries.get(STATE_KEY)?.and_then(|value| watermark_in(&value, log_id));
        let watermark = AtomicU64::new(watermark.unwrap_or(NONE));
        Ok(Self { entries, log_id, watermark, database })
    }

    pub(super) fn watermark(&self) -> Option<u64> {
        Some(self.watermark.load(Ordering::Acquire)).filter(|watermark| *watermark != NONE)
    }

    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.entries.is_empty()?)
    }

    pub(super) fn head(&self, stream: &str) -> Result<Option<Head>, StoreError> {
        let Some(value) = self.entries.get(head_key(stream))? else {
            return Ok(None);
        };
        Head::decode(&value)
            .map(Some)
            .ok_or_else(|| StoreError::IndexMismatch { what: format!("the entry of stream {stream}") })
    }

    pub(super) fn run_at(&self, key: u64, revision: u64) -> Result<Option<(u64, u64)>, StoreError> {
        let range = run_key(key, 0)..=run_key(key, revision);
        let Some(entry) = self.entries.range(range).next_back() else {
            return Ok(None);
        };
        let (found, value) = entry.into_inner()?;
        if found.len() != 17 || value.len() != 8 {
            return Err(StoreError::IndexMismatch { what: format!("an entry of stream key {key}") });
        }
        let mut first = [0; 8];
        first.copy_from_slice(&found[9..]);
        Ok(Some((u64::from_be_bytes(first), u64_at(&value, 0))))
    }

    /// Adds a layer; when it returns, the layer survives a power cut.
    pub(super) fn add(&self, layer: &Layer) -> Result<(), StoreError> {
        self.wait_for_merges()?;
        let started = Instant::now();
        let mut heads: Vec<_> = layer.heads.iter().collect();
        heads.sort_unstable_by_key(|(stream, _)| *stream);
        let mut table = self.entries.start_ingestion()?;
        table.write(STATE_KEY, state(self.log_id, layer.end))?;
        for (stream, head) in heads {
            table.write(head_key(stream), head.encode())?;
        }
        for ((key, first), position) in &layer.runs {
            table.write(run_key(*key, *first), position.to_le_bytes())?;
        }
        table.finish()?;
        if self.entries.l0_table_count() > usize::from(MERGE_TABLES) {
            self.ask_for_merge()?;
        }
        self.watermark.store(layer.end, Ordering::Release);
        metrics::histogram!("event_log_index_store_seconds").record(started.elapsed().as_secs_f64());
        Ok(())
    }

    fn wait_for_merges(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        while self.entries.l0_table_count() >= NEWEST_TABLES_MAX {
            if started.elapsed() > MERGE_WAIT_MAX {
                let cause = "its tables are not merged any more; is the disk full?".to_owned();
                return Err(StoreError::IndexWrite { cause });
            }
            if self.database.active_compactions() == 0 {
                self.ask_for_merge()?;
            }
            thread::sleep(MERGE_LOOK);
        }
        Ok(())
    }

    /// The store looks once for each table that was added whether to merge any, in whichever level is fullest.
    /// With several levels once is too seldom, and when no more tables are added it never looks again. Adding
    /// nothing makes it look once more.
    fn ask_for_merge(&self) -> Result<(), StoreError> {
        Ok(self.entries.start_ingestion()?.finish()?)
    }
}

fn state(log_id: Uuid, watermark: u64) -> [u8; STATE_BYTES] {
    let mut bytes = [0; STATE_BYTES];
    bytes[..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..24].copy_from_slice(log_id.as_bytes());
    bytes[24..].copy_from_slice(&watermark.to_le_bytes());
    bytes
}

/// The watermark in a state, if that is of this version and of this log.
fn watermark_in(value: &[u8], log_id: Uuid) -> Option<u64> {
    if value.len() != STATE_BYTES {
        return None;
    }
    let watermark = u64_at(value, 24);
    (value == state(log_id, watermark)).then_some(watermark)
}

fn head_key(stream: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + stream.len());
    bytes.push(HEAD);
    bytes.extend_from_slice(stream.as_bytes());
    bytes
}

fn run_key(key: u64, revision: u64) -> [u8; 17] {
    let mut bytes = [RUN; 17];
    bytes[1..9].copy_from_slice(&key.to_be_bytes());
    bytes[9..].copy_from_slice(&revision.to_be_bytes());
    bytes
}
