//! A copy of the log as one stream of bytes, made while the node runs or not, and the way back.
//!
//! The copy is a prefix of the log up to a committed position. Every frame is checked before it is copied, so a
//! copy of damage is never made, and every piece of the copy carries its position and a checksum. The last piece
//! says that it is the last: a copy that was cut off is told from a whole one, and can be gone on with. Layout: the line below, log id
//! (16 bytes), end (8); then pieces of position (8), length (4), checksum (4) and bytes, where the length's
//! highest bit says that a segment starts with the piece; at last a piece without bytes at the end's position.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use uuid::Uuid;

use super::directory::{DurableMark, sync_directory, write_format};
use super::disk::{Disk, SystemDisk};
use super::error::StoreError;
use super::frame::{Seed, u32_at, u64_at};
use super::inspect::{Progress, check_log};
use super::segment::segment_path;
use super::snapshot::{Part, Snapshot, is_empty};

const FIRST_LINE: &[u8] = b"tally event log backup 1\n";
const HEADER_BYTES: usize = FIRST_LINE.len() + 24;
const PIECE_HEADER_BYTES: usize = 16;
/// In the length of a piece: a segment starts here.
const STARTS_SEGMENT: u32 = 1 << 31;
/// Bytes of the log in a piece: big enough that headers cost nothing, small enough to be held in memory.
const PIECE_BYTES_MAX: usize = 1024 * 1024;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The log's own id.
    pub log_id: Uuid,
    /// Position after the last event in the copy.
    pub end: u64,
}

/// Writes a copy of the log in `directory`. A node may run on it; what it appends meanwhile is not in the copy.
pub fn backup(
    directory: &Path,
    to: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, StoreError> {
    let snapshot = Snapshot::of(directory)?;
    let mut out = Out { to, seed: snapshot.seed() };
    out.write(&header(&snapshot))?;
    out.parts(&snapshot, 0, progress)
}

/// Goes on with a copy that was cut off, also one of which nothing is there yet. Whole segments that are in the
/// file as they were written are not read from the log again; what follows them is replaced, up to the log's end
/// as it is now. What is in the file of anything else, another log's copy for example, is replaced too.
pub fn resume_backup(
    directory: &Path,
    file: &mut File,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, StoreError> {
    let snapshot = Snapshot::of(directory)?;
    let failed = |source| StoreError::Backup { source };
    file.rewind().map_err(failed)?;
    let kept = whole_segments(file, &snapshot)?;
    file.set_len(kept.file_bytes).map_err(failed)?;
    file.write_all_at(&header(&snapshot), 0).map_err(failed)?;
    file.seek(SeekFrom::Start(kept.file_bytes)).map_err(failed)?;
    let mut to = BufWriter::with_capacity(PIECE_BYTES_MAX, file);
    Out { to: &mut to, seed: snapshot.seed() }.parts(&snapshot, kept.position, progress)
}

fn header(snapshot: &Snapshot) -> Vec<u8> {
    [FIRST_LINE, snapshot.log_id.as_bytes(), &snapshot.end.to_le_bytes()].concat()
}

/// The beginning of a copy that need not be made again.
struct Kept {
    /// How far it copies the log: where a segment starts.
    position: u64,
    file_bytes: u64,
}

fn whole_segments(file: &mut File, snapshot: &Snapshot) -> Result<Kept, StoreError> {
    let mut kept = Kept { position: 0, file_bytes: HEADER_BYTES as u64 };
    let mut source = In { from: &mut BufReader::with_capacity(PIECE_BYTES_MAX, file) };
    match source.header() {
        Ok(copied) if copied.log_id == snapshot.log_id => {}
        Ok(_) | Err(StoreError::NotABackup { .. }) => return Ok(kept),
        Err(error) => return Err(error),
    }
    let Kept { mut position, mut file_bytes } = kept;
    loop {
        let (at, bytes) = match source.piece(snapshot.seed()) {
            Ok((at, _, bytes)) => (at, bytes),
            Err(StoreError::NotABackup { .. }) => return Ok(kept),
            Err(error) => return Err(error),
        };
        if at != position || bytes.is_empty() {
            return Ok(kept);
        }
        position += bytes.len() as u64;
        file_bytes += (PIECE_HEADER_BYTES + bytes.len()) as u64;
        if snapshot.parts.iter().any(|part| part.is_sealed && part.range.end == position) {
            kept = Kept { position, file_bytes };
        }
    }
}

struct Out<'a> {
    to: &'a mut dyn Write,
    seed: Seed,
}

impl Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.to.write_all(bytes).map_err(|source| StoreError::Backup { source })
    }

    fn piece(&mut self, position: u64, flag: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let mut header = [0; PIECE_HEADER_BYTES];
        header[..8].copy_from_slice(&position.to_le_bytes());
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX) | flag;
        header[8..12].copy_from_slice(&length.to_le_bytes());
        let crc = piece_crc(self.seed, &header, bytes);
        header[12..].copy_from_slice(&crc.to_le_bytes());
        self.write(&header)?;
        self.write(bytes)
    }

    /// Copies everything from the segment on that starts at `from`, and says that this is all.
    fn parts(
        &mut self,
        snapshot: &Snapshot,
        from: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Copied, StoreError> {
        let Snapshot { log_id, end, .. } = *snapshot;
        for part in snapshot.parts.iter().filter(|part| part.range.start >= from) {
            check_log(snapshot, part)?;
            self.copy(part, |done| progress(Progress { done, total: end }))?;
        }
        self.piece(end, 0, &[])?;
        self.to.flush().map_err(|source| StoreError::Backup { source })?;
        Ok(Copied { log_id, end })
    }

    fn copy(&mut self, part: &Part, mut done: impl FnMut(u64)) -> Result<(), StoreError> {
        let file = SystemDisk.open(&part.path).map_err(StoreError::io("open", &part.path))?;
        let mut buffer = vec![0; PIECE_BYTES_MAX];
        let mut position = part.range.start;
        while position < part.range.end {
            let left = usize::try_from(part.range.end - position).unwrap_or(usize::MAX);
            let piece = &mut buffer[..left.min(PIECE_BYTES_MAX)];
            let read = file
                .read_at(piece, position - part.range.start)
                .map_err(StoreError::io("read", &part.path))?;
            if read < piece.len() {
                let offset = position - part.range.start + read as u64;
                return Err(StoreError::corrupt(&part.path, offset, "the file is shorter than the log"));
            }
            let flag = if position == part.range.start { STARTS_SEGMENT } else { 0 };
            self.piece(position, flag, piece)?;
            position += read as u64;
            done(position);
        }
        Ok(())
    }
}

