//! The command line, as scripts use it: what goes to standard output, and what is refused.

use std::process::{Command, Output};

fn tally(data: &std::path::Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(arguments)
        .env("TALLY_DATA__DIR", data)
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn a_token_is_all_that_is_printed() {
    let data = tempfile::tempdir().unwrap();
    let output = tally(data.path(), &["token", "--sub", "alice", "--role", "CREATOR"], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let token = stdout(&output);
    assert_eq!(token.trim_end().split('.').count(), 3, "{token}");
    assert_eq!(token.lines().count(), 1);
}

#[test]
fn production_mints_no_tokens() {
    let data = tempfile::tempdir().unwrap();
    let key = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let production = [
        ("TALLY_MODE", "production"),
        ("TALLY_AUTH__JWKS_URL", "https://auth.example.org/jwks.json"),
        ("TALLY_SECRETS__MASTER_KEY", key),
        ("TALLY_SECRETS__PSEUDONYM_KEY", other),
        ("TALLY_AGORA__APP_ID", "970ca35de60c44645bbae8a215061b33"),
        ("TALLY_AGORA__APP_CERTIFICATE", "5cfd2fd1755d40ecb72977518be15d3b"),
        ("TALLY_PAYMENTS__ALLOW_SANDBOX_PAYMENTS", "true"),
        ("TALLY_PUBLIC__RTMP_INGEST_BASE", "rtmp://ingest.example.org/live"),
        ("TALLY_PUBLIC__RECORDINGS_BASE", "https://example.org/api/v1/recordings"),
    ];
    let output = tally(data.path(), &["token", "--sub", "alice"], &production);
    assert!(!output.status.success());
    assert!(stdout(&output).is_empty());
    assert!(stderr(&output).contains("nothing mints tokens in production"), "{}", stderr(&output));
}

#[test]
fn settings_are_told_with_their_source_and_secrets_are_not() {
    let data = tempfile::tempdir().unwrap();
    let secret = "a-secret-that-nobody-should-ever-see-in-a-terminal";
    let output = tally(data.path(), &["config", "--changed"], &[("TALLY_AUTH__HS256_SECRET", secret)]);
    let told = stdout(&output);
    assert!(
        told.contains("auth.hs256_secret") && told.contains("environment TALLY_AUTH__HS256_SECRET"),
        "{told}"
    );
    assert!(!told.contains(secret), "{told}");
}

#[test]
fn a_setting_that_is_none_is_refused_with_what_was_meant() {
    let data = tempfile::tempdir().unwrap();
    let output = tally(data.path(), &["config"], &[("TALLY_HTTP__LISTN", "127.0.0.1:1")]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("TALLY_HTTP__LISTEN"), "{}", stderr(&output));
}

#[test]
fn a_service_alone_says_what_it_lacks() {
    let data = tempfile::tempdir().unwrap();
    let output = tally(data.path(), &["query-api"], &[]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("set event_log.url"), "{}", stderr(&output));
}

#[test]
fn a_server_that_is_not_there_is_not_healthy() {
    let data = tempfile::tempdir().unwrap();
    let output = tally(data.path(), &["healthcheck", "--url", "http://127.0.0.1:9"], &[]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("no answer"), "{}", stderr(&output));
}

#[test]
fn a_log_is_checked_copied_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let run = |action: &[&str], data: &str| {
        let data = path(data);
        let place = ["--data", data.to_str().unwrap()];
        tally(dir.path(), &[&["log"], action, &place].concat(), &[])
    };
    let (file, segment) = (path("copy"), path("log").join("00000000000000000000.log"));
    let file = file.to_str().unwrap();
    let store = embedded::event_log::Store::open(embedded::event_log::StoreConfig::new(path("log"))).unwrap();
    let event = embedded::event_log::NewEvent {
        id: uuid::Uuid::from_u128(1),
        event_type: "Said".to_owned(),
        content_type: "application/json".to_owned(),
        metadata: Vec::new().into(),
        data: Vec::from(*b"{}").into(),
    };
    let (stream, expected) = ("a".to_owned(), embedded::event_log::Expected::Any);
    store
        .write_blocking(embedded::event_log::Command::Append { stream, expected, events: vec![event] })
        .unwrap();

    // beside the open log, as beside a running node
    let told = run(&["verify"], "log");
    assert!(told.status.success() && stdout(&told).starts_with("1 events of 1 streams"), "{told:?}");
    assert!(run(&["backup", file], "log").status.success());
    assert!(!run(&["backup", file], "log").status.success(), "a copy is never written over");
    assert_eq!(run(&["backup", "-"], "log").stdout, std::fs::read(file).unwrap());
    drop(store);
    assert!(run(&["restore", file], "restored").status.success());
    assert!(!run(&["restore", file], "restored").status.success(), "a log is never written over");
    assert!(run(&["verify"], "restored").status.success());
    assert!(!run(&["verify"], "missing").status.success());

    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let told = run(&["verify"], "log");
    assert!(!told.status.success());
    assert!(stdout(&told).contains("00000000000000000000.log"), "{}", stdout(&told));
}
