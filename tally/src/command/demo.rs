//! `tally demo`: a whole show over the public API of a running server, proved against what every socket received.

mod chain;
mod frames;
pub(crate) mod histogram;
mod host;
mod person;
mod progress;
mod reckoning;
mod record;
mod rest;
mod script;
pub(crate) mod socket;
mod stage;
mod texts;
mod viewer;

use anyhow::{Context, bail};
use clap::Args;
use platform::config::{Config, Mode};
use platform::http::auth::{DevToken, Role, mint_dev_token};
use secrecy::SecretString;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::host::Host;
use self::person::Person;
use self::reckoning::Reckoning;
use self::record::Record;
use self::rest::Rest;
use self::script::Script;
use self::socket::Server;
use self::stage::{Live, Pacer, Stage};

/// How much of the requests that one address is allowed the demonstration uses.
const SHARE_OF_ADDRESS_LIMIT: f64 = 0.75;

/// Sockets that wait for the start must be open before it: one comes after the other, at the pace above.
const BEFORE_START: Duration = Duration::from_secs(2);

/// After the planned end, for the answers that are outstanding and the last frames.
const OVERTIME: Duration = Duration::from_secs(60);

/// Tokens last as long as the longest show, and this much longer.
const TOKEN_SPARE_SECONDS: u64 = 3_600;

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
        if config.mode == Mode::Production {
            bail!("the demonstration makes its own tokens, which production does not accept");
        }
        let url = self.url.clone().unwrap_or_else(|| local_url(config.http.listen));
        let tokens = Tokens::of(config, self.seconds)?;
        let script = Script::write(self.seed, self.viewers, self.seconds);
        let host_name = format!("demo-{}-host", self.seed);
        let host_token = tokens.mint(&host_name, "Nora Lindqvist", Role::Creator)?;
        let rest = Rest::new(&url, host_token.clone())?;
        let server = Server::of(&url)?;
        let show = host::announce(&rest, self.seed).await?;
        println!("show {show} on {url}: {} viewers, {} s, seed {}", self.viewers, self.seconds, self.seed);
        let stage = Arc::new(stage(config, server, show, self.seed));
        stage.live.acts_left.store(script.acts() as u64, Ordering::Relaxed);
        let person = Person::new(Arc::clone(&stage), script.viewers.len(), host_token).keeping_contents();
        let host = Host { person, rest };
        let reckoning = play(stage, script, host, &tokens).await?;
        if !reckoning.print() {
            bail!("the server's figures and those counted here differ");
        }
        println!("\nevery figure agrees");
        Ok(())
    }
}

fn stage(config: &Config, server: Server, show: String, seed: u64) -> Stage {
    let per_second = f64::from(config.limits.requests_per_address_second) * SHARE_OF_ADDRESS_LIMIT;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
    let per_second = per_second as u32;
    Stage {
        server,
        show,
        seed,
        pacer: Pacer::new(per_second),
        live: Live::default(),
        start: watch::Sender::new(None),
        epoch: Instant::now(),
    }
}

/// Host, viewers and progress at once, to the end of the show.
async fn play(
    stage: Arc<Stage>,
    script: Script,
    mut host: Host,
    tokens: &Tokens,
) -> anyhow::Result<Reckoning> {
    let length = Duration::from_millis(script.length_ms);
    host.open_door().await?;
    let mut audience = JoinSet::new();
    let mut early = 0;
    for (number, plan) in script.viewers.into_iter().enumerate() {
        let token = tokens.mint(&plan.subject, &plan.name, Role::Viewer)?;
        early += u32::from(plan.arrives_ms.is_none());
        audience.spawn(viewer::play(Arc::clone(&stage), number, plan, token, length + OVERTIME));
    }
    let progress = tokio::spawn(progress::show(Arc::clone(&stage), length));
    host.wait(stage.pacer.turn() + BEFORE_START + Duration::from_millis(10) * early).await?;
    host.rest.start(&stage.show).await.context("cannot start the show")?;
    let start = Instant::now();
    stage.start.send_replace(Some(start));
    let ended = host.run(start, &script.host_says_ms, script.settings_change_ms, script.length_ms).await?;
    let (host, rest) = host.see_the_end().await?;
    let viewers: Vec<Record> = audience.join_all().await;
    progress.abort();
    // the bar is cleared by the time that the summary begins
    let _ = progress.await;
    let document = rest.document(&stage.show, ended.position).await;
    Ok(Reckoning { host, viewers, ended: ended.body, document })
}

/// Makes tokens.
pub(crate) struct Tokens {
    secret: SecretString,
    issuer: String,
    audience: String,
    lifetime_seconds: u32,
    now: i64,
}

impl Tokens {
    /// Tokens that last for so long, and some more.
    pub(crate) fn of(config: &Config, seconds: u64) -> anyhow::Result<Self> {
        let secret = crate::secrets::signing_secret(config, &crate::foundation::data_dir(config)?)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(Self {
            secret,
            issuer: config.auth.issuer.clone(),
            audience: config.auth.audience.clone(),
            lifetime_seconds: u32::try_from(seconds + TOKEN_SPARE_SECONDS)?,
            now: i64::try_from(now)?,
        })
    }

    pub(crate) fn mint(&self, sub: &str, name: &str, role: Role) -> anyhow::Result<String> {
        let token = DevToken {
            sub,
            roles: &[role],
            name: Some(name),
            issuer: &self.issuer,
            audience: &self.audience,
            lifetime_seconds: self.lifetime_seconds,
        };
        Ok(mint_dev_token(&self.secret, &token, self.now)?)
    }
}

/// A server that listens everywhere is asked here.
pub(crate) fn local_url(mut listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        listen.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{listen}")
}
