//! Back-ups, restores, and checks of everything.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use embedded::event_log::{
    Command, Expected, NewEvent, Store, StoreConfig, StoreError, backup, inspect, restore, resume_backup,
};
use uuid::Uuid;

fn config(directory: &Path) -> StoreConfig {
    StoreConfig { segment_bytes: 3_000, ..StoreConfig::new(directory) }
}

fn append(store: &Store, stream: &str, count: u64) {
    let event = |at: u64| NewEvent {
        id: Uuid::new_v4(),
        event_type: "Said".to_owned(),
        content_type: "application/json".to_owned(),
        metadata: Vec::new().into(),
        data: at.to_string().into_bytes().into(),
    };
    let events = (0..count).map(event).collect();
    store
        .write_blocking(Command::Append { stream: stream.to_owned(), expected: Expected::Any, events })
        .unwrap();
}

fn filled(directory: &Path) -> Store {
    let store = Store::open(config(directory)).unwrap();
    for at in 0..30 {
        append(&store, &format!("stream-{}", at % 3), 3);
    }
    store
}

fn ids(store: &Store) -> Vec<Uuid> {
    let (mut position, mut ids) = (0, Vec::new());
    loop {
        let chunk = store.read_forwards(position, 100_000).unwrap();
        if chunk.records.is_empty() {
            return ids;
        }
        ids.extend(chunk.records.iter().map(embedded::event_log::Record::id));
        position = chunk.next;
    }
}

fn copy_of(directory: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    backup(directory, &mut bytes, &mut |_| {}).unwrap();
    bytes
}

fn restored(bytes: &[u8]) -> (tempfile::TempDir, Result<(), StoreError>) {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("log");
    let result = restore(&target, &mut &bytes[..], &mut |_| {});
    (directory, result.map(|_| ()))
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    paths.sort();
    paths
}

#[test]
fn a_copy_of_a_running_log_is_a_prefix_that_takes_appends() {
    let source = tempfile::tempdir().unwrap();
    let store = filled(source.path());
    let then = ids(&store);
    let running = copy_of(source.path());
    append(&store, "stream-1", 5);
    let now = ids(&store);
    drop(store);
    for (bytes, expected) in [(running, then), (copy_of(source.path()), now)] {
        let (directory, result) = restored(&bytes);
        result.unwrap();
        let target = directory.path().join("log");
        assert_eq!(inspect(&target, &mut |_| {}).unwrap().findings, Vec::<String>::new());
        let store = Store::open(config(&target)).unwrap();
        assert_eq!(ids(&store), expected);
        append(&store, "stream-1", 1);
        assert_eq!(ids(&store).len(), expected.len() + 1);
        drop(store);
        let again = restore(&target, &mut &bytes[..], &mut |_| {});
        assert!(matches!(again, Err(StoreError::NotEmpty { .. })), "{again:?}");
    }
}

#[test]
fn a_copy_whose_last_segment_was_just_sealed_is_restored() {
    for count in 1..40 {
        let source = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig { segment_bytes: 400, ..config(source.path()) }).unwrap();
        (0..count % 5 + 1).for_each(|_| append(&store, "a", count / 5 + 1));
        let expected = ids(&store);
        let (directory, result) = restored(&copy_of(source.path()));
        result.unwrap();
        assert_eq!(ids(&Store::open(config(&directory.path().join("log"))).unwrap()), expected);
    }
}

#[test]
fn a_copy_that_is_cut_or_changed_anywhere_is_refused_and_does_not_open() {
    let source = tempfile::tempdir().unwrap();
    drop(filled(source.path()));
    let bytes = copy_of(source.path());
    for at in (0..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        for wrong in [&bytes[..at], &changed] {
            let (directory, result) = restored(wrong);
            assert!(matches!(result, Err(StoreError::NotABackup { .. })), "byte {at}: {result:?}");
            let opened = Store::open(config(&directory.path().join("log")));
            // before the first segment was begun there is nothing, and nothing is an empty log
            assert!(opened.is_err() || ids(&opened.unwrap()).is_empty(), "byte {at}");
        }
    }
}

