//! Keys in memory, for tests.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use parking_lot::Mutex;
use schemas::{KeyId, PersonId, Timestamp};
use thiserror::Error;

use super::store::{Cause, KeyRow, KeyStore, Tombstone};

/// Keys in memory, behind one or several vaults. Clones are the same keys.
#[derive(Clone, Default)]
pub struct MemoryKeys {
    rows: Arc<Mutex<Rows>>,
}

#[derive(Default)]
struct Rows {
    by_person: HashMap<PersonId, (KeyRow, Option<Timestamp>)>,
    outage: bool,
    queries: u64,
}

#[derive(Clone, Copy, Debug, Error)]
#[error("injected: the key store is down")]
struct Outage;

impl MemoryKeys {
    /// Makes the keys unavailable, or available again.
    pub fn set_available(&self, available: bool) {
        self.rows.lock().outage = !available;
    }

    /// How many queries there have been.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.rows.lock().queries
    }

    fn rows<T>(&self, query: impl FnOnce(&mut Rows) -> T) -> Result<T, Cause> {
        let mut rows = self.rows.lock();
        rows.queries += 1;
        if rows.outage { Err(Outage.into()) } else { Ok(query(&mut rows)) }
    }
}

#[async_trait]
impl KeyStore for MemoryKeys {
    async fn find(&self, persons: &[PersonId], keys: &[KeyId]) -> Result<Vec<KeyRow>, Cause> {
        self.rows(|rows| {
            let all = rows.by_person.values().map(|(row, _)| row);
            all.filter(|row| persons.contains(&row.person) || keys.contains(&row.key_id)).cloned().collect()
        })
    }

    async fn add(&self, new: &[KeyRow]) -> Result<(), Cause> {
        self.rows(|rows| {
            for row in new {
                rows.by_person.entry(row.person).or_insert_with(|| (row.clone(), None));
            }
        })
    }

    async fn living(&self, keys: &[KeyId]) -> Result<Vec<KeyId>, Cause> {
        let found = self.find(&[], keys).await?;
        Ok(found.into_iter().filter(|row| row.wrapped.is_some()).map(|row| row.key_id).collect())
    }

    async fn erase(&self, person: PersonId, tombstone: KeyId) -> Result<Tombstone, Cause> {
        self.rows(|rows| {
            let fresh = KeyRow { key_id: tombstone, person, wrapped: None };
            let (row, erased_at) = rows.by_person.entry(person).or_insert((fresh, None));
            row.wrapped = None;
            let erased_at = *erased_at.get_or_insert_with(|| Utc::now().into());
            Tombstone { key_id: row.key_id, erased_at }
        })
    }
}
