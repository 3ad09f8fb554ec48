//! Fault test 3: single bits of the log's directory flip, in any file, while it is closed or while it is open.
//!
//! Each flip must be harmless, repaired from the log, or refused with a message that names the file: never a byte that
//! nobody wrote, never an event less.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use embedded::event_log::{Record, Store, StoreConfig, StoreError};
use futures::future::join_all;
use rand::Rng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use super::log_contents::{Sent, compare, compare_stream, read_all, read_stream, streams_of};
use crate::harness::{Counts, FaultTest, Round, Violation, promise, violation};

/// The build whose recovery cuts off what is damaged instead of refusing it.
const CUTS: &str = "recovery-cuts-damage-off";
/// The build whose checksums do not see a changed byte.
const BLIND: &str = "checksums-see-nothing";
const APPENDS: usize = 120;
const STREAMS: u32 = 4;
const FLIPS: u32 = 60;

/// Fault test 3.
pub(super) struct BitFlips;

#[async_trait(?Send)]
impl FaultTest for BitFlips {
    fn name(&self) -> &'static str {
        "bit-flips"
    }

    fn claim(&self) -> &'static str {
        "a flipped bit in any file is harmless, repaired from the log, or refused; no wrong byte is served"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[CUTS, BLIND]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let round = round.clone();
        tokio::task::spawn_blocking(move || play(&round)).await.map_err(violation("the store panics"))?
    }
}

fn play(round: &Round) -> anyhow::Result<Counts> {
    let mut chance = round.chance();
    let source = Source::new(&mut chance)?;
    let mut counts = Counts::new();
    for _ in 0..round.share(FLIPS) {
        let from = if chance.random() { &source.closed } else { &source.killed };
        let directory = tempfile::tempdir()?;
        copy(from.path(), directory.path())?;
        let outcome = if round.is_control(BLIND) {
            source.forge(directory.path(), &mut chance)?;
            source.check(directory.path())?
        } else if chance.random_ratio(1, 3) {
            source.flip_under_readers(directory.path(), &mut chance)?
        } else {
            let flip = flip(directory.path(), &mut chance)?;
            let outcome = if round.is_control(CUTS) {
                source.check_cutting(directory.path())
            } else {
                source.check(directory.path())
            };
            outcome.map_err(|error| error.context(flip))?
        };
        *counts.entry(outcome).or_default() += 1;
    }
    Ok(counts)
}

/// A log with everything that was written to it.
struct Source {
    config: StoreConfig,
    sent: Vec<Sent>,
    /// After a calm end.
    closed: TempDir,
    /// As a killed process leaves it.
    killed: TempDir,
}

impl Source {
    fn new(chance: &mut StdRng) -> anyhow::Result<Self> {
        let (closed, killed) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let config = StoreConfig {
            segment_bytes: chance.random_range(4_000..30_000),
            ..StoreConfig::new(closed.path())
        };
        let sent: Vec<_> = (0..APPENDS).map(|_| Sent::draw(chance, STREAMS)).collect();
        let store = Store::open(config.clone())?;
        for group in sent.chunks(3) {
            let answers =
                futures::executor::block_on(join_all(group.iter().map(|sent| store.write(sent.command()))));
            answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        copy(closed.path(), killed.path())?;
        store.close()?;
        Ok(Self { config, sent, closed, killed })
    }

    fn open(&self, directory: &Path) -> Result<Store, StoreError> {
        Store::open(StoreConfig { data_dir: directory.to_path_buf(), ..self.config.clone() })
    }

    /// Opens a directory, again if it says that it then repairs itself, and compares all that it serves.
    fn check(&self, directory: &Path) -> anyhow::Result<&'static str> {
        for outcome in ["flips harmless", "flips repaired"] {
            let store = match self.open(directory) {
                Ok(store) => store,
                Err(error) => return Ok(refused(&error)?),
            };
            match self.compare(&store)? {
                Ok(()) => return Ok(outcome),
                Err(StoreError::Index(_) | StoreError::IndexMismatch { .. }) => {}
                Err(error) => return Ok(refused(&error)?),
            }
        }
        Ok(promise(false, || "an index that was found wrong is not repaired by a start".to_owned())
            .map(|()| "")?)
    }

