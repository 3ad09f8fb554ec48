//! What the tests of both servers need: directories, patience, and parents to be killed.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longest that anything here may take; generous, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Set for the process that plays a parent: the data directory to serve.
const PARENT_DATA_DIR: &str = "TALLY_TEST_PARENT_DATA_DIR";

/// The file by which that process says that it serves.
const PARENT_READY: &str = "parent-ready";

/// A directory for data whose path is as unkind as paths are: spaces, a comma, other alphabets. It is removed with the
/// value.
pub(crate) struct DataDir {
    _top: TempDir,
    pub(crate) path: PathBuf,
}

impl DataDir {
    pub(crate) fn new() -> Self {
        let top = tempfile::Builder::new().prefix("tally-engines-").tempdir().unwrap();
        let path = top.path().join("Übertragung, 配信 <1> & more");
        Self { _top: top, path }
    }

    /// The server's process id according to its note.
    pub(crate) fn noted_pid(&self) -> Pid {
        let text = fs::read_to_string(self.path.join("server.pid")).unwrap();
        Pid::from_raw(text.split(' ').next().unwrap().parse().unwrap()).unwrap()
    }

    pub(crate) fn kill_server(&self) {
        kill_process(self.noted_pid(), Signal::KILL).unwrap();
    }

    /// Whether any process works in the directory, whoever started it.
    pub(crate) fn is_served(&self) -> bool {
        let dir = self.path.canonicalize().unwrap();
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&dir)))
    }
}

pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("took too long: {what}"))
}

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "took too long: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// In the process that plays a parent: the directory that it serves.
pub(crate) fn parent_data_dir() -> Option<PathBuf> {
    std::env::var_os(PARENT_DATA_DIR).map(PathBuf::from)
}

/// In that process: says that it serves, and waits for its end.
pub(crate) async fn serve_until_killed(dir: &Path) {
    fs::write(dir.join(PARENT_READY), "").unwrap();
    tokio::time::sleep(PATIENCE).await;
}

/// Whether the kernel may stop the server of a killed parent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    Helps,
    /// `setpriv` is out of reach, as on other systems than Linux.
    DoesNotHelp,
}

/// Lets a parent, which is a test of that name, start a server, and kills the parent without warning.
pub(crate) async fn kill_a_parent(test: &str, data: &DataDir, kernel: Kernel) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test])
        .env(PARENT_DATA_DIR, &data.path)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let empty = tempfile::tempdir().unwrap();
    if kernel == Kernel::DoesNotHelp {
        let java = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|dir| dir.join("java"))
            .find(|java| java.is_file());
        if let Some(java) = java {
            // a link to the program itself: Java looks for its files beside it
            let java = java.canonicalize().unwrap();
            command.env("JAVA_HOME", java.ancestors().nth(2).unwrap());
        }
        command.env("PATH", empty.path());
    }
    let mut parent = command.spawn().unwrap();
    until("the parent is ready", || data.path.join(PARENT_READY).exists()).await;
    assert!(data.is_served());
    parent.kill().unwrap();
    parent.wait().unwrap();
}
