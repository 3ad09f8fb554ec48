//! What tests of this crate share: shows in a log in memory, a node over real TCP, clients that speak WebSocket.

mod client;
mod database;
mod node;
mod shows;
mod warehouse;

pub(crate) use client::Client;
pub(crate) use database::Database;
pub(crate) use node::{KEY_LEASE, Node, edge_config, pseudonyms, token, vault};
pub(crate) use shows::{AT, Happening, Show, person};
pub(crate) use warehouse::Warehouse;
