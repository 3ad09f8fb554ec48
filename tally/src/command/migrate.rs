//! `tally migrate`: the database schema, brought up to date. Services do the same at their start.

use platform::config::Config;
use platform::shutdown::Shutdown;

use crate::foundation::Database;

/// Migrates, then ends.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    platform::telemetry::init(&config.telemetry)?;
    let database = Database::open(config, &Shutdown::new()).await?;
    println!("the database schema is up to date");
    database.close().await
}
