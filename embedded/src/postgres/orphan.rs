//! A server that outlived the process that started it. We hold the data directory's lock, so whatever
//! still runs there belongs to nobody: it is stopped, and the cluster started anew under our eyes.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, test_kill_process};

use super::error::PostgresError;
use super::settings::NAME;
use crate::supervision::orphan::Suspect;

/// What is sent to an orphan, and how long each may take: first the orderly shutdown with its
/// checkpoint, then the one that leaves recovery to the next start, then the kernel.
const ESCALATION: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(30)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// What `postmaster.pid` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    /// Where it listens; 0: not yet known.
    pub(crate) port: u16,
    /// The server accepts connections.
    pub(crate) ready: bool,
}

impl PidFile {
    /// Reads the cluster's pid file; none if there is none or it is not yet complete.
    pub(crate) fn read(cluster_dir: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(cluster_dir.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        // the fourth line is the port and the eighth the status; Postgres' own pg_ctl reads them too
        let port = lines.nth(2).and_then(|port| port.trim().parse().ok()).unwrap_or(0);
        let ready = lines.nth(3).is_some_and(|status| status.trim() == "ready");
        Some(Self { pid, port, ready })
    }
}

/// Where the server of this directory accepts connections; `None`: none does.
pub(crate) fn running_port(cluster_dir: &Path) -> Option<u16> {
    let found = PidFile::read(cluster_dir)?;
    (found.ready && suspect(found.pid, cluster_dir).serves()).then_some(found.port)
}

/// A postmaster works in its cluster.
fn suspect(pid: i32, cluster_dir: &Path) -> Suspect<'_> {
    Suspect { pid, works_in: cluster_dir, word: "postgres" }
}

/// Stops the server that runs in the directory, if there is one. Blocks.
pub(crate) fn stop(cluster_dir: &Path) -> Result<(), PostgresError> {
    let Some(PidFile { pid, .. }) = PidFile::read(cluster_dir) else {
        return Ok(());
    };
    suspect(pid, cluster_dir).stop(NAME, &ESCALATION)?;
    Pid::from_raw(pid).map_or(Ok(()), |pid| forget(pid, cluster_dir))
}

/// Deals with the pid file of a dead server. Postgres replaces a stale file by itself, but refuses when
/// the number belongs to a living process again, or to a dead one that nobody has waited for. That it
/// serves another directory or none is known here, so then the file goes. Should other processes of the
/// dead server still run, Postgres sees that by their shared memory.
fn forget(pid: Pid, cluster_dir: &Path) -> Result<(), PostgresError> {
    if test_kill_process(pid).is_err() {
        return Ok(());
    }
    let file = cluster_dir.join("postmaster.pid");
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PostgresError::io(format!("remove {}", file.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pid_files_in_every_stage() {
        let ready = "41\n/data\n1700000000\n5432\n\n127.0.0.1\n   1 2\nready   \n";
        assert_eq!(PidFile::parse(ready), Some(PidFile { pid: 41, port: 5432, ready: true }));
        let starting = "41\n/data\n1700000000\n5432\n\n127.0.0.1\n   1 2\nstarting\n";
        assert_eq!(PidFile::parse(starting), Some(PidFile { pid: 41, port: 5432, ready: false }));
        assert_eq!(PidFile::parse("41\n/data\n"), Some(PidFile { pid: 41, port: 0, ready: false }));
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn the_number_of_another_process_is_forgotten_and_the_process_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        fs::write(&file, format!("{}\n", std::process::id())).unwrap();
        stop(dir.path()).unwrap();
        assert!(!file.exists());
    }
}
