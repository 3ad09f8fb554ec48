//! The server on disk and as a process.
//!
//! ```text
//! <data dir>/lock        held by the process that runs the server
//! <data dir>/server.pid  the server's process and port
//! <data dir>/config.xml  its settings and users, written at each start, without passwords
//! <data dir>/secrets/    the passwords, a file for each user
//! <data dir>/store/      ClickHouse's own directory
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use uuid::Uuid;

use super::error::ClickHouseError;
use super::launcher::COMMAND;
use super::settings::{self, NAME, VERSION};
use super::{ClickHouseConfig, Credentials, KEPT_FREE_BYTES, Users};
use crate::supervision::error::ServerError;
use crate::supervision::orphan::Suspect;
use crate::supervision::pid_file::PidFile;
use crate::supervision::tool::{self, LastWord};
use crate::supervision::{EarlyEnd, KILL_TIMEOUT, Server, cache, directory, probe};

/// Room for the server's own tables, the first parts and a merge of them, beside what it leaves free.
const NEW_STORE_MIB: u64 = 500 + (KEPT_FREE_BYTES >> 20);

/// Nobody else has business in the directory.
pub(crate) const DATA_DIR_MODE: u32 = 0o700;

/// The library's file, whatever the platform.
const LIBRARY: &str = "libchdb.so";

/// How HTTP answers when all is well, as far as it is looked at.
const ALL_IS_WELL: &[u8; 12] = b"HTTP/1.1 200";

/// Asks whether the server is up; the answer needs no user.
const PING: &[u8] = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A query of nobody.
const INTRUSION: &[u8] = b"GET /?query=SELECT+1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A server whose directory is locked, complete and not in use.
pub(crate) struct Engine {
    config: ClickHouseConfig,
    pub(crate) dir: PathBuf,
    pub(crate) users: Users,
    launcher: PathBuf,
    library: PathBuf,
}

/// Makes the server ready to be started: takes its directory's lock, finds the library, stops what an earlier run left
/// running, and makes what is missing. Blocks.
pub(crate) fn prepare(config: ClickHouseConfig) -> Result<(Engine, File), ClickHouseError> {
    let wanted = config.library.clone();
    let library = wanted.unwrap_or_else(|| cache::fetched(&format!("chdb-{VERSION}")).join(LIBRARY));
    let library = library.canonicalize().map_err(|_| ClickHouseError::LibraryMissing { path: library })?;
    let launcher = config.launcher.canonicalize();
    let launcher =
        launcher.map_err(|_| ClickHouseError::LauncherMissing { path: config.launcher.clone() })?;
    let dir = directory::open(&config.data_dir, DATA_DIR_MODE)?;
    let file = dir.join("config.xml");
    let Some(file_path) = file.to_str() else {
        return Err(ClickHouseError::PathNotText { dir });
    };
    let lock = directory::lock(NAME, &dir)?;
    if let Some(noted) = PidFile::read(&dir) {
        suspect(noted, &dir).stop(NAME, &stop_escalation(&config))?;
    }
    let store = dir.join("store");
    if !store.exists() {
        directory::check_space(NAME, &dir, NEW_STORE_MIB)?;
    }
    keep_system_tables(&store)?;
    let users = users(&dir)?;
    directory::write_private(&file, &settings::configuration(&config, file_path, &users))?;
    Ok((Engine { config, dir, users, launcher, library }, lock))
}

/// Where the server of this directory listens, and its users; `None`: none does.
pub(crate) fn running(dir: &Path) -> Option<(u16, Users)> {
    let noted = PidFile::read(dir)?;
    if !suspect(noted, dir).serves() {
        return None;
    }
    let kept = |user| {
        let password = directory::read_secret(&dir.join("secrets").join(user)).ok()??;
        Some(Credentials { user, password: password.into() })
    };
    let users = Users { writer: kept("writer")?, analyst: kept("analyst")?, grafana: kept("grafana")? };
    Some((noted.port, users))
}