    /// Reads in every way, and compares. The inner result is what the store itself says.
    fn compare(&self, store: &Store) -> Result<Result<(), StoreError>, Violation> {
        let records = match read_all(store) {
            Ok(records) => records,
            Err(error) => return Ok(Err(error)),
        };
        let found = compare(&records, &self.sent)?;
        promise(found == self.sent.len(), || {
            format!("only {found} of {} appends are there", self.sent.len())
        })?;
        for stream in streams_of(&self.sent) {
            match read_stream(store, &stream) {
                Ok(records) => compare_stream(&records, &stream, &self.sent)?,
                Err(error) => return Ok(Err(error)),
            }
        }
        match backwards(store) {
            Ok(records) => promise(compare(&records, &self.sent)? == self.sent.len(), || {
                "backwards less is there".to_owned()
            })?,
            Err(error) => return Ok(Err(error)),
        }
        Ok(store.verify().map(drop))
    }

    /// Flips a bit of a segment while a store reads it.
    fn flip_under_readers(&self, directory: &Path, chance: &mut StdRng) -> anyhow::Result<&'static str> {
        let store = self.open(directory).map_err(violation("an intact log does not open"))?;
        let flip = flip(directory, chance)?;
        let outcome =
            match self.compare(&store).map_err(|error| anyhow::Error::new(error).context(flip.clone()))? {
                Ok(()) => "flips harmless",
                Err(StoreError::Index(_) | StoreError::IndexMismatch { .. }) => "flips repaired",
                Err(error) => refused(&error)?,
            };
        drop(store);
        // a calm end may have written what the flip was in anew: a start says what is left
        self.check(directory).map_err(|error| error.context(flip))?;
        Ok(outcome)
    }

    /// The control: where the log says that it is damaged, the rest goes.
    fn check_cutting(&self, directory: &Path) -> anyhow::Result<&'static str> {
        for _ in 0..20 {
            match self.open(directory) {
                Err(StoreError::Corrupt { file, offset, .. }) => cut(directory, &file, offset)?,
                Err(error) => return Ok(refused(&error)?),
                Ok(store) => {
                    return Ok(self
                        .compare(&store)?
                        .map_or_else(|error| refused(&error), |()| Ok("flips harmless"))?);
                }
            }
        }
        Ok("flips refused")
    }

    /// The other control: a log of the same id with one byte of one event changed, and checksums that fit.
    fn forge(&self, directory: &Path, chance: &mut StdRng) -> anyhow::Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else if !is_format(&path) {
                fs::remove_file(&path)?;
            }
        }
        let (changed, store) = (chance.random_range(0..self.sent.len()), self.open(directory)?);
        for (number, sent) in self.sent.iter().enumerate() {
            let mut sent = sent.clone();
            if number == changed {
                let data = &mut sent.events[0].1;
                *data = data.iter().chain(&[1]).map(|byte| byte ^ 4).collect();
            }
            store.write_blocking(sent.command())?;
        }
        store.close()?;
        Ok(())
    }
}

/// A refusal must say where, and what to do.
fn refused(error: &StoreError) -> Result<&'static str, Violation> {
    let text = error.to_string();
    let is_told =
        matches!(error, StoreError::Corrupt { .. } | StoreError::Format { .. } | StoreError::Io { .. });
    promise(is_told && text.contains('/'), || format!("damage is not told as such: {text}"))?;
    Ok("flips refused")
}

fn backwards(store: &Store) -> Result<Vec<Record>, StoreError> {
    let (mut position, mut all) = (store.end(), Vec::new());
    loop {
        let chunk = store.read_backwards(position)?;
        if chunk.records.is_empty() {
            all.reverse();
            return Ok(all);
        }
        position = chunk.next;
        all.extend(chunk.records);
    }
}

/// Flips a bit of one of the files, and says where.
fn flip(directory: &Path, chance: &mut StdRng) -> anyhow::Result<String> {
    let mut files = Vec::new();
    list(directory, &mut files)?;
    files.retain(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0));
    files.sort();
    // half of the flips in what holds the events, however many small files there are beside
    let is_segment =
        |path: &PathBuf| path.parent() == Some(directory) && path.extension().is_some_and(|end| end == "log");
    if chance.random() {
        files.retain(is_segment);
    }
    let path = &files[chance.random_range(0..files.len())];
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let (at, bit) = (chance.random_range(0..file.metadata()?.len()), chance.random_range(0..8));
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, at)?;
    let name = path.strip_prefix(directory).unwrap_or(path).display();
    Ok(format!("after bit {bit} of byte {at} of {name} was flipped"))
}

/// Cuts a segment, and takes away those after it and every file that remembers them.
fn cut(directory: &Path, file: &Path, offset: u64) -> anyhow::Result<()> {
    fs::OpenOptions::new().write(true).open(file)?.set_len(offset)?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_segment = path.extension() == file.extension();
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if is_segment && path.as_path() > file || !is_segment && !is_format(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The file without which a directory is no log.
fn is_format(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "FORMAT")
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
