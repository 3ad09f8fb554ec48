//! A note of the running server in its directory, for servers that keep none themselves.

use std::fs;
use std::path::Path;

use super::directory;
use super::error::ServerError;

/// The note's name.
const FILE: &str = "server.pid";

/// Which process serves, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    pub(crate) port: u16,
}

impl PidFile {
    /// The note in this directory, whether or not its process still lives.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(dir.join(FILE)).ok()?;
        let (pid, port) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, port: port.parse().ok()? })
    }

    pub(crate) fn write(self, dir: &Path) -> Result<(), ServerError> {
        directory::write_private(&dir.join(FILE), &format!("{} {}\n", self.pid, self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_and_rubbish_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(PidFile::read(dir.path()), None);
        let note = PidFile { pid: 41, port: 9092 };
        note.write(dir.path()).unwrap();
        assert_eq!(PidFile::read(dir.path()), Some(note));
        fs::write(dir.path().join(FILE), "41").unwrap();
        assert_eq!(PidFile::read(dir.path()), None);
    }
}
