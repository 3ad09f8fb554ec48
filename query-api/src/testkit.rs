//! What tests of this crate share: shows in a log in memory, a node over real TCP, clients that speak WebSocket.

mod client;
mod node;
mod shows;

pub(crate) use client::Client;
pub(crate) use node::{Node, token, vault};
pub(crate) use shows::{AT, Happening, Show, person};
