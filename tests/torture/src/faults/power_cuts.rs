//! Fault test 2: the power fails while the log writes, opens, or has just come back.
//!
//! The store runs in this process, on the crash disk of another. After each cut (or death of the process alone, which loses nothing
//! but proves nothing durable either) the log must be an exact prefix of what was submitted, holding at least all that was
//! acknowledged or shown; what was not is submitted again, under the same ids.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use embedded::event_log::{Disk, DiskFile, Store, StoreConfig, SystemDisk};
use futures::future::join_all;
use rand::Rng;
use rand::rngs::StdRng;

use super::log_contents::{Sent, compare, compare_stream, read_all, read_stream, streams_of};
use crate::crash_disk::CrashDisk;
use crate::harness::{Counts, FaultTest, Round, promise, violation};

/// The build acknowledges before its flush.
const NO_SYNC: &str = "sync-does-nothing";
/// Starts of the log in one round, the last of them on a disk that stays well.
const LIVES: u32 = 4;
/// Appends in one life, if the power lasts.
const APPENDS: usize = 60;
/// Changes of the disk that the power lasts for, at most, where it fails while the log opens.
const OPEN_CHANGES: u64 = 250;
/// The same where it fails later: about what the appends of a life make.
const APPEND_CHANGES: u64 = 120;
const STREAMS: u32 = 3;

/// Fault test 2.
pub(super) struct PowerCuts;

#[async_trait(?Send)]
impl FaultTest for PowerCuts {
    fn name(&self) -> &'static str {
        "power-cuts"
    }

    fn claim(&self) -> &'static str {
        "after a power cut the log is a prefix of what was submitted, with all that was acknowledged"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[NO_SYNC]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let round = round.clone();
        tokio::task::spawn_blocking(move || play(&round)).await.map_err(violation("the store panics"))?
    }
}

fn play(round: &Round) -> anyhow::Result<Counts> {
    let mut chance = round.chance();
    let directory = tempfile::tempdir()?;
    let disk = CrashDisk::start(&round.program, directory.path(), chance.random())?;
    let mut log = Log::new(&disk, round.is_control(NO_SYNC), &mut chance)?;
    for _ in 1..LIVES {
        log.live(&disk, true, &mut chance)?;
        if chance.random_ratio(1, 3) {
            disk.outlive_process()?;
        } else {
            log.cuts += 1;
            disk.cycle_power()?;
        }
    }
    // the survivor goes on working, and its last words are there after a calm end
    log.live(&disk, false, &mut chance)?;
    log.live(&disk, false, &mut chance)?;
    Ok(Counts::from([("cuts", log.cuts), ("events acknowledged", log.acknowledged)]))
}

/// The log as its users know it.
struct Log {
    config: StoreConfig,
    disk: Arc<dyn Disk>,
    /// What was submitted, in order.
    sent: Vec<Sent>,
    /// So many of them were acknowledged or shown.
    promised: usize,
    /// What a cut lost before it was acknowledged.
    lost: Vec<Sent>,
    cuts: u64,
    acknowledged: u64,
}

impl Log {
    fn new(mount: &CrashDisk, is_broken: bool, chance: &mut StdRng) -> anyhow::Result<Self> {
        let data_dir = mount.path().join("log");
        std::fs::create_dir(&data_dir)?;
        std::fs::File::open(mount.path())?.sync_all()?;
        // small segments and layers of the index, so that their ends are met often
        let config = StoreConfig {
            segment_bytes: chance.random_range(2_000..40_000),
            index_layer_log_bytes: chance.random_range(2_000..100_000),
            ..StoreConfig::new(data_dir)
        };
        let disk: Arc<dyn Disk> = if is_broken { Arc::new(NoSync) } else { Arc::new(SystemDisk) };
        Ok(Self { config, disk, sent: Vec::new(), promised: 0, lost: Vec::new(), cuts: 0, acknowledged: 0 })
    }

    /// Opens, compares, and appends until done or until the power is off.
    fn live(&mut self, mount: &CrashDisk, is_to_fail: bool, chance: &mut StdRng) -> anyhow::Result<()> {
        let fails_early = is_to_fail && chance.random_ratio(1, 3);
        if fails_early {
            mount.cut_after(chance.random_range(0..OPEN_CHANGES))?;
        }
        // whoever asks finds out that the disk's process is gone elsewhere
        let is_on = || mount.is_on().unwrap_or(false);
        let store = match Store::open_on(self.config.clone(), Arc::clone(&self.disk)) {
            Ok(store) => store,
            Err(_) if !is_on() => return Ok(()),
            Err(error) => return Err(violation("the log does not open on a disk that is well")(error).into()),
        };
        if let Err(error) = self.recover(&store)
            && is_on()
        {
            return Err(error);
        }
        if is_to_fail && !fails_early {
            mount.cut_after(chance.random_range(0..APPEND_CHANGES))?;
        }
        let mut next = std::mem::take(&mut self.lost);
        next.extend((0..APPENDS).map(|_| Sent::draw(chance, STREAMS)));
        while !next.is_empty() && is_on() {
            let group = next.drain(..chance.random_range(1..8).min(next.len())).collect();
            self.append(&store, group)?;
        }
        promise(store.failure().is_none() || !is_on(), || {
            format!("a disk that is well fails: {:?}", store.failure())
        })?;
        self.lost.extend(next);
        Ok(())
    }

    /// Reads what the log holds; from here on all of it is promised, because it was shown.
    fn recover(&mut self, store: &Store) -> anyhow::Result<()> {
        let records = read_all(store).map_err(violation("the log cannot be read"))?;
        let found = compare(&records, &self.sent)?;
        promise(found >= self.promised, || {
            format!("{found} appends are there, but {} were acknowledged or shown", self.promised)
        })?;
        self.lost = self.sent.split_off(found);
        self.promised = found;
        for stream in streams_of(&self.sent) {
            let records = read_stream(store, &stream).map_err(violation("a stream cannot be read"))?;
            compare_stream(&records, &stream, &self.sent)?;
        }
        store.verify().map_err(violation("the check of the whole log fails"))?;
        Ok(())
    }

    /// Submits appends side by side. The queue keeps their order.
    fn append(&mut self, store: &Store, group: Vec<Sent>) -> anyhow::Result<()> {
        let first = self.sent.len();
        self.sent.extend(group);
        let writes = self.sent[first..].iter().map(|sent| store.write(sent.command()));
        let answers = futures::executor::block_on(join_all(writes));
        for (number, answer) in (first..).zip(&answers) {
            if answer.is_ok() {
                promise(self.promised == number, || {
                    format!("append {number} is acknowledged before {}", self.promised)
                })?;
                self.promised += 1;
                self.acknowledged += self.sent[number].events.len() as u64;
            }
        }
        Ok(())
    }
}

/// The control: a disk whose flush does nothing.
#[derive(Debug)]
struct NoSync;

#[derive(Debug)]
struct NoSyncFile(Arc<dyn DiskFile>);

impl Disk for NoSync {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(NoSyncFile(SystemDisk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(NoSyncFile(SystemDisk.open(path)?)))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_directory(path)
    }
}

impl DiskFile for NoSyncFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}