fn suspect(noted: PidFile, dir: &Path) -> Suspect<'_> {
    Suspect { pid: noted.pid, works_in: dir, word: COMMAND }
}

fn stop_escalation(config: &ClickHouseConfig) -> Vec<(Signal, Duration)> {
    vec![(Signal::TERM, config.stop_timeout), (Signal::KILL, KILL_TIMEOUT)]
}

/// The engine keeps its own tables in memory unless it finds their database on the disk.
fn keep_system_tables(store: &Path) -> Result<(), ServerError> {
    let metadata = store.join("metadata");
    directory::open(&metadata, DATA_DIR_MODE)?;
    let system = metadata.join("system.sql");
    if system.exists() {
        return Ok(());
    }
    let id = Uuid::new_v4();
    directory::write_private(&system, &format!("ATTACH DATABASE _ UUID '{id}'\nENGINE = Atomic\n"))
}

/// The users of a directory.
pub(crate) fn users(dir: &Path) -> Result<Users, ServerError> {
    Ok(Users { writer: user(dir, "writer")?, analyst: user(dir, "analyst")?, grafana: user(dir, "grafana")? })
}

/// A user with the password that was kept, or a new one.
fn user(dir: &Path, name: &'static str) -> Result<Credentials, ServerError> {
    let file = directory::open(&dir.join("secrets"), DATA_DIR_MODE)?.join(name);
    let password = match directory::read_secret(&file)? {
        Some(kept) => kept,
        None => {
            let new = directory::new_secret();
            directory::write_private(&file, &format!("{new}\n"))?;
            new
        }
    };
    Ok(Credentials { user: name, password: password.into() })
}

impl Server for Engine {
    const NAME: &'static str = NAME;

    fn start_timeout(&self) -> Duration {
        self.config.start_timeout
    }

    fn stop_escalation(&self) -> Vec<(Signal, Duration)> {
        stop_escalation(&self.config)
    }

    fn command(&self, port: u16) -> Result<Command, ServerError> {
        let mut command = tool::tied_to_us(&self.launcher, LastWord::Terminate);
        command
            .arg(COMMAND)
            .arg(&self.library)
            .arg(self.dir.join("config.xml"))
            .arg(self.dir.join("store"))
            .arg(port.to_string())
            .current_dir(&self.dir);
        Ok(command)
    }

    fn spawned(&self, pid: i32, port: u16) -> Result<(), ServerError> {
        PidFile { pid, port }.write(&self.dir)
    }

    /// The engine lets everybody in where it does not find its users: then it is never ready.
    async fn is_ready(&self, _pid: i32, port: u16) -> bool {
        if probe::first_bytes(port, PING).await != Some(*ALL_IS_WELL) {
            return false;
        }
        probe::first_bytes(port, INTRUSION).await.is_some_and(|answer: [u8; 12]| answer != *ALL_IS_WELL)
    }

    fn early_end(log: &str) -> EarlyEnd {
        if log.contains("Address already in use") {
            EarlyEnd::PortTaken
        } else if log.contains("Cannot lock file") {
            // a server that is on its way out
            EarlyEnd::NotYet
        } else {
            EarlyEnd::Broken
        }
    }

    fn is_alarm(line: &str) -> bool {
        // an error is a query's, and told to who asked
        line.contains("<Fatal>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parts_are_named_with_the_script_that_brings_them() {
        let empty = tempfile::tempdir().unwrap();
        let mut config = ClickHouseConfig::new(empty.path().join("data"), "/nowhere/tally");
        config.library = Some(empty.path().join(LIBRARY));
        let error = prepare(config.clone()).err().unwrap();
        assert!(matches!(error, ClickHouseError::LibraryMissing { .. }), "{error}");
        assert!(error.to_string().contains("scripts/setup"), "{error}");
        config.library = Some(std::env::current_exe().unwrap());
        let error = prepare(config).err().unwrap();
        assert!(matches!(error, ClickHouseError::LauncherMissing { .. }), "{error}");
    }
}
