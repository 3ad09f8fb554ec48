//! The saga, with a crash at every point.

mod crashes;
mod kit;
mod outcomes;
