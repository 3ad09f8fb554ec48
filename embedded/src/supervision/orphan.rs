//! A server that outlived the process that started it. Who holds the directory's lock knows that whatever still runs
//! there belongs to nobody: it is stopped, and the server started anew under our eyes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::error::ServerError;

/// How often a stopping orphan is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A process that may be a server of ours: its number may belong to another by now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suspect<'a> {
    pub(crate) pid: i32,
    /// The directory that the server works in.
    pub(crate) works_in: &'a Path,
    /// A word of the server's command line.
    pub(crate) word: &'a str,
}

impl Suspect<'_> {
    /// Whether the process is alive and the server of this directory.
    pub(crate) fn serves(self) -> bool {
        if Path::new("/proc/self/cwd").exists() {
            let of_process = |what: &str| format!("/proc/{}/{what}", self.pid);
            return self.is_told(fs::read_link(of_process("cwd")), || fs::read(of_process("cmdline")));
        }
        let output = Command::new("ps")
            .args(["-o", "args=", "-p", &self.pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        output.is_ok_and(|output| self.is_named_in(&output.stdout))
    }

    /// By where the process works: a server works in its directory, a dead or reused number does not. Root without the
    /// right to trace, as in most containers, is not told that of the processes of others, but of all what they were
    /// called with.
    fn is_told(self, cwd: io::Result<PathBuf>, command_line: impl FnOnce() -> io::Result<Vec<u8>>) -> bool {
        match cwd {
            Ok(cwd) => cwd == self.works_in,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                command_line().is_ok_and(|line| self.is_named_in(&line))
            }
            Err(_) => false,
        }
    }

    /// Whether a command line names both the server and its directory, as a whole or as the beginning of a path.
    fn is_named_in(self, command_line: &[u8]) -> bool {
        let (line, dir) = (String::from_utf8_lossy(command_line), self.works_in.to_string_lossy());
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(['\0', '/', ' ', '\n']);
        line.contains(self.word) && line.match_indices(&*dir).any(|(at, dir)| ends(&line[at + dir.len()..]))
    }

    /// Stops it if it is what we suspect. Blocks.
    pub(crate) fn stop(
        self,
        server: &'static str,
        escalation: &[(Signal, Duration)],
    ) -> Result<(), ServerError> {
        let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.serves()) else {
            return Ok(());
        };
        tracing::warn!(server, server.pid = self.pid, "stopping a {server} left over from an earlier run");
        for (signal, patience) in escalation {
            // it may have ended since we looked, which the next look shows
            let _ = kill_process(pid, *signal);
            let deadline = Instant::now() + *patience;
            while Instant::now() < deadline {
                if !self.serves() {
                    return Ok(());
                }
                thread::sleep(POLL);
            }
        }
        Err(ServerError::WillNotStop { server, pid: self.pid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told(cwd: Result<&str, io::ErrorKind>, command_line: &str) -> bool {
        let cwd = cwd.map(PathBuf::from).map_err(io::Error::from);
        let suspect = Suspect { pid: 1, works_in: Path::new("/data/cluster"), word: "postgres" };
        suspect.is_told(cwd, || Ok(command_line.into()))
    }

    #[test]
    fn a_server_works_in_its_directory() {
        assert!(is_told(Ok("/data/cluster"), ""));
        assert!(!is_told(Ok("/data/cluster2"), "postgres\0-D\0/data/cluster\0"));
        assert!(!is_told(Err(io::ErrorKind::NotFound), "postgres\0-D\0/data/cluster\0"));
    }

    #[test]
    fn where_that_is_hidden_its_command_line_tells() {
        let is_told = |command_line| is_told(Err(io::ErrorKind::PermissionDenied), command_line);
        for ours in [
            "/usr/bin/postgres\0-D\0/data/cluster\0-c\0port=1\0",
            "/usr/bin/postgres\0/data/cluster",
            "/usr/bin/postgres\0--dir=/data/cluster/unpacked\0",
            "/usr/bin/postgres -D /data/cluster -c port=1\n",
        ] {
            assert!(is_told(ours), "{ours:?}");
        }
        for of_another in [
            "",
            "/usr/bin/postgres\0-D\0/data/cluster2\0",
            "/usr/bin/postgres\0-D\0/data\0",
            "/usr/bin/less\0/data/cluster/server.log\0",
        ] {
            assert!(!is_told(of_another), "{of_another:?}");
        }
    }
}
