//! An event-log node as a process of its own, for tests that kill it.
//!
//! Arguments: the data directory, the port (0 takes a free one). Prints the address as its only line.

use std::net::{Ipv4Addr, SocketAddr};

use embedded::event_log::{Node, NodeConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let data_dir = arguments.next().ok_or("usage: event_log_node <data directory> [port]")?;
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let node = Node::start(NodeConfig::new(data_dir).listen(listen)).await?;
    println!("{}", node.addr());
    tokio::signal::ctrl_c().await?;
    node.shutdown().await?;
    Ok(())
}
