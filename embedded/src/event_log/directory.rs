//! The small files of a log directory: the lock, the format, and the marks of how far the log was durable.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tracing::warn;
use uuid::Uuid;

use super::error::StoreError;
use super::frame::{Seed, u32_at, u64_at};

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";
const CLEAN_FILE: &str = "CLEAN";
const DURABLE_FILE: &str = "DURABLE";
/// A position and its checksum.
const DURABLE_BYTES: usize = 12;
const INDEX_DIRECTORY: &str = "index";
/// Its presence says that the index was found wrong and must not be used again.
const REBUILD_FILE: &str = "REBUILD-INDEX";
/// As many bytes as starts in a row that did not live to see the index open.
const OPENING_FILE: &str = "OPENING-INDEX";
/// So many such starts say that it is the index that ends them: its store may abort the process on damaged tables.
/// One or two may as well have been killed.
const OPENINGS_MAX: u64 = 3;
/// First line of `FORMAT`. The number changes when the bytes of the log do.
const FORMAT_LINE: &str = "tally event log 1";

/// The hold on a directory; released when dropped, also by the death of the process.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says that another process has it.
    pub(crate) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(StoreError::Locked { path: directory.to_path_buf() }),
            Err(errno) => Err(StoreError::io("lock", &path)(errno.into())),
        }
    }
}

/// The log's own id: read from `FORMAT`, or drawn and written for an empty directory.
pub(crate) fn open_format(directory: &Path, has_segments: bool) -> Result<Uuid, StoreError> {
    let path = directory.join(FORMAT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => parse_format(&text)
            .ok_or_else(|| StoreError::Format { path, what: format!("it says {:?}", text.trim()) }),
        Err(error) if error.kind() == ErrorKind::NotFound && !has_segments => {
            let log_id = Uuid::new_v4();
            write_format(directory, log_id)?;
            Ok(log_id)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(StoreError::Format { path, what: "the file is missing".to_owned() })
        }
        Err(error) => Err(StoreError::io("read", &path)(error)),
    }
}

/// Makes a directory one that opens as this log.
pub(crate) fn write_format(directory: &Path, log_id: Uuid) -> Result<(), StoreError> {
    write_durably(directory, FORMAT_FILE, &format!("{FORMAT_LINE}\n{log_id}\n"))
}

/// The id of the log in a directory that must hold one.
pub(crate) fn read_format(directory: &Path) -> Result<Uuid, StoreError> {
    open_format(directory, true)
}

fn parse_format(text: &str) -> Option<Uuid> {
    let mut lines = text.lines();
    (lines.next() == Some(FORMAT_LINE)).then(|| lines.next()?.parse().ok()).flatten()
}

/// The log's end at a clean shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CleanMark {
    pub(crate) end: u64,
}

impl CleanMark {
    /// Reads the mark; one that is not of this log, or cut off, is none.
    pub(crate) fn read(directory: &Path, log_id: Uuid) -> Result<Option<Self>, StoreError> {
        let path = directory.join(CLEAN_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let mut words = text.split_whitespace();
                let same_log = words.next() == Some(log_id.to_string().as_str());
                let end = words.next().and_then(|word| word.parse().ok());
                Ok(end.filter(|_| same_log && text.ends_with('\n')).map(|end| Self { end }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }

    pub(crate) fn write(self, directory: &Path, log_id: Uuid) -> Result<(), StoreError> {
        write_durably(directory, CLEAN_FILE, &format!("{log_id} {}\n", self.end))
    }

    /// Removes the mark before the log changes again.
    pub(crate) fn remove(directory: &Path) -> Result<(), StoreError> {
        let path = directory.join(CLEAN_FILE);
        match fs::remove_file(&path) {
            Ok(()) => sync_directory(directory),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io("remove", &path)(error)),
        }
    }
}

/// A note of the last position that was flushed, overwritten after each flush and never flushed itself. It outlives
/// the process, and tells damage from a write that was cut off; after a power cut it may be older, or missing.
#[derive(Debug)]
pub(crate) struct DurableMark {
    file: File,
    seed: Seed,
}

impl DurableMark {
    /// Opens the mark, or makes one.
    pub(crate) fn open(directory: &Path, log_id: Uuid) -> Result<Self, StoreError> {
        let path = directory.join(DURABLE_FILE);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        Ok(Self { file: file.map_err(StoreError::io("open", &path))?, seed: Seed::of(log_id) })
    }

    /// The position noted; one that is not of this log, or cut off, is none.
    pub(crate) fn read(&self) -> Option<u64> {
        let mut bytes = [0; DURABLE_BYTES];
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        (u32_at(&bytes, 8) == self.seed.checksum(&bytes[..8])).then(|| u64_at(&bytes, 0))
    }

    /// Notes a position.
    pub(crate) fn write(&self, end: u64) {
        let mut bytes = [0; DURABLE_BYTES];
        bytes[..8].copy_from_slice(&end.to_le_bytes());
        let crc = self.seed.checksum(&bytes[..8]);
        bytes[8..].copy_from_slice(&crc.to_le_bytes());
        // an older note is as true, it only says less
        let _ = self.file.write_all_at(&bytes, 0);
    }
}

/// Where the index lives.
pub(crate) fn index_directory(directory: &Path) -> PathBuf {
    directory.join(INDEX_DIRECTORY)
}

/// Notes that the index is wrong, for the next start. Best effort: reads check what they find anyway.
pub(crate) fn distrust_index(directory: &Path) {
    if let Err(error) = File::create(directory.join(REBUILD_FILE)) {
        warn!(%error, "cannot note that the index is wrong: {error}");
    }
}

/// Notes that the index is being opened. If the last starts ended at just that, the index is thrown away first.
pub(crate) fn begin_opening_index(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(OPENING_FILE);
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= OPENINGS_MAX) {
        warn!("the last starts ended while they opened the index: it is rebuilt from the log");
        remove_index(directory)?;
        fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
    }
    let noted = OpenOptions::new().create(true).append(true).open(&path);
    noted.and_then(|mut file| file.write_all(b"x")).map_err(StoreError::io("write", &path))
}

/// Notes that the index did open, or was refused in order.
pub(crate) fn end_opening_index(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(OPENING_FILE);
    fs::remove_file(&path).map_err(StoreError::io("remove", &path))
}

/// Throws the index away if it was found wrong.
pub(crate) fn remove_distrusted_index(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(REBUILD_FILE);
    if !path.exists() {
        return Ok(());
    }
    warn!("the index was found wrong and is rebuilt from the log");
    remove_index(directory)?;
    fs::remove_file(&path).map_err(StoreError::io("remove", &path))
}

/// Throws the index away.
pub(crate) fn remove_index(directory: &Path) -> Result<(), StoreError> {
    let path = index_directory(directory);
    match fs::remove_dir_all(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("remove", &path)(error)),
    }
}

/// Replaces a small file so that after a crash either the old or the new one is there.
fn write_durably(directory: &Path, name: &str, text: &str) -> Result<(), StoreError> {
    let path = directory.join(name);
    let draft = directory.join(format!("{name}.new"));
    let mut file = File::create(&draft).map_err(StoreError::io("create", &draft))?;
    file.write_all(text.as_bytes()).map_err(StoreError::io("write", &draft))?;
    file.sync_all().map_err(StoreError::io("flush", &draft))?;
    fs::rename(&draft, &path).map_err(StoreError::io("rename", &draft))?;
    sync_directory(directory)
}

/// Returns when the names in a directory would survive a power cut.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(StoreError::io("flush", directory))
}
