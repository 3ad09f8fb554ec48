//! A node that is killed under load, and how long it takes until the next start has made an event durable. Beside
//! it the same with an empty log: what the process itself takes.

use anyhow::Context;
use bytes::Bytes;
use embedded::event_log::measure::PlainClient;
use embedded::event_log::{Store, StoreConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use super::Run;
use super::big_log;
use super::figure::Figure;
use super::node_process::NodeProcess;

/// Load before the kill: what is only in the memory of the index is read again, so let there be some.
const LOAD: Duration = Duration::from_secs(2);
const IN_FLIGHT: usize = 256;

/// Measures with a log of `events`.
pub(super) async fn measure(run: &Run<'_>, events: u64) -> anyhow::Result<Vec<Figure>> {
    let (full, empty) = (run.dir.join("recovery"), run.dir.join("recovery-empty"));
    make(&full, events).await?;
    let mut figure = Figure::new(
        format!("recovery/{events}"),
        "s from start to first durable append after kill -9",
        "the same with an empty log",
    );
    for round in 0..run.rounds {
        let baseline = first_append(&empty.join(round.to_string())).await?.as_secs_f64();
        let node = NodeProcess::node(&full).await?;
        let mut client = PlainClient::connect(node.address).await.context("cannot connect")?;
        let data = Bytes::from_static(b"before the kill");
        client.append_streamed("load", IN_FLIGHT, data, LOAD).await?;
        node.kill().await?;
        let measured = first_append(&full).await?.as_secs_f64();
        figure.round(measured, baseline);
        run.say(&format!("{} round {}: {measured:.3} s beside {baseline:.3} s", figure.name, round + 1));
    }
    std::fs::remove_dir_all(&full)?;
    Ok(vec![figure])
}

async fn make(data: &Path, events: u64) -> anyhow::Result<()> {
    let config = StoreConfig::new(data.join(crate::foundation::EVENT_LOG_DIR));
    let store = tokio::task::spawn_blocking(|| Store::open(config)).await??;
    let store = Arc::new(store);
    big_log::fill(&store, 0..events, events).await?;
    tokio::task::spawn_blocking(move || store.close()).await??;
    Ok(())
}

/// Starts a node, appends one event, and kills the node again.
async fn first_append(data: &Path) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let node = NodeProcess::node(data).await?;
    let mut client = PlainClient::connect(node.address).await.context("cannot connect")?;
    client.append("first", Bytes::from_static(b"after the kill")).await?;
    let took = begun.elapsed();
    node.kill().await?;
    Ok(took)
}
