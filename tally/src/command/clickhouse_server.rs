//! `tally clickhouse-server`: the private ClickHouse's process, started by the one that supervises it.

use clap::Args;
use embedded::clickhouse::launcher::{self, Launch};
use std::path::PathBuf;

/// What is served, and where.
#[derive(Args)]
pub(crate) struct ClickHouseServer {
    library: PathBuf,
    settings: PathBuf,
    store: PathBuf,
    port: u16,
}

impl ClickHouseServer {
    /// Comes before anything that starts a thread: the signals that stop the server are to reach its own.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Self { library, settings: config, store, port } = self;
        Ok(launcher::serve(&Launch { library, config, store, port })?)
    }
}
