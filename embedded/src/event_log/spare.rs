//! The next segment's file, filled with zeros while the present one is written.
//!
//! A flush of a file that grows also commits the file system's own journal; a flush of blocks that were written
//! before does not, and takes half the time. So a thread writes the next segment full of zeros, behind the
//! writer's back and in a file of its own; when the present segment is full the file gets its header and its
//! name. If there is no such file, because the disk is full or slow, the next segment grows as it is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tracing::{info, warn};

use super::disk::{Disk, DiskFile};
use super::error::StoreError;

/// Shorter segments, as tests have them, are not worth a thread.
const SEGMENT_BYTES_MIN: u64 = 1024 * 1024;
/// Zeros in one write: short, so that the log's own flushes wait for little.
const STEP_BYTES: usize = 1024 * 1024;
const NAME: &str = "next-segment";

/// The file, full of zeros; `None` if it was not wanted any more.
type Filled = std::io::Result<Option<Arc<dyn DiskFile>>>;

/// A file that is being filled, or is ready.
#[derive(Debug)]
pub(crate) struct Spare {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Filled>>,
}

impl Spare {
    /// Begins to fill a file for a segment of this size.
    pub(crate) fn begin(directory: &Path, disk: &Arc<dyn Disk>, segment_bytes: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut spare = Self { path: directory.join(NAME), stop: Arc::clone(&stop), thread: None };
        if segment_bytes >= SEGMENT_BYTES_MIN {
            let (path, disk) = (spare.path.clone(), Arc::clone(disk));
            let thread = thread::Builder::new().name("event-log-spare".to_owned());
            spare.thread = thread.spawn(move || fill(&path, &*disk, segment_bytes, &stop)).ok();
        }
        spare
    }

    /// The file if it is ready, and where it is; `None` if the segment must do without. Then the thread has ended
    /// and the file is gone, so that the next one can begin.
    pub(crate) fn take(&mut self) -> Option<(Arc<dyn DiskFile>, PathBuf)> {
        match self.end()? {
            Ok(Some(file)) => return Some((file, self.path.clone())),
            Ok(None) => info!("the next segment is not prepared in time, and grows instead"),
            Err(error) => warn!(%error, "the next segment is not prepared, and grows instead: {error}"),
        }
        self.remove();
        None
    }

    /// Ends the thread, after the step that it is at.
    fn end(&mut self) -> Option<Filled> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok()
    }

    fn remove(&self) {
        // the next start removes it, too
        let _ = fs::remove_file(&self.path);
    }

    /// Removes what an earlier process left behind.
    pub(crate) fn remove_old(directory: &Path) -> Result<(), StoreError> {
        let path = directory.join(NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if self.end().is_some() {
            self.remove();
        }
    }
}

fn fill(path: &Path, disk: &dyn Disk, segment_bytes: u64, stop: &AtomicBool) -> Filled {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let file = disk.create(path)?;
    let zeros = vec![0; STEP_BYTES];
    let mut written = 0;
    while written < segment_bytes {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        file.write_at(&zeros, written)?;
        // little by little, so that the log's flushes never wait for all of it
        file.sync()?;
        written += STEP_BYTES as u64;
    }
    Ok(Some(file))
}
