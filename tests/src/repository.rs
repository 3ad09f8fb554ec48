//! The repository itself, for tests of what is written in it.

use std::io;
use std::path::{Path, PathBuf};

/// Where it is.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts of a crate's Rust sources, by the crate's directory.
///
/// # Errors
/// What cannot be read.
pub fn sources(crate_dir: &str) -> io::Result<Vec<String>> {
    let (mut found, mut dirs) = (Vec::new(), vec![root().join(crate_dir).join("src")]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(std::fs::read_to_string(path)?);
            }
        }
    }
    Ok(found)
}
