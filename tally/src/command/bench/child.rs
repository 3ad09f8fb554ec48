//! Servers as child processes, mostly of the same binary, each with a data directory and ports of its own.

use anyhow::{Context, bail};
use std::fs::{self, DirBuilder, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// A server that is not ready by then does not become so: the first start makes a database.
const READY_WITHIN: Duration = Duration::from_secs(90);
const READY_LOOK: Duration = Duration::from_millis(200);

/// How long a server may take to end when told to.
const END_WITHIN: Duration = Duration::from_secs(30);

/// A database whose server was killed goes on writing for a moment, and so does a store that is being opened.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// The database server's user must be able to pass through.
const DIR_MODE: u32 = 0o711;

/// Lines of a server's messages that are shown when it does not start.
const LINES_SHOWN: usize = 15;

/// A directory that the database server's user can pass through.
pub(super) fn create_dir(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new().mode(DIR_MODE).create(path).with_context(|| format!("cannot create {}", path.display()))
}

/// A directory that goes with us.
pub(super) struct TemporaryDir(PathBuf);

impl TemporaryDir {
    pub(super) fn within(parent: &Path) -> anyhow::Result<Self> {
        let path = parent.join(format!("tally-bench-{}", std::process::id()));
        create_dir(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        let deadline = Instant::now() + REMOVED_WITHIN;
        while let Err(error) = fs::remove_dir_all(&self.0) {
            if Instant::now() > deadline {
                eprintln!("tally: {} is left behind: {error}", self.0.display());
                return;
            }
            std::thread::sleep(READY_LOOK);
        }
    }
}

/// A running server.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) process: u32,
    messages: PathBuf,
}

/// What a server is started with.
pub(super) struct Start<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a [&'a str],
    /// Given the address where it shall listen.
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) dir: &'a Path,
    /// Answers 200 when the server is ready; without one an open port is enough.
    pub(super) ready_path: Option<&'a str>,
}

impl Server {
    /// Starts this program again as a server, over what one of the same name left, and waits until it is ready.
    pub(super) async fn start(start: Start<'_>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        Self::launch(start, &program, |command, address, dir| {
            command
                .env("TALLY_HTTP__LISTEN", address.to_string())
                .env("TALLY_DATA__DIR", dir.join("data"))
                .env("TALLY_TELEMETRY__LOG", "warn");
        })
        .await
    }

    /// Starts somebody else's program as a server, which `settle` tells its address and directory; otherwise as above.
    pub(super) async fn launch(
        start: Start<'_>,
        program: &Path,
        settle: impl FnOnce(&mut Command, SocketAddr, &Path),
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let dir = start.dir.join(start.name);
        if !dir.exists() {
            create_dir(&dir)?;
        }
        let messages = start.dir.join(format!("{}.log", start.name));
        let log = File::create(&messages)?;
        let mut command = Command::new(program);
        // settings of the caller's own server are not meant for these
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TALLY_"))
        {
            command.env_remove(name);
        }
        command
            .args(start.arguments)
            .envs(start.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        settle(&mut command, address, &dir);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let process = child.id().context("the server has ended")?;
        let mut server = Self { child, address, process, messages };
        server.wait_until_ready(start.name, start.ready_path).await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self, name: &str, ready_path: Option<&str>) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended at its start ({status}):\n{}", self.last_messages());
            }
            let is_ready = match ready_path {
                None => TcpStream::connect(self.address).await.is_ok(),
                Some(path) => is_ok(&format!("http://{}{path}", self.address)).await,
            };
            if is_ready {
                return Ok(());
            }
            sleep(READY_LOOK).await;
        }
        bail!("{name} does not become ready:\n{}", self.last_messages());
    }

    fn last_messages(&self) -> String {
        let messages = fs::read_to_string(&self.messages).unwrap_or_default();
        let lines: Vec<&str> = messages.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    /// Ends the server as a crash would.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Lets the server end in order.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let process = i32::try_from(self.process).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(process) = process {
            // one that has ended already needs no telling
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
        if timeout(END_WITHIN, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

async fn is_ok(url: &str) -> bool {
    let answer = reqwest::Client::new().get(url).timeout(READY_LOOK * 5).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// A port that was free just now.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
