//! The key vault: one AES-256 key per person, under which the personal data in events are sealed.
//!
//! It is the one primary store beside the log. Erasing a person means to forget their key: the row becomes
//! a tombstone that is never recreated, and what was sealed under it is noise for ever, in every copy.
//!
//! Keys in memory are leases. A lease ends [`VaultOptions::lease`] after the moment *before* the vault was
//! asked, and only an answer that the key still lives renews it. So once an erasure is durable and that
//! time has passed, no node can seal or open under the key, not even one that lost its connection. That is
//! what [`Vault::erase`] waits for. A node that cannot renew neither seals nor opens.

mod cache;
mod cipher;
mod entropy;
mod loader;
mod memory;
mod postgres;
mod store;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemas::{EventId, Identity, KeyId, PersonId, Sealed, Timestamp};
use secrecy::SecretBox;
use sqlx::PgPool;
use thiserror::Error;

use self::cache::{Cache, Entry};
use self::cipher::Sealing;
use self::entropy::Entropy;
use self::loader::{Loader, Want};
use self::store::KeyStore;

pub use self::cipher::MasterKey;
pub use self::memory::MemoryKeys;

/// Keys are held in memory for at most so long after the vault last confirmed them. Erasure waits as long,
/// so it is short enough for a person to wait, and long enough that renewals are no load.
pub const LEASE_MAX: Duration = Duration::from_secs(30);

/// Erasure waits for this much longer than a lease, for clocks of two nodes that do not run equally fast.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// So many keys are held in memory, some 1 KiB each: the active persons of a node, with room.
const CACHED_KEYS_DEFAULT: usize = 32_768;

/// The name of the field that holds a person's identity, in the associated data.
const IDENTITY: &str = "identity";

/// The bounds of a node's vault.
#[derive(Clone, Debug)]
pub struct VaultOptions {
    /// How long a key may be used without renewal, at most [`LEASE_MAX`]. The same on every node, since
    /// erasure waits for it; shorter for tests.
    pub lease: Duration,
    /// How many keys are held in memory.
    pub cached_keys: usize,
}

impl Default for VaultOptions {
    fn default() -> Self {
        Self { lease: LEASE_MAX, cached_keys: CACHED_KEYS_DEFAULT }
    }
}

/// Why the vault did not seal or open.
#[derive(Clone, Debug, Error)]
pub enum VaultError {
    /// The person was erased: nothing can ever be sealed for them again.
    #[error("the person was erased")]
    Erased,
    /// The vault cannot be asked, and no lease is left. Worth a repeat later.
    #[error("the key vault is not available")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
    /// The vault has no such key: it was restored from a back-up older than the log, or is another log's.
    #[error("the key vault has no key {0}")]
    UnknownKey(KeyId),
    /// The key does not come out of its wrapping: the master key is another one.
    #[error("key {0} cannot be unwrapped: is this the master key that it was made with?")]
    WrongMasterKey(KeyId),
    /// The sealed value was changed, or belongs to another event or field.
    #[error("a value sealed under key {0} does not authenticate")]
    Forged(KeyId),
    /// What was opened is not what was to be in there.
    #[error("a value sealed under key {0} is not of the expected kind")]
    Malformed(KeyId),
}

/// The proof that a person's key is gone from every node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErasureReceipt {
    /// The person.
    pub person: PersonId,
    /// Their key, now a tombstone.
    pub key_id: KeyId,
    /// When it was erased, by the vault's clock. A repeat tells the first time.
    pub erased_at: Timestamp,
}

/// One value to be opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest<'a> {
    /// The sealed value.
    pub sealed: &'a Sealed,
    /// The event that it stands in.
    pub event_id: EventId,
    /// The field that it stands in.
    pub field: &'static str,
}

/// Seals and opens personal data. Clones are the same vault.
#[derive(Clone)]
pub struct Vault {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn KeyStore>,
    master: MasterKey,
    entropy: Entropy,
    cache: Cache,
    lease: Duration,
    loader: Loader,
}

impl Vault {
    /// A vault over Postgres (schema `vault`, see the migrations). Must be called within a runtime: it
    /// starts the task that loads keys in batches and the one that renews them, which end with the last clone.
    #[must_use]
    pub fn postgres(pool: PgPool, master: MasterKey, options: &VaultOptions) -> Self {
        Self::started(Arc::new(postgres::PostgresKeys::new(pool)), master, Entropy::System, options)
    }

    /// A vault in memory, for tests: one seed gives the same keys and nonces in every run.
    #[must_use]
    pub fn in_memory(seed: u64) -> Self {
        Self::over_memory(&MemoryKeys::default(), seed, &VaultOptions::default())
    }

    /// One node's vault over keys in memory that other nodes' vaults may share, and that can be made
    /// unavailable. For tests.
    #[must_use]
    pub fn over_memory(keys: &MemoryKeys, seed: u64, options: &VaultOptions) -> Self {
        let master = MasterKey::new(&SecretBox::new(Box::new([0; 32])));
        let shared = Shared {
            store: Arc::new(keys.clone()),
            master,
            entropy: Entropy::seeded(seed),
            cache: Cache::new(options.cached_keys),
            lease: options.lease.min(LEASE_MAX),
            loader: Loader::Direct,
        };
        Self { shared: Arc::new(shared) }
    }

    fn started(
        store: Arc<dyn KeyStore>,
        master: MasterKey,
        entropy: Entropy,
        options: &VaultOptions,
    ) -> Self {
        let (loader, requests) = Loader::queued();
        let shared = Arc::new(Shared {
            store,
            master,
            entropy,
            cache: Cache::new(options.cached_keys),
            lease: options.lease.min(LEASE_MAX),
            loader,
        });
        tokio::spawn(loader::serve(Arc::downgrade(&shared), requests));
        tokio::spawn(loader::renew(Arc::downgrade(&shared), shared.lease));
        Self { shared }
    }

