//! The store: the log, its index and its writer, as one thing to open, write, read and close.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tracing::{info, warn};

use super::appender::Appender;
use super::config::StoreConfig;
use super::directory::{
    CleanMark, DurableMark, Lock, begin_opening_index, distrust_index, end_opening_index, index_directory,
    open_format, remove_distrusted_index, remove_index,
};
use super::disk::{Disk, SystemDisk};
use super::error::{AppendError, StoreError};
use super::frame::Record;
use super::head::Head;
use super::index::Index;
use super::locate::{StreamCursor, head_for_reading, step_backwards, step_forwards};
use super::log::{Chunk, Log};
use super::meters::{Meters, figure};
use super::recovery::{Evidence, list_segments, open_sealed, open_tail, recall, replay};
use super::repeats::Repeats;
use super::segment::SEGMENT_HEADER_BYTES;
use super::space::Space;
use super::spare::Spare;
use super::tail::Tail;
use super::types::{Command, WriteResult};
use super::verify::{Verified, verify};
use super::writer::{self, Ends, Request, command_bytes};

/// Commands that wait for the writer. Beyond, callers wait for a place.
const QUEUE_COMMANDS_MAX: usize = 8_192;
/// Bytes that wait for the writer, in KiB: two appends of the largest size.
const QUEUE_KIB_MAX: usize = 512 * 1024;
/// Stream names and event types are kept with a 16-bit length.
const NAME_BYTES_MAX: usize = u16::MAX as usize;

/// What the writer and the readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: Log,
    pub(crate) index: Index,
    pub(crate) tail: Tail,
    pub(crate) meters: Meters,
    /// Why nothing can be written until the log is opened again.
    failure: RwLock<Option<String>>,
    /// Why nothing is written as long as the disk is full.
    full: RwLock<Option<String>>,
}

impl Shared {
    /// Remembers why the log takes no more writes.
    pub(crate) fn fail(&self, reason: String) {
        self.failure.write().get_or_insert(reason);
        self.meters.read_only.set(1.0);
    }

    /// Remembers why the log takes no writes at the moment.
    pub(crate) fn set_full(&self, reason: Option<String>) {
        let is_read_only = reason.is_some() || self.failure.read().is_some();
        self.meters.read_only.set(if is_read_only { 1.0 } else { 0.0 });
        *self.full.write() = reason;
    }

    /// Passes a result on, and notes if it says that the index is wrong.
    pub(crate) fn checked<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Index(_) | StoreError::IndexMismatch { .. }) = &result {
            distrust_index(self.log.directory());
        }
        result
    }
}

/// An open log directory. Reading is synchronous; writing can be awaited or waited for.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    config: StoreConfig,
    queue: RwLock<Option<mpsc::Sender<Request>>>,
    queue_kib: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<Option<Appender>>>>,
    lock: Mutex<Option<Lock>>,
}

