//! Disks under the log's own seam: those that fail as real ones do, and those that lie.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use embedded::event_log::{Disk, DiskFile, SystemDisk};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::io::Errno;

/// How long [`LateDisk`] keeps a write to itself.
const LATENESS: Duration = Duration::from_millis(30);

type Pieces = Vec<(u64, Vec<u8>)>;

/// Says that writes are done and durable, and does them a moment later: what dies with the process was promised.
#[derive(Clone, Copy, Debug)]
pub struct LateDisk;

#[derive(Debug)]
struct LateFile {
    inner: Arc<dyn DiskFile>,
    kept: Arc<Mutex<Pieces>>,
}

impl LateFile {
    fn over(inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let kept: Arc<Mutex<Pieces>> = Arc::default();
        let (writing, waiting) = (Arc::clone(&inner), Arc::downgrade(&kept));
        std::thread::spawn(move || {
            while let Some(kept) = waiting.upgrade() {
                std::thread::sleep(LATENESS);
                let _ = Self::write_out(&*writing, &mut kept.lock());
            }
        });
        Arc::new(Self { inner, kept })
    }

    fn write_out(inner: &dyn DiskFile, kept: &mut Pieces) -> io::Result<()> {
        kept.drain(..).try_for_each(|(offset, bytes)| inner.write_at(&bytes, offset))
    }
}

impl Disk for LateDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(LateFile::over(SystemDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(LateFile::over(SystemDisk.open(path)?))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_directory(path)
    }
}

impl DiskFile for LateFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.kept.lock().push((offset, bytes.to_vec()));
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Self::write_out(&*self.inner, &mut self.kept.lock())?;
        self.inner.read_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        Self::write_out(&*self.inner, &mut self.kept.lock())?;
        self.inner.truncate(length)
    }

    fn size(&self) -> io::Result<u64> {
        Self::write_out(&*self.inner, &mut self.kept.lock())?;
        self.inner.size()
    }
}

/// What is wrong with a [`FailingDisk`] now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nothing.
    None,
    /// Flushes fail, and what they were to make durable is gone in part.
    Flush,
    /// Nothing fits any more: of a write only a part is done.
    Full,
}

#[derive(Debug)]
struct State {
    failure: Failure,
    /// Flushes that failed.
    failed: u64,
    chance: StdRng,
    /// Whether a failed flush is tried again and taken for a success: what no build may do.
    retries: bool,
}

/// A disk that begins to fail when told to.
#[derive(Clone, Debug)]
pub struct FailingDisk {
    state: Arc<Mutex<State>>,
}

impl FailingDisk {
    /// One that is well. With `retries` the control: a flush that fails is tried again.
    #[must_use]
    pub fn new(seed: u64, retries: bool) -> Self {
        let chance = StdRng::seed_from_u64(seed);
        Self { state: Arc::new(Mutex::new(State { failure: Failure::None, failed: 0, chance, retries })) }
    }

    /// Begins to fail, or ends.
    pub fn set(&self, failure: Failure) {
        self.state.lock().failure = failure;
    }

    /// Writes and flushes that failed so far.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.state.lock().failed
    }

    fn wrap(&self, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FailingFile { inner, state: Arc::clone(&self.state), unsynced: Mutex::default() })
    }
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if self.state.lock().failure == Failure::Full {
            return Err(Errno::NOSPC.into());
        }
        SystemDisk.create(path).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        SystemDisk.open(path).map(|file| self.wrap(file))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_directory(path)
    }
}

#[derive(Debug)]
struct FailingFile {
    inner: Arc<dyn DiskFile>,
    state: Arc<Mutex<State>>,
    /// Ranges that no flush has made durable yet.
    unsynced: Mutex<Vec<(u64, usize)>>,
}

impl FailingFile {
    /// What a kernel does when a page cannot be written: drops it, and says so once.
    fn lose(&self, state: &mut State) -> io::Result<()> {
        for (offset, length) in self.unsynced.lock().drain(..) {
            if state.chance.random() {
                self.inner.write_at(&vec![0; length], offset)?;
            }
        }
        Ok(())
    }
}

impl DiskFile for FailingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.failure == Failure::Full {
            state.failed += 1;
            let fits = state.chance.random_range(0..=bytes.len() / 2);
            self.inner.write_at(&bytes[..fits], offset)?;
            return if state.retries { Ok(()) } else { Err(Errno::NOSPC.into()) };
        }
        self.unsynced.lock().push((offset, bytes.len()));
        self.inner.write_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.failure == Failure::Flush {
            state.failed += 1;
            self.lose(&mut state)?;
            return if state.retries { self.inner.sync() } else { Err(Errno::IO.into()) };
        }
        self.unsynced.lock().clear();
        self.inner.sync()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
}
