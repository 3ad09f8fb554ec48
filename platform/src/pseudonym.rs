//! Keyed pseudonyms: the same person is the same [`PersonId`] everywhere, and nobody without the key can go
//! from one to the other, nor try names until one fits.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use schemas::{DeviceId, PersonId, ShowId, TextDigest};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use uuid::Builder;
use zeroize::Zeroizing;

/// SHA-256 works on blocks of so many bytes.
const BLOCK_BYTES: usize = 64;

/// Makes pseudonyms under one key. The key must never change: with another one every person is a stranger.
pub struct Pseudonyms {
    /// The function with the key taken in, cloned for each use.
    keyed: Hmac<Sha256>,
}

/// What a pseudonym is of. A label of its own keeps one kind from ever equalling another.
#[derive(Clone, Copy)]
enum Domain {
    Person,
    Device,
    Text,
}

impl Domain {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Person => b"tally/pseudonym/person/v1",
            Self::Device => b"tally/pseudonym/device/v1",
            Self::Text => b"tally/pseudonym/text/v1",
        }
    }
}

impl Pseudonyms {
    /// Pseudonyms under this key.
    #[must_use]
    pub fn new(key: &SecretBox<[u8; 32]>) -> Self {
        // HMAC itself fills a short key with zeros up to the hash's block
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        block[..32].copy_from_slice(key.expose_secret());
        Self { keyed: Hmac::new((&*block).into()) }
    }

    /// The person whom a token's `sub` names.
    #[must_use]
    pub fn person(&self, sub: &str) -> PersonId {
        PersonId(self.pseudonym(Domain::Person, &[sub.as_bytes()]))
    }

    /// The device that a client calls by this name. The same name of another person is another device.
    #[must_use]
    pub fn device(&self, person: PersonId, device_id: &str) -> DeviceId {
        DeviceId(self.pseudonym(Domain::Device, &[person.0.as_bytes(), device_id.as_bytes()]))
    }

    /// The digest of a message, to tell a repeat by the same person in the same show without keeping the
    /// text. The caller normalises.
    #[must_use]
    pub fn digest(&self, show: ShowId, person: PersonId, normalised: &str) -> TextDigest {
        let parts: [&[u8]; 3] = [show.0.as_bytes(), person.0.as_bytes(), normalised.as_bytes()];
        TextDigest(self.pseudonym(Domain::Text, &parts))
    }

    fn pseudonym(&self, domain: Domain, parts: &[&[u8]]) -> uuid::Uuid {
        let mut mac = self.keyed.clone();
        for part in [domain.label()].iter().chain(parts) {
            // the length before each part: no two lists of parts run together to the same bytes
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let digest = mac.finalize().into_bytes();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Builder::from_custom_bytes(first).into_uuid()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn under(key: u8) -> Pseudonyms {
        Pseudonyms::new(&SecretBox::new(Box::new([key; 32])))
    }

    #[test]
    fn the_same_name_is_the_same_person_under_one_key_only() {
        assert_eq!(under(1).person("anna"), under(1).person("anna"));
        assert_ne!(under(1).person("anna"), under(1).person("Anna"));
        assert_ne!(under(1).person("anna"), under(2).person("anna"));
        assert_eq!(under(1).person("anna").0.get_version_num(), 8);
    }

    /// The stored log depends on these values: they must never change.
    #[test]
    fn pseudonyms_are_frozen() {
        let show = ShowId(Uuid::from_u128(2));
        let names = under(7);
        let anna = names.person("anna");
        assert_eq!(anna.to_string(), "d5968843-247f-8f44-8a6e-cf5bfe2e038e");
        assert_eq!(names.device(anna, "phone").to_string(), "a865efe4-604c-86a0-8bf3-055727b0ba65");
        assert_eq!(names.digest(show, anna, "hello").0.to_string(), "877f982f-fb01-8e99-a6c4-4ec4eaddf9ff");
    }

    #[test]
    fn devices_and_texts_belong_to_their_person_and_kinds_never_meet() {
        let names = under(1);
        let (anna, ben) = (names.person("anna"), names.person("ben"));
        let show = ShowId(Uuid::from_u128(2));
        assert_ne!(names.device(anna, "phone"), names.device(ben, "phone"));
        assert_ne!(names.digest(show, anna, "hello"), names.digest(show, ben, "hello"));
        assert_ne!(names.digest(show, anna, "x"), names.digest(ShowId(Uuid::from_u128(3)), anna, "x"));
        assert_ne!(names.device(anna, "").0, names.person("").0);
    }
}
