//! What dashboards and alerts ask of Prometheus, read by its own grammar in `tests/promql`.

use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// An expression that was read.
#[derive(Debug, Deserialize)]
pub struct Reading {
    /// The metrics that it names.
    pub metrics: BTreeSet<String>,
    /// Where it is none.
    pub fault: Option<usize>,
}

/// Reads expressions, each once Grafana has put in an interval.
pub fn read(expressions: &[&str]) -> Vec<Reading> {
    // packages are installed by one at a time
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let whole: Vec<String> =
        expressions.iter().map(|expression| expression.replace("$__rate_interval", "1m")).collect();
    let mut child = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql/run"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(serde_json::to_string(&whole).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "nothing was read; what Node says is above");
    let readings: Vec<Reading> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(readings.len(), expressions.len());
    readings
}

#[test]
fn metrics_are_found_in_expressions() {
    let expressions = [
        "histogram_quantile(0.5, sum by (le, route) (rate(a_bucket{x=~\"5..\"}[$__rate_interval]))) / b",
        "sum((a unless a offset $__rate_interval) or increase(c[10m])) > bool 0",
    ];
    for (reading, names) in read(&expressions).iter().zip([["a_bucket", "b"], ["a", "c"]]) {
        assert_eq!(reading.metrics, names.map(str::to_owned).into(), "{reading:?}");
        assert_eq!(reading.fault, None);
    }
    let wrong = ["", "sum by (b) (a", "nothing_known(a)", "a{b=}", "a b", "sum(rate(a[1m]) by (x)", "a[5q]"];
    for (reading, wrong) in read(&wrong).iter().zip(wrong) {
        assert!(reading.fault.is_some(), "{wrong}");
    }
}
