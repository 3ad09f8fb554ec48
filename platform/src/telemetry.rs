//! Logs, metrics and trace context.

use std::panic::PanicHookInfo;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Telemetry};

pub mod traceparent;

/// Upper bounds of durations, in seconds: from a memory access to a request's time-out.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// The metrics of this process, to be read. Clones are one.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Moves what was recorded to where it is read. Call it every few seconds: between calls samples gather.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Why logs or metrics could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter is no filter.
    #[error("telemetry.log is no filter")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Something has set up logs before.
    #[error("logs are set up already")]
    Logs(#[source] tracing_subscriber::util::TryInitError),
    /// Something has set up metrics before.
    #[error("metrics cannot be set up")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
}

/// Sets up logs and metrics for the whole process, once. Logs go to standard error: standard output is for answers
/// of commands such as `tally token`.
///
/// # Errors
/// Where the filter is wrong, or logs or metrics are set up already.
pub fn init(settings: &Telemetry) -> Result<Metrics, TelemetryError> {
    let filter = EnvFilter::try_new(&settings.log).map_err(TelemetryError::Filter)?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).finish().try_init(),
        LogFormat::Pretty => logs.pretty().finish().try_init(),
    }
    .map_err(TelemetryError::Logs)?;
    std::panic::set_hook(Box::new(log_panic));
    let handle =
        metrics_builder().and_then(PrometheusBuilder::install_recorder).map_err(TelemetryError::Metrics)?;
    Ok(Metrics(handle))
}

/// The recorder's settings; names that end in `_seconds` are durations.
fn metrics_builder() -> Result<PrometheusBuilder, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)
}

/// A panic is a fault of ours, wherever it happens: one line in the log, with its place.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message =
        message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    metrics::counter!("panics_total").increment(1);
    tracing::error!(
        panic.message = message,
        panic.place = place,
        panic.thread = thread.name().unwrap_or_default(),
        panic.backtrace = %std::backtrace::Backtrace::capture(),
        "panicked"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_histograms() {
        let recorder = metrics_builder().expect("builds").build_recorder();
        let metrics = Metrics(recorder.handle());
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("http_request_seconds").record(0.002);
            metrics::counter!("http_requests_total").increment(1);
        });
        let text = metrics.render();
        assert!(text.contains("http_request_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        assert!(text.contains("http_requests_total 1"), "{text}");
    }
}
