//! What one machine needs behind the production protocols: servers that a cluster would provide, hosted
//! in this process or supervised as its children. The product's own code cannot tell the difference.

/// A private Postgres: the system's server over a cluster of our own, supervised as a child process.
pub mod postgres;
