//! What the sandbox remembers across restarts: one JSON line for each change, on disk before it is answered.

use super::ledger::{Entry, Ledger};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

const JOURNAL: &str = "charges.jsonl";
const REWRITTEN: &str = "charges.jsonl.new";
const LOCK: &str = "lock";

/// Why the journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The disk.
    #[error("cannot {what} in {}", directory.display())]
    Disk {
        /// Which step.
        what: &'static str,
        /// Where.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another sandbox has it.
    #[error("another payment sandbox uses {}", .0.display())]
    InUse(PathBuf),
    /// A whole line that is no entry: the file was changed by somebody else.
    #[error("line {line} of the payment journal is not an entry")]
    Corrupt {
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
}

/// An open journal.
pub(super) struct Journal {
    file: File,
    /// Where the last whole entry ends.
    length: u64,
    /// After a write that could not be undone nothing more is written: the end of the file is unknown.
    broken: bool,
    /// Held as long as the journal is open.
    _lock: File,
}

impl Journal {
    /// Writes an entry and waits until it is on disk.
    pub(super) fn append(&mut self, entry: &Entry) -> std::io::Result<()> {
        if self.broken {
            return Err(std::io::Error::other("an earlier write failed and could not be undone"));
        }
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            let undone =
                self.file.set_len(self.length).and_then(|()| self.file.seek(std::io::SeekFrom::End(0)));
            self.broken = undone.is_err();
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

/// Reads the journal in a directory, forgets what is old, and continues it.
pub(super) fn open(directory: &Path) -> Result<Ledger, JournalError> {
    let disk = |what| move |source| JournalError::Disk { what, directory: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(disk("create the directory"))?;
    let lock = File::create(directory.join(LOCK)).map_err(disk("create the lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(JournalError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => return Err(disk("take the lock")(error)),
    }
    let mut ledger = Ledger::in_memory();
    if let Ok(file) = File::open(directory.join(JOURNAL)) {
        read(file, &mut ledger, disk("read the journal"))?;
    }
    ledger.forget_old_keys(super::ledger::now_ms());
    let (file, length) = rewrite(directory, &ledger).map_err(disk("rewrite the journal"))?;
    ledger.keep_in(Journal { file, length, broken: false, _lock: lock });
    Ok(ledger)
}

/// A last line without its end was never answered and is left out.
fn read(
    file: File,
    ledger: &mut Ledger,
    disk: impl Fn(std::io::Error) -> JournalError,
) -> Result<(), JournalError> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(&disk)?;
        if length == 0 || line.last() != Some(&b'\n') {
            break;
        }
        let entry =
            serde_json::from_slice(&line).map_err(|source| JournalError::Corrupt { line: number, source })?;
        ledger.apply(entry);
    }
    Ok(())
}

/// Writes only what is still needed, beside the old file, and puts it in its place at once.
fn rewrite(directory: &Path, ledger: &Ledger) -> std::io::Result<(File, u64)> {
    let path = directory.join(REWRITTEN);
    let mut writer = BufWriter::new(OpenOptions::new().write(true).create(true).truncate(true).open(&path)?);
    for entry in ledger.entries() {
        serde_json::to_writer(&mut writer, &entry)?;
        writer.write_all(b"\n")?;
    }
    let mut file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let length = file.stream_position()?;
    std::fs::rename(path, directory.join(JOURNAL))?;
    File::open(directory)?.sync_all()?;
    Ok((file, length))
}
