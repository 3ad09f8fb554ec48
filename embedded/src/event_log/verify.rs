//! Checks the whole log, for tools: every frame, every record, every footer.

use super::error::StoreError;
use super::log::Log;
use super::scan::{Tail, scan_segment};
use super::segment::check_segment_header;

/// What a check of the whole log found to be intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Segment files.
    pub segments: u64,
    /// Frames, each of which was one write.
    pub frames: u64,
    /// Events.
    pub records: u64,
    /// The position after the last event.
    pub end: u64,
}

/// Reads all segments from the disk. Frames that are written meanwhile may be counted or not.
pub(crate) fn verify(log: &Log) -> Result<Verified, StoreError> {
    let committed = log.committed();
    let segments = log.segments();
    let mut verified = Verified { end: committed, ..Verified::default() };
    for segment in &segments {
        let file = log.file(segment)?;
        check_segment_header(&*file, &segment.path, segment.base, log.log_id())?;
        let is_sealed = segment.data_end() != u64::MAX;
        let scan = scan_segment(&*file, &segment.path, segment.base, log.seed())?;
        let intact = if is_sealed { scan.tail == Tail::Sealed } else { scan.end >= committed };
        if !intact {
            let what = format!("the check of the whole log stops here: {:?}", scan.tail);
            return Err(StoreError::corrupt(&segment.path, scan.end - segment.base, what));
        }
        verified.segments += 1;
        verified.frames += scan.frames;
        verified.records += scan.records;
    }
    Ok(verified)
}
