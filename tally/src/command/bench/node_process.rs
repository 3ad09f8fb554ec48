//! Servers whose address is the first line that they print: the event-log node alone, and the echo.

use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A server that has not printed its address by then does not start.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A server as a child of this process; killed when dropped.
pub(super) struct NodeProcess {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) process: u32,
    // kept open, so that the server can go on printing
    _output: BufReader<ChildStdout>,
}

impl NodeProcess {
    /// The event-log node on a data directory.
    pub(super) async fn node(data: &Path) -> anyhow::Result<Self> {
        Self::start(&["event-log"], data).await
    }

    /// The echo behind the node's server.
    pub(super) async fn echo(dir: &Path) -> anyhow::Result<Self> {
        Self::start(&["bench", "--serve-echo"], dir).await
    }

    async fn start(arguments: &[&str], data: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        // settings of the caller's own server are not meant for these
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TALLY_"))
        {
            command.env_remove(name);
        }
        let mut child = command
            .args(arguments)
            .env("TALLY_EVENT_LOG__LISTEN", "127.0.0.1:0")
            .env("TALLY_DATA__DIR", data)
            .env("TALLY_TELEMETRY__LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a server")?;
        let process = child.id().context("the server has ended")?;
        let mut output = BufReader::new(child.stdout.take().context("the server prints nothing")?);
        let mut line = String::new();
        timeout(READY_WITHIN, output.read_line(&mut line)).await.context("the server does not start")??;
        let Some(address) = address_in(&line) else { bail!("the server ended at its start") };
        Ok(Self { child, address, process, _output: output })
    }

    /// Kills the server at once.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill the server")
    }
}

/// The address in a line such as `kurrentdb://127.0.0.1:2113?tls=false`, or alone.
fn address_in(line: &str) -> Option<SocketAddr> {
    let line = line.trim();
    let after = line.split_once("://").map_or(line, |(_, rest)| rest);
    after.split('?').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found() {
        let expected = Some("127.0.0.1:2113".parse().unwrap());
        assert_eq!(address_in("kurrentdb://127.0.0.1:2113?tls=false\n"), expected);
        assert_eq!(address_in("127.0.0.1:2113\n"), expected);
        assert_eq!(address_in(""), None);
    }
}
