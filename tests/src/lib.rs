//! What the end-to-end tests share: servers as processes of the real binary, an API client, a socket.

pub mod api;
pub mod cluster;
pub mod repository;
pub mod server;
pub mod socket;

pub use api::{Answer, Api};
pub use cluster::Cluster;
pub use server::{Server, Settings};
pub use socket::Socket;
