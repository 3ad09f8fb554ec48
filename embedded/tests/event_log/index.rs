//! The index in all its states: in memory, half on the disk, behind, gone, and of an earlier version.

use std::fs;
use std::path::Path;

use embedded::event_log::{
    AppendError, Command, Expected, NewEvent, Store, StoreConfig, StreamCursor, WriteResult, inspect,
};
use uuid::Uuid;

const STREAMS: u64 = 40;

/// Layers of a few events each, so that all states occur.
fn config(directory: &Path) -> StoreConfig {
    StoreConfig { segment_bytes: 20_000, index_layer_log_bytes: 700, ..StoreConfig::new(directory) }
}

fn event(number: u64) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(u128::from(number) << 64 | 7),
        event_type: "Said".to_owned(),
        content_type: "application/json".to_owned(),
        metadata: Vec::new().into(),
        data: number.to_string().into_bytes().into(),
    }
}

fn append(
    store: &Store,
    stream: &str,
    expected: Expected,
    numbers: impl Iterator<Item = u64>,
) -> WriteResult {
    let events = numbers.map(event).collect();
    store.write_blocking(Command::Append { stream: stream.to_owned(), expected, events })
}

fn numbers(store: &Store, stream: &str) -> Vec<u64> {
    let head = store.head(stream).unwrap();
    let (mut cursor, mut numbers) = (StreamCursor::at(0), Vec::new());
    loop {
        let records = store.read_stream_forwards(stream, &head, &mut cursor).unwrap();
        if records.is_empty() {
            return numbers;
        }
        numbers.extend(
            records.iter().map(|record| std::str::from_utf8(record.data()).unwrap().parse::<u64>().unwrap()),
        );
    }
}

fn name(stream: u64) -> String {
    format!("stream-{stream}")
}

/// One event to each stream; `round` is its revision.
fn write_round(store: &Store, round: u64) {
    for stream in 0..STREAMS {
        let expected = round.checked_sub(1).map_or(Expected::NoStream, Expected::Exact);
        let number = round * STREAMS + stream;
        append(store, &name(stream), expected, std::iter::once(number)).unwrap();
    }
}

fn check_rounds(store: &Store, rounds: u64) {
    for stream in 0..STREAMS {
        let expected: Vec<u64> = (0..rounds).map(|round| round * STREAMS + stream).collect();
        assert_eq!(numbers(store, &name(stream)), expected, "stream {stream}");
        let last =
            store.read_stream_backwards(&name(stream), &store.head(&name(stream)).unwrap(), rounds - 1);
        assert_eq!(last.unwrap()[0].revision(), rounds - 1);
        // a repeat by id and one by revision, of the oldest event
        let first = std::iter::once(stream);
        let by_id = append(store, &name(stream), Expected::Any, first.clone()).unwrap();
        let by_revision = append(store, &name(stream), Expected::NoStream, first).unwrap();
        assert_eq!((by_id.revision, by_id), (Some(0), by_revision));
        let wrong = append(store, &name(stream), Expected::NoStream, std::iter::once(u64::MAX));
        assert!(matches!(wrong, Err(AppendError::WrongExpectedVersion { .. })), "{wrong:?}");
    }
}

#[test]
fn streams_are_found_wherever_their_entries_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(config(directory.path())).unwrap();
    for round in 0..12 {
        write_round(&store, round);
        check_rounds(&store, round + 1);
        if round % 4 == 3 {
            drop(store);
            let report = inspect(directory.path(), &mut |_| {}).unwrap();
            assert_eq!(report.findings, Vec::<String>::new());
            assert_eq!(report.index_compared_to, Some(report.end));
            assert_eq!((report.records, report.streams), ((round + 1) * STREAMS, STREAMS));
            if round == 7 {
                fs::remove_dir_all(directory.path().join("index")).unwrap();
            }
            store = Store::open(config(directory.path())).unwrap();
            check_rounds(&store, round + 1);
        }
    }
}

#[test]
fn what_was_only_in_memory_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let big_layers = || StoreConfig { index_layer_log_bytes: 1 << 30, ..config(directory.path()) };
    let store = Store::open(big_layers()).unwrap();
    (0..3).for_each(|round| write_round(&store, round));
    // as a killed process leaves it: nothing of the index is on the disk
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    drop(store);
    check_rounds(&Store::open(config(copy.path())).unwrap(), 3);
    check_rounds(&Store::open(big_layers()).unwrap(), 3);
}

#[test]
fn a_tombstone_between_two_appends_ends_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(directory.path())).unwrap();
    append(&store, "other", Expected::Any, 100..101).unwrap();
    append(&store, "stream", Expected::Any, 0..2).unwrap();
    let close = Command::Tombstone { stream: "other".to_owned(), expected: Expected::Any };
    store.write_blocking(close).unwrap();
    append(&store, "stream", Expected::Any, 2..4).unwrap();
    drop(store);
    // one walk over the whole log makes the index, instead of one frame at a time
    fs::remove_dir_all(directory.path().join("index")).unwrap();
    let big_layers = StoreConfig { index_layer_log_bytes: 1 << 30, ..config(directory.path()) };
    let store = Store::open(big_layers).unwrap();
    assert_eq!(numbers(&store, "stream"), [0, 1, 2, 3]);
}

#[test]
fn an_index_of_an_earlier_version_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(directory.path())).unwrap();
    write_round(&store, 0);
    drop(store);
    let index = directory.path().join("index");
    fs::remove_dir_all(&index).unwrap();
    {
        let database = fjall::Database::builder(&index).open().unwrap();
        let heads = database.keyspace("heads", fjall::KeyspaceCreateOptions::default).unwrap();
        heads.insert("stream-1", "what was kept then").unwrap();
    }
    check_rounds(&Store::open(config(directory.path())).unwrap(), 1);
}
