//! Checks a whole log, for operators: every frame, record and footer; that every stream's revisions follow each
//! other; and that the index says the same. It goes on after damage, so that all of it is found.
//!
//! The streams are followed by a fold of its own, on purpose not by the one that makes the index.

use std::path::Path;
use std::sync::Arc;

use ahash::{HashMap, HashMapExt};

use super::directory::index_directory;
use super::disk::{Disk, DiskFile, SystemDisk};
use super::error::{StoreError, describe};
use super::frame::{Record, TOMBSTONE_REVISION};
use super::head::{Head, METADATA_TYPE, described_stream};
use super::index::Index;
use super::items::{Item, Items};
use super::scan::{Scan, Tail, scan_segment};
use super::segment::{SEGMENT_HEADER_BYTES, check_segment_header};
use super::snapshot::{Part, Snapshot};

/// Findings that are kept; one defect can have millions of consequences.
const FINDINGS_MAX: usize = 1_000;
/// Bytes per read.
const READ_BYTES: usize = 1024 * 1024;
/// The index is only looked at: no layer becomes full.
const NO_LAYERS: u64 = u64::MAX;

/// How far a check or a copy is, in bytes of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What a check of everything found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Segment files.
    pub segments: u64,
    /// Frames, each of which was one write.
    pub frames: u64,
    /// Events.
    pub records: u64,
    /// Streams that have events.
    pub streams: u64,
    /// Position after the last event.
    pub end: u64,
    /// Bytes of an unfinished write at the end. The next start cuts them off; nobody was told that they are there.
    pub torn_bytes: u64,
    /// Up to where the index was compared with the log; `None` if a running node has it, or if there is none.
    pub index_compared_to: Option<u64>,
    /// What is wrong, each as a line for people; the first 1,000.
    pub findings: Vec<String>,
    /// All that is wrong, counted.
    pub findings_total: u64,
}

impl Report {
    fn find(&mut self, what: String) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

/// Checks everything in a log directory. A node may run on it; then the index is left out, and so is what is
/// appended meanwhile. Fails only if there is nothing that could be checked.
pub fn inspect(directory: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
    let snapshot = Snapshot::of(directory)?;
    let mut report = Report { end: snapshot.end, torn_bytes: snapshot.torn_bytes, ..Report::default() };
    let index = open_index(directory, &snapshot, &mut report);
    let mut walk = Walk { index: index.as_ref(), streams: HashMap::new(), before: None, report: &mut report };
    walk.check_order(&snapshot);
    for part in &snapshot.parts {
        walk.part(&snapshot, part);
        progress(Progress { done: part.range.end, total: snapshot.bytes() });
    }
    walk.check_heads(snapshot.end);
    walk.report.streams = walk.streams.values().filter(|head| head.last.is_some()).count() as u64;
    Ok(report)
}

fn open_index(directory: &Path, snapshot: &Snapshot, report: &mut Report) -> Option<Index> {
    let path = index_directory(directory);
    if snapshot.lock.is_none() || !path.exists() {
        return None;
    }
    match Index::open(&path, snapshot.log_id, NO_LAYERS) {
        Ok(index) => {
            report.index_compared_to = index.watermark().map(|watermark| watermark.min(snapshot.end));
            if index.watermark().is_some_and(|watermark| watermark > snapshot.end) {
                report.find("the index knows events after the end of the log".to_owned());
            }
            Some(index)
        }
        Err(error) => {
            report.find(format!(
                "the index does not open, and is rebuilt at the next start: {}",
                describe(&error)
            ));
            None
        }
    }
}

/// Checks the frames of one part, and its footer.
pub(crate) fn check_log(snapshot: &Snapshot, part: &Part) -> Result<Scan, StoreError> {
    let file = SystemDisk.open(&part.path).map_err(StoreError::io("open", &part.path))?;
    let base = part.range.start;
    check_segment_header(&*file, &part.path, base, snapshot.log_id)?;
    let scan = scan_segment(&*file, &part.path, base, snapshot.seed())?;
    let is_whole = if part.is_sealed {
        let size = file.size().map_err(StoreError::io("read the size of", &part.path))?;
        scan.tail == Tail::Sealed && base + size == part.range.end
    } else {
        scan.end >= part.range.end
    };
    if is_whole {
        return Ok(scan);
    }
    let what = match scan.tail {
        Tail::Clean if part.is_sealed => "the footer, and perhaps more, is missing".to_owned(),
        Tail::Clean => "the log's end is missing".to_owned(),
        Tail::Sealed => "the segments between this one's end and the next one are missing".to_owned(),
        Tail::Torn { bytes } => format!("{bytes} bytes are not as written"),
        Tail::Damaged { what } => format!("{what}, and intact bytes follow"),
    };
    Err(StoreError::corrupt(&part.path, scan.end - base, what))
}

/// The record before.
struct Before {
    stream: u64,
    revision: u64,
    /// In which run the index has it.
    run: Option<(u64, u64)>,
}

struct Walk<'a> {
    index: Option<&'a Index>,
    streams: HashMap<Arc<str>, Head>,
    before: Option<Before>,
    report: &'a mut Report,
}

