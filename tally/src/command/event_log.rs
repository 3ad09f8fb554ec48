//! `tally event-log`: the embedded node alone. Its address is the one line on standard output.

use anyhow::Context;
use embedded::event_log::{Node, NodeConfig};
use platform::config::Config;
use platform::shutdown::Shutdown;

use crate::foundation;

/// Runs the node until it is told to stop.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    platform::telemetry::init(&config.telemetry)?;
    let shutdown = Shutdown::new();
    shutdown.watch_signals().context("cannot listen for signals")?;
    let data = foundation::data_dir(config)?.join(foundation::EVENT_LOG_DIR);
    let node = Node::start(NodeConfig::new(data).listen(config.event_log.listen)).await?;
    println!("kurrentdb://{}?tls=false", node.addr());
    shutdown.begun().await;
    node.shutdown().await?;
    Ok(())
}
