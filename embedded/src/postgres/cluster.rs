//! The cluster on disk: its layout, its creation, its password, and the lock that keeps it to one process.
//!
//! ```text
//! <data dir>/lock       held by the process that runs the cluster
//! <data dir>/password   the password of `tally`, readable by us alone
//! <data dir>/cluster/   Postgres' own directory, owned by the server's account
//! ```

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::account::Account;
use super::binaries::{self, Binaries};
use super::error::PostgresError;
use super::settings::{self, HBA, NAME, TALLY};
use super::{PostgresConfig, orphan};
use crate::supervision::error::ServerError;
use crate::supervision::tool::{self, LastWord};
use crate::supervision::{EarlyEnd, Server, directory};

/// Room that a new cluster needs: 46 MiB at rest, three 16 MiB log segments, and some air.
const NEW_CLUSTER_MIB: u64 = 200;

/// The data directory may be entered by the server's account, not listed.
const DATA_DIR_MODE: u32 = 0o711;

/// Postgres insists that nobody else can enter its directory.
const CLUSTER_MODE: u32 = 0o700;

/// A cluster that is locked, complete and not running.
pub(crate) struct Cluster {
    config: PostgresConfig,
    pub(crate) dir: PathBuf,
    binaries: Binaries,
    account: Account,
    pub(crate) password: String,
}

/// Makes the cluster ready to be started: takes its lock, finds the server, stops what an earlier run
/// left running, and creates what is missing. Blocks.
pub(crate) fn prepare(config: PostgresConfig) -> Result<(Cluster, File), PostgresError> {
    let data_dir = directory::open(&config.data_dir, DATA_DIR_MODE)?;
    let lock = directory::lock(NAME, &data_dir)?;
    let account = Account::choose()?;
    account.check_can_reach(&data_dir)?;
    let dir = data_dir.join("cluster");
    let existing = existing_version(&dir)?;
    let binaries = binaries::find(config.bin_dir.as_deref(), &dir, existing.as_deref())?;
    orphan::stop(&dir)?;

    let stored = read_password(&data_dir)?;
    let password = stored.clone().unwrap_or_else(directory::new_secret);
    let cluster = Cluster { config, dir, binaries, account, password };
    match (existing.is_some(), stored.is_some()) {
        (true, true) => {}
        (true, false) => {
            // the server learns the new password before we rely on it, so a crash between repeats this
            cluster.single_user("set the password", &cluster.dir, &cluster.password_sql("ALTER"))?;
            write_password(&data_dir, &cluster.password)?;
        }
        (false, kept) => {
            if !kept {
                write_password(&data_dir, &cluster.password)?;
            }
            cluster.create(&data_dir)?;
        }
    }
    Ok((cluster, lock))
}

impl Cluster {
    /// Creates the cluster beside its place and then moves it there, so that it is whole or absent.
    fn create(&self, data_dir: &Path) -> Result<(), PostgresError> {
        directory::check_space(NAME, data_dir, NEW_CLUSTER_MIB)?;
        tracing::info!(postgres.dir = %self.dir.display(), "creating the database cluster");
        let unfinished = self.dir.with_extension("unfinished");
        directory::remove(&unfinished)?;
        DirBuilder::new()
            .mode(CLUSTER_MODE)
            .create(&unfinished)
            .map_err(PostgresError::io(format!("create {}", unfinished.display())))?;
        self.account.own(&unfinished)?;

        let mut initdb = tool::tied_to_us(&self.binaries.program("initdb"), LastWord::Interrupt);
        initdb
            .arg("--pgdata")
            .arg(&unfinished)
            .args(["--encoding=UTF8", "--locale=C", "--data-checksums", "--username=postgres"])
            .args(["--auth=reject", "--no-instructions"]);
        self.account.apply(initdb.current_dir("/"));
        tool::run("creating the database cluster", initdb, "")?;

        let hba = unfinished.join("pg_hba.conf");
        fs::write(&hba, HBA).map_err(PostgresError::io(format!("write {}", hba.display())))?;
        let sql = format!(
            "{}CREATE DATABASE {TALLY} OWNER {TALLY};\nGRANT pg_monitor TO {TALLY};\n",
            self.password_sql("CREATE")
        );
        self.single_user("creating the database", &unfinished, &sql)?;
        fs::rename(&unfinished, &self.dir)
            .and_then(|()| File::open(data_dir)?.sync_all())
            .map_err(PostgresError::io(format!("move the new cluster to {}", self.dir.display())))
    }

    /// The password is hexadecimal, so it needs no quoting.
    fn password_sql(&self, verb: &str) -> String {
        format!("{verb} ROLE {TALLY} LOGIN CREATEDB PASSWORD '{}';\n", self.password)
    }

    /// Runs statements, one a line, in a server without network that ends afterwards.
    fn single_user(&self, step: &'static str, dir: &Path, sql: &str) -> Result<(), PostgresError> {
        let mut postgres = tool::tied_to_us(&self.binaries.program("postgres"), LastWord::Interrupt);
        postgres
            .arg("--single")
            .arg("-D")
            .arg(dir)
            .args(["-c", "exit_on_error=on", "-c", "password_encryption=scram-sha-256"])
            // a failing statement must not show the password
            .args(["-c", "log_min_error_statement=panic", "-c", "log_checkpoints=off"])
            .arg("postgres");
        self.account.apply(postgres.current_dir("/"));
        Ok(tool::run(step, postgres, sql)?)
    }
}

impl Server for Cluster {
    const NAME: &'static str = NAME;

    fn start_timeout(&self) -> Duration {
        self.config.start_timeout
    }

    fn stop_escalation(&self) -> Vec<(Signal, Duration)> {
        self.config.stop_escalation()
    }

    fn command(&self, port: u16) -> Result<Command, ServerError> {
        let mut command = tool::tied_to_us(&self.binaries.program("postgres"), LastWord::Interrupt);
        command.arg("-D").arg(&self.dir);
        for (name, value) in settings::all(&self.config, port) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        self.account.apply(command.current_dir("/"));
        Ok(command)
    }

    async fn is_ready(&self, pid: i32, _port: u16) -> bool {
        orphan::PidFile::read(&self.dir).is_some_and(|file| file.ready && file.pid == pid)
    }

    fn early_end(log: &str) -> EarlyEnd {
        if log.contains("could not bind") {
            EarlyEnd::PortTaken
        } else if log.contains("still in use") {
            // the processes of a killed server hold its memory for a moment
            EarlyEnd::NotYet
        } else {
            EarlyEnd::Broken
        }
    }

    fn is_alarm(line: &str) -> bool {
        line.starts_with("FATAL:") || line.starts_with("PANIC:")
    }
}

/// The major version of the cluster, or none if there is no cluster yet.
fn existing_version(dir: &Path) -> Result<Option<String>, PostgresError> {
    let file = dir.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if dir.exists() {
                return Err(PostgresError::NotACluster { dir: dir.to_owned() });
            }
            Ok(None)
        }
        Err(error) => Err(PostgresError::io(format!("read {}", file.display()))(error)),
    }
}

/// The password of `tally` in this data directory.
pub(crate) fn read_password(data_dir: &Path) -> Result<Option<String>, PostgresError> {
    Ok(directory::read_secret(&data_dir.join("password"))?)
}

fn write_password(data_dir: &Path, password: &str) -> Result<(), PostgresError> {
    Ok(directory::write_private(&data_dir.join("password"), &format!("{password}\n"))?)
}
