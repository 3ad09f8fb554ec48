//! What this deployment's edge would have added to each command.

use command_api::features;
use generator::Edge;
use parking_lot::Mutex;
use platform::pseudonym::Pseudonyms;
use schemas::events::MessageFeatures;
use schemas::{DeviceId, PersonId, ShowId, TextDigest};
use std::collections::HashMap;

/// Texts of which the features are kept: to tell a language costs more than all else that a message needs, and most texts come
/// again.
const KNOWN_TEXTS_MAX: usize = 50_000;

/// Pseudonyms under the deployment's key, and features as the write side computes them.
pub(super) struct DeploymentEdge {
    pseudonyms: Pseudonyms,
    known: Mutex<HashMap<String, MessageFeatures>>,
}

impl DeploymentEdge {
    pub(super) fn new(pseudonyms: Pseudonyms) -> Self {
        Self { pseudonyms, known: Mutex::default() }
    }
}

impl Edge for DeploymentEdge {
    fn person(&self, sub: &str) -> PersonId {
        self.pseudonyms.person(sub)
    }

    fn device(&self, person: PersonId, device_id: &str) -> DeviceId {
        self.pseudonyms.device(person, device_id)
    }

    fn digest(&self, show: ShowId, person: PersonId, text: &str) -> TextDigest {
        self.pseudonyms.digest(show, person, &features::normalised(text))
    }

    fn features(&self, text: &str) -> MessageFeatures {
        if let Some(known) = self.known.lock().get(text) {
            return known.clone();
        }
        let features = features::of(text);
        let mut known = self.known.lock();
        if known.len() < KNOWN_TEXTS_MAX {
            known.insert(text.to_owned(), features.clone());
        }
        features
    }
}