fn draft_in(directory: &Path) -> File {
    let path = directory.join("draft");
    File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

#[test]
fn an_interrupted_copy_goes_on_after_its_last_whole_segment() {
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = filled(source.path());
    (0..30).for_each(|_| append(&store, "stream-1", 3));
    let paths = segments(source.path());
    assert!(paths.len() >= 4);
    let base = |at: usize| paths[at].file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let interrupted = catch_unwind(AssertUnwindSafe(|| {
        let mut stop = |progress: embedded::event_log::Progress| {
            assert!(progress.done <= base(3), "interrupted on purpose");
        };
        resume_backup(source.path(), &mut draft_in(target.path()), &mut stop)
    }));
    assert!(interrupted.is_err());
    append(&store, "stream-1", 5);
    let expected = ids(&store);
    drop(store);
    // what is there already is not read again: damage would stop the copy
    let mut bytes = fs::read(&paths[0]).unwrap();
    bytes[100] ^= 1;
    fs::write(&paths[0], bytes).unwrap();
    assert!(backup(source.path(), &mut std::io::sink(), &mut |_| {}).is_err());
    let mut first = None;
    let copied = resume_backup(source.path(), &mut draft_in(target.path()), &mut |progress| {
        first.get_or_insert(progress.done);
    });
    copied.unwrap();
    assert!(first.unwrap() > base(2));
    let (directory, result) = restored(&fs::read(target.path().join("draft")).unwrap());
    result.unwrap();
    assert_eq!(ids(&Store::open(config(&directory.path().join("log"))).unwrap()), expected);
}

#[test]
fn a_copy_that_is_cut_or_changed_anywhere_is_gone_on_with() {
    let (source, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = filled(source.path());
    let bytes = copy_of(source.path());
    drop(filled(other.path()));
    let of_another_log = copy_of(other.path());
    append(&store, "stream-1", 5);
    drop(store);
    let whole = copy_of(source.path());
    for at in (0..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        for found in [&bytes[..at], &changed, &of_another_log[..at.min(of_another_log.len())]] {
            let target = tempfile::tempdir().unwrap();
            fs::write(target.path().join("draft"), found).unwrap();
            resume_backup(source.path(), &mut draft_in(target.path()), &mut |_| {}).unwrap();
            assert!(fs::read(target.path().join("draft")).unwrap() == whole, "byte {at}");
        }
    }
}

#[test]
fn damage_is_found_and_never_copied() {
    let source = tempfile::tempdir().unwrap();
    drop(filled(source.path()));
    let paths = segments(source.path());
    assert!(paths.len() >= 3);
    for path in [&paths[0], &paths[1], &paths[paths.len() - 1]] {
        let intact = fs::read(path).unwrap();
        for offset in (0..intact.len()).step_by(211) {
            let mut damaged = intact.clone();
            damaged[offset] ^= 4;
            fs::write(path, &damaged).unwrap();
            let report = inspect(source.path(), &mut |_| {}).unwrap();
            let named = path.file_name().unwrap().to_str().unwrap();
            assert!(report.findings[0].contains(named), "byte {offset}: {:?}", report.findings);
            assert!(backup(source.path(), &mut std::io::sink(), &mut |_| {}).is_err(), "byte {offset}");
        }
        fs::write(path, &intact).unwrap();
    }
    fs::remove_file(&paths[1]).unwrap();
    assert!(inspect(source.path(), &mut |_| {}).unwrap().findings[0].contains("missing"));
}

#[test]
fn an_index_of_another_truth_is_found() {
    let (source, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(filled(source.path()));
    // the same log with other revisions behind it, so that the ids of log and index agree
    fs::copy(source.path().join("FORMAT"), other.path().join("FORMAT")).unwrap();
    fs::copy(&segments(source.path())[0], other.path().join("00000000000000000000.log")).unwrap();
    let store = Store::open(config(other.path())).unwrap();
    (0..40).for_each(|_| append(&store, "stream-9", 3));
    drop(store);
    fs::remove_dir_all(source.path().join("index")).unwrap();
    fs::rename(other.path().join("index"), source.path().join("index")).unwrap();
    let report = inspect(source.path(), &mut |_| {}).unwrap();
    assert!(report.findings_total > 10, "{report:?}");
    assert!(report.findings.iter().any(|finding| finding.contains("the index")), "{report:?}");
}
