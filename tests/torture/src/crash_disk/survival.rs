//! What a power cut leaves: all that is durable, and any part of the rest.

use rand::Rng;
use rand::rngs::StdRng;

use super::model::{Change, Content, FileData, Ino, Model};
use super::names::make_durable;

/// What a disk writes at once, in bytes.
pub const SECTOR_BYTES: usize = 512;
/// What a kernel writes at once, in bytes.
const PAGE_BYTES: usize = 4_096;

/// How one cut treats what was not durable: drawn anew for each, so that clean losses, torn writes and disks that
/// lost nearly nothing all happen.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// Chance that a piece reached the disk.
    kept: f64,
    /// Bytes of a piece; pieces begin at multiples of this in the file.
    piece: usize,
}

impl Fate {
    fn draw(chance: &mut StdRng) -> Self {
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][chance.random_range(0..5)];
        let piece = [SECTOR_BYTES, SECTOR_BYTES, PAGE_BYTES, usize::MAX][chance.random_range(0..4)];
        Self { kept, piece }
    }
}

impl Model {
    /// Cuts the power: from here on the disk holds what was durable, and of all else what chance leaves of it: any
    /// subset, torn at sectors, newer without older, a size without its bytes, a name without its file's bytes.
    pub fn cut_power(&mut self, chance: &mut StdRng) {
        self.open.clear();
        for change in std::mem::take(&mut self.unsynced_names) {
            let fate = Fate::draw(chance);
            if chance.random_bool(fate.kept) {
                make_durable(self, &change);
            }
        }
        for inode in self.inodes.values_mut() {
            match &mut inode.content {
                Content::File(file) => file.cut_power(chance),
                Content::Directory(names) => names.now.clone_from(&names.durable),
                Content::Link(_) => {}
            }
        }
        self.collect();
    }

    /// Loses, for good, a part of what of a file waits to become durable, while programs go on seeing it: what a
    /// failed flush leaves.
    pub(super) fn lose_writes(&mut self, ino: Ino, chance: &mut StdRng) {
        if let Ok(file) = self.file_mut(ino) {
            file.unsynced.retain(|_| chance.random());
        }
    }
}

impl FileData {
    fn cut_power(&mut self, chance: &mut StdRng) {
        let fate = Fate::draw(chance);
        for change in std::mem::take(&mut self.unsynced) {
            match &change {
                Change::Write { offset, bytes } => self.keep_pieces(*offset, bytes, fate, chance),
                Change::Resize(_) if chance.random_bool(fate.kept) => change.apply(&mut self.durable),
                Change::Resize(_) => {}
            }
        }
        // the new size may be there although the last bytes are not
        if self.durable.len() < self.now.len() && chance.random_ratio(1, 4) {
            self.durable.resize(self.now.len());
        }
        self.now.clone_from(&self.durable);
    }

    fn keep_pieces(&mut self, offset: usize, bytes: &[u8], fate: Fate, chance: &mut StdRng) {
        let mut at = 0;
        while at < bytes.len() {
            let into_piece = (offset + at) % fate.piece;
            let end = at.saturating_add(fate.piece - into_piece).min(bytes.len());
            if chance.random_bool(fate.kept) {
                self.durable.put(offset + at, &bytes[at..end]);
            }
            at = end;
        }
    }
}
