//! Fault test 3: single bits of the log's directory flip, in any file, while it is closed or while it is open.
//!
//! Each flip must be harmless, repaired from the log, or refused with a message that names the file: never a byte that
//! nobody wrote, never an event less. Each start is a process of its own, as the index's store may abort on damaged tables.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use rand::Rng;
use rand::rngs::StdRng;
use rustix::fs::{SeekFrom, seek, statvfs};
use rustix::io::Errno;
use tempfile::TempDir;

use super::log_reader::{LogReader, Outcome, Written, is_format};
use crate::harness::{Counts, FaultTest, Round, promise, violation};

/// The build whose recovery cuts off what is damaged instead of refusing it.
const CUTS: &str = "recovery-cuts-damage-off";
/// The build whose checksums do not see a changed byte.
const BLIND: &str = "checksums-see-nothing";
const FLIPS: u32 = 60;
/// Where Linux has a file system in memory.
const MEMORY: &str = "/dev/shm";
/// What has to be free there: what the log keeps free, and room for three copies of it with their spare segments. Containers have 64 MiB.
const MEMORY_BYTES_MIN: u64 = 1024 * 1024 * 1024;
/// Starts in a row that may be aborted, before the log takes that for a wrong index and makes it again.
const ABORTED_MAX: u32 = 3;
/// How often an open log may disturb who looks at its files, and the pause after that: a merge is over by then.
const TRIES_MAX: u32 = 50;
const TRY_PAUSE: Duration = Duration::from_millis(20);
const ABORTED: &str = "aborted starts";

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
    let source = Source::new(round, &mut chance)?;
    let mut counts = Counts::new();
    for _ in 0..round.share(FLIPS) {
        let from = if chance.random() { &source.closed } else { &source.killed };
        let directory = scratch()?;
        copy(from.path(), directory.path())?;
        let outcome = if round.is_control(BLIND) {
            source.forge(directory.path(), &mut chance)?;
            source.settle(directory.path(), &mut counts)?
        } else if chance.random_ratio(1, 3) {
            source.flip_under_readers(directory.path(), &mut chance, &mut counts)?
        } else {
            let flip = flip(directory.path(), &mut chance)?;
            source.settle(directory.path(), &mut counts).map_err(|error| error.context(flip))?
        };
        *counts.entry(outcome).or_default() += 1;
    }
    Ok(counts)
}

/// A directory in memory where there is room for one: what flushes promise is the matter of other tests, and here they would take
/// most of the time.
fn scratch() -> std::io::Result<TempDir> {
    let free = statvfs(MEMORY).map_or(0, |memory| memory.f_bavail.saturating_mul(memory.f_frsize));
    if free < MEMORY_BYTES_MIN {
        return tempfile::tempdir();
    }
    tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir())
}

/// A log with everything that was written to it.
struct Source {
    program: PathBuf,
    seed: u64,
    cuts_damage: bool,
    written: Written,
    /// After a calm end.
    closed: TempDir,
    /// As a killed process leaves it.
    killed: TempDir,
}

impl Source {
    fn new(round: &Round, chance: &mut StdRng) -> anyhow::Result<Self> {
        let closed = scratch()?;
        let seed = chance.random();
        let written = Written::of(seed);
        let store = written.open(closed.path())?;
        for group in written.sent.chunks(3) {
            let answers =
                futures::executor::block_on(join_all(group.iter().map(|sent| store.write(sent.command()))));
            answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        let killed = copy_of_open(closed.path())?;
        store.close()?;
        let (program, cuts_damage) = (round.program.clone(), round.is_control(CUTS));
        Ok(Self { program, seed, cuts_damage, written, closed, killed })
    }

    fn start(&self, directory: &Path, cuts_damage: bool) -> anyhow::Result<LogReader> {
        LogReader::start(&self.program, directory, self.seed, cuts_damage)
    }

    /// Starts until the log serves everything or refuses. A start may end its process at damaged tables of the index, but only so often
    /// that starts in a row find out; an index that was found wrong must be well at the next start.
    fn settle(&self, directory: &Path, counts: &mut Counts) -> anyhow::Result<&'static str> {
        let (mut aborted, mut found_wrong) = (0, 0);
        loop {
            match self.start(directory, self.cuts_damage)?.finish()? {
                Outcome::Served if aborted + found_wrong == 0 => return Ok("flips harmless"),
                Outcome::Served => return Ok("flips repaired"),
                Outcome::Refused => return Ok("flips refused"),
                Outcome::IndexWrong => {
                    found_wrong += 1;
                    promise(found_wrong <= 1, || {
                        "an index that was found wrong is not repaired by a start".to_owned()
                    })?;
                }
                Outcome::Aborted(last_words) => {
                    aborted += 1;
                    *counts.entry(ABORTED).or_default() += 1;
                    promise(aborted <= ABORTED_MAX, || {
                        format!("{aborted} starts in a row were aborted: {last_words}")
                    })?;
                }
            }
        }
    }

