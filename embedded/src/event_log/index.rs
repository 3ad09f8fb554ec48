//! The index: where each stream's events are.
//!
//! It holds nothing that the log does not say. The newest entries are exact in memory (`recent`), in layers; a
//! full layer is sorted and handed to a thread of its own, which adds it to tables on the disk (`stored`) in
//! one atomic step together with the position that it reaches. So the writer of the log pays for hash maps
//! only, memory is bounded (the writer waits if the disk falls behind), and after a crash the tables are at most
//! some layers behind: `watermark` says how far, and the rest is read from the end of the log. If the tables do
//! not open, or belong to another log, they are thrown away and made again.

mod recent;
mod stored;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use parking_lot::{Mutex, RwLock};
use tracing::error;
use uuid::Uuid;

use super::error::{StoreError, describe};
use super::head::Head;
use super::stage::Staged;
use recent::{Layer, Recent};
use stored::{Stored, guarded};

/// Full layers that wait for the disk, besides the one that is being added. More would only hide a slow disk,
/// take memory, and lengthen the next start after a crash.
const WAITING_LAYERS_MAX: usize = 1;

/// What the index's thread and everybody else share.
#[derive(Debug)]
struct Shared {
    stored: Stored,
    recent: RwLock<Recent>,
    /// Why the tables take nothing more.
    failure: Mutex<Option<String>>,
}

/// The open index.
#[derive(Debug)]
pub(crate) struct Index {
    shared: Arc<Shared>,
    /// A layer is full when it stands for so many bytes of the log, too: what is only in memory is read again
    /// after a crash.
    layer_log_bytes: u64,
    full_layers: Mutex<Option<SyncSender<Arc<Layer>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Index {
    /// Opens or creates the index of a log in `directory`.
    pub(crate) fn open(directory: &Path, log_id: Uuid, layer_log_bytes: u64) -> Result<Self, StoreError> {
        let stored = guarded(|| Stored::open(directory, log_id))?;
        let recent = RwLock::new(Recent::starting_at(stored.watermark().unwrap_or(0)));
        let shared = Arc::new(Shared { stored, recent, failure: Mutex::new(None) });
        let (full_layers, receiver) = sync_channel(WAITING_LAYERS_MAX);
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("event-log-index".to_owned())
            .spawn(move || for_thread.store_layers(&receiver))
            .map_err(StoreError::io("start the index's thread of", directory))?;
        Ok(Self {
            shared,
            layer_log_bytes,
            full_layers: Mutex::new(Some(full_layers)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Position up to which the tables on the disk know the log; `None` if they are not of this log.
    pub(crate) fn watermark(&self) -> Option<u64> {
        self.shared.stored.watermark()
    }

    /// Claims an empty index for its log, which begins at `start`.
    pub(crate) fn claim(&self, start: u64) -> Result<(), StoreError> {
        guarded(|| self.shared.stored.add(&Layer::starting_at(start)))?;
        *self.shared.recent.write() = Recent::starting_at(start);
        Ok(())
    }

    /// Whether nothing was ever indexed.
    pub(crate) fn is_empty(&self) -> Result<bool, StoreError> {
        guarded(|| self.shared.stored.is_empty())
    }

    pub(crate) fn head(&self, stream: &str) -> Result<Option<Head>, StoreError> {
        match self.shared.recent.read().find(|layer| layer.head(stream)) {
            Some(head) => Ok(Some(head)),
            None => guarded(|| self.shared.stored.head(stream)),
        }
    }

    /// The last run of a stream that starts at or before `revision`: its first revision, and its position.
    pub(crate) fn run_at(&self, key: u64, revision: u64) -> Result<Option<(u64, u64)>, StoreError> {
        // a stream's runs in a newer layer are all later than those in an older one
        match self.shared.recent.read().find(|layer| layer.run_at(key, revision)) {
            Some(run) => Ok(Some(run)),
            None => guarded(|| self.shared.stored.run_at(key, revision)),
        }
    }

    /// Takes in what a durable frame changed; the log is indexed up to `end` then. Waits if the disk is behind.
    pub(crate) fn apply(&self, staged: Staged, end: u64) -> Result<(), StoreError> {
        let full = {
            let mut recent = self.shared.recent.write();
            recent.take_in(staged, end);
            recent.freeze_if_full(self.layer_log_bytes)
        };
        match full {
            Some(layer) => self.hand_over(layer),
            None => Ok(()),
        }
    }

    /// Brings everything to the disk, and takes nothing more.
    pub(crate) fn finish(&self) -> Result<(), StoreError> {
        let rest = self.shared.recent.write().freeze();
        let handed_over = rest.map_or(Ok(()), |layer| self.hand_over(layer));
        self.join();
        handed_over?;
        self.failed()
    }

    /// Bytes of memory that the newest entries take, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.shared.recent.read().bytes()
    }

    fn hand_over(&self, layer: Arc<Layer>) -> Result<(), StoreError> {
        let sent = self.full_layers.lock().as_ref().is_some_and(|queue| queue.send(layer).is_ok());
        if sent { Ok(()) } else { self.failed() }
    }

    fn failed(&self) -> Result<(), StoreError> {
        match self.shared.failure.lock().clone() {
            Some(cause) => Err(StoreError::IndexWrite { cause }),
            None => Ok(()),
        }
    }

    fn join(&self) {
        drop(self.full_layers.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            // a panic was reported by the thread itself; what it did not store is read again at the next start
            drop(thread.join());
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.join();
    }
}

impl Shared {
    /// Runs until there are no more layers. After a failure it ends, so that the writer's next layer is refused.
    fn store_layers(&self, layers: &Receiver<Arc<Layer>>) {
        while let Ok(layer) = layers.recv() {
            match guarded(|| self.stored.add(&layer)) {
                Ok(()) => self.recent.write().forget(&layer),
                Err(cause) => {
                    let cause = describe(&cause);
                    error!(%cause, "the index cannot be written: {cause}");
                    *self.failure.lock() = Some(cause);
                    return;
                }
            }
        }
    }
}
