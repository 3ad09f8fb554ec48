//! Commands that end with us, and the short-lived programs that prepare a server, run to their end.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::error::ServerError;

/// Longest that a tool may take. `initdb` and Kafka's formatting need two seconds on a laptop; a slow disk may need a
/// hundred times that, and beyond it something hangs.
const TOOL_TIME_MAX: Duration = Duration::from_secs(300);

/// How often a running tool is looked at.
const TOOL_POLL: Duration = Duration::from_millis(20);

/// What of a tool's complaints goes into the error; the cause is in the last lines.
const TOOL_LOG_CHARS_MAX: usize = 2_000;

/// What the kernel sends to a server when we die: to each what makes it shut down in order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LastWord {
    /// SIGINT: Postgres closes its connections and does not wait for its clients.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// A command that, where the system can do it, the kernel stops when this process dies, so that
/// a `kill -9` of ours leaves nothing behind. The thread that spawns it must outlive it: to the kernel
/// the parent is the thread.
pub(crate) fn tied_to_us(program: &Path, last_word: LastWord) -> Command {
    static CAN_TIE: OnceLock<bool> = OnceLock::new();
    let can_tie = *CAN_TIE.get_or_init(|| {
        let probe = Command::new("setpriv")
            .args(["--pdeathsig", "INT", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        probe.is_ok_and(|status| status.success())
    });
    if !can_tie {
        return Command::new(program);
    }
    let signal = match last_word {
        LastWord::Interrupt => "INT",
        LastWord::Terminate => "TERM",
    };
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]).arg(program);
    command
}

/// Feeds `input` to the command and waits for its end, which must be a success.
pub(crate) fn run(step: &'static str, mut command: Command, input: &str) -> Result<(), ServerError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ServerError::io(step))?;
    let stderr = child.stderr.take();
    let complaints = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stderr) = stderr {
            // what was read until a failure is all that there is to report
            let _ = stderr.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).trim().to_owned()
    });
    if let Some(mut stdin) = child.stdin.take() {
        // a tool that ended early says why on its own; the broken pipe adds nothing
        let _ = stdin.write_all(input.as_bytes());
    }
    let deadline = Instant::now() + TOOL_TIME_MAX;
    let status: Option<ExitStatus> = loop {
        if let Some(status) = child.try_wait().map_err(ServerError::io(step))? {
            break Some(status);
        }
        if Instant::now() > deadline {
            // it may end in this very moment: then there is nothing left to kill
            let _ = child.kill();
            child.wait().map_err(ServerError::io(step))?;
            break None;
        }
        thread::sleep(TOOL_POLL);
    };
    if status.is_some_and(|status| status.success()) {
        return Ok(());
    }
    let log = complaints.join().unwrap_or_default();
    let skip = log.chars().count().saturating_sub(TOOL_LOG_CHARS_MAX);
    Err(ServerError::Tool {
        step,
        status: status.map_or_else(|| format!("killed after {TOOL_TIME_MAX:?}"), |status| status.to_string()),
        log: log.chars().skip(skip).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_tool_is_quoted() {
        let mut command = Command::new("sh");
        command.args(["-c", "read line; echo no space left: $line >&2; exit 3"]);
        let error = run("make the thing", command, "here\n").unwrap_err().to_string();
        assert!(error.contains("make the thing failed"), "{error}");
        assert!(error.contains("no space left: here"), "{error}");
    }

    #[test]
    fn a_tool_that_succeeds_is_quiet() {
        run("do nothing", Command::new("true"), "").unwrap();
    }
}
