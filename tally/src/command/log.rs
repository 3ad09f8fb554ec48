//! `tally log`: check, copy and restore the embedded event log's files. None of it needs the node, and none but
//! the restore minds a running one.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use embedded::event_log::{Progress, Report, StoreError, backup, inspect, restore, resume_backup};
use indicatif::{ProgressBar, ProgressStyle};
use platform::config::Config;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use crate::foundation;

/// Name that stands for standard input and output.
const STANDARD: &str = "-";
/// Buffer between the log and a file or pipe.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Work on the embedded event log's files.
#[derive(Args)]
pub(crate) struct Log {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Check everything: every frame, footer and revision, and the index against the log unless a node runs on
    /// it. Prints each finding; exit code 0 if there is none.
    Verify {
        #[command(flatten)]
        place: Place,
    },
    /// Copy the log, also while the node runs: everything up to the last flushed event when the copy begins. One
    /// that was cut off is gone on with when it is asked for again.
    Backup {
        /// The file to write, which must not exist, or - for standard output.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Make a log directory from a copy, and check all of it. The directory must be empty or missing.
    Restore {
        /// The file to read, or - for standard input.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct Place {
    /// The log's directory; by default the one of the configured data directory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    fn directory(&self, config: &Config) -> anyhow::Result<PathBuf> {
        match &self.data {
            Some(directory) => Ok(directory.clone()),
            None => Ok(foundation::data_dir(config)?.join(foundation::EVENT_LOG_DIR)),
        }
    }
}

impl Log {
    pub(crate) fn run(&self, config: &Config) -> anyhow::Result<()> {
        match &self.action {
            Action::Verify { place } => verify(&place.directory(config)?),
            Action::Backup { file, place } => back_up(&place.directory(config)?, file),
            Action::Restore { file, place } => bring_back(&place.directory(config)?, file),
        }
    }
}

fn verify(directory: &Path) -> anyhow::Result<()> {
    let report = with_bar("checking", |progress| inspect(directory, progress))
        .with_context(|| format!("{} cannot be checked", directory.display()))?;
    let Report { segments, frames, records, streams, end, .. } = &report;
    println!(
        "{records} events of {streams} streams in {frames} frames and {segments} segments, up to position {end}"
    );
    match report.index_compared_to {
        Some(to) => println!("the index was compared up to position {to}"),
        None => println!("the index was left out: a node has it open, or it is not there and will be made"),
    }
    if report.torn_bytes > 0 {
        println!("{} bytes of an unfinished write follow; the next start cuts them off", report.torn_bytes);
    }
    for finding in &report.findings {
        println!("{finding}");
    }
    if report.findings_total > 0 {
        bail!("{} findings", report.findings_total);
    }
    println!("everything is as it was written");
    Ok(())
}

/// Writes beside the file and renames at the end: a copy that was cut off never has the file's name, and is gone on with.
fn back_up(directory: &Path, file: &Path) -> anyhow::Result<()> {
    if file == Path::new(STANDARD) {
        let mut to = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        let copied = with_bar("copying", |progress| backup(directory, &mut to, progress))?;
        eprintln!("copied the log up to position {}", copied.end);
        return Ok(());
    }
    if file.exists() {
        bail!("{} exists: name a new file", file.display());
    }
    let mut draft = file.as_os_str().to_owned();
    draft.push(".part");
    let draft = PathBuf::from(draft);
    let mut to = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&draft)
        .with_context(|| format!("cannot write {}", draft.display()))?;
    to.try_lock().with_context(|| format!("another back-up writes {}", draft.display()))?;
    let copied = with_bar("copying", |progress| resume_backup(directory, &mut to, progress))?;
    to.sync_all().with_context(|| format!("cannot flush {}", draft.display()))?;
    fs::rename(&draft, file).with_context(|| format!("cannot rename {}", draft.display()))?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all().with_context(|| format!("cannot flush {}", parent.display()))?;
    eprintln!("copied the log up to position {} to {}", copied.end, file.display());
    Ok(())
}

fn bring_back(directory: &Path, file: &Path) -> anyhow::Result<()> {
    let copied = if file == Path::new(STANDARD) {
        with_bar("restoring", |progress| restore(directory, &mut io::stdin().lock(), progress))?
    } else {
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut from = BufReader::with_capacity(BUFFER_BYTES, opened);
        with_bar("restoring", |progress| restore(directory, &mut from, progress))?
    };
    eprintln!("restored the log up to position {} to {}, and checked it", copied.end, directory.display());
    Ok(())
}

fn with_bar<T>(
    what: &'static str,
    work: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let bar = ProgressBar::new(0).with_message(what);
    let template =
        "{msg} [{bar:40}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
    // a template of ours that does not parse would only look plain
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let result = work(&mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    result
}
