//! `docs/analytics.md` as an analyst follows it: over the real engine, as the user `analyst`, by curl and in Python.

use super::audience::{Audience, LATER_MS, SHOW};
use super::engine::{Database, Engine};
use super::world;
use analytics::figures::{Figures, Period, Scope};
use schemas::{Money, Timestamp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const DOCUMENT: &str = include_str!("../../../docs/analytics.md");

/// What a reader of the warehouse must not do.
const REFUSED: [&str; 17] = [
    "INSERT INTO fact_messages (message_id) VALUES (generateUUIDv4())",
    "INSERT INTO FUNCTION file('x.csv') SELECT 1",
    "CREATE TABLE mine (a Int8) ENGINE = MergeTree ORDER BY a",
    "CREATE TEMPORARY TABLE mine (a Int8) ENGINE = Memory",
    "CREATE DATABASE warehouse_mine",
    "CREATE VIEW mine AS SELECT 1",
    "ALTER TABLE fact_messages DELETE WHERE 1",
    "ALTER TABLE fact_messages DROP COLUMN words",
    "TRUNCATE TABLE fact_messages",
    "DROP VIEW shows",
    "DROP TABLE fact_messages",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1:1', 'warehouse.shows')",
    "SELECT * FROM system.processes",
    "SYSTEM SHUTDOWN",
];

/// Codes of ClickHouse for what a user may not do: ACCESS_DENIED, READONLY.
const DENIALS: [&str; 2] = ["Code: 497.", "Code: 164."];

/// The blocks of the document in one language, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    DOCUMENT.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap().trim()).collect()
}

fn parameters() -> Value {
    // in the middle of the show: 90 minutes until it starts, and some minutes of it
    let moment = LATER_MS + (90 + 5) * 60_000;
    let moment = chrono::DateTime::from_timestamp_millis(moment).unwrap();
    json!({
        "show": SHOW.to_string(),
        "creator": world::creator(0).to_string(),
        "zone": "Asia/Kolkata",
        "at": moment.format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
    })
}

struct Analyst {
    url: String,
    password: String,
}

impl Analyst {
    fn curl(&self, sql: &str) -> Output {
        let mut address = format!("{}/?database=warehouse&default_format=JSONCompactEachRow", self.url);
        for (name, value) in parameters().as_object().unwrap() {
            address += &format!("&param_{name}={}", value.as_str().unwrap().replace(' ', "%20"));
        }
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--data-binary", "@-"]);
        curl.args(["--user", &format!("analyst:{}", self.password)]);
        let mut child = curl
            .arg(&address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The rows of an answer.
    fn ask(&self, sql: &str) -> Vec<Value> {
        let output = self.curl(sql);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{sql}\n{text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn the_document_can_be_followed() {
    let engine = Engine::start().await;
    let database = Database::of_readers(&engine).await;
    Audience::new().fill(&database).await;
    let credentials = engine.credentials("analyst");
    let analyst = Analyst { url: engine.url(), password: credentials.password.expose_secret().to_owned() };
    let queries = blocks("sql");
    assert_eq!(queries.len(), 11, "ten, and how fresh it all is");
    let answers: Vec<Vec<Value>> = queries.iter().map(|sql| analyst.ask(sql)).collect();
    for (sql, rows) in queries.iter().zip(&answers) {
        assert!(!rows.is_empty(), "no rows: {sql}");
    }
    // what the last query promises
    let unique = analyst.ask("SELECT toUInt32(unique_viewers) FROM shows WHERE show_id = {show:UUID}");
    assert_eq!(unique[0][0], json!(answers[10].len()));
    peak_times_are_the_figure(&Figures::new(database.client.clone()), &answers[3]).await;
    for sql in REFUSED {
        let output = analyst.curl(sql);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "was not refused: {sql}");
        assert!(DENIALS.iter().any(|code| text.starts_with(code)), "failed by chance: {sql}\n{text}");
    }
    follow_shell(&analyst);
    follow_python(&analyst, &queries, &answers);
    every_view_is_told(&analyst);
}

/// The third query says what the figure says: money by currency, also in an hour in which nothing was on air.
async fn peak_times_are_the_figure(figures: &Figures, rows: &[Value]) {
    let period = Period { from: Timestamp::from_millis(0), to: Timestamp::from_millis(i64::MAX) };
    let scope = Scope::Creator(world::creator(0));
    let zone = parameters()["zone"].as_str().unwrap().to_owned();
    let hours = figures.peak_times(scope, period, &zone).await.unwrap();
    assert!(hours.iter().any(|hour| hour.concurrent.shows == 0));
    let mut rows: Vec<(u8, u8, u64, f64, BTreeMap<String, f64>)> =
        rows.iter().map(|row| serde_json::from_value(row.clone()).unwrap()).collect();
    rows.sort_by_key(|(weekday, hour, ..)| (*weekday, *hour));
    assert_eq!(rows.len(), hours.len());
    for ((weekday, of_day, shows, mean, tips), hour) in rows.iter().zip(&hours) {
        let amount = |tips: &Money| tips.amount().to_string().parse::<f64>().unwrap();
        let taken = hour.tips.iter().map(|tips| (tips.currency().code().to_owned(), amount(tips)));
        assert_eq!((*weekday, *of_day, *shows), (hour.weekday, hour.hour, hour.concurrent.shows));
        assert!((mean - hour.concurrent.mean).abs() < 1e-9, "{mean} {hour:?}");
        assert_eq!(*tips, taken.collect());
    }
    let currencies: BTreeSet<&String> = rows.iter().flat_map(|row| row.4.keys()).collect();
    assert_eq!(currencies.len(), 2);
}

/// The document's own words, in a shell.
fn follow_shell(analyst: &Analyst) {
    // the one before it asks a running Tally for the password
    let asking = *blocks("sh").iter().find(|block| block.starts_with("curl ")).unwrap();
    let output = Command::new("sh")
        .args(["-euc", asking])
        .env("URL", &analyst.url)
        .env("PASSWORD", &analyst.password)
        .env("SHOW", SHOW.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("A show?"), "{text}");
}

fn follow_python(analyst: &Analyst, queries: &[&str], answers: &[Vec<Value>]) {
    let counted = queries.iter().zip(answers).map(|(sql, rows)| json!({ "sql": sql, "rows": rows.len() }));
    let what = json!({
        "url": analyst.url,
        "password": analyst.password,
        "show": SHOW.to_string(),
        "parameters": parameters(),
        "python": blocks("python")[0],
        "queries": counted.collect::<Vec<_>>(),
        "refused": REFUSED,
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(what.to_string().as_bytes()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/analysts/run");
    let status = Command::new(script).arg(file.path()).status().unwrap();
    assert!(status.success(), "Python did not find what the document says; its output is above");
}

/// The table of views names all of them and no others, and what the document says of their comments is so.
fn every_view_is_told(analyst: &Analyst) {
    let known = "SELECT name FROM system.tables WHERE database = 'warehouse' AND engine = 'View' AND comment != '' ORDER BY name";
    let known: Vec<String> =
        analyst.ask(known).iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    let table = DOCUMENT.split("| view |").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut told: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    told.sort_unstable();
    assert_eq!(told, known);
    let described = analyst.ask("DESCRIBE TABLE shows");
    assert!(described.iter().all(|column| !column[4].as_str().unwrap().is_empty()), "{described:?}");
}
