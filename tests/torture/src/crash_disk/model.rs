//! What the disk holds, and what of it would survive a power cut. No mount, no clock, no chance of its own.
//!
//! Two rules of durability, the strictest that POSIX allows: bytes and size of a file are durable once that file
//! was synced, and a name once its directory was. Nothing becomes durable by itself, and nothing in order.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;

use super::names::{NameChange, commit_names};
use super::sparse::SparseBytes;

/// Number of a file or directory.
pub type Ino = u64;

/// The directory that everything else is in.
pub const ROOT: Ino = 1;

/// Change of a file's bytes that is not durable yet.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

impl Change {
    pub(super) fn apply(&self, data: &mut SparseBytes) {
        match self {
            Self::Write { offset, bytes } => data.put(*offset, bytes),
            Self::Resize(size) => data.resize(*size),
        }
    }
}

/// Bytes of a file, as programs see them and as the disk has them.
#[derive(Clone, Debug, Default)]
pub struct FileData {
    pub(super) now: SparseBytes,
    pub(super) durable: SparseBytes,
    pub(super) unsynced: Vec<Change>,
}

/// Names of a directory, as programs see them and as the disk has them.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub(super) now: BTreeMap<OsString, Ino>,
    pub(super) durable: BTreeMap<OsString, Ino>,
}

/// What an inode is.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file.
    File(FileData),
    /// A directory.
    Directory(Names),
    /// A symbolic link.
    Link(PathBuf),
}

/// Owner and permissions: kept, not enforced, and durable at once, since no program rests on them.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// Permission bits.
    pub mode: u16,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A file, a directory or a link.
#[derive(Clone, Debug)]
pub struct Inode {
    /// What it is.
    pub content: Content,
    /// Whose it is.
    pub owner: Owner,
    /// When it was changed last.
    pub modified: SystemTime,
}

impl Inode {
    fn new(content: Content, owner: Owner) -> Self {
        Self { content, owner, modified: SystemTime::now() }
    }

    /// Bytes that programs see in it.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::File(file) => file.now.len() as u64,
            Content::Link(target) => target.as_os_str().len() as u64,
            Content::Directory(_) => 0,
        }
    }
}

/// Everything on the disk.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) inodes: BTreeMap<Ino, Inode>,
    pub(super) unsynced_names: Vec<NameChange>,
    pub(super) open: HashMap<Ino, usize>,
    next: Ino,
}

impl Default for Model {
    fn default() -> Self {
        let owner = Owner { mode: 0o755, uid: 0, gid: 0 };
        let root = Inode::new(Content::Directory(Names::default()), owner);
        Self {
            inodes: BTreeMap::from([(ROOT, root)]),
            unsynced_names: Vec::new(),
            open: HashMap::new(),
            next: ROOT + 1,
        }
    }
}

impl Model {
    /// What an inode is now.
    ///
    /// # Errors
    /// ENOENT.
    pub fn inode(&self, ino: Ino) -> Result<&Inode, Errno> {
        self.inodes.get(&ino).ok_or(Errno::NOENT)
    }

