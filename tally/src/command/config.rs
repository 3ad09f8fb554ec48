//! `tally config`: every setting, with what it is now and why.

use clap::Args;
use platform::config::{Config, Source};
use std::path::Path;

/// Every setting.
#[derive(Args)]
pub(crate) struct Show {
    /// Print the defaults as a configuration file to start from.
    #[arg(long)]
    default_file: bool,
    /// Only settings that are not at their default.
    #[arg(long)]
    changed: bool,
}

impl Show {
    pub(crate) fn run(&self, file: Option<&Path>) -> anyhow::Result<()> {
        if self.default_file {
            print!("{}", Config::default_file());
            return Ok(());
        }
        let shown = |source: &Source| !self.changed || *source != Source::Default;
        for setting in Config::load(file)?.describe().iter().filter(|setting| shown(&setting.source)) {
            println!("{} = {}", setting.name, or_empty(&setting.value));
            println!(
                "    from {}; default {}; variable {}",
                setting.source,
                or_empty(&setting.default),
                setting.variable
            );
            println!("    {}", setting.meaning);
        }
        Ok(())
    }
}

fn or_empty(value: &str) -> &str {
    if value.is_empty() { "(empty)" } else { value }
}
