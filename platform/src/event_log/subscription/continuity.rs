//! Whether each stream's events follow on each other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemas::{Position, Revision};

use crate::event_log::StoredEvent;

/// The last event of the streams met most recently.
pub(super) struct Continuity {
    last: HashMap<Arc<str>, Last>,
    /// The streams by their last event, the quietest first.
    by_position: BTreeMap<Position, Arc<str>>,
    streams_max: usize,
    /// Up to here events of a stream that is not remembered may have been delivered: where the subscription
    /// began, or the last event of the stream forgotten last.
    horizon: Option<Position>,
}

#[derive(Clone, Copy)]
struct Last {
    revision: Revision,
    position: Position,
}

/// What an event is to those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It follows on them.
    Follows,
    /// It does not: this revision was due.
    Gap(Revision),
    /// It does if the event before it, with this revision, stands at or before the position.
    IfBefore(Revision, Position),
}

impl Continuity {
    pub(super) fn new(after: Option<Position>, streams_max: usize) -> Self {
        Self {
            last: HashMap::new(),
            by_position: BTreeMap::new(),
            streams_max: streams_max.max(1),
            horizon: after,
        }
    }

    pub(super) fn judge(&self, event: &StoredEvent) -> Verdict {
        let due = self.last.get(event.stream.as_str()).map_or(0, |last| last.revision + 1);
        if event.revision == due {
            return Verdict::Follows;
        }
        match (self.horizon, event.revision.checked_sub(1)) {
            (Some(horizon), Some(before)) if due == 0 => Verdict::IfBefore(before, horizon),
            (Some(_) | None, Some(_) | None) => Verdict::Gap(due),
        }
    }

    /// Remembers an event that follows; forgets the stream that was quiet for longest, if there are too many.
    pub(super) fn remember(&mut self, event: &StoredEvent) {
        let last = Last { revision: event.revision, position: event.position };
        let name = match self.last.get_mut(event.stream.as_str()) {
            Some(known) => {
                let name = self.by_position.remove(&known.position);
                *known = last;
                name
            }
            None => None,
        };
        let name = name.unwrap_or_else(|| {
            let name: Arc<str> = Arc::from(event.stream.as_str());
            self.last.insert(Arc::clone(&name), last);
            name
        });
        self.by_position.insert(event.position, name);
        if self.last.len() > self.streams_max
            && let Some((position, name)) = self.by_position.pop_first()
        {
            self.last.remove(&name);
            self.horizon = self.horizon.max(Some(position));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use schemas::EventId;
    use uuid::Uuid;

    fn event(stream: &str, revision: Revision, position: u64) -> StoredEvent {
        StoredEvent {
            id: EventId(Uuid::nil()),
            stream: stream.to_owned(),
            revision,
            position: Position(position),
            kind: String::new(),
            data: Bytes::new(),
            metadata: Bytes::new(),
        }
    }

    #[test]
    fn from_the_beginning_every_stream_begins_with_zero_and_has_no_holes() {
        let mut seen = Continuity::new(None, 10);
        assert_eq!(seen.judge(&event("a", 1, 5)), Verdict::Gap(0));
        for revision in 0..3 {
            let event = event("a", revision, 10 + revision);
            assert_eq!(seen.judge(&event), Verdict::Follows);
            seen.remember(&event);
        }
        assert_eq!(seen.judge(&event("a", 4, 20)), Verdict::Gap(3));
        assert_eq!(seen.judge(&event("a", 2, 20)), Verdict::Gap(3));
        assert_eq!(seen.judge(&event("a", 0, 20)), Verdict::Gap(3));
        assert_eq!(seen.judge(&event("b", 0, 20)), Verdict::Follows);
    }

    #[test]
    fn a_stream_met_midway_must_have_been_there_at_the_start() {
        let mut seen = Continuity::new(Some(Position(100)), 10);
        assert_eq!(seen.judge(&event("a", 7, 110)), Verdict::IfBefore(6, Position(100)));
        seen.remember(&event("a", 7, 110));
        assert_eq!(seen.judge(&event("a", 9, 120)), Verdict::Gap(8));
        assert_eq!(seen.judge(&event("b", 0, 120)), Verdict::Follows);
    }

    #[test]
    fn the_quietest_stream_is_forgotten_and_the_horizon_moves_there() {
        let mut seen = Continuity::new(None, 2);
        for (stream, revision, position) in [("a", 0, 1), ("b", 0, 2), ("a", 1, 3), ("c", 0, 4)] {
            seen.remember(&event(stream, revision, position));
        }
        assert_eq!(seen.judge(&event("b", 1, 9)), Verdict::IfBefore(0, Position(2)));
        assert_eq!(seen.judge(&event("a", 2, 9)), Verdict::Follows);
        assert_eq!(seen.judge(&event("a", 3, 9)), Verdict::Gap(2));
        assert_eq!((seen.last.len(), seen.by_position.len()), (2, 2));
    }
}
