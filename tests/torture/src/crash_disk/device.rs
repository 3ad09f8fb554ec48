//! The disk as its users meet it: the model behind a power switch and faults.

use std::ffi::OsStr;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::io::Errno;

use super::model::{Content, Ino, Model, Owner, ROOT};

/// What goes wrong while the power is on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// So many syncs fail with EIO. What they were to make durable is lost in part, for good, although programs go on
    /// reading it, and the next sync succeeds: as a kernel does that marks the pages of a failed write clean.
    pub failing_syncs: u32,
    /// Bytes that fit on the disk. A write beyond is cut short, and the next fails with ENOSPC.
    pub capacity_bytes: Option<u64>,
    /// Percent of writes that take only a part of the bytes.
    pub short_writes_percent: u32,
}

/// A disk in memory.
#[derive(Debug)]
pub struct Device {
    model: Model,
    chance: StdRng,
    is_on: bool,
    changes: u64,
    cut_at: Option<u64>,
    /// What goes wrong from now on.
    pub faults: Faults,
}

impl Device {
    /// An empty one that is on. The seed decides all that chance decides.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let chance = StdRng::seed_from_u64(seed);
        let (model, faults) = (Model::default(), Faults::default());
        Self { model, chance, is_on: true, changes: 0, cut_at: None, faults }
    }

    /// Turns the power off after so many more changes and syncs: the first one beyond fails, and so does all else.
    pub fn cut_after(&mut self, changes: u64) {
        self.cut_at = Some(self.changes + changes);
    }

    /// Whether the power is still on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Changes and syncs so far.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Turns the power off: nothing works any more.
    pub fn turn_off(&mut self) {
        self.is_on = false;
    }

    /// Turns the power on again after a cut: what was not durable is lost in part.
    pub fn turn_on(&mut self) {
        self.model.cut_power(&mut self.chance);
        self.go_on();
    }

    /// Turns it on again as after the death of a process alone: nothing is lost, and nothing is more durable.
    pub fn go_on(&mut self) {
        (self.is_on, self.cut_at, self.faults) = (true, None, Faults::default());
        self.model.open.clear();
        self.model.collect();
    }

    /// The files, with their paths below the root.
    #[must_use]
    pub fn files(&self) -> Vec<(std::path::PathBuf, Ino)> {
        let (mut files, mut waiting) = (Vec::new(), vec![(std::path::PathBuf::new(), ROOT)]);
        while let Some((path, dir)) = waiting.pop() {
            for (name, ino) in self.model.list(dir).unwrap_or_default() {
                let path = path.join(name);
                match self.model.inode(ino).map(|inode| &inode.content) {
                    Ok(Content::Directory(_)) => waiting.push((path, ino)),
                    Ok(Content::File(_)) => files.push((path, ino)),
                    Ok(Content::Link(_)) | Err(_) => {}
                }
            }
        }
        files.sort();
        files
    }

    /// Flips one bit of a file, on the disk and in what programs read; says whether it has that byte.
    pub fn flip_bit(&mut self, path: &Path, byte: u64, bit: u8) -> bool {
        let file = self.model.find(path).and_then(|ino| self.model.file_mut(ino));
        let (Ok(file), Ok(byte)) = (file, usize::try_from(byte)) else { return false };
        let mask = 1 << (bit % 8);
        for bytes in [&mut file.now, &mut file.durable] {
            let before = bytes.read(byte, 1).first().copied();
            if let Some(before) = before {
                bytes.put(byte, &[before ^ mask]);
            }
        }
        byte < file.now.len()
    }

    /// Reading, while the power is on.
    ///
    /// # Errors
    /// EIO.
    pub fn model(&self) -> Result<&Model, Errno> {
        if self.is_on { Ok(&self.model) } else { Err(Errno::IO) }
    }

    /// A change, counted: one of them may be the one that the power does not last for.
    fn change(&mut self) -> Result<&mut Model, Errno> {
        if self.cut_at.is_some_and(|at| self.changes >= at) {
            self.turn_off();
        }
        self.model()?;
        self.changes += 1;
        Ok(&mut self.model)
    }

    /// Somebody opens, or closes, a file.
    pub fn set_open(&mut self, ino: Ino, is_open: bool) {
        if is_open { self.model.opened(ino) } else { self.model.closed(ino) }
    }

    /// Makes something under a new name.
    ///
    /// # Errors
    /// As [`Model::create`]; EIO without power.
    pub fn create(&mut self, dir: Ino, name: &OsStr, content: Content, owner: Owner) -> Result<Ino, Errno> {
        self.change()?.create(dir, name, content, owner)
    }

    /// Gives a file one more name.
    ///
    /// # Errors
    /// As [`Model::link`]; EIO without power.
    pub fn link(&mut self, ino: Ino, dir: Ino, name: &OsStr) -> Result<(), Errno> {
        self.change()?.link(ino, dir, name)
    }

    /// Takes a name away.
    ///
    /// # Errors
    /// As [`Model::remove`]; EIO without power.
    pub fn remove(&mut self, dir: Ino, name: &OsStr) -> Result<(), Errno> {
        self.change()?.remove(dir, name)
    }

    /// Moves a name.
    ///
    /// # Errors
    /// As [`Model::rename`]; EIO without power.
    pub fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> Result<(), Errno> {
        self.change()?.rename(from, to)
    }

    /// Writes, and says how many of the bytes.
    ///
    /// # Errors
    /// As [`Model::write`]; ENOSPC; EIO without power.
    pub fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let mut count = bytes.len();
        if count > 1 && self.chance.random_range(0..100) < self.faults.short_writes_percent {
            count = self.chance.random_range(1..count);
        }
        if let Some(capacity) = self.faults.capacity_bytes {
            let size = self.model()?.inode(ino)?.size();
            let free = capacity.saturating_sub(self.model.used_bytes());
            // what overwrites bytes needs no room
            let fits = size.saturating_sub(offset).saturating_add(free);
            count = count.min(usize::try_from(fits).unwrap_or(usize::MAX));
            if count == 0 && !bytes.is_empty() {
                return Err(Errno::NOSPC);
            }
        }
        self.change()?.write(ino, offset, &bytes[..count])?;
        Ok(count)
    }

    /// Cuts a file, or lengthens it with zeros.
    ///
    /// # Errors
    /// As [`Model::resize`]; ENOSPC; EIO without power.
    pub fn resize(&mut self, ino: Ino, size: u64) -> Result<(), Errno> {
        if let Some(capacity) = self.faults.capacity_bytes {
            let more = size.saturating_sub(self.model()?.inode(ino)?.size());
            if more > capacity.saturating_sub(self.model.used_bytes()) {
                return Err(Errno::NOSPC);
            }
        }
        self.change()?.resize(ino, size)
    }

    /// Sets owner and permissions.
    ///
    /// # Errors
    /// ENOENT; EIO without power.
    pub fn set_owner(&mut self, ino: Ino, change: impl FnOnce(&mut Owner)) -> Result<(), Errno> {
        change(&mut self.change()?.inode_mut(ino)?.owner);
        Ok(())
    }

    /// Makes bytes or names durable.
    ///
    /// # Errors
    /// As [`Model::sync`]; EIO without power, or by [`Faults::failing_syncs`].
    pub fn sync(&mut self, ino: Ino) -> Result<(), Errno> {
        self.change()?;
        if let Some(left) = self.faults.failing_syncs.checked_sub(1) {
            self.faults.failing_syncs = left;
            self.model.lose_writes(ino, &mut self.chance);
            return Err(Errno::IO);
        }
        self.model.sync(ino)
    }
}
