//! The kernel's requests, answered by the device.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;

use super::device::Device;
use super::model::{Content, FileData, Ino, Inode, Names, Owner};

/// Nobody changes the disk but through the kernel, which may therefore keep what it knows.
const KEPT: Duration = Duration::from_secs(3_600);
/// Size of the disk where no fault says otherwise, in blocks.
const BLOCKS: u64 = 1 << 28;
const BLOCK_BYTES: u32 = 512;
/// `fallocate` that leaves the size alone.
const KEEP_SIZE: i32 = 1;

/// The file system in front of a device.
pub(super) struct Requests {
    device: Arc<Mutex<Device>>,
}

impl Requests {
    pub(super) fn new(device: Arc<Mutex<Device>>) -> Self {
        Self { device }
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock()
    }

    fn attr(&self, ino: Ino) -> Result<FileAttr, Errno> {
        Ok(attr_of(ino, self.device().model()?.inode(ino)?))
    }

    fn make(
        &self,
        req: &Request,
        place: (INodeNo, &OsStr),
        mode: u32,
        content: Content,
    ) -> Result<FileAttr, Errno> {
        let owner = Owner { mode: permissions(mode), uid: req.uid(), gid: req.gid() };
        let ino = self.device().create(place.0.0, place.1, content, owner)?;
        self.attr(ino)
    }
}

fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).unwrap_or(0)
}

fn kind_of(content: &Content) -> FileType {
    match content {
        Content::File(_) => FileType::RegularFile,
        Content::Directory(_) => FileType::Directory,
        Content::Link(_) => FileType::Symlink,
    }
}

fn attr_of(ino: Ino, inode: &Inode) -> FileAttr {
    let (size, at) = (inode.size(), inode.modified);
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.div_ceil(u64::from(BLOCK_BYTES)),
        atime: at,
        mtime: at,
        ctime: at,
        crtime: at,
        kind: kind_of(&inode.content),
        perm: inode.owner.mode,
        nlink: 1,
        uid: inode.owner.uid,
        gid: inode.owner.gid,
        rdev: 0,
        blksize: 4_096,
        flags: 0,
    }
}

fn code(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.raw_os_error())
}

fn answer_entry(reply: ReplyEntry, result: Result<FileAttr, Errno>) {
    match result {
        Ok(attr) => reply.entry(&KEPT, &attr, Generation(0)),
        Err(errno) => reply.error(code(errno)),
    }
}

fn answer_empty(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(code(errno)),
    }
}

impl Filesystem for Requests {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.device().model().and_then(|model| model.lookup(parent.0, name));
        answer_entry(reply, found.and_then(|ino| self.attr(ino)));
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(ino.0) {
            Ok(attr) => reply.attr(&KEPT, &attr),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let resized = size.map_or(Ok(()), |size| self.device().resize(ino.0, size));
        let changed = resized.and_then(|()| {
            self.device().set_owner(ino.0, |owner| {
                owner.mode = mode.map_or(owner.mode, permissions);
                owner.uid = uid.unwrap_or(owner.uid);
                owner.gid = gid.unwrap_or(owner.gid);
            })
        });
        match changed.and_then(|()| self.attr(ino.0)) {
            Ok(attr) => reply.attr(&KEPT, &attr),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn mkdir(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let content = Content::Directory(Names::default());
        answer_entry(reply, self.make(req, (parent, name), mode & !umask, content));
    }

    fn symlink(&self, req: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        answer_entry(reply, self.make(req, (parent, name), 0o777, Content::Link(target.to_path_buf())));
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        match self.device().model().and_then(|model| model.inode(ino.0)).map(|inode| &inode.content) {
            Ok(Content::Link(target)) => reply.data(target.as_os_str().as_encoded_bytes()),
            Ok(Content::File(_) | Content::Directory(_)) => reply.error(code(Errno::INVAL)),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn link(&self, _req: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        let linked = self.device().link(ino.0, newparent.0, newname);
        answer_entry(reply, linked.and_then(|()| self.attr(ino.0)));
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer_empty(reply, self.device().remove(parent.0, name));
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer_empty(reply, self.device().remove(parent.0, name));
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut device = self.device();
        let is_taken = device.model().is_ok_and(|model| model.lookup(newparent.0, newname).is_ok());
        let result = if flags == RenameFlags::RENAME_NOREPLACE && is_taken {
            Err(Errno::EXIST)
        } else if (flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            device.rename((parent.0, name), (newparent.0, newname))
        } else {
            Err(Errno::INVAL)
        };
        answer_empty(reply, result);
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.make(req, (parent, name), mode & !umask, Content::File(FileData::default())) {
            Ok(attr) => {
                self.device().set_open(attr.ino.0, true);
                reply.created(&KEPT, &attr, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn open(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let mut device = self.device();
        if let Err(errno) = device.model().and_then(|model| model.inode(ino.0)) {
            return reply.error(code(errno));
        }
        device.set_open(ino.0, true);
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.device().set_open(ino.0, false);
        reply.ok();
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let device = self.device();
        match device.model().and_then(|model| model.read(ino.0, offset, size as usize)) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.device().write(ino.0, offset, data) {
            Ok(count) => reply.written(u32::try_from(count).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn fallocate(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mut device = self.device();
        let size = device.model().and_then(|model| model.inode(ino.0)).map(Inode::size);
        let result = match (mode, size) {
            (_, Err(errno)) => Err(errno),
            (KEEP_SIZE, Ok(_)) => Ok(()),
            (0, Ok(size)) if size >= offset + length => Ok(()),
            (0, Ok(_)) => device.resize(ino.0, offset + length),
            (_, Ok(_)) => Err(Errno::OPNOTSUPP),
        };
        answer_empty(reply, result);
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        answer_empty(reply, self.device().sync(ino.0));
    }

    fn fsyncdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        answer_empty(reply, self.device().sync(ino.0));
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let device = self.device();
        let listed = device.model().and_then(|model| Ok((model, model.list(ino.0)?)));
        let (model, names) = match listed {
            Ok(listed) => listed,
            Err(errno) => return reply.error(code(errno)),
        };
        let dots = [".", ".."].map(|name| (name.into(), ino.0));
        for (next, (name, entry)) in
            (1..).zip(dots.into_iter().chain(names)).skip(usize::try_from(offset).unwrap_or(0))
        {
            let kind = model.inode(entry).map_or(FileType::RegularFile, |inode| kind_of(&inode.content));
            if reply.add(INodeNo(entry), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // the kernel then stops asking, and a process can die while it holds files of its own mount
        reply.error(fuser::Errno::ENOSYS);
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let device = self.device();
        let used = device.model().map_or(0, super::model::Model::used_bytes).div_ceil(u64::from(BLOCK_BYTES));
        let blocks = device.faults.capacity_bytes.map_or(BLOCKS, |bytes| bytes / u64::from(BLOCK_BYTES));
        let free = blocks.saturating_sub(used);
        reply.statfs(blocks, free, free, BLOCKS, BLOCKS, BLOCK_BYTES, 255, BLOCK_BYTES);
    }
}
