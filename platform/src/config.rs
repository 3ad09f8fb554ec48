//! Configuration: compiled-in defaults, a file, the environment, in this order; all problems are told at once.
//!
//! A setting is one line of [`sections`]: name, type, default, bounds, and its meaning as a doc comment, which
//! `tally config` prints. The file is TOML (`--config` or `TALLY_CONFIG`), and each setting has the environment
//! variable `TALLY_<SECTION>__<KEY>`. What is in either and is no setting is an error.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use thiserror::Error;

mod read;
mod rules;
mod sections;
mod value;

use read::Reader;
pub use read::{SettingDescription, Source};
pub use sections::{
    Agora, Auth, Config, Data, EventLog, Http, Limits, Payments, Postgres, Public, Secrets, Services, Shows,
    Telemetry,
};
pub use value::{Choice, ConnectionUrl, List, LogFormat, Mode, OtlpExport, PaymentProvider, Secret};

/// Variable that names the configuration file.
pub const CONFIG_FILE_VARIABLE: &str = "TALLY_CONFIG";

/// Variables that start like settings and are none: the file's name, and the cache of the build and of downloads.
const OTHER_VARIABLES: [&str; 2] = [CONFIG_FILE_VARIABLE, "TALLY_CACHE"];

/// Everything that is wrong with the configuration, each with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// The problems, in the order of the settings.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem(s)", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl Config {
    /// Reads `file` (or the one that `TALLY_CONFIG` names, or none) and this process's environment.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigErrors> {
        let named = std::env::var_os(CONFIG_FILE_VARIABLE).filter(|name| !name.is_empty());
        let path = file.map(Path::to_owned).or_else(|| named.map(Into::into));
        let text = match &path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                ConfigErrors(vec![format!("cannot read the configuration file {}: {error}", path.display())])
            })?,
        };
        Self::of(&text, std::env::vars_os())
    }

    /// Reads a file's text and the variables given.
    ///
    /// # Errors
    /// All problems at once.
    pub fn of(
        file: &str,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(file, environment);
        let mut config = Self::read(&mut reader);
        reader.refuse_unknown();
        let (settings, mut problems) = reader.finish();
        config.settings = settings;
        problems.extend(rules::problems(&config));
        if problems.is_empty() { Ok(config) } else { Err(ConfigErrors(problems)) }
    }

    /// Every setting with its default, value, source and meaning; secrets are masked.
    #[must_use]
    pub fn describe(&self) -> Vec<SettingDescription> {
        self.settings.clone()
    }

    /// The defaults as a commented configuration file.
    #[must_use]
    pub fn default_file() -> String {
        let mut reader = Reader::new("", []);
        let _ = Self::read(&mut reader);
        read::as_file(&reader.finish().0)
    }
}

impl Default for Config {
    /// Compiled-in defaults: development mode.
    fn default() -> Self {
        let mut reader = Reader::new("", []);
        let mut config = Self::read(&mut reader);
        config.settings = reader.finish().0;
        config
    }
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
