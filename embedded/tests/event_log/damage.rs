//! Torn tails are cut, everything else that is not as written is refused.

use std::fs;
use std::path::{Path, PathBuf};

use embedded::event_log::{Command, Expected, NewEvent, Store, StoreConfig, StoreError, StreamCursor};
use tempfile::TempDir;
use uuid::Uuid;

fn config(directory: &Path) -> StoreConfig {
    StoreConfig { segment_bytes: 2_000, ..StoreConfig::new(directory) }
}

fn append(store: &Store, stream: &str, count: u64) {
    let events = (0..count).map(|at| NewEvent {
        id: Uuid::new_v4(),
        event_type: "Said".to_owned(),
        content_type: "application/json".to_owned(),
        metadata: vec![b'm'; 3].into(),
        data: at.to_string().into_bytes().into(),
    });
    let events = events.collect();
    store
        .write_blocking(Command::Append { stream: stream.to_owned(), expected: Expected::Any, events })
        .unwrap();
}

/// Everything in the log, as (position, stream, revision).
fn read_all(store: &Store) -> Result<Vec<(u64, String, u64)>, StoreError> {
    let (mut position, mut all) = (0, Vec::new());
    loop {
        let chunk = store.read_forwards(position, 700)?;
        if chunk.records.is_empty() {
            return Ok(all);
        }
        for record in &chunk.records {
            let stream = String::from_utf8(record.stream().to_vec()).unwrap();
            all.push((record.position(), stream, record.revision()));
        }
        position = chunk.next;
    }
}

fn read_stream(store: &Store, stream: &str) -> Result<Vec<u64>, StoreError> {
    let head = store.head(stream)?;
    let (mut cursor, mut revisions) = (StreamCursor::at(0), Vec::new());
    loop {
        let records = store.read_stream_forwards(stream, &head, &mut cursor)?;
        if records.is_empty() {
            return Ok(revisions);
        }
        for record in records {
            assert_eq!(record.stream(), stream.as_bytes());
            revisions.push(record.revision());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    paths.sort();
    paths
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 1 << (offset % 8);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_everything_before_it_stays() {
    let source = tempfile::tempdir().unwrap();
    let store = Store::open(config(source.path())).unwrap();
    append(&store, "a", 3);
    append(&store, "b", 2);
    let before = read_all(&store).unwrap();
    let keep = store.end();
    // the index as it was when the last frame had not been written yet
    let behind = tempfile::tempdir().unwrap();
    copy(source.path(), behind.path());
    append(&store, "a", 2);
    let after = read_all(&store).unwrap();
    let segment = segments(source.path()).pop().unwrap();
    let bytes = fs::read(&segment).unwrap();
    let name = segment.file_name().unwrap();
    let keep = usize::try_from(keep).unwrap();
    for cut in keep..=bytes.len() {
        let directory = tempfile::tempdir().unwrap();
        copy(behind.path(), directory.path());
        fs::write(directory.path().join(name), &bytes[..cut]).unwrap();
        let recovered = Store::open(config(directory.path())).unwrap();
        let expected = if cut == bytes.len() { &after } else { &before };
        assert_eq!(&read_all(&recovered).unwrap(), expected, "cut at {cut}");
        append(&recovered, "a", 1);
        let revisions = read_stream(&recovered, "a").unwrap();
        assert_eq!(revisions, (0..revisions.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_is_never_served() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(directory.path())).unwrap();
    for _ in 0..20 {
        append(&store, "a", 2);
    }
    let all = read_all(&store).unwrap();
    let sealed = &segments(directory.path())[0];
    let intact = fs::read(sealed).unwrap();
    for offset in 0..intact.len() {
        flip(sealed, offset);
        assert!(matches!(store.verify(), Err(StoreError::Corrupt { .. })), "byte {offset}");
        match read_all(&store) {
            Ok(read) => assert_eq!(read, all, "byte {offset}"),
            Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "byte {offset}: {error}"),
        }
        fs::write(sealed, &intact).unwrap();
    }
    assert_eq!(store.verify().unwrap().records, 40);
}

#[test]
fn a_flipped_bit_in_what_was_durable_stops_the_start() {
    let source = crashed_copy();
    let tail = segments(source.path()).pop().unwrap();
    let intact = fs::read(&tail).unwrap();
    // every byte of the first record and then every seventh
    for offset in (0..250).chain((250..intact.len()).step_by(7)) {
        fs::write(&tail, &intact).unwrap();
        // the padding of the header is checked as well
        flip(&tail, offset);
        let refused = Store::open(config(source.path()));
        let Err(StoreError::Corrupt { file, offset: at, .. }) = refused else {
            panic!("byte {offset}: {:?}", refused.map(|store| store.end()));
        };
        assert_eq!(file, tail);
        assert!(at <= offset as u64, "byte {offset} is reported at {at}");
        assert_eq!(fs::read(&tail).unwrap().len(), intact.len(), "nothing was cut");
    }
}

/// A directory as a killed process leaves it: no mark of a clean shutdown.
fn crashed_copy() -> TempDir {
    let source = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig { segment_bytes: 1_000_000, ..config(source.path()) }).unwrap();
    for _ in 0..5 {
        append(&store, "a", 2);
    }
    let copied = tempfile::tempdir().unwrap();
    copy(source.path(), copied.path());
    copied
}

#[test]
fn a_damaged_middle_is_refused_even_without_an_index() {
    let directory = crashed_copy();
    fs::remove_dir_all(directory.path().join("index")).unwrap();
    let tail = segments(directory.path()).pop().unwrap();
    flip(&tail, 150);
    let error = Store::open(config(directory.path())).err().unwrap();
    assert!(error.to_string().contains("intact events follow"), "{error}");
    assert!(error.to_string().contains("restore this file from a backup"), "{error}");
}

#[test]
fn a_cut_after_a_clean_shutdown_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(directory.path())).unwrap();
    append(&store, "a", 2);
    drop(store);
    fs::remove_dir_all(directory.path().join("index")).unwrap();
    let tail = segments(directory.path()).pop().unwrap();
    let bytes = fs::read(&tail).unwrap();
    fs::write(&tail, &bytes[..bytes.len() - 1]).unwrap();
    let error = Store::open(config(directory.path())).err().unwrap();
    assert!(error.to_string().contains("closed cleanly"), "{error}");
}

#[test]
fn missing_segments_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(directory.path())).unwrap();
    for _ in 0..40 {
        append(&store, "a", 2);
    }
    drop(store);
    let paths = segments(directory.path());
    assert!(paths.len() >= 4);
    for missing in [0, 1, paths.len() - 1] {
        let bytes = fs::read(&paths[missing]).unwrap();
        fs::remove_file(&paths[missing]).unwrap();
        let error = Store::open(config(directory.path())).err();
        assert!(matches!(error, Some(StoreError::Corrupt { .. })), "segment {missing}: {error:?}");
        fs::write(&paths[missing], bytes).unwrap();
    }
}

