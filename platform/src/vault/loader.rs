//! Gets keys into the cache: many at a time, one query for all who wait; and renews those in use.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::join_all;
use schemas::{KeyId, PersonId};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::cache::{Entry, Lease, Moment};
use super::store::KeyRow;
use super::{Shared, VaultError, unavailable};

/// So many may wait for a key at once: a large show's audience arriving in one second.
const REQUESTS_MAX: usize = 8_192;

/// So many keys go into one query: enough that a round trip for each batch is no limit.
const BATCH_MAX: usize = 512;

/// Nobody waits longer for a key: the request that needs it is bounded too.
const LOAD_DEADLINE: Duration = Duration::from_secs(5);

/// Each lease is renewed so many times before it ends: two renewals may fail.
const RENEWALS_PER_LEASE: u32 = 3;

/// What a key is asked for by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Want {
    /// A person's key; made if they have none.
    Person(PersonId),
    /// The key with this id; an error if there is none.
    Key(KeyId),
}

pub(super) struct Request {
    want: Want,
    answer: oneshot::Sender<Result<Arc<Entry>, VaultError>>,
}

/// How keys that are not at hand are got.
pub(super) enum Loader {
    /// At once, each for itself.
    Direct,
    /// By a task that takes all who wait together.
    Queued(mpsc::Sender<Request>),
}

#[derive(Clone, Copy, Debug, Error)]
enum LoadError {
    #[error("the answer did not come in time")]
    Deadline,
    #[error("the vault was closed")]
    Closed,
}

impl From<LoadError> for VaultError {
    fn from(error: LoadError) -> Self {
        unavailable(error.into())
    }
}

impl Loader {
    pub(super) fn queued() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
        (Self::Queued(sender), receiver)
    }
}

impl Shared {
    pub(super) async fn entry(&self, want: Want) -> Result<Arc<Entry>, VaultError> {
        match self.cache.get(want) {
            Some(entry) => Ok(entry),
            None => self.fetch(want).await,
        }
    }

    pub(super) async fn entries(&self, wants: &[Want]) -> Vec<Result<Arc<Entry>, VaultError>> {
        match &self.loader {
            Loader::Queued(_) => join_all(wants.iter().map(|&want| self.entry(want))).await,
            Loader::Direct => {
                let missing: Vec<Want> =
                    wants.iter().copied().filter(|&want| self.cache.get(want).is_none()).collect();
                let loaded = if missing.is_empty() { HashMap::new() } else { self.load(&missing).await };
                let entry = |want: &Want| match loaded.get(want) {
                    Some(result) => result.clone(),
                    None => self.cache.get(*want).ok_or_else(|| LoadError::Closed.into()),
                };
                wants.iter().map(entry).collect()
            }
        }
    }

    async fn fetch(&self, want: Want) -> Result<Arc<Entry>, VaultError> {
        let Loader::Queued(queue) = &self.loader else {
            let closed = || Err(LoadError::Closed.into());
            return self.load(&[want]).await.remove(&want).unwrap_or_else(closed);
        };
        let (answer, answered) = oneshot::channel();
        let fetched = async {
            queue.send(Request { want, answer }).await.map_err(|_| LoadError::Closed)?;
            answered.await.map_err(|_| LoadError::Closed)?
        };
        timeout(LOAD_DEADLINE, fetched).await.unwrap_or_else(|_| Err(LoadError::Deadline.into()))
    }

    /// Answers each want, by one query, and one more if persons need their first key.
    async fn load(&self, wants: &[Want]) -> HashMap<Want, Result<Arc<Entry>, VaultError>> {
        let mut persons: Vec<PersonId> = Vec::new();
        let mut keys: Vec<KeyId> = Vec::new();
        for want in wants {
            match *want {
                Want::Person(person) => persons.push(person),
                Want::Key(key) => keys.push(key),
            }
        }
        let found = self.find_or_add(&persons, &keys).await;
        let answers = wants.iter().map(|&want| {
            let answer = match (&found, want) {
                (Err(error), _) => Err(error.clone()),
                (Ok(found), _) => match (found.get(&want), want) {
                    (Some(entry), _) => entry.clone(),
                    (None, Want::Key(key)) => Err(VaultError::UnknownKey(key)),
                    (None, Want::Person(_)) => Err(LoadError::Closed.into()),
                },
            };
            (want, answer)
        });
        answers.collect()
    }

