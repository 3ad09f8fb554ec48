//! `tally token`: a development token on standard output, and nothing else.

use anyhow::{Context, bail};
use clap::Args;
use platform::config::{Config, Mode};
use platform::http::auth::{DevToken, Role, mint_dev_token};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{foundation, secrets};

/// A development token.
#[derive(Args)]
pub(crate) struct Token {
    /// The subject: who the token is for.
    #[arg(long)]
    sub: String,
    /// VIEWER, CREATOR, MODERATOR or ADMIN; may be given more than once.
    #[arg(long = "role", value_parser = role, default_value = "VIEWER")]
    roles: Vec<Role>,
    /// The name that others see.
    #[arg(long)]
    name: Option<String>,
    /// How long it is good.
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=31_536_000))]
    seconds: u32,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "use VIEWER, CREATOR, MODERATOR or ADMIN".to_owned())
}

impl Token {
    pub(crate) fn run(&self, config: &Config) -> anyhow::Result<()> {
        if config.mode == Mode::Production {
            bail!("nothing mints tokens in production mode: ask your identity provider");
        }
        let secret = secrets::signing_secret(config, &foundation::data_dir(config)?)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let token = DevToken {
            sub: &self.sub,
            roles: &self.roles,
            name: self.name.as_deref(),
            issuer: &config.auth.issuer,
            audience: &config.auth.audience,
            lifetime_seconds: self.seconds,
        };
        println!("{}", mint_dev_token(&secret, &token, i64::try_from(now.as_secs())?)?);
        Ok(())
    }
}
