//! `tally demo`: a whole show over the public API of a running server, proved against what every socket received.

use anyhow::bail;
use clap::Args;
use platform::config::Config;

/// A show that plays itself.
#[derive(Args)]
pub(crate) struct Demo {
    /// Where the server is; by default where the configuration says that it listens.
    #[arg(long)]
    url: Option<String>,
    /// Viewers, each with a socket of their own.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    viewers: u32,
    /// How long the show is live.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    seconds: u64,
    /// The same seed plays the same show.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Demo {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        let _ = (&self.url, self.viewers, self.seconds, self.seed, config);
        bail!("the demonstration is not finished in this build")
    }
}
