//! Logs, metrics and trace context.

pub mod traceparent;
