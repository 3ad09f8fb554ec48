//! A node on a temporary directory and a client for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use embedded::event_log::{Node, NodeConfig};
use eventstore::{Client, EventData, ReadStreamOptions, ResolvedEvent, StreamPosition};
use tempfile::TempDir;
use uuid::Uuid;

/// A node that can be stopped and started again on its directory and port.
pub(crate) struct TestNode {
    pub(crate) directory: TempDir,
    node: Option<Node>,
    pub(crate) address: SocketAddr,
}

impl TestNode {
    pub(crate) async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(NodeConfig) -> NodeConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let node = Node::start(change(config(directory.path(), 0))).await.unwrap();
        let address = node.addr();
        Self { directory, node: Some(node), address }
    }

    pub(crate) async fn stop(&mut self) {
        self.node.take().unwrap().shutdown().await.unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        if self.node.is_some() {
            self.stop().await;
        }
        self.node = Some(Node::start(config(self.directory.path(), self.address.port())).await.unwrap());
    }

    pub(crate) fn client(&self) -> Client {
        client(self.address)
    }
}

pub(crate) fn config(directory: &Path, port: u16) -> NodeConfig {
    NodeConfig::new(directory).listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

pub(crate) fn client(address: SocketAddr) -> Client {
    let settings = format!("esdb://{address}?tls=false&discoveryInterval=1").parse().unwrap();
    Client::new(settings).unwrap()
}

pub(crate) fn fresh(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::new_v4())
}

pub(crate) fn event(event_type: &str, number: u64) -> EventData {
    EventData::json(event_type, &serde_json::json!({ "number": number })).unwrap().id(Uuid::new_v4())
}

pub(crate) fn events(event_type: &str, count: u64) -> Vec<EventData> {
    (0..count).map(|number| event(event_type, number)).collect()
}

pub(crate) fn number(event: &ResolvedEvent) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&event.get_original_event().data).unwrap();
    body["number"].as_u64().unwrap()
}

pub(crate) fn from_start() -> ReadStreamOptions {
    ReadStreamOptions::default().position(StreamPosition::Start).max_count(usize::MAX)
}

pub(crate) async fn read_numbers(client: &Client, stream: &str) -> Vec<u64> {
    let mut read = client.read_stream(stream, &from_start()).await.unwrap();
    let mut numbers = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        numbers.push(number(&event));
    }
    numbers
}