impl Store {
    /// Opens a directory, or creates it: checks the log's end, and brings the index up to it.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        Self::open_on(config, Arc::new(SystemDisk))
    }

    /// The same, on another disk.
    pub fn open_on(config: StoreConfig, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let directory = config.data_dir.clone();
        let opened = Self::open_trusting(config, disk);
        match &opened {
            Err(error) if error.is_disk_full() => {}
            Err(StoreError::Index(_) | StoreError::IndexMismatch { .. }) => distrust_index(&directory),
            Err(_) | Ok(_) => {}
        }
        opened
    }

    fn open_trusting(config: StoreConfig, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let directory = config.data_dir.clone();
        create_directory(&directory, &*disk)?;
        let lock = Lock::take(&directory)?;
        Spare::remove_old(&directory)?;
        let bases = list_segments(&directory)?;
        let log_id = open_format(&directory, !bases.is_empty())?;
        let log = Log::new(&directory, disk, log_id, Vec::new());
        open_sealed(&log, &bases)?;
        let index = open_index(&log, config.index_layer_log_bytes)?;
        let durable = DurableMark::open(&directory, log_id)?;
        let watermark = index.watermark();
        let evidence =
            Evidence { durable: watermark.max(durable.read()), clean: CleanMark::read(&directory, log_id)? };
        let appender = match bases.last() {
            Some(base) => open_tail(&log, *base, &evidence, config.segment_bytes)?,
            None => Appender::create(&log, 0, config.segment_bytes)?,
        };
        CleanMark::remove(&directory)?;
        log.commit(appender.end);
        durable.write(appender.end);
        let (index, repeats) = catch_up(&log, index, config.index_layer_log_bytes, appender.end)?;
        info!(directory = %directory.display(), end = appender.end, "opened the log, which ends at {}", appender.end);
        let meters = Meters::new();
        meters.read_only.set(0.0);
        meters.segments.set(figure(log.segments().len() as u64));
        meters.end.set(figure(appender.end));
        let space = Space::new(config.free_bytes_min);
        let tail = Tail::new(appender.end);
        let shared = Arc::new(Shared {
            log,
            index,
            tail,
            meters,
            failure: RwLock::default(),
            full: RwLock::default(),
        });
        let (queue, requests) = mpsc::channel(QUEUE_COMMANDS_MAX);
        let for_writer = Arc::clone(&shared);
        let writer = thread::Builder::new()
            .name("event-log-writer".to_owned())
            .spawn(move || writer::run(&for_writer, Ends { appender, durable, space }, repeats, requests))
            .map_err(StoreError::io("start the writer of", &directory))?;
        Ok(Self {
            shared,
            config,
            queue: RwLock::new(Some(queue)),
            queue_kib: Arc::new(Semaphore::new(QUEUE_KIB_MAX)),
            writer: Mutex::new(Some(writer)),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Does a write. When it answers `Ok`, the events survive a power cut.
    pub async fn write(&self, command: Command) -> WriteResult {
        self.submit(command).await?.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Queues a write and returns where its answer will be. Writes are done in the order of their queueing.
    pub(crate) async fn submit(
        &self,
        command: Command,
    ) -> Result<oneshot::Receiver<WriteResult>, AppendError> {
        self.check(&command)?;
        let bytes = command_bytes(&command);
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.queue_kib).acquire_many_owned(kib).await.map_err(|_| closed())?;
        let queue = self.queue.read().clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let request = Request { command, reply, queued_at: Instant::now(), _permit: permit };
        queue.send(request).await.map_err(|_| closed())?;
        Ok(answer)
    }

    /// The largest append.
    pub(crate) fn append_limit_bytes(&self) -> usize {
        self.config.append_limit_bytes()
    }

    /// The same for threads outside of an async runtime.
    pub fn write_blocking(&self, command: Command) -> WriteResult {
        futures::executor::block_on(self.write(command))
    }

    /// Position after the last event that is durable and visible.
    pub fn end(&self) -> u64 {
        self.shared.log.committed()
    }

    /// Why the log takes no writes; `None` while it does.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.read().clone().or_else(|| self.shared.full.read().clone())
    }

    /// Where a read from `position` starts: the first item at or after it.
    pub fn align(&self, position: u64) -> Result<u64, StoreError> {
        self.shared.log.align(position)
    }

    /// Events in log order from an aligned position on; none at the end. Newest ones come from memory.
    pub fn read_forwards(&self, position: u64, read_bytes: usize) -> Result<Chunk, StoreError> {
        match self.read_newest(position, read_bytes) {
            Some(chunk) => Ok(chunk),
            None => self.shared.log.read_forwards(position, read_bytes),
        }
    }

    /// The same from memory only; `None` if that does not reach back so far.
    pub(crate) fn read_newest(&self, position: u64, bytes_max: usize) -> Option<Chunk> {
        self.shared.tail.read(position, bytes_max)
    }

    /// Events that start before `position`, last first; none at the start.
    pub fn read_backwards(&self, position: u64) -> Result<Chunk, StoreError> {
        self.shared.log.read_backwards(position)
    }

    /// What is known of a stream, as reads of it see it.
    pub fn head(&self, stream: &str) -> Result<Head, StoreError> {
        self.shared.checked(head_for_reading(&self.shared.index, stream))
    }

    /// Some events of a stream from the cursor on; none after the last one.
    pub fn read_stream_forwards(
        &self,
        stream: &str,
        head: &Head,
        cursor: &mut StreamCursor,
    ) -> Result<Vec<Record>, StoreError> {
        self.shared.checked(step_forwards(&self.shared.index, &self.shared.log, stream, head, cursor))
    }

    /// Some events of a stream from `revision` downwards.
    pub fn read_stream_backwards(
        &self,
        stream: &str,
        head: &Head,
        revision: u64,
    ) -> Result<Vec<Record>, StoreError> {
        self.shared.checked(step_backwards(&self.shared.index, &self.shared.log, stream, head, revision))
    }

    /// A receiver that changes with every commit.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.tail.watch()
    }

    /// Reads every byte of the log and checks it; says what it found.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        verify(&self.shared.log)
    }

    /// Writes what is queued, flushes, marks the log as cleanly closed, and releases the directory.
    pub fn close(&self) -> Result<(), StoreError> {
        drop(self.queue.write().take());
        let closed = self.settle();
        drop(self.lock.lock().take());
        closed
    }

    /// Ends the writer, and leaves the mark of a clean shutdown if all that it wrote is sound.
    fn settle(&self) -> Result<(), StoreError> {
        let Some(writer) = self.writer.lock().take() else {
            return Ok(());
        };
        let Some(appender) = writer.join().ok().flatten() else {
            warn!("the log is closed without a clean mark, because its writer failed");
            return Ok(());
        };
        self.shared.checked(self.shared.index.finish())?;
        CleanMark { end: appender.end }.write(self.shared.log.directory(), self.shared.log.log_id())
    }

    fn check(&self, command: &Command) -> Result<(), AppendError> {
        let (stream, events) = match command {
            Command::Append { stream, events, .. } => (stream, events.as_slice()),
            Command::Delete { stream, .. } | Command::Tombstone { stream, .. } => (stream, [].as_slice()),
        };
        if stream.is_empty() || stream == "$$" {
            return Err(AppendError::Invalid("a stream must have a name"));
        }
        // two bytes are kept for the prefix of the stream's metadata stream
        if stream.len() > NAME_BYTES_MAX - 2 {
            return Err(AppendError::Invalid("the stream's name is longer than 65533 bytes"));
        }
        let limit_bytes = self.config.event_limit_bytes();
        for event in events {
            if event.event_type.len() > NAME_BYTES_MAX || event.content_type.len() > NAME_BYTES_MAX {
                return Err(AppendError::Invalid("an event's type is longer than 65535 bytes"));
            }
            if event.size_bytes() > limit_bytes {
                return Err(AppendError::TooLarge { limit_bytes });
            }
        }
        let limit_bytes = self.config.append_limit_bytes();
        if command_bytes(command) > limit_bytes {
            return Err(AppendError::TooLarge { limit_bytes });
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            warn!(%error, "closing the log failed: {error}");
        }
    }
}

