//! `tally healthcheck`: for containers and scripts.

use anyhow::{Context, bail};
use clap::Args;
use platform::config::Config;
use std::time::Duration;

/// A server that does not answer within this time is not well.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a server is ready.
#[derive(Args)]
pub(crate) struct Healthcheck {
    /// Where the server is; by default where the configuration says that it listens.
    #[arg(long)]
    url: Option<String>,
}

impl Healthcheck {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        let base = self.url.clone().unwrap_or_else(|| format!("http://{}", reachable(config)));
        let url = format!("{}/health/ready", base.trim_end_matches('/'));
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let answer = client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
        let (status, body) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("not ready: {body}");
        }
        println!("ready");
        Ok(())
    }
}

/// A server that listens everywhere is asked here.
fn reachable(config: &Config) -> std::net::SocketAddr {
    let mut address = config.http.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}
