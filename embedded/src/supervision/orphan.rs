//! A server that outlived the process that started it. Who holds the directory's lock knows that whatever still runs
//! there belongs to nobody: it is stopped, and the server started anew under our eyes.

use std::fs;
use std::path::Path;
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
            // a server works in its directory; a dead or reused number does not
            return fs::read_link(format!("/proc/{}/cwd", self.pid)).is_ok_and(|cwd| cwd == self.works_in);
        }
        let output = Command::new("ps")
            .args(["-o", "args=", "-p", &self.pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        output.is_ok_and(|output| {
            let args = String::from_utf8_lossy(&output.stdout);
            args.contains(self.word) && args.contains(&*self.works_in.to_string_lossy())
        })
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
