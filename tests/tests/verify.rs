//! `tally verify`, as people call it: beside a running Tally it finds nothing, and whatever is changed by hand in a store it names.
#![allow(clippy::unwrap_used, reason = "what is not as expected fails the test")]

use embedded::clickhouse::{ClickHouse, DATABASE};
use embedded::postgres::Postgres;
use platform::http::auth::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::Path;
use std::process::{Command, Output};
use tally_tests::server::{Settings, binary, data_dir, settings};
use tally_tests::{Api, Server};

/// Its exit codes: nothing was found, something was found or not seen, trouble.
const WELL: Option<i32> = Some(0);
const DIFFERENT: Option<i32> = Some(1);
const TROUBLE: Option<i32> = Some(2);

fn tally(arguments: &[&str], settings: &Settings) -> Output {
    Command::new(binary()).args(arguments).envs(settings).output().unwrap()
}

fn generate(settings: &Settings) {
    let options = ["--events", "2000", "--months", "1", "--until", "2025-07-01", "--creators", "3"];
    let made = tally(&[&["generate"], &options[..]].concat(), settings);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// What it ends with, and what it prints.
fn verify(arguments: &[&str], settings: &Settings) -> (Option<i32>, String) {
    let ended = tally(&[&["verify"], arguments].concat(), settings);
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    (ended.status.code(), format!("{told}{}", String::from_utf8_lossy(&ended.stderr)))
}

fn found(told: &str, store: &str, figure: &str) -> bool {
    let (store, figure) = (format!("{store}: show-"), format!(": {figure}: expected "));
    told.lines().any(|line| line.starts_with(&store) && line.contains(&figure))
}

async fn act(api: &Api, path: &str, body: Value) -> Value {
    let answer = api.post(path, body).await.unwrap();
    assert!(answer.status < 300, "{}", answer.text);
    answer.body
}

/// A show that runs while it is verified.
async fn a_show_of_now(server: &Server) {
    let alice = server.client("alice", &[Role::Creator]);
    let show = act(&alice, "/streams", json!({ "title": "now", "category": "music" })).await;
    let path = |tail: &str| format!("/streams/{}{tail}", show["streamId"].as_str().unwrap());
    act(&alice, &path("/start"), Value::Null).await;
    for name in ["bob", "ann", "joe"] {
        let viewer = server.client(name, &[Role::Viewer]);
        act(&viewer, &path("/join"), json!({ "deviceType": "MOBILE" })).await;
        act(&viewer, &path("/chat"), json!({ "message": format!("hello from {name}") })).await;
    }
    act(&server.client("bob", &[Role::Viewer]), &path("/leave"), Value::Null).await;
}

async fn change(data: &Path, sql: String) {
    let url = Postgres::running(&data.join("postgres")).unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut connection).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{sql}");
    connection.close().await.unwrap();
}

/// A row of a read model that is changed and changed back: the view, its key, which row, the change, the way back, and which figure that is.
const CHANGES: [[&str; 6]; 5] = [
    [
        "streams",
        "show_id",
        "status = 'ENDED'",
        "total_tips = total_tips + 0.01",
        "total_tips = total_tips - 0.01",
        "tips",
    ],
    [
        "streams",
        "show_id",
        "status = 'LIVE'",
        "peak_viewers = peak_viewers + 1",
        "peak_viewers = peak_viewers - 1",
        "peak viewers",
    ],
    [
        "persons",
        "person",
        "tips_count = 1",
        "watched_ms = watched_ms + 1",
        "watched_ms = watched_ms - 1",
        "watched up to open sessions in ms",
    ],
    [
        "messages",
        "message_id",
        "text IS NOT NULL AND tip_amount IS NULL",
        "type = 'SYSTEM'",
        "type = 'MESSAGE'",
        "messages",
    ],
    [
        "payments",
        "payment_id",
        "status = 'CAPTURED'",
        "captured_amount = captured_amount + 1",
        "captured_amount = captured_amount - 1",
        "captured",
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_was_changed_by_hand_is_found() -> anyhow::Result<()> {
    let data = data_dir();
    let settings = settings(data.path());
    generate(&settings);
    let server = Server::start("up", &settings).await?;
    a_show_of_now(&server).await;
    let (code, told) = verify(&[], &settings);
    assert_eq!(code, WELL, "{told}");
    assert!(told.contains("there is no warehouse") && told.contains(" 0 differences"), "{told}");
    for [view, key, which, away, back, figure] in CHANGES {
        let change_by = |set: &str| {
            format!(
                "UPDATE read.{view} SET {set} WHERE (show_id, {key}) = \
                 (SELECT show_id, {key} FROM read.{view} WHERE {which} ORDER BY show_id, {key} LIMIT 1)"
            )
        };
        change(data.path(), change_by(away)).await;
        let (code, told) = verify(&[], &settings);
        assert!(
            code == DIFFERENT && found(&told, &format!("read.{view}"), figure),
            "{view} {figure}: {told}"
        );
        change(data.path(), change_by(back)).await;
    }
    let one = "DELETE FROM read.viewers WHERE session_id = (SELECT session_id FROM read.viewers LIMIT 1)";
    change(data.path(), one.to_owned()).await;
    let (code, told) = verify(&["--limit", "1"], &settings);
    assert!(code == DIFFERENT && told.contains("read.viewers: show-"), "{told}");
    server.stop().await?;

    let mut elsewhere = settings.clone();
    elsewhere.insert("TALLY_CLICKHOUSE__URL".into(), "http://127.0.0.1:9".into());
    let (code, told) = verify(&["--wait-seconds", "1"], &elsewhere);
    assert!(code == TROUBLE, "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_was_changed_by_hand_is_found() -> anyhow::Result<()> {
    let data = data_dir();
    let mut settings = settings(data.path());
    settings.insert("TALLY_DATA__WAREHOUSE".into(), "true".into());
    generate(&settings);
    let server = Server::start("up", &settings).await?;
    a_show_of_now(&server).await;
    // the warehouse takes its time: its servers have to start
    while ClickHouse::running(&data.path().join("clickhouse")).is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let mut ended = verify(&["--wait-seconds", "180"], &settings);
    // until its first migration is done it has no tables
    for _ in 0..60 {
        if ended.0 != TROUBLE {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        ended = verify(&["--wait-seconds", "180"], &settings);
    }
    let (code, told) = ended;
    assert!(code == WELL && !told.contains("there is no warehouse"), "{told}");

    let running = ClickHouse::running(&data.path().join("clickhouse")).unwrap();
    let client = clickhouse::Client::default()
        .with_url(running.url)
        .with_database(DATABASE)
        .with_user(running.users.writer.user)
        .with_password(running.users.writer.password.expose_secret());
    let lost = "ALTER TABLE fact_tip_changes DELETE WHERE position = \
        (SELECT min(position) FROM fact_tip_changes WHERE kind = 'CAPTURED')";
    client.query_raw(lost).with_setting("mutations_sync", "2").execute().await?;
    let (code, told) = verify(&[], &settings);
    assert!(code == DIFFERENT && found(&told, "figures", "tips"), "{told}");
    server.stop().await
}
