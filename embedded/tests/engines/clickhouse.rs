//! The server, by plain HTTP, as any client speaks to it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use embedded::clickhouse::launcher::COMMAND;
use embedded::clickhouse::{ClickHouse, ClickHouseConfig, ClickHouseError, Credentials};
use embedded::{ServerError, ServerState};
use secrecy::ExposeSecret;

use crate::support::{DataDir, Kernel, in_time, kill_a_parent, parent_data_dir, serve_until_killed, until};

/// The program that loads the library.
const LAUNCHER: &str = env!("CARGO_BIN_EXE_embedded-clickhouse");

fn config(data: &DataDir) -> ClickHouseConfig {
    ClickHouseConfig::new(&data.path, LAUNCHER)
}

async fn start(data: &DataDir) -> ClickHouse {
    in_time("start", ClickHouse::start(config(data))).await.unwrap()
}

/// Asks as this user; the error is the server's text.
async fn ask(server: &ClickHouse, user: &Credentials, sql: &str) -> Result<String, String> {
    let request = reqwest::Client::new()
        .post(server.url())
        .header("X-ClickHouse-User", user.user)
        .header("X-ClickHouse-Key", user.password.expose_secret())
        .body(sql.to_owned());
    let answer = in_time(sql, request.send()).await.unwrap();
    let status = answer.status();
    // a query that fails when rows are already on their way ends in the middle of the answer
    let text = answer.text().await.map_err(|cut_off| cut_off.to_string())?.trim().to_owned();
    if status.is_success() { Ok(text) } else { Err(text) }
}

async fn write(server: &ClickHouse, sql: &str) -> String {
    ask(server, server.writer(), sql).await.unwrap()
}

async fn make_tips(server: &ClickHouse) {
    write(server, "CREATE TABLE warehouse.tips (amount Int64) ENGINE = MergeTree ORDER BY amount").await;
    write(server, "INSERT INTO warehouse.tips VALUES (40), (2)").await;
}

const SUM: &str = "SELECT sum(amount) FROM warehouse.tips";

