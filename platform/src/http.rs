//! The HTTP edge: what every request passes and every answer carries, whichever service it is for.

pub mod amount;
pub mod auth;
pub mod context;
pub mod edge;
pub mod idempotency;
pub mod json;
pub mod limits;
pub mod page;
pub mod position;
pub mod problem;
pub mod query;
pub mod server;