#[test]
fn an_index_that_is_missing_or_damaged_is_rebuilt() {
    let source = tempfile::tempdir().unwrap();
    let store = Store::open(config(source.path())).unwrap();
    for stream in ["a", "b", "a", "c"] {
        append(&store, stream, 5);
    }
    drop(store);
    let expect = |store: &Store| {
        assert_eq!(read_stream(store, "a").unwrap(), (0..10).collect::<Vec<_>>());
        assert_eq!(read_stream(store, "c").unwrap(), (0..5).collect::<Vec<_>>());
    };
    let mut files = Vec::new();
    list_files(&source.path().join("index"), &mut files);
    files.retain(|path| fs::metadata(path).unwrap().len() > 0);
    assert!(!files.is_empty());
    for damaged in std::iter::once(None).chain(files.iter().map(Some)) {
        let directory = tempfile::tempdir().unwrap();
        copy(source.path(), directory.path());
        match damaged {
            None => fs::remove_dir_all(directory.path().join("index")).unwrap(),
            Some(path) => {
                let copied = directory.path().join(path.strip_prefix(source.path()).unwrap());
                let middle = fs::metadata(&copied).unwrap().len() / 2;
                flip(&copied, usize::try_from(middle).unwrap());
            }
        }
        let store = Store::open(config(directory.path())).unwrap();
        // what the damage hides is an error, after which the next start rebuilds; never a wrong answer
        if read_stream(&store, "a").is_err() || read_stream(&store, "c").is_err() {
            drop(store);
            expect(&Store::open(config(directory.path())).unwrap());
        } else {
            expect(&store);
        }
    }
}

