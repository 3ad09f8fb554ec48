//! The events themselves, and the rules of an append.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::{EventId, Position, Revision};

use crate::event_log::{AppendError, Appended, Expected, NewEvent, StoredEvent};

/// Positions of neighbouring events are at most so far apart: enough to show any code that counts in them.
const POSITION_STEP_MAX: u64 = 97;

pub(super) struct State {
    /// In log order.
    pub(super) events: Vec<StoredEvent>,
    streams: HashMap<String, Stream>,
    steps: StdRng,
}

#[derive(Default)]
struct Stream {
    /// The place in `State::events` of each revision.
    places: Vec<usize>,
    /// The revision of each id.
    ids: HashMap<EventId, usize>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self { events: Vec::new(), streams: HashMap::new(), steps: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn append(
        &mut self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let existing = self.streams.get(stream);
        let length = existing.map_or(0, |known| known.places.len());
        let known = |event: &NewEvent| existing.and_then(|known| known.ids.get(&event.id).copied());
        let start = match expected {
            Expected::NoStream => 0,
            Expected::Revision(revision) => place(revision).saturating_add(1),
            Expected::Any => events.first().and_then(known).unwrap_or(length),
        };
        if start == length {
            return Ok(self.push(stream, events));
        }
        // the same append again: each event stands where it would
        let repeated = events.iter().enumerate().all(|(index, event)| known(event) == Some(start + index));
        let last = existing.and_then(|known| known.places.get(start + events.len() - 1));
        match last {
            Some(&last) if repeated => {
                let event = &self.events[last];
                Ok(Appended { revision: event.revision, position: event.position })
            }
            Some(_) | None => {
                Err(AppendError::WrongExpected { actual: length.checked_sub(1).map(|last| last as Revision) })
            }
        }
    }

    fn push(&mut self, name: &str, events: Vec<NewEvent>) -> Appended {
        let stream = self.streams.entry(name.to_owned()).or_default();
        let mut appended = Appended { revision: 0, position: Position(0) };
        for event in events {
            let previous = self.events.last().map_or(0, |last| last.position.0);
            let position = Position(previous + self.steps.random_range(1..=POSITION_STEP_MAX));
            let revision = stream.places.len();
            stream.ids.insert(event.id, revision);
            stream.places.push(self.events.len());
            appended = Appended { revision: revision as Revision, position };
            self.events.push(StoredEvent {
                id: event.id,
                stream: name.to_owned(),
                revision: appended.revision,
                position,
                kind: event.kind,
                data: event.data,
                metadata: event.metadata,
            });
        }
        appended
    }

    pub(super) fn read(&self, stream: &str, from: Revision, limit: usize) -> Vec<StoredEvent> {
        self.places(stream).iter().skip(place(from)).take(limit).map(|&at| self.events[at].clone()).collect()
    }

    pub(super) fn read_back(&self, stream: &str, from: Option<Revision>, limit: usize) -> Vec<StoredEvent> {
        let places = self.places(stream);
        let end = from.map_or(places.len(), |from| place(from).saturating_add(1).min(places.len()));
        places[..end].iter().rev().take(limit).map(|&at| self.events[at].clone()).collect()
    }

    /// The place in `events` of the first event after a position.
    pub(super) fn first_after(&self, after: Option<Position>) -> usize {
        after.map_or(0, |after| self.events.partition_point(|event| event.position <= after))
    }

    fn places(&self, stream: &str) -> &[usize] {
        self.streams.get(stream).map_or(&[], |known| &known.places)
    }
}

/// A revision as an index; one beyond memory is beyond every stream.
fn place(revision: Revision) -> usize {
    usize::try_from(revision).unwrap_or(usize::MAX)
}
