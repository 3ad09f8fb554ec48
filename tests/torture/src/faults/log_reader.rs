//! One start of a damaged log, as a process of its own: it opens the log, reads it in every way, compares it with what was
//! written, and says what came of it.
//!
//! A process, because the index's store may abort on damaged tables: that is to be observed, not to be the end of the test.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use embedded::event_log::{Record, Store, StoreConfig, StoreError};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::log_contents::{Sent, compare, compare_stream, read_all, read_stream, streams_of};
use crate::harness::{Violation, promise};

const APPENDS: usize = 120;
const STREAMS: u32 = 4;
/// Cuts after which the control has nothing left to cut.
const CUTS_MAX: usize = 20;
/// What the process says when the log is open; then it waits for the end of its standard input.
const OPEN: &str = "open";
/// How Rust ends a process whose main thread panicked.
const PANICKED: i32 = 101;
/// Lines of a process's last words that are told.
const LAST_WORDS_LINES: usize = 4;

/// What was written to the log: follows from a seed, so that test and process agree on it.
pub(super) struct Written {
    segment_bytes: u64,
    index_layer_log_bytes: u64,
    pub(super) sent: Vec<Sent>,
}

impl Written {
    pub(super) fn of(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let segment_bytes = chance.random_range(4_000..30_000);
        // some tables of the index, or many
        let index_layer_log_bytes = chance.random_range(2_000..40_000);
        let sent = (0..APPENDS).map(|_| Sent::draw(&mut chance, STREAMS)).collect();
        Self { segment_bytes, index_layer_log_bytes, sent }
    }

    pub(super) fn open(&self, directory: &Path) -> Result<Store, StoreError> {
        let Self { segment_bytes, index_layer_log_bytes, .. } = *self;
        Store::open(StoreConfig { segment_bytes, index_layer_log_bytes, ..StoreConfig::new(directory) })
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

/// What came of a start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Everything is there as it was written.
    Served,
    /// The log says that its index is wrong; the next start makes it again.
    IndexWrong,
    /// The log says that it is damaged, and where.
    Refused,
    /// The process was ended by a signal; these were its last words.
    Aborted(String),
}

impl Display for Outcome {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served => out.write_str("served"),
            Self::IndexWrong => out.write_str("index wrong"),
            Self::Refused => out.write_str("refused"),
            Self::Aborted(last_words) => write!(out, "aborted: {last_words}"),
        }
    }
}

/// What the store says must be one of three; a refusal must say where.
fn judge(said: Result<(), StoreError>) -> Result<Outcome, Violation> {
    let error = match said {
        Ok(()) => return Ok(Outcome::Served),
        Err(StoreError::Index(_) | StoreError::IndexMismatch { .. }) => return Ok(Outcome::IndexWrong),
        Err(error) => error,
    };
    let text = error.to_string();
    let is_told =
        matches!(error, StoreError::Corrupt { .. } | StoreError::Format { .. } | StoreError::Io { .. });
    promise(is_told && text.contains('/'), || format!("damage is not told as such: {text}"))?;
    Ok(Outcome::Refused)
}

/// A running process that has opened the log, or has already failed to.
pub(super) struct LogReader {
    child: Child,
    output: BufReader<ChildStdout>,
    first: String,
}

impl LogReader {
    /// Starts this program on a directory that was written with a seed, and waits until the log is open or is not to be.
    pub(super) fn start(
        program: &Path,
        directory: &Path,
        seed: u64,
        cuts_damage: bool,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("read-log").args([directory.as_os_str(), seed.to_string().as_ref()]);
        if cuts_damage {
            command.arg("--cuts-damage");
        }
        // short last words fit into a pipe that nobody reads meanwhile
        command.env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start a reader of the log")?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?);
        let mut first = String::new();
        output.read_line(&mut first)?;
        Ok(Self { child, output, first })
    }

    pub(super) fn is_open(&self) -> bool {
        self.first.trim() == OPEN
    }

    /// Lets it read everything and end, and says what came of it.
    pub(super) fn finish(mut self) -> anyhow::Result<Outcome> {
        let mut said = if self.is_open() { String::new() } else { std::mem::take(&mut self.first) };
        drop(self.child.stdin.take());
        self.output.read_to_string(&mut said)?;
        let mut errors = String::new();
        self.child.stderr.take().context("no errors")?.read_to_string(&mut errors)?;
        let status = self.child.wait()?;
        let last_words = errors.lines().take(LAST_WORDS_LINES).collect::<Vec<_>>().join(" ");
        match (status.code(), said.trim()) {
            (None, _) => Ok(Outcome::Aborted(last_words)),
            (Some(PANICKED), _) => Err(Violation(format!("the store panics: {last_words}")).into()),
            (Some(0), "served") => Ok(Outcome::Served),
            (Some(0), "index wrong") => Ok(Outcome::IndexWrong),
            (Some(0), "refused") => Ok(Outcome::Refused),
            (Some(0), said) => Err(Violation(said.to_owned()).into()),
            (Some(_), _) => bail!("a reader of the log failed: {last_words}"),
        }
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the process: prints [`OPEN`] if it comes to that, waits for the end of standard input, prints the outcome.
///
/// # Errors
/// Where the start could not be played.
pub fn run(directory: &Path, seed: u64, cuts_damage: bool) -> anyhow::Result<()> {
    let written = Written::of(seed);
    let outcome = if cuts_damage { read_cutting(&written, directory) } else { read(&written, directory) };
    match outcome {
        Ok(outcome) => println!("{outcome}"),
        Err(error) if error.is::<Violation>() => println!("{error:#}"),
        Err(error) => return Err(error),
    }
    Ok(())
}

fn read(written: &Written, directory: &Path) -> anyhow::Result<Outcome> {
    let store = match written.open(directory) {
        Ok(store) => store,
        Err(error) => return Ok(judge(Err(error))?),
    };
    println!("{OPEN}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(judge(written.compare(&store)?)?)
}

/// The control: where the log says that it is damaged, the rest goes.
fn read_cutting(written: &Written, directory: &Path) -> anyhow::Result<Outcome> {
    for _ in 0..CUTS_MAX {
        match written.open(directory) {
            Err(StoreError::Corrupt { file, offset, .. }) => cut(directory, &file, offset)?,
            Err(error) => return Ok(judge(Err(error))?),
            Ok(store) => return Ok(judge(written.compare(&store)?)?),
        }
    }
    Ok(Outcome::Refused)
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
pub(super) fn is_format(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "FORMAT")
}
