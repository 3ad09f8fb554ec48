//! Where `scripts/setup` keeps the programs that no package of the system brings.

use std::env;
use std::path::PathBuf;

/// The directory of something fetched: in `$TALLY_CACHE`, by default `~/.cache/tally`.
#[must_use]
pub fn fetched(name: &str) -> PathBuf {
    let set = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("TALLY_CACHE")
        .or_else(|| set("HOME").map(|home| home.join(".cache/tally")))
        .unwrap_or_default()
        .join(name)
}
