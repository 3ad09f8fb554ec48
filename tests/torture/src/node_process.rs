//! The log's node as a process of its own, sound or broken on purpose.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use embedded::event_log::{Disk, Node, NodeConfig, SystemDisk};

use crate::broken_disks::LateDisk;

/// Segments are small, so that their ends are met often.
const SEGMENT_BYTES: u64 = 256 * 1024;

/// The build of the node whose writes reach their files only after they were acknowledged.
pub const WRITES_LATE: &str = "acknowledges-before-it-writes";

/// A running node. Dropping it kills it.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl NodeProcess {
    /// Starts this program as a node on a directory and a free port, and waits until it listens.
    ///
    /// # Errors
    /// Where it does not come up; the text holds what it said.
    pub fn start(program: &Path, directory: &Path, control: Option<&str>) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("node").arg(directory);
        if let Some(control) = control {
            command.args(["--control", control]);
        }
        // its standard input ends with us, and it with that
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start a node")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("listening ") else {
            let mut said = String::new();
            child.stderr.take().context("no errors")?.read_to_string(&mut said)?;
            child.wait()?;
            bail!("the node did not start: {}", said.lines().take(6).collect::<Vec<_>>().join(" "));
        };
        Ok(Self { address: address.parse()?, child })
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the node, until standard input ends.
///
/// # Errors
/// Where it does not come up.
pub async fn run(directory: &Path, control: Option<&str>) -> anyhow::Result<()> {
    let disk: Arc<dyn Disk> = match control {
        None => Arc::new(SystemDisk),
        Some(WRITES_LATE) => Arc::new(LateDisk),
        Some(other) => bail!("no build of the node is called {other}"),
    };
    let mut config = NodeConfig::new(directory).listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config.segment_bytes = SEGMENT_BYTES;
    let node = Node::start_on(config, disk).await?;
    println!("listening {}", node.addr());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    node.shutdown().await?;
    Ok(())
}
