//! (placeholder while the workspace is laid out)

/// What this service needs from outside, as traits.
pub mod ports;
