//! Random histories against a model that is simple enough to be right.

use std::collections::HashMap;

use embedded::event_log::{
    AppendError, Command, Expected, NewEvent, Store, StoreConfig, StreamCursor, WriteResult, inspect,
};
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Debug, Clone)]
enum Step {
    Append { stream: u8, expected: Wanted, ids: Vec<u8> },
    Delete { stream: u8, expected: Wanted },
    Tombstone { stream: u8, expected: Wanted },
    Reopen,
    Rebuild,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Any,
    NoStream,
    Exists,
    /// Relative to the stream's last revision, so that hits and near misses both happen.
    Near(i8),
}

#[derive(Debug, Default)]
struct Stream {
    ids: Vec<u8>,
    hidden: u64,
    deleted: bool,
    closed: bool,
    has_metadata: bool,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    At(Option<u64>),
    Wrong,
    Deleted,
}

impl Stream {
    fn last(&self) -> Option<u64> {
        (self.ids.len() as u64).checked_sub(1)
    }

    fn append(&mut self, expected: Expected, ids: &[u8]) -> Outcome {
        if self.closed {
            return Outcome::Deleted;
        }
        let last = self.last();
        let fits = match expected {
            Expected::Any => true,
            Expected::Exists => !self.deleted && (last.is_some() || self.has_metadata),
            Expected::NoStream => last.is_none() || self.deleted,
            Expected::Exact(revision) => last == Some(revision),
        };
        let repeat = match expected {
            Expected::Any => self.repeat_by_id(ids),
            Expected::Exists if fits => self.repeat_by_id(ids),
            Expected::NoStream if !fits => self.repeat_at(0, ids),
            Expected::Exact(revision) if !fits => self.repeat_at(revision + 1, ids),
            Expected::NoStream | Expected::Exists | Expected::Exact(_) => None,
        };
        match repeat {
            Some(outcome) => outcome,
            None if !fits => Outcome::Wrong,
            None => {
                if self.deleted {
                    self.hidden = self.ids.len() as u64;
                    self.deleted = false;
                }
                self.ids.extend(ids);
                Outcome::At(self.last())
            }
        }
    }

    fn repeat_by_id(&self, ids: &[u8]) -> Option<Outcome> {
        let at = |id: &u8| self.ids.iter().rposition(|known| known == id).map(|at| at as u64);
        at(&ids[0])?;
        let found: Option<Vec<u64>> = ids.iter().map(at).collect();
        let Some(last) = found.and_then(|found| found.into_iter().max()) else { return Some(Outcome::Wrong) };
        (!self.deleted && last >= self.hidden).then_some(Outcome::At(Some(last)))
    }

    fn repeat_at(&self, first: u64, ids: &[u8]) -> Option<Outcome> {
        let first = usize::try_from(first).ok()?;
        let same = self.ids.get(first..first + ids.len()).is_some_and(|known| known == ids);
        same.then(|| Outcome::At(Some((first + ids.len()) as u64 - 1)))
    }

    fn may_close(&self, expected: Expected) -> Result<(), Outcome> {
        if self.closed || (self.deleted && expected == Expected::Exists) {
            return Err(Outcome::Deleted);
        }
        let fits = match expected {
            Expected::Any => true,
            Expected::Exists => self.last().is_some(),
            Expected::NoStream => self.last().is_none() || self.deleted,
            Expected::Exact(revision) => self.last() == Some(revision),
        };
        if fits { Ok(()) } else { Err(Outcome::Wrong) }
    }

    fn delete(&mut self, expected: Expected) -> Outcome {
        if self.last().is_none() && !self.closed {
            return Outcome::Wrong;
        }
        if let Err(refused) = self.may_close(expected) {
            return refused;
        }
        self.deleted = true;
        self.has_metadata = true;
        Outcome::At(None)
    }

    fn tombstone(&mut self, expected: Expected) -> Outcome {
        if let Err(refused) = self.may_close(expected) {
            return refused;
        }
        self.closed = true;
        Outcome::At(None)
    }

