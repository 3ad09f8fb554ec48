//! A server's directory: made, locked to one process, with its secrets.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::error::ServerError;

/// Files with secrets are ours alone.
pub(crate) const SECRET_MODE: u32 = 0o600;

/// What a new directory of ours is given, before [`open`] widens it where it is asked to.
const PRIVATE_MODE: u32 = 0o700;

/// Makes the directory if it is missing, sees to it that it has these permissions at least, and resolves its path.
pub(crate) fn open(dir: &Path, mode: u32) -> Result<PathBuf, ServerError> {
    let describe = |verb: &str| format!("{verb} the data directory {}", dir.display());
    if let Some(parent) = dir.parent() {
        DirBuilder::new().recursive(true).create(parent).map_err(ServerError::io(describe("create")))?;
    }
    match DirBuilder::new().mode(PRIVATE_MODE).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(ServerError::io(describe("create"))(error));
        }
        Ok(()) | Err(_) => {}
    }
    let dir = dir.canonicalize().map_err(ServerError::io(describe("resolve")))?;
    let metadata = fs::metadata(&dir).map_err(ServerError::io(describe("look at")))?;
    if metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & mode != mode {
        let mode = (metadata.mode() & 0o777) | mode;
        fs::set_permissions(&dir, Permissions::from_mode(mode)).map_err(ServerError::io(describe("open")))?;
    }
    Ok(dir)
}

/// Locks the directory for this process, until the file is dropped.
pub(crate) fn lock(server: &'static str, dir: &Path) -> Result<File, ServerError> {
    let path = dir.join("lock");
    let describe = || format!("lock {}", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(SECRET_MODE)
        .open(&path)
        .map_err(ServerError::io(describe()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // the holder's id is a courtesy; without it the refusal stands
            let _ = file.read_to_string(&mut pid);
            let pid = pid.trim().to_owned();
            return Err(ServerError::AlreadyRunning { server, dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(ServerError::io(describe())(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(ServerError::io(describe()))?;
    Ok(file)
}

/// Refuses where less than this is free.
pub(crate) fn check_space(server: &'static str, dir: &Path, needed_mib: u64) -> Result<(), ServerError> {
    let stat = rustix::fs::statvfs(dir)
        .map_err(|errno| ServerError::io(format!("look at {}", dir.display()))(errno.into()))?;
    let free_mib = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
    if free_mib < needed_mib {
        return Err(ServerError::NoSpace { server, dir: dir.to_owned(), free_mib, needed_mib });
    }
    Ok(())
}

/// Writes a file that only we may read: whole or not at all, and on the disk when this returns.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), ServerError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(OsStr::new(".unfinished"));
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(SECRET_MODE).open(&unfinished)?;
        file.set_permissions(Permissions::from_mode(SECRET_MODE))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(ServerError::io(format!("write {}", path.display())))
}

/// A secret that was kept; `None` where there is none yet.
pub(crate) fn read_secret(path: &Path) -> Result<Option<String>, ServerError> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ServerError::io(format!("read {}", path.display()))(error)),
    }
}

/// Two random UUIDs: 244 bits from the system's generator, as hexadecimal digits that need no quoting anywhere.
pub(crate) fn new_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Removes a directory with all that is in it, if it is there.
pub(crate) fn remove(dir: &Path) -> Result<(), ServerError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ServerError::io(format!("remove {}", dir.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