    /// Seals bytes for one field of one event, under the person's key, which is made if they have none.
    ///
    /// # Errors
    /// [`VaultError::Erased`] for an erased person, [`VaultError::Unavailable`] where there is neither a
    /// lease nor an answer.
    pub async fn seal(
        &self,
        person: PersonId,
        event_id: EventId,
        field: &'static str,
        plain: &[u8],
    ) -> Result<Sealed, VaultError> {
        match &*self.shared.entry(Want::Person(person)).await? {
            Entry::Erased(_) => Err(VaultError::Erased),
            Entry::Live(lease) => {
                let sealing = Sealing { event_id, field };
                Ok(lease.key.seal(lease.key_id, &sealing, self.shared.entropy.nonce(), plain))
            }
        }
    }

    /// Opens a sealed value; `None` where its person was erased.
    ///
    /// # Errors
    /// As [`Vault::seal`], and where the value is not what was sealed.
    pub async fn open(
        &self,
        sealed: &Sealed,
        event_id: EventId,
        field: &'static str,
    ) -> Result<Option<Vec<u8>>, VaultError> {
        let entry = self.shared.entry(Want::Key(sealed.key_id)).await?;
        open_with(&entry, OpenRequest { sealed, event_id, field })
    }

    /// Opens many values, in order. All keys that are not at hand are asked for together.
    pub async fn open_batch(&self, requests: &[OpenRequest<'_>]) -> Vec<Result<Option<Vec<u8>>, VaultError>> {
        let wants: Vec<Want> = requests.iter().map(|request| Want::Key(request.sealed.key_id)).collect();
        let entries = self.shared.entries(&wants).await;
        requests
            .iter()
            .zip(entries)
            .map(|(&request, entry)| entry.and_then(|entry| open_with(&entry, request)))
            .collect()
    }

    /// Forgets a person's key for ever, also that of a person who has none yet, and answers when no node of
    /// the cluster can have it any more. A repeat is harmless, also after a crash.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: ask again, it may or may not have been done.
    pub async fn erase(&self, person: PersonId) -> Result<ErasureReceipt, VaultError> {
        let shared = &self.shared;
        let tombstone = KeyId(shared.entropy.uuid());
        let erased = shared.store.erase(person, tombstone).await.map_err(unavailable)?;
        shared.cache.erase(person, erased.key_id);
        // the erasure is durable: every lease that was given before ends within this time
        tokio::time::sleep(shared.lease + LEASE_MARGIN.min(shared.lease)).await;
        Ok(ErasureReceipt { person, key_id: erased.key_id, erased_at: erased.erased_at })
    }

    /// Seals who a person is.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_identity(
        &self,
        person: PersonId,
        event_id: EventId,
        identity: &Identity,
    ) -> Result<Sealed, VaultError> {
        // two strings as JSON: writing them cannot fail
        let plain = serde_json::to_vec(identity).map_err(|error| unavailable(error.into()))?;
        self.seal(person, event_id, IDENTITY, &plain).await
    }

    /// Opens who a person is; `None` where they were erased.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_identity(
        &self,
        sealed: &Sealed,
        event_id: EventId,
    ) -> Result<Option<Identity>, VaultError> {
        let plain = self.open(sealed, event_id, IDENTITY).await?;
        plain.map(|plain| identity(sealed.key_id, &plain)).transpose()
    }

    /// Opens many identities, in order; `None` where a person was erased.
    pub async fn open_identities(
        &self,
        sealed: &[(&Sealed, EventId)],
    ) -> Vec<Result<Option<Identity>, VaultError>> {
        let request = |&(sealed, event_id)| OpenRequest { sealed, event_id, field: IDENTITY };
        let requests: Vec<OpenRequest<'_>> = sealed.iter().map(request).collect();
        let opened = self.open_batch(&requests).await;
        let key_ids = sealed.iter().map(|(sealed, _)| sealed.key_id);
        opened
            .into_iter()
            .zip(key_ids)
            .map(|(plain, key_id)| plain?.map(|plain| identity(key_id, &plain)).transpose())
            .collect()
    }

    /// Seals a text.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_text(
        &self,
        person: PersonId,
        event_id: EventId,
        field: &'static str,
        text: &str,
    ) -> Result<Sealed, VaultError> {
        self.seal(person, event_id, field, text.as_bytes()).await
    }

    /// Opens a text; `None` where its person was erased.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_text(
        &self,
        sealed: &Sealed,
        event_id: EventId,
        field: &'static str,
    ) -> Result<Option<String>, VaultError> {
        let plain = self.open(sealed, event_id, field).await?;
        let text = |plain| String::from_utf8(plain).map_err(|_| VaultError::Malformed(sealed.key_id));
        plain.map(text).transpose()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

fn open_with(entry: &Entry, request: OpenRequest<'_>) -> Result<Option<Vec<u8>>, VaultError> {
    match entry {
        Entry::Erased(_) => Ok(None),
        Entry::Live(lease) => {
            let sealing = Sealing { event_id: request.event_id, field: request.field };
            lease.key.open(request.sealed, &sealing).map(Some)
        }
    }
}

fn identity(key_id: KeyId, plain: &[u8]) -> Result<Identity, VaultError> {
    serde_json::from_slice(plain).map_err(|_| VaultError::Malformed(key_id))
}

fn unavailable(cause: Box<dyn Error + Send + Sync>) -> VaultError {
    VaultError::Unavailable(Arc::from(cause))
}

#[cfg(test)]
mod tests;