impl Walk<'_> {
    /// No segment is missing.
    fn check_order(&mut self, snapshot: &Snapshot) {
        let mut position = 0;
        for part in &snapshot.parts {
            if part.range.start != position {
                self.report.find(format!("the segments before {} are missing", part.path.display()));
            }
            position = part.range.end;
        }
        if position < snapshot.end {
            self.report
                .find(format!("the log is known to reach position {}, but ends at {position}", snapshot.end));
        }
    }

    fn part(&mut self, snapshot: &Snapshot, part: &Part) {
        self.report.segments += 1;
        match check_log(snapshot, part) {
            Ok(scan) => {
                self.report.frames += scan.frames;
                self.report.records += scan.records;
                if let Err(error) = self.records(snapshot, part, scan.end.min(part.range.end)) {
                    self.report.find(describe(&error));
                }
            }
            Err(error) => self.report.find(describe(&error)),
        }
    }

    fn records(&mut self, snapshot: &Snapshot, part: &Part, end: u64) -> Result<(), StoreError> {
        let file = SystemDisk.open(&part.path).map_err(StoreError::io("open", &part.path))?;
        let range = part.range.start + SEGMENT_HEADER_BYTES..end;
        let file: &dyn DiskFile = &*file;
        let mut items = Items::new(file, &part.path, part.range.start, snapshot.seed(), range, READ_BYTES);
        loop {
            match items.next()? {
                Item::Frame(_) => {}
                Item::Record(record) => self.record(&record)?,
                Item::Footer | Item::End | Item::Short | Item::Blank | Item::Broken(_) => return Ok(()),
            }
        }
    }

    fn record(&mut self, record: &Record) -> Result<(), StoreError> {
        let position = record.position();
        let Ok(name) = std::str::from_utf8(record.stream()) else {
            self.report.find(format!("the stream's name at position {position} is not text"));
            return Ok(());
        };
        if !self.streams.contains_key(name) {
            self.streams.insert(name.into(), Head::default());
        }
        let Some(head) = self.streams.get_mut(name) else { return Ok(()) };
        let key = *head.key.get_or_insert(position);
        let (revision, expected) = (record.revision(), head.next_revision());
        if revision == TOMBSTONE_REVISION {
            head.tombstoned = true;
            self.before = None;
        } else {
            head.last = Some(revision);
            if revision != expected {
                let what = format!(
                    "stream {name} has revision {revision} at position {position} instead of {expected}"
                );
                self.report.find(what);
            }
            self.compare_event(name, key, record)?;
        }
        if let (Some(described), true) =
            (described_stream(name), record.event_type() == METADATA_TYPE.as_bytes())
        {
            self.streams.entry(described.into()).or_default().apply_metadata(record.data());
        }
        Ok(())
    }

    /// The index has the event where it is, by itself or in a run with those before it.
    fn compare_event(&mut self, name: &str, key: u64, record: &Record) -> Result<(), StoreError> {
        let (position, revision) = (record.position(), record.revision());
        let (Some(index), true) = (self.index, self.report.index_compared_to.is_some_and(|to| position < to))
        else {
            return Ok(());
        };
        let found = index.run_at(key, revision)?;
        // only what lies right behind the record before may be of the same run
        let goes_on = found.is_some()
            && self.before.as_ref().is_some_and(|before| {
                before.stream == key
                    && before.revision.checked_add(1) == Some(revision)
                    && before.run == found
            });
        self.before = Some(Before { stream: key, revision, run: found });
        if !goes_on && found != Some((revision, position)) {
            self.report.find(format!("the index does not know revision {revision} of stream {name}"));
        }
        Ok(())
    }

    /// The index knows the same of every stream.
    fn check_heads(&mut self, end: u64) {
        let Some(index) = self.index.filter(|index| index.watermark().is_some_and(|to| to >= end)) else {
            return;
        };
        for (name, head) in &self.streams {
            match index.head(name) {
                Ok(found) if found.unwrap_or_default() == *head => {}
                Ok(_) => self.report.find(format!("the index is wrong about the state of stream {name}")),
                Err(error) => self.report.find(describe(&error)),
            }
        }
    }
}
