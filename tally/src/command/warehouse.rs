//! `tally warehouse`: how to reach the private ClickHouse of a Tally that runs on this machine.

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use platform::config::Config;
use secrecy::ExposeSecret;

use crate::foundation;

/// The warehouse of this machine.
#[derive(Args)]
pub(crate) struct Warehouse {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print address, user and password as lines for a shell: eval "$(tally warehouse credentials)".
    Credentials {
        /// Whose.
        #[arg(value_enum, default_value_t = User::Analyst)]
        user: User,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum User {
    /// Reads by hand and from notebooks, within limits.
    Analyst,
    /// Reads for dashboards, within limits.
    Grafana,
    /// Owns all of it.
    Writer,
}

impl Warehouse {
    pub(crate) fn run(&self, config: &Config) -> anyhow::Result<()> {
        let Action::Credentials { user } = &self.action;
        ensure!(config.clickhouse.url.is_empty(), "clickhouse.url names a server: its users are kept there");
        let running = foundation::warehouse::running(config)?
            .context("no ClickHouse of Tally's runs over this data directory: start it with `tally up`")?;
        let who = match user {
            User::Analyst => &running.users.analyst,
            User::Grafana => &running.users.grafana,
            User::Writer => &running.users.writer,
        };
        println!("CLICKHOUSE_URL={}", running.url);
        println!("CLICKHOUSE_USER={}", who.user);
        println!("CLICKHOUSE_PASSWORD={}", who.password.expose_secret());
        Ok(())
    }
}
