//! The writing end of the log: the active segment, and rolling over to the next one.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use metrics::Histogram;

use super::disk::DiskFile;
use super::error::StoreError;
use super::frame::{FRAME_HEADER_BYTES, u32_at};
use super::log::Log;
use super::meters::figure;
use super::segment::{
    Footer, MARK_DISTANCE_BYTES, SEGMENT_HEADER_BYTES, Segment, encode_segment_header, segment_path,
};
use super::spare::Spare;

/// The active segment as its writer knows it.
#[derive(Debug)]
pub(crate) struct Appender {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    pub(crate) end: u64,
    pub(crate) frames: u64,
    pub(crate) records: u64,
    pub(crate) frames_crc: u32,
    /// A segment that is this long is sealed before the next frame.
    pub(crate) segment_bytes: u64,
    /// The next segment's file.
    pub(crate) spare: Spare,
}

/// Where a frame was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Landed {
    pub(crate) position: u64,
    pub(crate) end: u64,
}

impl Appender {
    /// Creates an empty segment at `base`.
    pub(crate) fn create(log: &Log, base: u64, segment_bytes: u64) -> Result<Self, StoreError> {
        let path = segment_path(log.directory(), base);
        let file = log.disk().create(&path).map_err(StoreError::io("create", &path))?;
        write_header(log, &*file, &path, base)?;
        Self::begin(log, file, base, segment_bytes)
    }

    /// The same, in the file that was prepared if there is one.
    fn create_next(&mut self, log: &Log, base: u64) -> Result<Self, StoreError> {
        let Some((file, prepared)) = self.spare.take() else {
            return Self::create(log, base, self.segment_bytes);
        };
        let path = segment_path(log.directory(), base);
        write_header(log, &*file, &prepared, base)?;
        log.disk().rename(&prepared, &path).map_err(StoreError::io("rename", &prepared))?;
        Self::begin(log, file, base, self.segment_bytes)
    }

    fn begin(log: &Log, file: Arc<dyn DiskFile>, base: u64, segment_bytes: u64) -> Result<Self, StoreError> {
        log.disk().sync_directory(log.directory()).map_err(StoreError::io("flush", log.directory()))?;
        let segment = Arc::new(Segment::active(log.directory(), base, Vec::new()));
        log.add_segment(Arc::clone(&segment));
        let end = base + SEGMENT_HEADER_BYTES;
        let frames_crc = log.seed().checksum(&[]);
        let spare = Spare::begin(log.directory(), log.disk(), segment_bytes);
        Ok(Self { segment, file, end, frames: 0, records: 0, frames_crc, segment_bytes, spare })
    }

    /// The position of the next frame; seals a full segment and starts the next one first.
    pub(crate) fn start_frame(&mut self, log: &Log) -> Result<u64, StoreError> {
        if self.end - self.segment.base >= self.segment_bytes && self.frames > 0 {
            let base = self.seal(log)?;
            *self = self.create_next(log, base)?;
            metrics::gauge!("event_log_segments").set(figure(log.segments().len() as u64));
        }
        Ok(self.end)
    }

    /// Writes a frame and returns when it is durable.
    pub(crate) fn write(&mut self, frame: &[u8], flush_seconds: &Histogram) -> Result<Landed, StoreError> {
        let started = Instant::now();
        let path = &self.segment.path;
        let position = self.end;
        self.file.write_at(frame, position - self.segment.base).map_err(StoreError::io("write", path))?;
        self.file.sync().map_err(StoreError::io("flush", path))?;
        flush_seconds.record(started.elapsed().as_secs_f64());
        self.count_frame(position, frame);
        Ok(Landed { position, end: self.end })
    }

    fn count_frame(&mut self, position: u64, frame: &[u8]) {
        self.frames += 1;
        self.records += u64::from(u32_at(frame, 20));
        self.frames_crc = crc32c::crc32c_append(self.frames_crc, &frame[4..8]);
        self.segment.mark(position);
        let mut at = FRAME_HEADER_BYTES;
        // a short frame needs no marks within
        while frame.len() as u64 > MARK_DISTANCE_BYTES && at < frame.len() {
            self.segment.mark(position + at as u64);
            at += u32_at(frame, at) as usize;
        }
        self.end = position + frame.len() as u64;
    }

    /// Writes the footer and returns the position after it.
    fn seal(&self, log: &Log) -> Result<u64, StoreError> {
        let footer = Footer {
            position: self.end,
            frames: self.frames,
            records: self.records,
            frames_crc: self.frames_crc,
            marks: self.segment.marks(),
        };
        let bytes = footer.encode(log.seed());
        let path = &self.segment.path;
        self.file.write_at(&bytes, self.end - self.segment.base).map_err(StoreError::io("write", path))?;
        let end = self.end + bytes.len() as u64;
        // the footer is the last thing in its file, also in one that was prepared longer
        self.file.truncate(end - self.segment.base).map_err(StoreError::io("truncate", path))?;
        self.file.sync().map_err(StoreError::io("flush", path))?;
        self.segment.seal(self.end);
        Ok(end)
    }
}

fn write_header(log: &Log, file: &dyn DiskFile, path: &Path, base: u64) -> Result<(), StoreError> {
    let header = encode_segment_header(base, log.log_id());
    file.write_at(&header, 0).map_err(StoreError::io("write", path))?;
    file.sync().map_err(StoreError::io("flush", path))
}
