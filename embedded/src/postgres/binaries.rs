//! Finds the installed Postgres servers.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::PostgresError;

/// Oldest major version that the migrations and settings are meant for.
const MAJOR_MIN: u32 = 14;

/// Where packages put the servers, beside what `PATH` names. A `*` stands for one directory level.
const PLACES: [&str; 10] = [
    "/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
    "/usr/pgsql-*/bin",                                   // the Postgres project's RPMs
    "/usr/bin",                                           // Fedora, Arch
    "/usr/libexec/postgresql*",                           // Alpine
    "/usr/local/pgsql/bin",                               // built from source
    "/usr/local/bin",                                     // FreeBSD, Homebrew on Intel
    "/usr/local/opt/postgresql*/bin",                     // Homebrew on Intel, versioned
    "/opt/homebrew/bin",                                  // Homebrew on Apple silicon
    "/opt/homebrew/opt/postgresql*/bin",                  // the same, versioned
    "/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
];

/// One installed server: its major version and the directory of its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) major: u32,
    pub(crate) dir: PathBuf,
}

impl Binaries {
    /// The path of one of the server's programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The server for a cluster: of the cluster's own major version if it exists already, else the newest.
pub(crate) fn find(
    wanted_dir: Option<&Path>,
    cluster_dir: &Path,
    cluster_major: Option<&str>,
) -> Result<Binaries, PostgresError> {
    choose(installed(wanted_dir), cluster_dir, cluster_major)
}

fn choose(
    mut installed: BTreeMap<u32, PathBuf>,
    cluster_dir: &Path,
    cluster_major: Option<&str>,
) -> Result<Binaries, PostgresError> {
    let Some(newest) = installed.keys().next_back().copied() else {
        return Err(PostgresError::BinariesMissing);
    };
    let major = match cluster_major {
        None => newest,
        Some(text) => text.parse().ok().filter(|major| installed.contains_key(major)).ok_or_else(|| {
            PostgresError::VersionMismatch {
                dir: cluster_dir.to_owned(),
                cluster: text.to_owned(),
                found: installed.keys().map(u32::to_string).collect::<Vec<_>>().join(", "),
            }
        })?,
    };
    if major < MAJOR_MIN {
        return Err(PostgresError::BinariesTooOld { found: major, minimum: MAJOR_MIN });
    }
    installed.remove(&major).map(|dir| Binaries { major, dir }).ok_or(PostgresError::BinariesMissing)
}

/// All servers found, by major version. Of two with the same version the first place wins.
fn installed(wanted_dir: Option<&Path>) -> BTreeMap<u32, PathBuf> {
    let places: Vec<PathBuf> = match wanted_dir {
        Some(dir) => vec![dir.to_owned()],
        None => env::var_os("PATH")
            .map(|path| env::split_paths(&path).collect::<Vec<_>>())
            .unwrap_or_default()
            .into_iter()
            .chain(PLACES.iter().flat_map(|pattern| expand(pattern)))
            .collect(),
    };
    let mut found = BTreeMap::new();
    for dir in places {
        let complete = ["postgres", "initdb"].iter().all(|name| dir.join(name).is_file());
        if complete && let Some(major) = major_version(&dir.join("postgres")) {
            found.entry(major).or_insert(dir);
        }
    }
    found
}

/// The directories that a pattern with at most one `*` in one component names.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some(star) = pattern.find('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .collect()
}

fn major_version(postgres: &Path) -> Option<u32> {
    let output =
        Command::new(postgres).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in, for example, `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn parse_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("(PostgreSQL)")?;
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_versions() -> BTreeMap<u32, PathBuf> {
        BTreeMap::from([(15, PathBuf::from("/pg/15")), (17, PathBuf::from("/pg/17"))])
    }

    #[test]
    fn reads_versions_as_packagers_print_them() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn a_new_cluster_gets_the_newest_server() {
        let found = choose(two_versions(), Path::new("/data"), None).unwrap();
        assert_eq!(found, Binaries { major: 17, dir: PathBuf::from("/pg/17") });
    }

    #[test]
    fn an_existing_cluster_gets_its_own_server() {
        assert_eq!(choose(two_versions(), Path::new("/data"), Some("15")).unwrap().major, 15);
    }

    #[test]
    fn a_cluster_of_a_version_not_installed_is_refused_with_advice() {
        let error = choose(two_versions(), Path::new("/data"), Some("16")).unwrap_err().to_string();
        assert!(error.contains("made by Postgres 16"), "{error}");
        assert!(error.contains("installed is 15, 17"), "{error}");
        assert!(error.contains("postgresql-16"), "{error}");
    }

    #[test]
    fn nothing_installed_names_the_package_and_the_script() {
        let error = choose(BTreeMap::new(), Path::new("/data"), None).unwrap_err().to_string();
        assert!(error.contains("scripts/setup") && error.contains("`postgresql`"), "{error}");
    }

    #[test]
    fn too_old_is_said_so() {
        let old = BTreeMap::from([(11, PathBuf::from("/pg/11"))]);
        let error = choose(old, Path::new("/data"), None).unwrap_err();
        assert!(matches!(error, PostgresError::BinariesTooOld { found: 11, .. }), "{error}");
    }
}
