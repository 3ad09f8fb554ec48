//! AES-256-GCM: the person's key over the data, the master key over the person's key.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use schemas::Bytes;
use schemas::{EventId, KeyId, PersonId, Sealed};
use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

use super::VaultError;
use super::entropy::Entropy;

/// 96 bits, what GCM is made for.
pub(super) type Nonce = [u8; 12];

/// The first byte of a wrapped key: how the rest is made. Another master key would get another number.
const WRAPPING_V1: u8 = 1;

/// Where a sealed value stands. It is authenticated with it, so it cannot be moved.
pub(super) struct Sealing {
    pub(super) event_id: EventId,
    pub(super) field: &'static str,
}

impl Sealing {
    fn associated_data(&self) -> Vec<u8> {
        [self.event_id.0.as_bytes(), self.field.as_bytes()].concat()
    }
}

/// A person's key, ready for use. Wiped from memory when it is dropped.
pub(super) struct DataKey {
    cipher: Aes256Gcm,
}

impl DataKey {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self { cipher: Aes256Gcm::new(key.into()) }
    }

    pub(super) fn seal(&self, key_id: KeyId, sealing: &Sealing, nonce: Nonce, plain: &[u8]) -> Sealed {
        let ciphertext = encrypt(&self.cipher, nonce, &sealing.associated_data(), plain);
        Sealed { key_id, nonce: Bytes(nonce.to_vec()), ciphertext: Bytes(ciphertext) }
    }

    pub(super) fn open(&self, sealed: &Sealed, sealing: &Sealing) -> Result<Vec<u8>, VaultError> {
        let nonce = <Nonce>::try_from(&*sealed.nonce.0).map_err(|_| VaultError::Forged(sealed.key_id))?;
        decrypt(&self.cipher, nonce, &sealing.associated_data(), &sealed.ciphertext.0)
            .ok_or(VaultError::Forged(sealed.key_id))
    }
}

/// The key over all keys. It comes from the configuration and never changes.
pub struct MasterKey {
    cipher: Aes256Gcm,
}

impl MasterKey {
    /// From its 32 bytes.
    #[must_use]
    pub fn new(key: &SecretBox<[u8; 32]>) -> Self {
        Self { cipher: Aes256Gcm::new(key.expose_secret().into()) }
    }

    /// A fresh key for a person, wrapped.
    pub(super) fn fresh(&self, entropy: &Entropy, key_id: KeyId, person: PersonId) -> Vec<u8> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key);
        let nonce = entropy.nonce();
        let ciphertext = encrypt(&self.cipher, nonce, &owner(key_id, person), &*key);
        [&[WRAPPING_V1], &nonce[..], &ciphertext].concat()
    }

    pub(super) fn unwrap(
        &self,
        key_id: KeyId,
        person: PersonId,
        wrapped: &[u8],
    ) -> Result<DataKey, VaultError> {
        let unwrapped = || {
            let (nonce, ciphertext) = wrapped.strip_prefix(&[WRAPPING_V1])?.split_first_chunk()?;
            let key = Zeroizing::new(decrypt(&self.cipher, *nonce, &owner(key_id, person), ciphertext)?);
            Some(DataKey::new(<&[u8; 32]>::try_from(key.as_slice()).ok()?))
        };
        unwrapped().ok_or(VaultError::WrongMasterKey(key_id))
    }
}

/// A wrapped key is bound to its row: it cannot be put into another person's.
fn owner(key_id: KeyId, person: PersonId) -> [u8; 32] {
    let mut owner = [0; 32];
    owner[..16].copy_from_slice(key_id.0.as_bytes());
    owner[16..].copy_from_slice(person.0.as_bytes());
    owner
}

/// Only texts beyond 64 GiB are refused, and no request is that long.
fn encrypt(cipher: &Aes256Gcm, nonce: Nonce, aad: &[u8], msg: &[u8]) -> Vec<u8> {
    cipher.encrypt(&nonce.into(), Payload { msg, aad }).expect("a text below 64 GiB")
}

fn decrypt(cipher: &Aes256Gcm, nonce: Nonce, aad: &[u8], msg: &[u8]) -> Option<Vec<u8>> {
    cipher.decrypt(&nonce.into(), Payload { msg, aad }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn master(byte: u8) -> MasterKey {
        MasterKey::new(&SecretBox::new(Box::new([byte; 32])))
    }

    #[test]
    fn a_wrapped_key_opens_for_its_row_under_its_master_key_only() {
        let (id, other) = (KeyId(Uuid::from_u128(1)), KeyId(Uuid::from_u128(2)));
        let (anna, ben) = (PersonId(Uuid::from_u128(3)), PersonId(Uuid::from_u128(4)));
        let wrapped = master(1).fresh(&Entropy::seeded(1), id, anna);
        assert!(master(1).unwrap(id, anna, &wrapped).is_ok());
        assert!(master(2).unwrap(id, anna, &wrapped).is_err());
        assert!(master(1).unwrap(other, anna, &wrapped).is_err());
        assert!(master(1).unwrap(id, ben, &wrapped).is_err());
        for cut in 0..wrapped.len() {
            assert!(master(1).unwrap(id, anna, &wrapped[..cut]).is_err());
        }
    }

    /// What is in the vault and the log depends on this: it must never change.
    #[test]
    fn the_wrapping_is_a_version_a_nonce_and_the_sealed_key() {
        let (id, anna) = (KeyId(Uuid::from_u128(1)), PersonId(Uuid::from_u128(3)));
        let wrapped = master(1).fresh(&Entropy::seeded(1), id, anna);
        assert_eq!((wrapped[0], wrapped.len()), (1, 1 + 12 + 32 + 16));
    }
}