fn piece_crc(seed: Seed, header: &[u8; PIECE_HEADER_BYTES], bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed.checksum(&header[..12]), bytes)
}

/// Makes a log directory from a copy, checks every byte of it, and only then makes it one that opens. The
/// directory must be empty, or not exist.
pub fn restore(
    directory: &Path,
    from: &mut dyn Read,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, StoreError> {
    if !is_empty(directory)? {
        return Err(StoreError::NotEmpty { path: directory.to_path_buf() });
    }
    fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
    let mut source = In { from };
    let copied = source.header()?;
    let seed = Seed::of(copied.log_id);
    let mut target: Option<(u64, File)> = None;
    let mut position = 0;
    loop {
        let (at, starts_segment, bytes) = source.piece(seed)?;
        if at != position {
            return Err(not_a_backup(format!("position {position} is missing")));
        }
        if bytes.is_empty() {
            break;
        }
        if starts_segment {
            finish(directory, target.take())?;
        }
        let (base, file) = match &mut target {
            Some(target) => target,
            None => target.insert((position, create(directory, position)?)),
        };
        let path = segment_path(directory, *base);
        file.write_all_at(&bytes, position - *base).map_err(StoreError::io("write", &path))?;
        position += bytes.len() as u64;
        progress(Progress { done: position, total: copied.end });
    }
    finish(directory, target)?;
    if position != copied.end {
        return Err(not_a_backup(format!("it ends at position {position} instead of {}", copied.end)));
    }
    DurableMark::open(directory, copied.log_id)?.write(copied.end);
    // a directory without its format does not open: what was cut off before here is never taken for a log
    write_format(directory, copied.log_id)?;
    let snapshot = Snapshot::of(directory)?;
    snapshot.parts.iter().try_for_each(|part| check_log(&snapshot, part).map(drop))?;
    Ok(copied)
}

fn create(directory: &Path, base: u64) -> Result<File, StoreError> {
    let path = segment_path(directory, base);
    File::create_new(&path).map_err(StoreError::io("create", &path))
}

fn finish(directory: &Path, target: Option<(u64, File)>) -> Result<(), StoreError> {
    let Some((base, file)) = target else { return Ok(()) };
    file.sync_all().map_err(StoreError::io("flush", &segment_path(directory, base)))?;
    sync_directory(directory)
}

fn not_a_backup(what: String) -> StoreError {
    StoreError::NotABackup { what }
}

struct In<'a> {
    from: &'a mut dyn Read,
}

impl In<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.from.read_exact(bytes).map_err(|source| {
            if source.kind() == std::io::ErrorKind::UnexpectedEof {
                not_a_backup("it was cut off".to_owned())
            } else {
                StoreError::Backup { source }
            }
        })
    }

    fn header(&mut self) -> Result<Copied, StoreError> {
        let mut header = [0; HEADER_BYTES];
        self.read(&mut header)?;
        let Some(rest) = header.strip_prefix(FIRST_LINE) else {
            return Err(not_a_backup("it does not begin like one".to_owned()));
        };
        let mut id = [0; 16];
        id.copy_from_slice(&rest[..16]);
        Ok(Copied { log_id: Uuid::from_bytes(id), end: u64_at(rest, 16) })
    }

    fn piece(&mut self, seed: Seed) -> Result<(u64, bool, Vec<u8>), StoreError> {
        let mut header = [0; PIECE_HEADER_BYTES];
        self.read(&mut header)?;
        let (position, length) = (u64_at(&header, 0), u32_at(&header, 8));
        let starts_segment = length & STARTS_SEGMENT != 0;
        let length = (length & !STARTS_SEGMENT) as usize;
        if length > PIECE_BYTES_MAX {
            return Err(not_a_backup(format!("a piece at position {position} is too long")));
        }
        let mut bytes = vec![0; length];
        self.read(&mut bytes)?;
        if u32_at(&header, 12) != piece_crc(seed, &header, &bytes) {
            return Err(not_a_backup(format!("the piece at position {position} is not as written")));
        }
        Ok((position, starts_segment, bytes))
    }
}
