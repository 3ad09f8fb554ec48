//! Servers as processes of the real binary, each with a data directory of its own.

use anyhow::{Context, bail};
use platform::http::auth::{DevToken, Role, mint_dev_token};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Api;

/// A cold start makes a database cluster first.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A server that was told to stop must be gone after this.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Settings of a server, by environment variable.
pub type Settings = BTreeMap<String, String>;

/// The secret that tests sign tokens with.
pub const SECRET: &str = "the-secret-of-the-end-to-end-tests-48-bytes-long";

/// The binary. `cargo test --workspace` builds it before any test runs, because the package of the binary has tests
/// of its own; after a change, `cargo build -p tally` goes before the tests of this package alone.
///
/// # Panics
/// Where it has not been built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let tests = std::env::current_exe().expect("a test has a path");
        // <target>/<profile>/deps/<test>, or <target>/<profile>/<program>
        let beside = tests.ancestors().skip(1).take(2).map(|directory| directory.join("tally"));
        beside.into_iter().find(|path| path.is_file()).expect("run `cargo build -p tally` first")
    })
}

/// A directory for data, with room for a database server that runs as another user.
///
/// # Panics
/// Where none can be made.
#[must_use]
pub fn data_dir() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).expect("permissions");
    dir
}

/// The settings that every test server has.
#[must_use]
pub fn settings(data: &Path) -> Settings {
    let mut settings = Settings::new();
    let mut set = |name: &str, value: &str| settings.insert(format!("TALLY_{name}"), value.to_owned());
    set("DATA__DIR", &data.to_string_lossy());
    set("HTTP__LISTEN", "127.0.0.1:0");
    set("EVENT_LOG__LISTEN", "127.0.0.1:0");
    set("CLICKHOUSE__PORT", "0");
    // a broker and a server more for each test that needs neither
    set("DATA__WAREHOUSE", "false");
    set("AUTH__HS256_SECRET", SECRET);
    set("TELEMETRY__LOG", "warn");
    // a test is quicker than any person; these limits are tested where they are, in `platform::http`
    set("LIMITS__REQUESTS_PER_ADDRESS_SECOND", "100000");
    set("LIMITS__REQUESTS_PER_PERSON_SECOND", "100000");
    settings
}

/// A running process of the binary.
pub struct Server {
    /// What it prints first: its address.
    pub url: String,
    child: Child,
    _data: Option<TempDir>,
}

impl Server {
    /// Everything on one machine, in a fresh data directory.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn up() -> anyhow::Result<Self> {
        let data = data_dir();
        let settings = settings(data.path());
        let mut server = Self::start("up", &settings).await?;
        server._data = Some(data);
        Ok(server)
    }

    /// One service with these settings; waits for the address on its standard output.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start(service: &str, settings: &Settings) -> anyhow::Result<Self> {
        let mut child = Command::new(binary())
            .arg(service)
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start tally {service}"))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(url) = line.split_whitespace().find(|word| word.contains("://127.0.0.1:")) {
                    return anyhow::Ok(url.to_owned());
                }
            }
            bail!("tally {service} ended before it was ready")
        };
        let url = tokio::time::timeout(START_TIMEOUT, address).await.context("not ready in time")??;
        // whoever prints must not block on a full pipe
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { url, child, _data: None })
    }

    /// Waits until it is ready: before, views may still have to be made.
    ///
    /// # Errors
    /// Where that takes too long.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let url = format!("{}/health/ready", self.url.trim_end_matches('/'));
        let looking = async {
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, looking).await.context("not ready in time")
    }

    /// A client for somebody with these roles.
    #[must_use]
    pub fn client(&self, sub: &str, roles: &[Role]) -> Api {
        Api::new(&self.url, Some(token(sub, roles)))
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL, at once.
    ///
    /// # Errors
    /// Where the process cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill")
    }

    /// SIGTERM, and an end in time with exit code 0.
    ///
    /// # Errors
    /// Where it does not end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("already gone")?;
        let told = std::process::Command::new("kill").arg(pid.to_string()).status()?;
        anyhow::ensure!(told.success(), "cannot signal");
        let status =
            tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.context("did not stop")??;
        anyhow::ensure!(status.success(), "ended with {status}");
        Ok(())
    }
}

/// A token as the tests' servers accept it.
///
/// # Panics
/// Where it cannot be signed.
#[must_use]
pub fn token(sub: &str, roles: &[Role]) -> String {
    named_token(sub, roles, None)
}

/// The same, with a display name.
///
/// # Panics
/// Where it cannot be signed.
#[must_use]
pub fn named_token(sub: &str, roles: &[Role], name: Option<&str>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let token = DevToken { sub, roles, name, issuer: "tally", audience: "tally", lifetime_seconds: 3_600 };
    mint_dev_token(&SecretString::from(SECRET), &token, i64::try_from(now).expect("in range")).expect("signs")
}