    /// Flips a bit of any file while a process reads the log.
    fn flip_under_readers(
        &self,
        directory: &Path,
        chance: &mut StdRng,
        counts: &mut Counts,
    ) -> anyhow::Result<&'static str> {
        let reader = self.start(directory, false)?;
        promise(reader.is_open(), || "an intact log does not open".to_owned())?;
        let flip = undisturbed(|| flip(directory, chance))?;
        let outcome = match reader.finish().map_err(|error| error.context(flip.clone()))? {
            Outcome::Served => "flips harmless",
            Outcome::IndexWrong => "flips repaired",
            Outcome::Refused => "flips refused",
            Outcome::Aborted(_) => {
                *counts.entry(ABORTED).or_default() += 1;
                "flips repaired"
            }
        };
        // a calm end may have written what the flip was in anew: a start says what is left
        self.settle(directory, counts).map_err(|error| error.context(flip))?;
        Ok(outcome)
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
        let sent = &self.written.sent;
        let (changed, store) = (chance.random_range(0..sent.len()), self.written.open(directory)?);
        for (number, sent) in sent.iter().enumerate() {
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

/// Flips a bit of one of the files, and says where.
fn flip(directory: &Path, chance: &mut StdRng) -> anyhow::Result<String> {
    let mut files = Vec::new();
    list(directory, &mut files)?;
    files
        .retain(|path| fs::File::open(path).and_then(|file| extents(&file)).is_ok_and(|all| !all.is_empty()));
    files.sort();
    // half of the flips in what holds the events, however many small files there are beside
    let is_segment =
        |path: &PathBuf| path.parent() == Some(directory) && path.extension().is_some_and(|end| end == "log");
    if chance.random() {
        files.retain(is_segment);
    }
    let path = &files[chance.random_range(0..files.len())];
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    // not in what was only reserved: an index's journal is 64 MiB of that
    let extents = extents(&file)?;
    let extent = extents[chance.random_range(0..extents.len())].clone();
    let (at, bit) = (chance.random_range(extent), chance.random_range(0..8));
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, at)?;
    let name = path.strip_prefix(directory).unwrap_or(path).display();
    Ok(format!("after bit {bit} of byte {at} of {name} was flipped"))
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// What a kill would leave of a log that is open: a copy during which nothing came or went.
fn copy_of_open(from: &Path) -> anyhow::Result<TempDir> {
    undisturbed(|| {
        let (before, to) = (listed(from)?, scratch()?);
        copy(from, to.path())?;
        if listed(from)? == before { Ok(to) } else { Err(io::Error::from(io::ErrorKind::NotFound).into()) }
    })
}

/// Does something with files of an open log again and again, until none went meanwhile: the store may still be merging its index, or
/// preparing a segment.
fn undisturbed<T>(mut act: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let is_gone = |error: &anyhow::Error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    for _ in 1..TRIES_MAX {
        match act() {
            Err(error) if is_gone(&error) => std::thread::sleep(TRY_PAUSE),
            done => return done,
        }
    }
    act()
}

/// The files, and how long they are.
fn listed(directory: &Path) -> anyhow::Result<Vec<(PathBuf, Option<u64>)>> {
    let mut files = Vec::new();
    list(directory, &mut files)?;
    files.sort();
    // one that went meanwhile has no length
    Ok(files.into_iter().map(|path| (path.clone(), fs::metadata(path).ok().map(|data| data.len()))).collect())
}

/// Copies a directory, and leaves out what its files only reserve.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
            continue;
        }
        let (source, copied) = (fs::File::open(entry.path())?, fs::File::create(target)?);
        copied.set_len(source.metadata()?.len())?;
        for extent in extents(&source)? {
            let mut bytes = vec![0; usize::try_from(extent.end - extent.start)?];
            source.read_exact_at(&mut bytes, extent.start)?;
            copied.write_all_at(&bytes, extent.start)?;
        }
    }
    Ok(())
}

/// The parts of a file that hold something, each not empty.
fn extents(file: &fs::File) -> std::io::Result<Vec<Range<u64>>> {
    let (mut extents, mut at) = (Vec::new(), 0);
    loop {
        match seek(file, SeekFrom::Data(at)) {
            Ok(start) => {
                at = seek(file, SeekFrom::Hole(start))?;
                extents.push(start..at);
            }
            // there is nothing any more
            Err(Errno::NXIO) => return Ok(extents),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A reader of the log whose first starts are aborted, and whose others serve everything.
    fn settle_with_aborted(starts: u32) -> (anyhow::Result<&'static str>, Counts) {
        let [closed, killed, directory] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let program = killed.path().join("reader");
        let script = "echo start >> $2/starts\n\
             [ $(wc -l < $2/starts) -gt ABORTED ] || kill -ABRT $$\n\
             echo open; cat; echo served";
        let script = script.replace("ABORTED", &starts.to_string());
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let source = Source { program, seed: 1, cuts_damage: false, written: Written::of(1), closed, killed };
        let mut counts = Counts::new();
        (source.settle(directory.path(), &mut counts), counts)
    }

    #[test]
    fn starts_that_are_aborted_are_counted_and_must_end() {
        let (outcome, counts) = settle_with_aborted(ABORTED_MAX);
        assert_eq!(outcome.unwrap(), "flips repaired");
        assert_eq!(counts, Counts::from([(ABORTED, 3)]));
        let (outcome, _) = settle_with_aborted(ABORTED_MAX + 1);
        let error = outcome.unwrap_err();
        assert!(error.is::<crate::harness::Violation>(), "{error:#}");
    }
}
