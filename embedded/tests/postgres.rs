//! The private Postgres cluster against the real server: life, death and what is left behind.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use embedded::ServerError;
use embedded::postgres::{Postgres, PostgresConfig, PostgresError, PostgresState};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// Longest that anything here may take; generous, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Set for the process that [`a_parent_to_be_killed`] plays: the data directory to serve.
const PARENT_DATA_DIR: &str = "TALLY_TEST_PARENT_DATA_DIR";

fn data_dir() -> TempDir {
    tempfile::Builder::new().prefix("tally-postgres-").tempdir().unwrap()
}

fn config(dir: &TempDir) -> PostgresConfig {
    PostgresConfig::new(dir.path())
}

async fn connect(postgres: &Postgres) -> PgConnection {
    PgConnection::connect(&postgres.url()).await.unwrap()
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn text(connection: &mut PgConnection, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn execute(connection: &mut PgConnection, sql: &'static str) {
    sqlx::query(sql).execute(connection).await.unwrap();
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("took too long: {what}"))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "took too long: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The postmaster's process id according to its own file.
fn postmaster(dir: &Path) -> Option<Pid> {
    let text = fs::read_to_string(dir.join("cluster/postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.parse().ok()?)
}

/// Whether the process was called to serve this cluster, and still lives: its directory is not shown to everybody.
fn serves(pid: Pid, dir: &Path) -> bool {
    let cluster = dir.canonicalize().unwrap().join("cluster");
    let called = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    called.split(|byte| *byte == 0).any(|argument| argument == cluster.as_os_str().as_bytes())
}

/// Whether a server serves the cluster, whoever started it.
fn is_served(dir: &Path) -> bool {
    postmaster(dir).is_some_and(|pid| serves(pid, dir))
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_serves_stops_and_keeps_data() {
    let dir = data_dir();
    let postgres = in_time("first start", Postgres::start(config(&dir))).await.unwrap();
    let mut connection = connect(&postgres).await;
    execute(&mut connection, "CREATE TABLE tips (amount bigint)").await;
    execute(&mut connection, "INSERT INTO tips VALUES (40), (2)").await;
    assert_eq!(text(&mut connection, "SHOW server_encoding").await, "UTF8");
    assert_eq!(text(&mut connection, "SHOW data_checksums").await, "on");
    assert_eq!(text(&mut connection, "SHOW fsync").await, "on");
    assert_eq!(text(&mut connection, "SHOW unix_socket_directories").await, "");
    assert_eq!(
        text(&mut connection, "SELECT datcollate FROM pg_database WHERE datname = 'tally'").await,
        "C"
    );
    assert_eq!(
        number(&mut connection, "SELECT count(*) FROM pg_roles WHERE rolname = 'tally' AND rolsuper").await,
        0
    );
    let first_url = postgres.url();

    in_time("stop", postgres.stop()).await.unwrap();
    in_time("second stop", postgres.stop()).await.unwrap();
    assert_eq!(*postgres.state().borrow(), PostgresState::Stopped);
    assert!(!is_served(dir.path()));

    // the stopped handle still lives, and the cluster can be started again all the same
    let again = in_time("second start", Postgres::start(config(&dir))).await.unwrap();
    assert_eq!(password_of(&again.url()), password_of(&first_url));
    let mut connection = connect(&again).await;
    assert_eq!(number(&mut connection, "SELECT sum(amount)::bigint FROM tips").await, 42);
    in_time("last stop", again.stop()).await.unwrap();
}

fn password_of(url: &str) -> &str {
    url.split(['@', ':']).nth(2).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_needed_and_kept_secret() {
    let dir = data_dir();
    let postgres = Postgres::start(config(&dir)).await.unwrap();
    let mode = fs::metadata(dir.path().join("password")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let wrong = postgres.url().replace(password_of(&postgres.url()), "guess");
    let error = PgConnection::connect(&wrong).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    let superuser = postgres.url().replace("postgres://tally:", "postgres://postgres:");
    assert!(PgConnection::connect(&superuser).await.is_err());
    postgres.stop().await.unwrap();

    // a lost password is replaced by a new one
    let lost = password_of(&postgres.url()).to_owned();
    fs::remove_file(dir.path().join("password")).unwrap();
    let again = Postgres::start(config(&dir)).await.unwrap();
    assert_ne!(password_of(&again.url()), lost);
    connect(&again).await;
    again.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_directories_are_two_servers_and_one_directory_is_one() {
    let (left, right) = (data_dir(), data_dir());
    let (one, two) =
        tokio::try_join!(Postgres::start(config(&left)), Postgres::start(config(&right))).unwrap();
    assert_ne!(one.port(), two.port());
    connect(&one).await;
    connect(&two).await;

    let error = Postgres::start(config(&left)).await.unwrap_err();
    let own_pid = std::process::id().to_string();
    assert!(
        matches!(&error, PostgresError::Server(ServerError::AlreadyRunning { pid, .. }) if *pid == own_pid),
        "{error}"
    );
    assert!(error.to_string().contains("in use by another Tally"), "{error}");
    connect(&one).await;
    tokio::try_join!(one.stop(), two.stop()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_its_data_at_the_same_address() {
    let dir = data_dir();
    let postgres = Postgres::start(config(&dir)).await.unwrap();
    let mut connection = connect(&postgres).await;
    execute(&mut connection, "CREATE TABLE shows (id bigint)").await;
    execute(&mut connection, "INSERT INTO shows VALUES (7)").await;

    let mut state = postgres.state();
    let killed = postmaster(dir.path()).unwrap();
    kill_process(killed, Signal::KILL).unwrap();
    // which state that was passes quickly
    in_time("death seen", state.changed()).await.unwrap();
    in_time("revival", state.wait_for(|state| *state == PostgresState::Running)).await.unwrap();
    assert_ne!(postmaster(dir.path()).unwrap(), killed);
    let mut connection = connect(&postgres).await;
    assert_eq!(number(&mut connection, "SELECT id FROM shows").await, 7);
    postgres.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_come_back_is_given_up_with_the_reason() {
    let dir = data_dir();
    let postgres = Postgres::start(config(&dir)).await.unwrap();
    let control = dir.path().join("cluster/global/pg_control");
    let aside = dir.path().join("pg_control");
    fs::rename(&control, &aside).unwrap();
    kill_process(postmaster(dir.path()).unwrap(), Signal::KILL).unwrap();
    let reason = in_time("giving up", postgres.failed()).await;
    assert!(reason.contains("database system"), "{reason}");
    postgres.stop().await.unwrap();

    fs::rename(&aside, &control).unwrap();
    let again = Postgres::start(config(&dir)).await.unwrap();
    connect(&again).await;
    again.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_handle_stops_the_server() {
    let dir = data_dir();
    drop(Postgres::start(config(&dir)).await.unwrap());
    assert!(!is_served(dir.path()));
    Postgres::start(config(&dir)).await.unwrap().stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_named() {
    let dir = data_dir();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let error = Postgres::start(PostgresConfig { port: taken, ..config(&dir) }).await.unwrap_err();
    assert!(
        matches!(error, PostgresError::Server(ServerError::PortTaken { port }) if port == taken),
        "{error}"
    );
    drop(listener);

    let bad = [("shared_preload_libraries".to_owned(), "no_such_library".to_owned())].into();
    let error = Postgres::start(PostgresConfig { settings: bad, ..config(&dir) }).await.unwrap_err();
    assert!(error.to_string().contains("no_such_library"), "{error}");

    let nowhere = Some(PathBuf::from("/nowhere"));
    let error = Postgres::start(PostgresConfig { bin_dir: nowhere, ..config(&dir) }).await.unwrap_err();
    assert!(matches!(error, PostgresError::BinariesMissing), "{error}");

    let version = dir.path().join("cluster/PG_VERSION");
    let original = fs::read_to_string(&version).unwrap();
    fs::write(&version, "9\n").unwrap();
    let error = Postgres::start(config(&dir)).await.unwrap_err();
    assert!(matches!(error, PostgresError::VersionMismatch { .. }), "{error}");
    fs::write(&version, original).unwrap();

    // none of these attempts did harm or left a lock behind
    let postgres = Postgres::start(PostgresConfig { port: taken, ..config(&dir) }).await.unwrap();
    assert_eq!(postgres.port(), taken);
    postgres.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_creation_is_begun_anew_and_a_foreign_directory_left_alone() {
    let dir = data_dir();
    let half = dir.path().join("cluster.unfinished");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    let postgres = Postgres::start(config(&dir)).await.unwrap();
    connect(&postgres).await;
    assert!(!half.exists());
    postgres.stop().await.unwrap();

    let foreign = data_dir();
    fs::create_dir(foreign.path().join("cluster")).unwrap();
    let error = Postgres::start(config(&foreign)).await.unwrap_err();
    assert!(matches!(error, PostgresError::NotACluster { .. }), "{error}");
}

/// Not a test by itself: the tests below run it in a process of its own and kill that.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_to_be_killed() {
    let Some(dir) = std::env::var_os(PARENT_DATA_DIR) else {
        return;
    };
    let postgres = Postgres::start(PostgresConfig::new(PathBuf::from(&dir))).await.unwrap();
    let mut connection = connect(&postgres).await;
    execute(&mut connection, "CREATE TABLE orphaned (id bigint)").await;
    execute(&mut connection, "INSERT INTO orphaned VALUES (1)").await;
    fs::write(Path::new(&dir).join("parent-ready"), "").unwrap();
    tokio::time::sleep(PATIENCE).await;
    postgres.stop().await.unwrap();
}

/// Lets a parent start a server, and kills the parent without warning.
async fn kill_a_parent(dir: &TempDir, path: Option<&Path>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "a_parent_to_be_killed"])
        .env(PARENT_DATA_DIR, dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut parent = command.spawn().unwrap();
    until("the parent is ready", || dir.path().join("parent-ready").exists()).await;
    assert!(is_served(dir.path()));
    parent.kill().unwrap();
    parent.wait().unwrap();
}

async fn starts_with_what_the_parent_wrote(dir: &TempDir) {
    let postgres = in_time("start", Postgres::start(config(dir))).await.unwrap();
    let mut connection = connect(&postgres).await;
    assert_eq!(number(&mut connection, "SELECT id FROM orphaned").await, 1);
    postgres.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_of_a_killed_parent_ends_by_itself() {
    let dir = data_dir();
    kill_a_parent(&dir, None).await;
    until("the server has ended", || !is_served(dir.path())).await;
    starts_with_what_the_parent_wrote(&dir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_stopped_before_the_next_start() {
    let dir = data_dir();
    // without `setpriv` in reach the kernel does not stop the server, as on other systems
    let only_id = tempfile::tempdir().unwrap();
    let id = ["/usr/bin/id", "/bin/id"].iter().find(|path| Path::new(path).exists()).unwrap();
    std::os::unix::fs::symlink(id, only_id.path().join("id")).unwrap();
    kill_a_parent(&dir, Some(only_id.path())).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(is_served(dir.path()), "the orphan should have survived");
    let orphan = postmaster(dir.path()).unwrap();
    // whoever asks where it serves finds it too
    assert!(Postgres::running(dir.path()).is_some());
    starts_with_what_the_parent_wrote(&dir).await;
    assert!(!serves(orphan, dir.path()), "the orphan still works");
}

/// As in a container, where root may not look into the processes of others; an ordinary user's server is its own process.
#[test]
fn an_orphan_is_stopped_by_root_who_may_not_trace_it() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut without_tracing = Command::new("setpriv");
    without_tracing.args(["--bounding-set", "-sys_ptrace"]).arg(std::env::current_exe().unwrap());
    let test = ["--exact", "an_orphan_is_stopped_before_the_next_start"];
    let output = without_tracing.args(test).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