    pub(super) fn inode_mut(&mut self, ino: Ino) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::NOENT)
    }

    pub(super) fn file_mut(&mut self, ino: Ino) -> Result<&mut FileData, Errno> {
        match &mut self.inode_mut(ino)?.content {
            Content::File(file) => Ok(file),
            Content::Directory(_) => Err(Errno::ISDIR),
            Content::Link(_) => Err(Errno::INVAL),
        }
    }

    pub(super) fn names(&self, dir: Ino) -> Result<&Names, Errno> {
        match &self.inode(dir)?.content {
            Content::Directory(names) => Ok(names),
            Content::File(_) | Content::Link(_) => Err(Errno::NOTDIR),
        }
    }

    pub(super) fn names_mut(&mut self, dir: Ino) -> Result<&mut Names, Errno> {
        match &mut self.inode_mut(dir)?.content {
            Content::Directory(names) => Ok(names),
            Content::File(_) | Content::Link(_) => Err(Errno::NOTDIR),
        }
    }

    /// The inode under a name.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR.
    pub fn lookup(&self, dir: Ino, name: &OsStr) -> Result<Ino, Errno> {
        self.names(dir)?.now.get(name).copied().ok_or(Errno::NOENT)
    }

    /// The inode at a path below the root.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR.
    pub fn find(&self, path: &Path) -> Result<Ino, Errno> {
        path.iter().try_fold(ROOT, |dir, name| self.lookup(dir, name))
    }

    /// The names in a directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR.
    pub fn list(&self, dir: Ino) -> Result<Vec<(OsString, Ino)>, Errno> {
        Ok(self.names(dir)?.now.iter().map(|(name, ino)| (name.clone(), *ino)).collect())
    }

    /// Makes something under a new name.
    ///
    /// # Errors
    /// EEXIST, ENOENT, ENOTDIR.
    pub fn create(&mut self, dir: Ino, name: &OsStr, content: Content, owner: Owner) -> Result<Ino, Errno> {
        if self.names(dir)?.now.contains_key(name) {
            return Err(Errno::EXIST);
        }
        let ino = self.next;
        self.next += 1;
        self.inodes.insert(ino, Inode::new(content, owner));
        self.change_names(NameChange::Set { dir, name: name.to_owned(), ino })?;
        Ok(ino)
    }

    /// Gives a file one more name.
    ///
    /// # Errors
    /// EEXIST, ENOENT, ENOTDIR; EPERM for directories.
    pub fn link(&mut self, ino: Ino, dir: Ino, name: &OsStr) -> Result<(), Errno> {
        if matches!(self.inode(ino)?.content, Content::Directory(_)) {
            return Err(Errno::PERM);
        }
        if self.names(dir)?.now.contains_key(name) {
            return Err(Errno::EXIST);
        }
        self.change_names(NameChange::Set { dir, name: name.to_owned(), ino })
    }

    /// Takes a name away. The bytes stay while somebody has the file open, and until that is durable.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR; ENOTEMPTY for directories with names in them.
    pub fn remove(&mut self, dir: Ino, name: &OsStr) -> Result<(), Errno> {
        let ino = self.lookup(dir, name)?;
        self.check_empty(ino)?;
        self.change_names(NameChange::Remove { dir, name: name.to_owned() })
    }

    /// Moves a name, over another one if there is one: at once, also for a power cut.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOTEMPTY.
    pub fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> Result<(), Errno> {
        let ino = self.lookup(from.0, from.1)?;
        let replaced = self.names(to.0)?.now.get(to.1).copied();
        if replaced == Some(ino) {
            return Ok(());
        }
        if let Some(replaced) = replaced {
            self.check_empty(replaced)?;
        }
        let (from, to) = ((from.0, from.1.to_owned()), (to.0, to.1.to_owned()));
        self.change_names(NameChange::Move { from, to, ino })
    }

    fn check_empty(&self, ino: Ino) -> Result<(), Errno> {
        match &self.inode(ino)?.content {
            Content::Directory(names) if !names.now.is_empty() => Err(Errno::NOTEMPTY),
            Content::Directory(_) | Content::File(_) | Content::Link(_) => Ok(()),
        }
    }

    fn change_names(&mut self, change: NameChange) -> Result<(), Errno> {
        for dir in change.dirs() {
            self.inode_mut(dir)?.modified = SystemTime::now();
            change.apply(dir, &mut self.names_mut(dir)?.now);
        }
        self.unsynced_names.push(change);
        Ok(())
    }

    /// Reads.
    ///
    /// # Errors
    /// ENOENT, EISDIR.
    pub fn read(&self, ino: Ino, offset: u64, length: usize) -> Result<Cow<'_, [u8]>, Errno> {
        let Content::File(file) = &self.inode(ino)?.content else { return Err(Errno::ISDIR) };
        Ok(file.now.read(index(offset)?, length))
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// ENOENT, EISDIR, EFBIG.
    pub fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let change = Change::Write { offset: index(offset)?, bytes: bytes.to_vec() };
        self.change(ino, change)
    }

    /// Cuts a file, or lengthens it with zeros.
    ///
    /// # Errors
    /// ENOENT, EISDIR, EFBIG.
    pub fn resize(&mut self, ino: Ino, size: u64) -> Result<(), Errno> {
        let size = index(size)?;
        self.change(ino, Change::Resize(size))
    }

    fn change(&mut self, ino: Ino, change: Change) -> Result<(), Errno> {
        let file = self.file_mut(ino)?;
        change.apply(&mut file.now);
        file.unsynced.push(change);
        self.inode_mut(ino)?.modified = SystemTime::now();
        Ok(())
    }

    /// Makes a file's bytes and size durable, or a directory's names.
    ///
    /// # Errors
    /// ENOENT.
    pub fn sync(&mut self, ino: Ino) -> Result<(), Errno> {
        match &mut self.inode_mut(ino)?.content {
            Content::File(file) => {
                for change in std::mem::take(&mut file.unsynced) {
                    change.apply(&mut file.durable);
                }
            }
            Content::Directory(_) => {
                commit_names(self, ino);
                self.collect();
            }
            Content::Link(_) => {}
        }
        Ok(())
    }

    /// Bytes of all files, as programs see them.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.inodes.values().map(Inode::size).sum()
    }

    /// Somebody opens a file.
    pub fn opened(&mut self, ino: Ino) {
        *self.open.entry(ino).or_default() += 1;
    }

    /// Somebody closes a file.
    pub fn closed(&mut self, ino: Ino) {
        if let Some(count) = self.open.get_mut(&ino) {
            *count = count.saturating_sub(1);
        }
        self.open.retain(|_, count| *count > 0);
    }

    /// Forgets what has no name any more, neither for programs nor on the disk, and is not open.
    pub(super) fn collect(&mut self) {
        let mut kept: BTreeSet<Ino> = self.open.keys().copied().collect();
        kept.extend(self.unsynced_names.iter().filter_map(NameChange::ino));
        kept.insert(ROOT);
        let mut waiting: Vec<Ino> = kept.iter().copied().collect();
        while let Some(ino) = waiting.pop() {
            let Ok(names) = self.names(ino) else { continue };
            let inner: Vec<Ino> = names.now.values().chain(names.durable.values()).copied().collect();
            waiting.extend(inner.into_iter().filter(|ino| kept.insert(*ino)));
        }
        self.inodes.retain(|ino, _| kept.contains(ino));
    }
}

fn index(offset: u64) -> Result<usize, Errno> {
    usize::try_from(offset).map_err(|_| Errno::FBIG)
}
