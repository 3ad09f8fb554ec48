//! The figures of the log's writer and store, looked up once: by name they would cost as much as the rest of a
//! small append. What they mean stands in docs/running.md.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// The handles.
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) events: Counter,
    pub(crate) bytes: Counter,
    pub(crate) repeats: Counter,
    pub(crate) append_seconds: Histogram,
    pub(crate) batch_commands: Histogram,
    pub(crate) flush_seconds: Histogram,
    pub(crate) queue_commands: Gauge,
    pub(crate) segments: Gauge,
    pub(crate) end: Gauge,
    pub(crate) index_memory_bytes: Gauge,
    pub(crate) index_lag_bytes: Gauge,
    pub(crate) free_bytes: Gauge,
    pub(crate) read_only: Gauge,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            events: counter!("event_log_events_total"),
            bytes: counter!("event_log_bytes_total"),
            repeats: counter!("event_log_repeated_appends_total"),
            append_seconds: histogram!("event_log_append_seconds"),
            batch_commands: histogram!("event_log_batch_commands"),
            flush_seconds: histogram!("event_log_flush_seconds"),
            queue_commands: gauge!("event_log_queue_commands"),
            segments: gauge!("event_log_segments"),
            end: gauge!("event_log_end_bytes"),
            index_memory_bytes: gauge!("event_log_index_memory_bytes"),
            index_lag_bytes: gauge!("event_log_index_lag_bytes"),
            free_bytes: gauge!("event_log_free_bytes"),
            read_only: gauge!("event_log_read_only"),
        }
    }
}

/// A count as a figure: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
pub(crate) fn figure(count: u64) -> f64 {
    count as f64
}
