//! A server that outlived the process that started it. We hold the data directory's lock, so whatever
//! still runs there belongs to nobody: it is stopped, and the cluster started anew under our eyes.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::error::PostgresError;

/// What is sent to an orphan, and how long each may take: first the orderly shutdown with its
/// checkpoint, then the one that leaves recovery to the next start, then the kernel.
const ESCALATION: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(30)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// How often a stopping orphan is looked at.
const POLL: Duration = Duration::from_millis(20);

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
    (found.ready && serves(found.pid, cluster_dir)).then_some(found.port)
}

/// Stops the server that runs in the directory, if there is one. Blocks.
pub(crate) fn stop(cluster_dir: &Path) -> Result<(), PostgresError> {
    let Some(PidFile { pid: raw, .. }) = PidFile::read(cluster_dir) else {
        return Ok(());
    };
    let Some(pid) = Pid::from_raw(raw) else {
        return Ok(());
    };
    if !serves(raw, cluster_dir) {
        return forget(pid, cluster_dir);
    }
    tracing::warn!(postgres.pid = raw, "stopping a database server left over from an earlier run");
    for (signal, patience) in ESCALATION {
        // it may have ended since we looked, which the next look shows
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !serves(raw, cluster_dir) {
                return forget(pid, cluster_dir);
            }
            thread::sleep(POLL);
        }
    }
    Err(PostgresError::WillNotStop { pid: raw })
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

/// Whether the process is alive and a server of this directory, and not another that got its number.
fn serves(pid: i32, cluster_dir: &Path) -> bool {
    if Path::new("/proc/self/cwd").exists() {
        // a postmaster works in its cluster; a dead or reused number does not
        return fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == cluster_dir);
    }
    let output = Command::new("ps")
        .args(["-o", "args=", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        let args = String::from_utf8_lossy(&output.stdout);
        args.contains("postgres") && args.contains(&*cluster_dir.to_string_lossy())
    })
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
