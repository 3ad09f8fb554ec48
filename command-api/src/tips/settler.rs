//! The settler.