    async fn find_or_add(
        &self,
        persons: &[PersonId],
        keys: &[KeyId],
    ) -> Result<HashMap<Want, Result<Arc<Entry>, VaultError>>, VaultError> {
        let mut found = self.find(persons, keys).await?;
        let missing: Vec<PersonId> =
            persons.iter().copied().filter(|&person| !found.contains_key(&Want::Person(person))).collect();
        if !missing.is_empty() {
            let fresh: Vec<KeyRow> = missing.iter().map(|&person| self.fresh(person)).collect();
            self.store.add(&fresh).await.map_err(unavailable)?;
            // another node may have been faster: what counts is what stands there now
            found.extend(self.find(&missing, &[]).await?);
        }
        Ok(found)
    }

    async fn find(
        &self,
        persons: &[PersonId],
        keys: &[KeyId],
    ) -> Result<HashMap<Want, Result<Arc<Entry>, VaultError>>, VaultError> {
        // from before the question: an erasure after it must find the lease's end already fixed
        let until = Moment::now().plus(self.lease);
        let rows = self.store.find(persons, keys).await.map_err(unavailable)?;
        metrics::counter!("vault_keys_loaded_total").increment(rows.len() as u64);
        let mut found = HashMap::with_capacity(rows.len() * 2);
        for row in rows {
            let entry = self.keep(&row, until);
            found.insert(Want::Person(row.person), entry.clone());
            found.insert(Want::Key(row.key_id), entry);
        }
        Ok(found)
    }

    fn keep(&self, row: &KeyRow, until: Moment) -> Result<Arc<Entry>, VaultError> {
        let entry = Arc::new(match &row.wrapped {
            None => Entry::Erased(row.key_id),
            Some(wrapped) => {
                let key = self.master.unwrap(row.key_id, row.person, wrapped)?;
                Entry::Live(Lease::new(row.key_id, row.person, key, until))
            }
        });
        self.cache.insert(row.person, &entry);
        Ok(entry)
    }

    fn fresh(&self, person: PersonId) -> KeyRow {
        let key_id = KeyId(self.entropy.uuid());
        let wrapped = self.master.fresh(&self.entropy, key_id, person);
        KeyRow { key_id, person, wrapped: Some(wrapped) }
    }

    /// Renews the leases in use, and drops those that ended.
    async fn renew(&self) -> Result<(), VaultError> {
        let begun = Moment::now();
        self.cache.drop_ended(begun);
        for leases in self.cache.take_used(begun).chunks(BATCH_MAX) {
            let until = Moment::now().plus(self.lease);
            let leases = leases.iter().filter_map(|entry| match &**entry {
                Entry::Live(lease) => Some(lease),
                Entry::Erased(_) => None,
            });
            let leases: Vec<&Lease> = leases.collect();
            let keys: Vec<KeyId> = leases.iter().map(|lease| lease.key_id).collect();
            let living = self.store.living(&keys).await.map_err(unavailable)?;
            let living: HashSet<KeyId> = living.into_iter().collect();
            for lease in leases {
                if living.contains(&lease.key_id) {
                    lease.renew(until);
                } else {
                    self.cache.erase(lease.person, lease.key_id);
                }
            }
        }
        Ok(())
    }
}

/// Serves those who wait for keys, until the vault is dropped.
pub(super) async fn serve(shared: Weak<Shared>, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while requests.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let Some(shared) = shared.upgrade() else { return };
        let wants: Vec<Want> = batch.iter().map(|request| request.want).collect();
        // the store may hang: then those who wait are told, and the next are tried
        let Ok(answers) = timeout(LOAD_DEADLINE, shared.load(&wants)).await else {
            batch.clear();
            continue;
        };
        for request in batch.drain(..) {
            let closed = || Err(LoadError::Closed.into());
            let answer = answers.get(&request.want).map_or_else(closed, Clone::clone);
            // who gave up waiting needs no answer
            drop(request.answer.send(answer));
        }
    }
}

/// Renews leases in use, until the vault is dropped.
pub(super) async fn renew(shared: Weak<Shared>, lease: Duration) {
    let mut ticks = interval(lease / RENEWALS_PER_LEASE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let renewed = timeout(lease, shared.renew()).await;
        if let Err(error) = renewed.unwrap_or_else(|_| Err(LoadError::Deadline.into())) {
            metrics::counter!("vault_renewals_failed_total").increment(1);
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot renew the leases of keys");
        }
    }
}
