//! Peers: other people's servers that figures are measured beside, where the caller says that they are there.

use clap::Args;
use std::path::{Path, PathBuf};

use super::Run;
use super::child::{Server, Start};

/// The peers' names in what is said of figures.
pub(super) const CENTRIFUGE: &str = "Centrifuge";
pub(super) const UMADB: &str = "UmaDB";

/// Where the peers are; `scripts/build-peers` builds them.
#[derive(Args)]
pub(super) struct Peers {
    /// The server of tests/peers/centrifuge: fan-out and idle memory are measured beside it too.
    #[arg(long, value_name = "PROGRAM")]
    pub(super) centrifuge: Option<PathBuf>,
    /// The server of UmaDB: single appends are measured beside it too.
    #[arg(long, value_name = "PROGRAM")]
    pub(super) umadb: Option<PathBuf>,
}

/// Centrifuge's server, set up as the arguments say.
pub(super) async fn centrifuge(
    run: &Run<'_>,
    program: &Path,
    name: &str,
    arguments: &[&str],
) -> anyhow::Result<Server> {
    let start = Start { name, arguments, environment: Vec::new(), dir: run.dir, ready_path: None };
    Server::launch(start, program, |command, address, _| {
        command.args(["-listen", &address.to_string()]);
    })
    .await
}

/// UmaDB's server as it comes, with a database of its own.
pub(super) async fn umadb(run: &Run<'_>, program: &Path) -> anyhow::Result<Server> {
    let start =
        Start { name: "umadb", arguments: &[], environment: Vec::new(), dir: run.dir, ready_path: None };
    Server::launch(start, program, |command, address, dir| {
        command.args(["--listen", &address.to_string(), "--db-path"]).arg(dir);
    })
    .await
}