    fn visible(&self) -> Option<Vec<u8>> {
        if self.closed || self.deleted {
            return None;
        }
        Some(self.ids[usize::try_from(self.hidden).unwrap()..].to_vec())
    }
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        3 => Just(Wanted::Any),
        2 => Just(Wanted::NoStream),
        2 => Just(Wanted::Exists),
        4 => (-3i8..=1).prop_map(Wanted::Near),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let stream = 0u8..3;
    prop_oneof![
        12 => (stream.clone(), wanted(), prop::collection::vec(0u8..8, 1..4))
            .prop_map(|(stream, expected, ids)| Step::Append { stream, expected, ids }),
        2 => (stream.clone(), wanted()).prop_map(|(stream, expected)| Step::Delete { stream, expected }),
        1 => (stream, wanted()).prop_map(|(stream, expected)| Step::Tombstone { stream, expected }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Rebuild),
    ]
}

fn resolve(expected: Wanted, last: Option<u64>) -> Expected {
    match expected {
        Wanted::Any => Expected::Any,
        Wanted::NoStream => Expected::NoStream,
        Wanted::Exists => Expected::Exists,
        Wanted::Near(by) => Expected::Exact(last.unwrap_or(0).saturating_add_signed(by.into())),
    }
}

fn outcome(result: &WriteResult, with_revision: bool) -> Outcome {
    match result {
        Ok(written) => Outcome::At(written.revision.filter(|_| with_revision)),
        Err(AppendError::WrongExpectedVersion { .. }) => Outcome::Wrong,
        Err(AppendError::StreamDeleted) => Outcome::Deleted,
        Err(other) => panic!("{other:?}"),
    }
}

fn event(id: u8) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(u128::from(id) + 1),
        event_type: "Said".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        metadata: Vec::new().into(),
        data: vec![id].into(),
    }
}

fn visible(store: &Store, stream: &str) -> Option<Vec<u8>> {
    let head = store.head(stream).unwrap();
    let (mut cursor, mut ids) = (StreamCursor::at(head.first_visible()), Vec::new());
    if head.is_tombstoned() || head.is_soft_deleted() {
        return None;
    }
    loop {
        let records = store.read_stream_forwards(stream, &head, &mut cursor).unwrap();
        if records.is_empty() {
            return Some(ids);
        }
        ids.extend(records.iter().map(|record| record.data()[0]));
    }
}

fn run(store: &Store, streams: &mut HashMap<u8, Stream>, step: Step) {
    let name = |stream: u8| format!("stream-{stream}");
    match step {
        Step::Append { stream, expected, ids } => {
            let model = streams.entry(stream).or_default();
            let expected = resolve(expected, model.last());
            let events = ids.iter().copied().map(event).collect();
            let result = store.write_blocking(Command::Append { stream: name(stream), expected, events });
            assert_eq!(outcome(&result, true), model.append(expected, &ids));
        }
        Step::Delete { stream, expected } => {
            let model = streams.entry(stream).or_default();
            let expected = resolve(expected, model.last());
            let result = store.write_blocking(Command::Delete { stream: name(stream), expected });
            assert_eq!(outcome(&result, false), model.delete(expected));
        }
        Step::Tombstone { stream, expected } => {
            let model = streams.entry(stream).or_default();
            let expected = resolve(expected, model.last());
            let result = store.write_blocking(Command::Tombstone { stream: name(stream), expected });
            assert_eq!(outcome(&result, false), model.tombstone(expected));
        }
        Step::Reopen | Step::Rebuild => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_history_agrees_with_the_model(
        steps in prop::collection::vec(step(), 1..60),
        layer in prop::sample::select(vec![1, 500, 1 << 30]),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let config = || StoreConfig {
            segment_bytes: 1_500,
            index_layer_log_bytes: layer,
            ..StoreConfig::new(directory.path())
        };
        let mut store = Store::open(config()).unwrap();
        let mut streams: HashMap<u8, Stream> = HashMap::new();
        for step in steps {
            if matches!(step, Step::Reopen | Step::Rebuild) {
                drop(store);
                if matches!(step, Step::Rebuild) {
                    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
                }
                store = Store::open(config()).unwrap();
            }
            run(&store, &mut streams, step);
            for (stream, model) in &streams {
                prop_assert_eq!(visible(&store, &format!("stream-{stream}")), model.visible());
            }
        }
        store.verify().unwrap();
        drop(store);
        let report = inspect(directory.path(), &mut |_| {}).unwrap();
        prop_assert_eq!(report.findings, Vec::<String>::new());
    }
}
