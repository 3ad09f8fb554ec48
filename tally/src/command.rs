//! What the command line can be told to do, one file each.

pub(crate) mod bench;
pub(crate) mod clickhouse_server;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod event_log;
pub(crate) mod generate;
pub(crate) mod healthcheck;
pub(crate) mod import;
pub(crate) mod log;
pub(crate) mod migrate;
pub(crate) mod rebuild;
pub(crate) mod token;
pub(crate) mod verify;
pub(crate) mod views;
pub(crate) mod warehouse;