fn closed() -> AppendError {
    AppendError::Unavailable { reason: "the log is closed".to_owned() }
}

/// Creates the directory where it is missing, and has its name survive a power cut.
fn create_directory(directory: &Path, disk: &dyn Disk) -> Result<(), StoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
    match directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => disk.sync_directory(parent).map_err(StoreError::io("flush", parent)),
        None => Ok(()),
    }
}

/// Opens the index; one that does not open is thrown away.
fn open_index(log: &Log, layer_log_bytes: u64) -> Result<Index, StoreError> {
    let path: PathBuf = index_directory(log.directory());
    remove_distrusted_index(log.directory())?;
    begin_opening_index(log.directory())?;
    let opened = Index::open(&path, log.log_id(), layer_log_bytes);
    end_opening_index(log.directory())?;
    match opened {
        Ok(index) => Ok(index),
        Err(StoreError::Index(fjall::Error::Locked)) => {
            Err(StoreError::Locked { path: log.directory().to_path_buf() })
        }
        Err(error) if error.is_disk_full() => Err(error),
        Err(error) => {
            warn!(%error, "the index does not open and is rebuilt from the log: {error}");
            renewed(log, layer_log_bytes)
        }
    }
}

/// Reads from the log what the index lacks, and the newest events; an index that fails at that is rebuilt once.
fn catch_up(log: &Log, index: Index, layer_log_bytes: u64, end: u64) -> Result<(Index, Repeats), StoreError> {
    if let Some(from) = index.watermark() {
        match replay(log, &index, recall(log, from.min(end))?, from, end) {
            Ok(repeats) => return Ok((index, repeats)),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::IndexWrite { .. })) => return Err(error),
            Err(error) => warn!(%error, "the index fails and is rebuilt from the log: {error}"),
        }
    }
    // one that cannot even tell is made again too
    let index = if matches!(index.is_empty(), Ok(true)) {
        index
    } else {
        drop(index);
        renewed(log, layer_log_bytes)?
    };
    index.claim(SEGMENT_HEADER_BYTES)?;
    let repeats = replay(log, &index, Repeats::default(), SEGMENT_HEADER_BYTES, end)?;
    Ok((index, repeats))
}

fn renewed(log: &Log, layer_log_bytes: u64) -> Result<Index, StoreError> {
    remove_index(log.directory())?;
    Index::open(&index_directory(log.directory()), log.log_id(), layer_log_bytes)
}