#[tokio::test(flavor = "multi_thread")]
async fn starts_serves_stops_and_keeps_data() {
    let data = DataDir::new();
    let server = start(&data).await;
    assert!(server.url().starts_with("http://127.0.0.1:"));
    make_tips(&server).await;
    assert_eq!(write(&server, SUM).await, "42");
    write(&server, "SYSTEM FLUSH LOGS").await;
    let recorded =
        "SELECT count() FROM system.query_log WHERE query LIKE '%sum(amount)%' AND is_initial_query";
    let before: u32 = write(&server, recorded).await.parse().unwrap();
    assert!(before > 0);
    for (setting, value) in [("fsync_after_insert", "1"), ("fsync_part_directory", "1")] {
        let asked = format!("SELECT value FROM system.merge_tree_settings WHERE name = '{setting}'");
        assert_eq!(write(&server, &asked).await, value, "{setting}");
    }
    let memory = "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'";
    assert_eq!(write(&server, memory).await, (1_536_u64 << 20).to_string());
    let running = ClickHouse::running(&data.path).unwrap();
    assert_eq!((running.url, running.users.writer.user), (server.url(), "writer"));

    in_time("stop", server.shutdown()).await.unwrap();
    in_time("second stop", server.shutdown()).await.unwrap();
    assert_eq!(*server.state().borrow(), ServerState::Stopped);
    assert!(!data.is_served());
    assert!(ClickHouse::running(&data.path).is_none());

    // the stopped handle still lives, and the directory can be started again all the same
    let again = start(&data).await;
    assert_eq!(again.writer().password.expose_secret(), server.writer().password.expose_secret());
    assert_eq!(write(&again, SUM).await, "42");
    let after: u32 = write(&again, recorded).await.parse().unwrap();
    assert!(after >= before, "the server's own tables outlive it");
    in_time("last stop", again.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_its_data_at_the_same_address() {
    let data = DataDir::new();
    let server = start(&data).await;
    make_tips(&server).await;
    let (mut state, url) = (server.state(), server.url());
    data.kill_server();
    in_time("death seen", state.wait_for(|state| *state == ServerState::Restarting { attempt: 1 }))
        .await
        .unwrap();
    in_time("revival", state.wait_for(|state| *state == ServerState::Running)).await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(write(&server, SUM).await, "42");
    server.shutdown().await.unwrap();
}

/// What nobody may do who comes over the network: reach files, other servers and programs.
const REACHING_OUT: [&str; 12] = [
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT * FROM default.\"/etc/hostname\"",
    "SELECT * FROM `default`.`/etc/hostname`",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1:1', 'system', 'one')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM sqlite('/etc/hostname', 't')",
    "SELECT * FROM executable('cat', 'TSV', 'a String', (SELECT 1))",
    "INSERT INTO FUNCTION file('/dev/null', 'TSV', 'a UInt8') VALUES (1)",
    "SELECT 1 INTO OUTFILE '/dev/null'",
];

#[tokio::test(flavor = "multi_thread")]
async fn readers_read_and_do_nothing_else() {
    let data = DataDir::new();
    let server = start(&data).await;
    make_tips(&server).await;
    write(&server, "SYSTEM FLUSH LOGS").await;
    for reader in [server.analyst(), server.grafana()] {
        assert_eq!(ask(&server, reader, SUM).await.unwrap(), "42");
        // what drivers do, and what keeps within the limits
        for sql in [
            "SELECT name, value, readonly FROM system.settings LIMIT 1",
            "SELECT version(), timezone(), currentDatabase()",
            "SHOW TABLES FROM warehouse",
            "DESCRIBE TABLE warehouse.tips",
            "SELECT name FROM system.columns WHERE database = 'warehouse'",
            "SELECT sum(amount) FROM warehouse.tips SETTINGS max_execution_time = 5, max_block_size = 100",
            "WITH t AS (SELECT amount FROM warehouse.tips) SELECT max(amount) FROM t FORMAT JSON",
            "SELECT count() FROM numbers(10)",
        ] {
            let answer = ask(&server, reader, sql).await;
            assert!(answer.is_ok(), "{} may not {sql}: {answer:?}", reader.user);
        }
        for sql in [
            "INSERT INTO warehouse.tips VALUES (1)",
            "CREATE TABLE warehouse.mine (a UInt8) ENGINE = Memory",
            "CREATE DATABASE warehouse_mine",
            "DROP TABLE warehouse.tips",
            "TRUNCATE TABLE warehouse.tips",
            "ALTER TABLE warehouse.tips DELETE WHERE 1",
            "OPTIMIZE TABLE warehouse.tips FINAL",
            "SYSTEM SHUTDOWN",
            "SYSTEM STOP LISTEN HTTP",
            "KILL QUERY WHERE 1",
            "CREATE USER other",
            "CREATE FUNCTION f AS (x) -> x",
            "BACKUP TABLE warehouse.tips TO File('/dev/null')",
            "SELECT query FROM system.query_log",
            "SELECT count() FROM system.processes",
            "SET readonly = 0",
            "SELECT 1 SETTINGS readonly = 0",
            "SELECT 1 SETTINGS max_execution_time = 0",
            "SELECT 1 SETTINGS max_execution_time = 3600",
            "SELECT 1 SETTINGS max_memory_usage = 0",
            "SELECT 1 SETTINGS max_memory_usage_for_user = 0",
            "SELECT 1 SETTINGS max_memory_usage_for_user = 1000000000",
            "SELECT 1 SETTINGS max_result_rows = 0",
            "SELECT 1 SETTINGS timeout_overflow_mode = 'break'",
            "SELECT number FROM numbers(2000000)",
            "SELECT groupArray(number) FROM numbers(200000000)",
        ]
        .into_iter()
        .chain(REACHING_OUT)
        {
            let answer = ask(&server, reader, sql).await;
            assert!(answer.is_err(), "{} may {sql}: {answer:?}", reader.user);
        }
        assert_eq!(ask(&server, reader, SUM).await.unwrap(), "42", "nothing of it had an effect");
    }
    server.shutdown().await.unwrap();
}

/// Holds 240 MB for some seconds, and gives up at once where they are not to be had.
const LARGE: &str = "SELECT length(a), sleepEachRow(2) FROM (SELECT groupArray(number) AS a FROM numbers(30000000)) \
    SETTINGS memory_usage_overcommit_max_wait_microseconds = 0";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_asks_at_once_leaves_memory_to_others() {
    let data = DataDir::new();
    let server = start(&data).await;
    make_tips(&server).await;
    let alone = ask(&server, server.analyst(), LARGE).await;
    assert!(alone.is_ok(), "{alone:?}");
    let large = || ask(&server, server.analyst(), LARGE);
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for user in [server.grafana(), server.writer()] {
            assert_eq!(ask(&server, user, SUM).await.unwrap(), "42");
        }
    };
    let (one, two, three, four, ()) = tokio::join!(large(), large(), large(), large(), others);
    let answers = [one, two, three, four];
    let refused = |answer: &Result<_, String>| {
        answer.as_ref().is_err_and(|why| why.contains("User memory limit exceeded"))
    };
    assert!(answers.iter().any(refused), "{answers:?}");
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writer_owns_the_warehouse_and_reaches_nothing_else() {
    let data = DataDir::new();
    let server = start(&data).await;
    make_tips(&server).await;
    for sql in [
        "ALTER TABLE warehouse.tips ADD COLUMN currency LowCardinality(String) COMMENT 'ISO 4217'",
        "CREATE MATERIALIZED VIEW warehouse.totals ENGINE = SummingMergeTree ORDER BY currency \
         AS SELECT currency, sum(amount) AS total FROM warehouse.tips GROUP BY currency",
        "INSERT INTO warehouse.tips VALUES (1, 'EUR')",
        "OPTIMIZE TABLE warehouse.tips FINAL",
        "CREATE DATABASE warehouse_of_a_test",
        "CREATE TABLE warehouse_of_a_test.t (a UInt8) ENGINE = MergeTree ORDER BY a",
        "INSERT INTO warehouse_of_a_test.t SELECT number FROM numbers(10)",
        "EXCHANGE TABLES warehouse.tips AND warehouse.tips2",
        "DROP DATABASE warehouse_of_a_test SYNC",
        "SELECT count() FROM system.parts",
    ] {
        if sql.starts_with("EXCHANGE") {
            write(&server, "CREATE TABLE warehouse.tips2 AS warehouse.tips").await;
        }
        let answer = ask(&server, server.writer(), sql).await;
        assert!(answer.is_ok(), "the writer may not {sql}: {answer:?}");
    }
    for sql in ["CREATE DATABASE other", "CREATE USER other", "DROP DATABASE system", "SYSTEM SHUTDOWN"]
        .into_iter()
        .chain(REACHING_OUT)
    {
        let answer = ask(&server, server.writer(), sql).await;
        assert!(answer.is_err(), "the writer may {sql}: {answer:?}");
    }
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_needed_and_kept_secret() {
    let data = DataDir::new();
    let server = start(&data).await;
    for file in ["secrets/writer", "secrets/analyst", "secrets/grafana", "config.xml"] {
        let mode = fs::metadata(data.path.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(fs::metadata(&data.path).unwrap().permissions().mode() & 0o777, 0o700);
    let refused = |user, password: &str| Credentials { user, password: password.to_owned().into() };
    for nobody in [
        refused("default", ""),
        refused("default", "default"),
        refused("writer", ""),
        refused("analyst", "guess"),
        refused("grafana", server.analyst().password.expose_secret()),
    ] {
        let answer = ask(&server, &nobody, "SELECT 1").await;
        let refusals = ["Authentication failed", "USER_SESSION_LIMIT_EXCEEDED"];
        let refused = |error: &String| refusals.iter().any(|refusal| error.contains(refusal));
        assert!(answer.as_ref().is_err_and(refused), "{} came in: {answer:?}", nobody.user);
    }
    let answer = reqwest::get(format!("{}/?query=SELECT+1", server.url())).await.unwrap();
    assert!(!answer.status().is_success(), "nobody is let in without a name");
    drop(server);
    assert!(!data.is_served(), "dropping the handle stops the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_named() {
    let data = DataDir::new();
    let server = start(&data).await;
    let error = ClickHouse::start(config(&data)).await.unwrap_err();
    let own_pid = std::process::id().to_string();
    assert!(
        matches!(&error, ClickHouseError::Server(ServerError::AlreadyRunning { pid, .. }) if *pid == own_pid),
        "{error}"
    );
    assert!(error.to_string().contains("in use by another Tally"), "{error}");

    // the engine's own lock, which only somebody meets who starts it by hand
    let line = fs::read(format!("/proc/{}/cmdline", data.noted_pid().as_raw_nonzero())).unwrap();
    let line = String::from_utf8(line).unwrap();
    let mut arguments: Vec<&str> = line.trim_end_matches('\0').split('\0').skip(1).collect();
    assert_eq!(arguments[0], COMMAND);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    arguments[4] = &port;
    let second = Command::new(LAUNCHER).args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("Cannot lock file"), "{said}");
    server.shutdown().await.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let error = ClickHouse::start(ClickHouseConfig { port: taken, ..config(&data) }).await.unwrap_err();
    assert!(
        matches!(error, ClickHouseError::Server(ServerError::PortTaken { port }) if port == taken),
        "{error}"
    );

    let no_library = Some(data.path.join("config.xml"));
    let error =
        ClickHouse::start(ClickHouseConfig { library: no_library, ..config(&data) }).await.unwrap_err();
    assert!(error.to_string().contains("cannot load the ClickHouse library"), "{error}");

    // none of these attempts did harm or left a lock behind
    start(&data).await.shutdown().await.unwrap();
}

/// Not a test by itself: the tests below run it in a process of its own and kill that.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_to_be_killed() {
    let Some(dir) = parent_data_dir() else {
        return;
    };
    let server = ClickHouse::start(ClickHouseConfig::new(&dir, LAUNCHER)).await.unwrap();
    make_tips(&server).await;
    serve_until_killed(&dir).await;
    server.shutdown().await.unwrap();
}

async fn starts_with_what_the_parent_wrote(data: &DataDir) {
    let server = start(data).await;
    assert_eq!(write(&server, SUM).await, "42");
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_of_a_killed_parent_ends_by_itself() {
    let data = DataDir::new();
    kill_a_parent("clickhouse::a_parent_to_be_killed", &data, Kernel::Helps).await;
    until("the server has ended", || !data.is_served()).await;
    starts_with_what_the_parent_wrote(&data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_stopped_before_the_next_start() {
    let data = DataDir::new();
    kill_a_parent("clickhouse::a_parent_to_be_killed", &data, Kernel::DoesNotHelp).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(data.is_served(), "the orphan should have survived");
    let orphan = data.noted_pid();
    starts_with_what_the_parent_wrote(&data).await;
    let traces = format!("/proc/{}/cwd", orphan.as_raw_nonzero());
    assert!(fs::read_link(traces).is_err(), "the orphan still works");
}
