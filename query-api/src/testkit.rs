//! What tests of this crate share: shows in a log in memory, a node over real TCP, clients that speak WebSocket.

mod client;
mod node;
mod shows;

pub(crate) use client::Client;
pub(crate) use node::{CommandLog, Node, token};
pub(crate) use shows::{Kind, PlainOpener, Show, any_event, envelope, person};
