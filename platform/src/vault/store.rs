//! Where keys are kept, wrapped.

use async_trait::async_trait;
use schemas::{KeyId, PersonId, Timestamp};

/// Why the store did not answer, whatever it calls it.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A person's key as it is kept.
#[derive(Clone)]
pub(super) struct KeyRow {
    pub(super) key_id: KeyId,
    pub(super) person: PersonId,
    /// None: a tombstone.
    pub(super) wrapped: Option<Vec<u8>>,
}

/// A tombstone, with the time of the first erasure.
#[derive(Clone, Copy)]
pub(super) struct Tombstone {
    pub(super) key_id: KeyId,
    pub(super) erased_at: Timestamp,
}

#[async_trait]
pub(super) trait KeyStore: Send + Sync + 'static {
    /// The rows of these persons and of these keys, as far as there are any, each once.
    async fn find(&self, persons: &[PersonId], keys: &[KeyId]) -> Result<Vec<KeyRow>, Cause>;

    /// Adds rows, durably, for persons who have none; others' are left as they are.
    async fn add(&self, rows: &[KeyRow]) -> Result<(), Cause>;

    /// Those of these keys that live.
    async fn living(&self, keys: &[KeyId]) -> Result<Vec<KeyId>, Cause>;

    /// Makes a person's row a tombstone, durably; one with this id where they have no row.
    async fn erase(&self, person: PersonId, tombstone: KeyId) -> Result<Tombstone, Cause>;
}
