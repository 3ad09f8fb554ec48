//! The cluster on disk: its layout, its creation, its password, and the lock that keeps it to one process.
//!
//! ```text
//! <data dir>/lock       held by the process that runs the cluster
//! <data dir>/password   the password of `tally`, readable by us alone
//! <data dir>/cluster/   Postgres' own directory, owned by the server's account
//! ```

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use uuid::Uuid;

use super::account::Account;
use super::binaries::{self, Binaries};
use super::error::PostgresError;
use super::settings::{HBA, TALLY};
use super::tool;
use super::{PostgresConfig, orphan};

/// Room that a new cluster needs: 46 MiB at rest, three 16 MiB log segments, and some air.
const NEW_CLUSTER_MIB: u64 = 200;

/// The data directory may be entered by the server's account, not listed.
const DATA_DIR_MODE: u32 = 0o711;

/// Files with secrets are ours alone.
const SECRET_MODE: u32 = 0o600;

/// Postgres insists that nobody else can enter its directory.
const CLUSTER_MODE: u32 = 0o700;

/// A cluster that is locked, complete and not running.
pub(crate) struct Cluster {
    pub(crate) dir: PathBuf,
    pub(crate) binaries: Binaries,
    pub(crate) account: Account,
    pub(crate) password: String,
    /// Held as long as the cluster is ours: until it is stopped.
    pub(crate) lock: Mutex<Option<File>>,
}

/// Makes the cluster ready to be started: takes its lock, finds the server, stops what an earlier run
/// left running, and creates what is missing. Blocks.
pub(crate) fn prepare(config: &PostgresConfig) -> Result<Cluster, PostgresError> {
    let data_dir = open_data_dir(&config.data_dir)?;
    let lock = lock(&data_dir)?;
    let account = Account::choose()?;
    account.check_can_reach(&data_dir)?;
    let dir = data_dir.join("cluster");
    let existing = existing_version(&dir)?;
    let binaries = binaries::find(config.bin_dir.as_deref(), &dir, existing.as_deref())?;
    orphan::stop(&dir)?;

    let stored = read_password(&data_dir)?;
    let password = stored.clone().unwrap_or_else(new_password);
    let cluster = Cluster { dir, binaries, account, password, lock: Mutex::new(Some(lock)) };
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
    Ok(cluster)
}

impl Cluster {
    /// Creates the cluster beside its place and then moves it there, so that it is whole or absent.
    fn create(&self, data_dir: &Path) -> Result<(), PostgresError> {
        check_space(data_dir)?;
        tracing::info!(postgres.dir = %self.dir.display(), "creating the database cluster");
        let unfinished = self.dir.with_extension("unfinished");
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PostgresError::io(format!("remove {}", unfinished.display()))(error));
            }
            Ok(()) | Err(_) => {}
        }
        DirBuilder::new()
            .mode(CLUSTER_MODE)
            .create(&unfinished)
            .map_err(PostgresError::io(format!("create {}", unfinished.display())))?;
        self.account.own(&unfinished)?;

        let mut initdb = tool::tied_to_us(&self.binaries.program("initdb"));
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
        let mut postgres = tool::tied_to_us(&self.binaries.program("postgres"));
        postgres
            .arg("--single")
            .arg("-D")
            .arg(dir)
            .args(["-c", "exit_on_error=on", "-c", "password_encryption=scram-sha-256"])
            // a failing statement must not show the password
            .args(["-c", "log_min_error_statement=panic", "-c", "log_checkpoints=off"])
            .arg("postgres");
        self.account.apply(postgres.current_dir("/"));
        tool::run(step, postgres, sql)
    }
}

fn open_data_dir(dir: &Path) -> Result<PathBuf, PostgresError> {
    let describe = |verb: &str| format!("{verb} the data directory {}", dir.display());
    DirBuilder::new().recursive(true).create(dir).map_err(PostgresError::io(describe("create")))?;
    let dir = dir.canonicalize().map_err(PostgresError::io(describe("resolve")))?;
    let metadata = fs::metadata(&dir).map_err(PostgresError::io(describe("look at")))?;
    let enterable = DATA_DIR_MODE & 0o011;
    if metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & enterable != enterable {
        let mode = (metadata.mode() & 0o777) | DATA_DIR_MODE;
        fs::set_permissions(&dir, Permissions::from_mode(mode))
            .map_err(PostgresError::io(describe("open")))?;
    }
    Ok(dir)
}

fn lock(data_dir: &Path) -> Result<File, PostgresError> {
    let path = data_dir.join("lock");
    let describe = || format!("lock {}", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(SECRET_MODE)
        .open(&path)
        .map_err(PostgresError::io(describe()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // the holder's id is a courtesy; without it the refusal stands
            let _ = file.read_to_string(&mut pid);
            return Err(PostgresError::AlreadyRunning {
                dir: data_dir.to_owned(),
                pid: pid.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(PostgresError::io(describe())(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(PostgresError::io(describe()))?;
    Ok(file)
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

/// Two random UUIDs: 244 bits from the system's generator.
fn new_password() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

pub(crate) fn read_password(data_dir: &Path) -> Result<Option<String>, PostgresError> {
    let path = data_dir.join("password");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PostgresError::io(format!("read {}", path.display()))(error)),
    }
}

fn write_password(data_dir: &Path, password: &str) -> Result<(), PostgresError> {
    let path = data_dir.join("password");
    let unfinished = path.with_extension(OsStr::new("unfinished"));
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(SECRET_MODE).open(&unfinished)?;
        file.set_permissions(Permissions::from_mode(SECRET_MODE))?;
        writeln!(file, "{password}")?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(data_dir)?.sync_all()
    };
    write().map_err(PostgresError::io(format!("write {}", path.display())))
}

fn check_space(data_dir: &Path) -> Result<(), PostgresError> {
    let stat = rustix::fs::statvfs(data_dir)
        .map_err(|errno| PostgresError::io(format!("look at {}", data_dir.display()))(errno.into()))?;
    let free_mib = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
    if free_mib < NEW_CLUSTER_MIB {
        let dir = data_dir.to_owned();
        return Err(PostgresError::NoSpace { dir, free_mib, needed_mib: NEW_CLUSTER_MIB });
    }
    Ok(())
}
