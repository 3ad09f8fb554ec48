//! What the edge of the write side adds to a command before it is decided.

use schemas::events::MessageFeatures;
use schemas::{DeviceId, PersonId, ShowId, TextDigest};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Pseudonyms and what is known of texts. A deployment has its own, under its own keys.
pub trait Edge: Send + Sync {
    /// The person whom a token's subject names.
    fn person(&self, sub: &str) -> PersonId;

    /// The device that a person's client calls by this name.
    fn device(&self, person: PersonId, device_id: &str) -> DeviceId;

    /// What tells a repeat of a text by the same person in the same show.
    fn digest(&self, show: ShowId, person: PersonId, text: &str) -> TextDigest;

    /// What may be known of a text without the text.
    fn features(&self, text: &str) -> MessageFeatures;
}

/// An edge without secrets: the same everywhere. For tests, and to tell two histories apart.
#[derive(Clone, Copy, Default, Debug)]
pub struct PlainEdge;

impl Edge for PlainEdge {
    fn person(&self, sub: &str) -> PersonId {
        PersonId(hashed("person", &[sub.as_bytes()]))
    }

    fn device(&self, person: PersonId, device_id: &str) -> DeviceId {
        DeviceId(hashed("device", &[person.0.as_bytes(), device_id.as_bytes()]))
    }

    fn digest(&self, show: ShowId, person: PersonId, text: &str) -> TextDigest {
        TextDigest(hashed("text", &[show.0.as_bytes(), person.0.as_bytes(), text.as_bytes()]))
    }

    /// Code points and words between spaces alone.
    fn features(&self, text: &str) -> MessageFeatures {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        MessageFeatures {
            characters: count(text.chars().count()),
            words: count(text.split_whitespace().count()),
            ..MessageFeatures::default()
        }
    }
}

fn hashed(kind: &str, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new_with_prefix(kind);
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}
