//! Keys in memory, as leases.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use schemas::{KeyId, PersonId};

use super::cipher::DataKey;
use super::loader::Want;

/// What is known of a person's key.
pub(super) enum Entry {
    /// It may be used until the lease ends.
    Live(Lease),
    /// It is gone, for ever: this never goes out of date.
    Erased(KeyId),
}

pub(super) struct Lease {
    pub(super) key_id: KeyId,
    pub(super) person: PersonId,
    /// Boxed: a tombstone in the cache is not to take as much room as a key.
    pub(super) key: Box<DataKey>,
    until: AtomicU64,
    /// Since the last renewal.
    used: AtomicBool,
}

/// A moment on a clock that also runs while the machine sleeps: a lease must not outlive a closed lid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Moment {
    boot_ms: u64,
}

impl Moment {
    pub(super) fn now() -> Self {
        #[cfg(target_os = "linux")]
        let clock = ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = ClockId::Monotonic;
        let now = clock_gettime(clock);
        // the clock starts at zero: neither part is ever negative
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
        Self { boot_ms: seconds * 1_000 + nanos / 1_000_000 }
    }

    pub(super) fn plus(self, duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { boot_ms: self.boot_ms.saturating_add(ms) }
    }
}

impl Lease {
    pub(super) fn new(key_id: KeyId, person: PersonId, key: DataKey, until: Moment) -> Self {
        let until = AtomicU64::new(until.boot_ms);
        Self { key_id, person, key: Box::new(key), until, used: AtomicBool::new(true) }
    }

    /// Lets it be used until then, if that is later.
    pub(super) fn renew(&self, until: Moment) {
        self.until.fetch_max(until.boot_ms, Ordering::AcqRel);
    }

    fn lasts(&self, now: Moment) -> bool {
        now.boot_ms < self.until.load(Ordering::Acquire)
    }
}

/// A bounded number of entries, by key and by person.
pub(super) struct Cache {
    by_key: quick_cache::sync::Cache<KeyId, Arc<Entry>>,
    by_person: quick_cache::sync::Cache<PersonId, Arc<Entry>>,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            by_key: quick_cache::sync::Cache::new(capacity),
            by_person: quick_cache::sync::Cache::new(capacity),
        }
    }

    /// What is known, if it may still be used.
    pub(super) fn get(&self, want: Want) -> Option<Arc<Entry>> {
        let entry = match want {
            Want::Person(person) => self.by_person.get(&person),
            Want::Key(key) => self.by_key.get(&key),
        }?;
        if let Entry::Live(lease) = &*entry {
            if !lease.lasts(Moment::now()) {
                return None;
            }
            lease.used.store(true, Ordering::Relaxed);
        }
        Some(entry)
    }

    pub(super) fn insert(&self, person: PersonId, entry: &Arc<Entry>) {
        let key_id = match &**entry {
            Entry::Live(lease) => lease.key_id,
            Entry::Erased(key_id) => *key_id,
        };
        self.by_person.insert(person, Arc::clone(entry));
        self.by_key.insert(key_id, Arc::clone(entry));
    }

    pub(super) fn erase(&self, person: PersonId, key_id: KeyId) {
        self.insert(person, &Arc::new(Entry::Erased(key_id)));
    }

    /// The leases used since the last call that still last.
    pub(super) fn take_used(&self, now: Moment) -> Vec<Arc<Entry>> {
        let in_use = |entry: &Arc<Entry>| match &**entry {
            Entry::Live(lease) => lease.lasts(now) && lease.used.swap(false, Ordering::Relaxed),
            Entry::Erased(_) => false,
        };
        // one entry may have fallen out of either side
        let by_key = self.by_key.iter().map(|(_, entry)| entry);
        let by_person = self.by_person.iter().map(|(_, entry)| entry);
        by_key.chain(by_person).filter(in_use).collect()
    }

    /// Drops keys whose lease has ended, so that they are wiped from memory.
    pub(super) fn drop_ended(&self, now: Moment) {
        let stays = |entry: &Arc<Entry>| match &**entry {
            Entry::Live(lease) => lease.lasts(now),
            Entry::Erased(_) => true,
        };
        self.by_key.retain(|_, entry| stays(entry));
        self.by_person.retain(|_, entry| stays(entry));
    }
}
