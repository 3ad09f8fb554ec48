//! Official clients of two other languages against the node: Python and JavaScript, unmodified, over the wire.

use std::path::Path;
use tally_tests::Server;
use tally_tests::server::{data_dir, settings};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_clients_find_what_they_expect() -> anyhow::Result<()> {
    let data = data_dir();
    let node = Server::start("event-log", &settings(data.path())).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/run");
    let status = tokio::process::Command::new(script).arg(&node.url).status().await?;
    assert!(status.success(), "a client did not find what it expects; its output is above");
    node.stop().await
}
