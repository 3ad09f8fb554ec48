//! What tells two histories apart, and what there is in one.

use std::collections::BTreeMap;
use std::fmt;

use schemas::{Envelope, Event, EventId, Metadata, Revision, streams};
use sha2::{Digest as _, Sha256};

use crate::calendar::ShowPlan;
use crate::play::Happening;

/// A digest over every event of a history: stream, revision, id, name, data and metadata, in their order.
#[derive(Default)]
pub struct Digest {
    hash: Sha256,
}

impl Digest {
    /// Takes the next of a show's happenings, with its payments.
    ///
    /// # Errors
    /// None in practice: every event is plain data with text keys.
    pub fn take(&mut self, plan: &ShowPlan, happening: &Happening) -> Result<(), serde_json::Error> {
        let show = streams::show(plan.id);
        if let Some(step) = &happening.before {
            self.step(step)?;
        }
        let Envelope { event_id, revision, meta, event, .. } = &happening.event;
        self.event(&show, *event_id, *revision, meta, &event.clone().into())?;
        if let Some(step) = &happening.after {
            self.step(step)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &crate::PaymentStep) -> Result<(), serde_json::Error> {
        let stream = streams::payment(step.payment);
        for Envelope { event_id, revision, meta, event, .. } in &step.events {
            self.event(&stream, *event_id, *revision, meta, &event.clone().into())?;
        }
        Ok(())
    }

    fn event(
        &mut self,
        stream: &str,
        id: EventId,
        revision: Revision,
        meta: &Metadata,
        event: &Event,
    ) -> Result<(), serde_json::Error> {
        let (name, _) = event.stored();
        let (data, metadata) = (event.encode()?, serde_json::to_vec(meta)?);
        let revision = revision.to_be_bytes();
        for part in [stream.as_bytes(), &revision, id.0.as_bytes(), name.as_bytes(), &data, &metadata] {
            self.hash.update((part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
        Ok(())
    }

    /// The digest so far, as hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Adds what a happening consists of to counts by stored name.
pub fn counts_of(happening: &Happening, counts: &mut BTreeMap<&'static str, u64>) {
    let payments = happening.before.iter().chain(&happening.after).flat_map(|step| &step.events);
    let names = payments.map(|envelope| envelope.event.stored().0).chain([happening.event.event.stored().0]);
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
}
