//! A disk that fails: nothing is acknowledged afterwards, and what was acknowledged is there.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use embedded::event_log::{
    AppendError, Command, Disk, DiskFile, Expected, NewEvent, Store, StoreConfig, SystemDisk, WriteResult,
};
use uuid::Uuid;

const HEALTHY: u8 = 0;
const FLUSH_FAILS: u8 = 1;
const DISK_FULL: u8 = 2;
const DISK_NEARLY_FULL: u8 = 3;
const SPARE_SLOW: u8 = 4;
const SPARE_FAILS: u8 = 5;

/// Raw codes of the operating system: there is no kind for the first one.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

#[derive(Debug, Clone, Default)]
struct FaultyDisk {
    fault: Arc<AtomicU8>,
    /// Writes to the log and flushes of it, tried or done.
    touches: Arc<AtomicU64>,
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn DiskFile>,
    /// The next segment's file, which is prepared beside the log.
    is_spare: bool,
    disk: FaultyDisk,
}

impl FaultyDisk {
    fn wrap(&self, inner: Arc<dyn DiskFile>, path: &Path) -> Arc<dyn DiskFile> {
        let is_spare = path.ends_with("next-segment");
        Arc::new(FaultyFile { inner, is_spare, disk: self.clone() })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        SystemDisk.create(path).map(|file| self.wrap(file, path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        SystemDisk.open(path).map(|file| self.wrap(file, path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_directory(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<Option<u64>> {
        match self.fault.load(Ordering::SeqCst) {
            DISK_NEARLY_FULL => Ok(Some(1_000)),
            _ => SystemDisk.free_bytes(path),
        }
    }
}

impl FaultyFile {
    /// What is wrong with the disk that is touched.
    fn touch(&self) -> u8 {
        self.disk.touches.fetch_add(u64::from(!self.is_spare), Ordering::SeqCst);
        self.disk.fault.load(Ordering::SeqCst)
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fault = self.touch();
        if self.is_spare && fault == SPARE_FAILS {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        if self.is_spare && fault == SPARE_SLOW {
            std::thread::sleep(Duration::from_millis(30));
        }
        if fault == DISK_FULL {
            self.inner.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        self.inner.write_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        match self.touch() {
            FLUSH_FAILS => Err(io::Error::from_raw_os_error(EIO)),
            _ => self.inner.sync(),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
}

fn append(store: &Store, number: u64) -> WriteResult {
    let event = NewEvent {
        id: Uuid::new_v4(),
        event_type: "Said".to_owned(),
        content_type: "application/json".to_owned(),
        metadata: Vec::new().into(),
        data: number.to_string().into_bytes().into(),
    };
    let events = vec![event];
    store.write_blocking(Command::Append { stream: "a".to_owned(), expected: Expected::Any, events })
}

fn numbers(store: &Store) -> Vec<u64> {
    let chunk = store.read_forwards(0, 1_000_000).unwrap();
    chunk.records.iter().map(|record| std::str::from_utf8(record.data()).unwrap().parse().unwrap()).collect()
}

#[test]
fn after_a_failed_write_or_flush_nothing_is_acknowledged_until_a_new_start() {
    for fault in [FLUSH_FAILS, DISK_FULL] {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let store = Store::open_on(StoreConfig::new(directory.path()), Arc::new(disk.clone())).unwrap();
        for number in 0..10 {
            append(&store, number).unwrap();
        }
        let end = store.end();
        disk.fault.store(fault, Ordering::SeqCst);
        let refused = append(&store, 10);
        assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
        // the disk is well again, but what the failed flush left is unknown
        disk.fault.store(HEALTHY, Ordering::SeqCst);
        let touches = disk.touches.load(Ordering::SeqCst);
        for number in 11..20 {
            let refused = append(&store, number);
            assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
        }
        assert_eq!(disk.touches.load(Ordering::SeqCst), touches, "refusals wait for no disk");
        assert!(store.failure().is_some());
        assert_eq!(store.end(), end, "readers see only what was acknowledged");
        drop(store);

        let store = Store::open(StoreConfig::new(directory.path())).unwrap();
        let found = numbers(&store);
        let unknown = u64::from(fault == FLUSH_FAILS);
        assert_eq!(found, (0..10 + unknown).collect::<Vec<_>>(), "only the unanswered append may have come");
        append(&store, 99).unwrap();
    }
}

#[test]
fn a_nearly_full_disk_takes_no_writes_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let config = StoreConfig { free_bytes_min: 2_000, ..StoreConfig::new(directory.path()) };
    let store = Store::open_on(config, Arc::new(disk.clone())).unwrap();
    append(&store, 0).unwrap();
    disk.fault.store(DISK_NEARLY_FULL, Ordering::SeqCst);
    let mut written = 1;
    let refused = loop {
        match append(&store, written) {
            Ok(_) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert!(
        matches!(&refused, AppendError::Unavailable { reason } if reason.contains("make room")),
        "{refused}"
    );
    assert_eq!(store.failure().as_deref(), refused.to_string().split_once(": ").map(|(_, reason)| reason));
    assert_eq!(numbers(&store), (0..written).collect::<Vec<_>>(), "reads go on");
    disk.fault.store(HEALTHY, Ordering::SeqCst);
    while append(&store, written).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(store.failure(), None);
    assert_eq!(numbers(&store).len() as u64, written + 1);
    drop(store);
    assert_eq!(numbers(&Store::open(StoreConfig::new(directory.path())).unwrap()).len() as u64, written + 1);
}

#[test]
fn a_segment_that_is_not_prepared_in_time_grows_instead() {
    let big = |number: u64| NewEvent {
        id: Uuid::new_v4(),
        event_type: "Said".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        metadata: Vec::new().into(),
        data: vec![u8::try_from(number % 251).unwrap(); 200_000].into(),
    };
    for fault in [SPARE_SLOW, SPARE_FAILS] {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        disk.fault.store(fault, Ordering::SeqCst);
        let config = || StoreConfig { segment_bytes: 1 << 20, ..StoreConfig::new(directory.path()) };
        let store = Store::open_on(config(), Arc::new(disk.clone())).unwrap();
        for number in 0..40 {
            let (stream, events) = ("a".to_owned(), vec![big(number)]);
            store.write_blocking(Command::Append { stream, expected: Expected::Any, events }).unwrap();
        }
        drop(store);
        assert_eq!(Store::open(config()).unwrap().verify().unwrap().records, 40);
    }
}

#[test]
fn what_a_start_cannot_flush_it_does_not_show() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let open = || Store::open_on(StoreConfig::new(directory.path()), Arc::new(disk.clone()));
    let store = open().unwrap();
    append(&store, 1).unwrap();
    drop(store);
    // whether the process before had flushed it, this one cannot know
    disk.fault.store(FLUSH_FAILS, Ordering::SeqCst);
    assert!(open().is_err());
    disk.fault.store(HEALTHY, Ordering::SeqCst);
    assert!(open().unwrap().end() > 0);
}
