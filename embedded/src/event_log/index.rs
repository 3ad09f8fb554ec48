//! The on-disk index: where each stream's events are, and which event ids a stream has.
//!
//! It holds nothing that the log does not say, and it is never flushed to the disk on purpose: after a crash
//! it is at most behind, `watermark` says how far, and the rest is replayed from the log. If it does not
//! open, or belongs to another log, it is thrown away and rebuilt.
//!
//! Keys: `heads` stream name → [`Head`]; `runs` (stream key, first revision) → position of that revision's
//! record, one entry for all the events of one append, which lie side by side in the log; `ids` (stream key,
//! event id) → revision; `state` → watermark and log id.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use uuid::Uuid;

use super::error::StoreError;
use super::frame::u64_at;
use super::head::Head;
use super::stage::Staged;

/// Memory for cached index blocks.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Memory of one keyspace before it goes to a table. Small, because what is only in memory is replayed from the
/// index's journal at the next start, and that must take less than a second.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;
/// Changes when the keys or values change: an index of another version is rebuilt.
const INDEX_VERSION: u64 = 1;
const WATERMARK: &[u8] = b"watermark";
const LOG_ID: &[u8] = b"log-id";
const VERSION: &[u8] = b"version";

/// The open index.
pub(crate) struct Index {
    database: Database,
    heads: Keyspace,
    runs: Keyspace,
    ids: Keyspace,
    state: Keyspace,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Index").finish_non_exhaustive()
    }
}

impl Index {
    /// Opens or creates the index in `directory`.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let database = Database::builder(directory).cache_size(CACHE_BYTES).open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let keyspace = |name: &str| database.keyspace(name, options);
        let (heads, runs) = (keyspace("heads")?, keyspace("runs")?);
        let (ids, state) = (keyspace("ids")?, keyspace("state")?);
        Ok(Self { heads, runs, ids, state, database })
    }

    /// Position up to which the log is indexed; `None` if this index is empty or not of this log.
    pub(crate) fn watermark(&self, log_id: Uuid) -> Result<Option<u64>, StoreError> {
        let same_log = self.state.get(LOG_ID)?.is_some_and(|id| *id == *log_id.as_bytes());
        let same_version =
            self.state.get(VERSION)?.is_some_and(|version| *version == INDEX_VERSION.to_le_bytes());
        let watermark = self.state.get(WATERMARK)?.filter(|value| value.len() == 8);
        Ok(watermark.filter(|_| same_log && same_version).map(|value| u64_at(&value, 0)))
    }

    /// Claims an empty index for a log.
    pub(crate) fn claim(&self, log_id: Uuid, start: u64) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        batch.insert(&self.state, LOG_ID, log_id.as_bytes().as_slice());
        batch.insert(&self.state, VERSION, INDEX_VERSION.to_le_bytes().as_slice());
        batch.insert(&self.state, WATERMARK, start.to_le_bytes().as_slice());
        batch.commit()?;
        Ok(())
    }

    /// Whether nothing was ever indexed.
    pub(crate) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.state.is_empty()? && self.heads.is_empty()?)
    }

    pub(crate) fn head(&self, stream: &[u8]) -> Result<Option<Head>, StoreError> {
        let Some(value) = self.heads.get(stream)? else {
            return Ok(None);
        };
        Head::decode(&value).map(Some).ok_or_else(|| StoreError::IndexMismatch {
            what: format!("the entry of stream {} cannot be read", String::from_utf8_lossy(stream)),
        })
    }

    /// The revision of the newest event with this id in a stream.
    pub(crate) fn revision_of(&self, key: u64, id: Uuid) -> Result<Option<u64>, StoreError> {
        let value = self.ids.get(id_key(key, id))?;
        Ok(value.filter(|value| value.len() == 8).map(|value| u64_at(&value, 0)))
    }

    /// The last run of a stream that starts at or before `revision`: its first revision, and its position.
    pub(crate) fn run_at(&self, key: u64, revision: u64) -> Result<Option<(u64, u64)>, StoreError> {
        let range = run_key(key, 0)..=run_key(key, revision);
        let Some(entry) = self.runs.range(range).next_back() else {
            return Ok(None);
        };
        let (found, value) = entry.into_inner()?;
        if found.len() != 16 || value.len() != 8 {
            return Err(StoreError::IndexMismatch {
                what: format!("an entry of stream key {key} cannot be read"),
            });
        }
        let mut first = [0; 8];
        first.copy_from_slice(&found[8..]);
        Ok(Some((u64::from_be_bytes(first), u64_at(&value, 0))))
    }

    /// Writes what a durable frame changed, all or nothing.
    pub(crate) fn apply(&self, staged: &Staged, watermark: u64) -> Result<(), StoreError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        for (stream, head) in &staged.heads {
            batch.insert(&self.heads, stream.as_bytes(), head.encode().as_slice());
        }
        for run in &staged.runs {
            batch.insert(
                &self.runs,
                run_key(run.key, run.first).as_slice(),
                run.position.to_le_bytes().as_slice(),
            );
        }
        for ((key, id), revision) in &staged.ids {
            batch.insert(&self.ids, id_key(*key, *id).as_slice(), revision.to_le_bytes().as_slice());
        }
        batch.insert(&self.state, WATERMARK, watermark.to_le_bytes().as_slice());
        batch.commit()?;
        Ok(())
    }

    /// Flushes everything; for a clean shutdown only.
    pub(crate) fn persist(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncAll)?;
        Ok(())
    }
}

fn run_key(key: u64, revision: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes[8..].copy_from_slice(&revision.to_be_bytes());
    bytes
}

fn id_key(key: u64, id: Uuid) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes[8..].copy_from_slice(id.as_bytes());
    bytes
}
