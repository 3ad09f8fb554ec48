//! One run of the server: a child process with a thread that starts it, waits for it and reads its log.
//!
//! A thread of its own, and not a task: the kernel ties the child's life to the thread that spawned it
//! (see [`super::tool::tied_to_us`]), and threads of the runtime come and go.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

/// Lines of the server's log kept for error messages.
const LOG_LINES_MAX: usize = 20;

/// A server may have other processes (Postgres does), which notice its death by themselves. They hold the log's other
/// end, so its end tells that all are gone. Beyond this time we no longer wait for the stragglers.
const STRAGGLERS_TIME_MAX: Duration = Duration::from_secs(5);

/// How often a thread that must not await looks whether the server has ended.
const BLOCKING_POLL: Duration = Duration::from_millis(10);

/// Whether a line of the log is worth a warning in ours.
pub(crate) type IsAlarm = fn(&str) -> bool;

/// A server process.
#[derive(Debug)]
pub(crate) struct Child {
    server: &'static str,
    pid: Pid,
    /// True once the process id may belong to somebody else; held while signalling.
    reaped: Arc<Mutex<bool>>,
    ended: watch::Receiver<Option<String>>,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts the command in a process group of its own, so that the terminal's Ctrl-C reaches only us.
    pub(crate) fn spawn(server: &'static str, is_alarm: IsAlarm, mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let reaped = Arc::new(Mutex::new(false));
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let (ended_sender, ended) = watch::channel(None);
        let (started_sender, started) = mpsc::channel();
        let keeper = Keeper {
            reader: LogReader { server, is_alarm, tail: Arc::clone(&log) },
            reaped: Arc::clone(&reaped),
            ended: ended_sender,
        };
        thread::Builder::new()
            .name(server.to_lowercase())
            .spawn(move || keeper.keep(command, &started_sender))?;
        let pid = started.recv().map_err(io::Error::other)??;
        Ok(Self { server, pid, reaped, ended, log })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How the process ended, if it did.
    pub(crate) fn exit_status(&self) -> Option<String> {
        self.ended.borrow().clone()
    }

    /// Waits for the end of the process and says how it ended.
    pub(crate) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_default(),
            Err(_) => "unknown".to_owned(),
        }
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        self.log.lock().iter().cloned().collect::<Vec<_>>().join("; ")
    }

    /// Sends each signal in turn until the process has ended; false if it survived all of them.
    pub(crate) async fn stop(&self, escalation: &[(Signal, Duration)]) -> bool {
        for (signal, patience) in escalation {
            self.signal(*signal);
            if tokio::time::timeout(*patience, self.ended()).await.is_ok() {
                return true;
            }
            let server = self.server;
            tracing::warn!(server, server.pid = self.pid(), "{server} is slow to stop");
        }
        false
    }

    /// The same for callers that cannot await.
    pub(crate) fn stop_blocking(&self, escalation: &[(Signal, Duration)]) -> bool {
        for (signal, patience) in escalation {
            self.signal(*signal);
            let deadline = Instant::now() + *patience;
            while Instant::now() < deadline {
                if self.exit_status().is_some() {
                    return true;
                }
                thread::sleep(BLOCKING_POLL);
            }
        }
        false
    }

    fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock();
        if !*reaped {
            // a process that has ended but is not yet reaped takes a signal without effect
            let _ = kill_process(self.pid, signal);
        }
    }
}

/// What the child's thread holds.
struct Keeper {
    reader: LogReader,
    reaped: Arc<Mutex<bool>>,
    ended: watch::Sender<Option<String>>,
}

impl Keeper {
    fn keep(self, mut command: Command, started: &mpsc::Sender<io::Result<Pid>>) {
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                // the receiver waits for exactly this message
                let _ = started.send(Err(error));
                return;
            }
        };
        let pid = Pid::from_child(&child);
        let (log_ended_sender, log_ended) = mpsc::channel::<()>();
        if let Some(stderr) = child.stderr.take() {
            let reader = self.reader;
            thread::spawn(move || {
                reader.read(stderr);
                drop(log_ended_sender);
            });
        }
        let _ = started.send(Ok(pid));
        // wait without reaping, so that the number stays the child's while someone signals it
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
        let status = {
            let mut reaped = self.reaped.lock();
            *reaped = true;
            child.wait()
        };
        // an error here is the end of the log, or the time-out: both end the waiting
        let _ = log_ended.recv_timeout(STRAGGLERS_TIME_MAX);
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        self.ended.send_replace(Some(status));
    }
}

/// What passes the server's log on to ours.
struct LogReader {
    server: &'static str,
    is_alarm: IsAlarm,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl LogReader {
    fn read(&self, stderr: impl Read) {
        let server = self.server;
        let mut reader = BufReader::new(stderr);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let line = String::from_utf8_lossy(&bytes).trim().to_owned();
            bytes.clear();
            if (self.is_alarm)(&line) {
                tracing::warn!(server, server.line = %line, "{server} reports");
            } else {
                tracing::debug!(server, server.line = %line, "{server} reports");
            }
            // a stack trace would push its own cause out
            if line.is_empty() || line.starts_with("at ") {
                continue;
            }
            let mut tail = self.tail.lock();
            if tail.len() == LOG_LINES_MAX {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    }
}