#[test]
fn an_index_that_fails_while_the_log_opens_is_rebuilt_at_the_latest_by_the_next_start() {
    let (source, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let some_layers = StoreConfig { index_layer_log_bytes: 3_000, ..config(source.path()) };
    let store = Store::open(some_layers).unwrap();
    (0..40).for_each(|at| append(&store, &format!("stream-{}", at % 7), 3));
    drop(store);
    // what follows is not in the index yet: opening looks up in its tables what these events go on from
    let store = Store::open(config(source.path())).unwrap();
    (0..7).for_each(|at| append(&store, &format!("stream-{at}"), 2));
    let all = read_all(&store).unwrap();
    copy(source.path(), killed.path());
    drop(store);
    let mut files = Vec::new();
    list_files(&killed.path().join("index"), &mut files);
    files.retain(|path| path.parent().is_some_and(|parent| parent.ends_with("tables")));
    assert!(!files.is_empty());
    for path in files {
        let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        for offset in (0..length).step_by(length / 60 + 1) {
            let directory = tempfile::tempdir().unwrap();
            copy(killed.path(), directory.path());
            flip(&directory.path().join(path.strip_prefix(killed.path()).unwrap()), offset);
            let reads = |store: &Store| {
                (0..7).try_for_each(|at| read_stream(store, &format!("stream-{at}")).map(drop)).is_ok()
            };
            let is_well = Store::open(config(directory.path())).is_ok_and(|store| reads(&store));
            if !is_well {
                let store = Store::open(config(directory.path())).unwrap();
                assert!(reads(&store), "byte {offset} of {}", path.display());
                assert_eq!(read_all(&store).unwrap(), all);
            }
        }
    }
}

fn list_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { list_files(&path, files) } else { files.push(path) }
    }
}

#[test]
fn an_index_that_ends_the_process_at_each_start_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(directory.path())).unwrap();
    append(&store, "a", 3);
    drop(store);
    let (old, openings) = (directory.path().join("index/old"), directory.path().join("OPENING-INDEX"));
    for (died, is_kept) in [("xx", true), ("xxx", false)] {
        fs::write(&old, "").unwrap();
        fs::write(&openings, died).unwrap();
        let store = Store::open(config(directory.path())).unwrap();
        assert_eq!(read_stream(&store, "a").unwrap().len(), 3);
        assert_eq!((old.exists(), openings.exists()), (is_kept, false), "{died}");
    }
}

#[test]
fn a_foreign_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("FORMAT"), "something else 7\n").unwrap();
    let error = Store::open(config(directory.path())).err().unwrap();
    assert!(matches!(error, StoreError::Format { .. }), "{error}");
}

#[test]
fn a_prepared_segment_is_as_safe_as_one_that_grows() {
    let mebibyte = 1024 * 1024;
    let config = |directory: &Path| StoreConfig { segment_bytes: mebibyte, ..StoreConfig::new(directory) };
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(directory.path())).unwrap();
    let last = || segments(directory.path()).pop().unwrap();
    let is_prepared =
        || fs::metadata(last()).unwrap().len() >= mebibyte && segments(directory.path()).len() > 1;
    // the first segment grows; whether the next one is ready in time is the disk's affair
    while !is_prepared() {
        append(&store, "a", 100);
    }
    append(&store, "a", 3);
    let all = read_all(&store).unwrap();
    let (base, end) = (last().file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap(), store.end());
    let end = usize::try_from(end - base).unwrap();
    let crashed = tempfile::tempdir().unwrap();
    let reopened = || {
        let copied = crashed.path().join("log");
        drop(fs::remove_dir_all(&copied));
        copy(directory.path(), &copied);
        (copied.clone(), copied.join(last().file_name().unwrap()))
    };
    // as it was left; with an unfinished frame among the zeros; with a frame of another place there
    let (copied, _) = reopened();
    assert_eq!(read_all(&Store::open(config(&copied)).unwrap()).unwrap(), all);
    for torn in [(1..40).collect::<Vec<u8>>(), fs::read(last()).unwrap()[64..end].to_vec()] {
        let (copied, segment) = reopened();
        let mut bytes = fs::read(&segment).unwrap();
        bytes[end + 3..end + 3 + torn.len()].copy_from_slice(&torn);
        fs::write(&segment, bytes).unwrap();
        let recovered = Store::open(config(&copied)).unwrap();
        append(&recovered, "b", 1);
        drop(recovered);
        assert_eq!(read_all(&Store::open(config(&copied)).unwrap()).unwrap()[..all.len()], all);
    }
    for offset in (0..end).step_by(end / 50) {
        let (copied, segment) = reopened();
        flip(&segment, offset);
        let refused = Store::open(config(&copied));
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "byte {offset}");
    }
    // sealed, it is as long as what it holds
    let sealed = last();
    while segments(directory.path()).pop().unwrap() == sealed {
        append(&store, "a", 100);
    }
    drop(store);
    let report = embedded::event_log::inspect(directory.path(), &mut |_| {}).unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert!(!directory.path().join("next-segment").exists());
}
