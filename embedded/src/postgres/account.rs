//! The account that the server runs as: ourselves, or an unprivileged one when we are root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::PostgresError;

/// Accounts tried in this order when we are root. `nobody` is the last resort: what else runs as
/// `nobody` could read the cluster, so `scripts/setup` installs the package, which creates `postgres`.
const CANDIDATES: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// Permission to enter a directory, for its owner, its group and everybody else.
const ENTER_OWNER: u32 = 0o100;
const ENTER_GROUP: u32 = 0o010;
const ENTER_OTHERS: u32 = 0o001;

/// Whom the server's processes belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user that we are; Postgres allows anyone but root.
    Ourselves,
    /// Another user, which only root may become.
    Other { name: String, uid: u32, gid: u32 },
}

impl Account {
    /// Ourselves, or, when we are root, the first unprivileged account that exists.
    pub(crate) fn choose() -> Result<Self, PostgresError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        CANDIDATES
            .iter()
            .find_map(|name| Self::look_up(name))
            .ok_or_else(|| PostgresError::NoAccount { tried: CANDIDATES.join(", ") })
    }

    /// Asks `id`, which also knows accounts that are not in the local files.
    fn look_up(name: &str) -> Option<Self> {
        let number = |flag: &str| -> Option<u32> {
            let output = Command::new("id")
                .args([flag, name])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output()
                .ok()?;
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        };
        let (uid, gid) = (number("-u")?, number("-g")?);
        (uid != 0).then(|| Self::Other { name: name.to_owned(), uid, gid })
    }

    /// Makes a command run as this account.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
    }

    /// Gives a file or directory of ours to this account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        let Self::Other { uid, gid, .. } = self else {
            return Ok(());
        };
        chown(path, Some(*uid), Some(*gid))
            .map_err(PostgresError::io(format!("give {} to the server's user", path.display())))
    }

    /// Refuses if this account could not enter one of the directories above and including `dir`,
    /// which must be absolute.
    pub(crate) fn check_can_reach(&self, dir: &Path) -> Result<(), PostgresError> {
        let Self::Other { name, uid, gid } = self else {
            return Ok(());
        };
        let mut from_the_root: Vec<&Path> = dir.ancestors().collect();
        from_the_root.reverse();
        for ancestor in from_the_root {
            let metadata = fs::metadata(ancestor)
                .map_err(PostgresError::io(format!("look at {}", ancestor.display())))?;
            let needed = if metadata.uid() == *uid {
                ENTER_OWNER
            } else if metadata.gid() == *gid {
                ENTER_GROUP
            } else {
                ENTER_OTHERS
            };
            if metadata.mode() & needed == 0 {
                return Err(PostgresError::NotTraversable { dir: ancestor.to_owned(), user: name.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// An account that owns nothing here.
    fn stranger() -> Account {
        Account::Other { name: "stranger".to_owned(), uid: 54_321, gid: 54_321 }
    }

    #[test]
    fn a_closed_parent_is_named() {
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        let inner = closed.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let error = stranger().check_can_reach(&inner).unwrap_err();
        let PostgresError::NotTraversable { dir, user } = &error else {
            panic!("{error}");
        };
        assert_eq!((dir.as_path(), user.as_str()), (closed.path(), "stranger"));
        assert!(error.to_string().contains("chmod o+x"), "{error}");
    }

    #[test]
    fn an_open_path_is_accepted_and_ourselves_always() {
        let open = tempfile::tempdir().unwrap();
        fs::set_permissions(open.path(), Permissions::from_mode(0o711)).unwrap();
        stranger().check_can_reach(open.path()).unwrap();
        fs::set_permissions(open.path(), Permissions::from_mode(0o700)).unwrap();
        Account::Ourselves.check_can_reach(open.path()).unwrap();
    }
}
