//! `tally import`: the chat of a real show, played again over the public API of a running server.

mod amount;
mod client;
mod export;
mod notices;
mod player;
mod replies;
mod report;
mod survey;
mod twitch;
mod youtube;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use platform::config::{Config, Mode};
use platform::http::auth::Role;
use schemas::{Currency, Timestamp};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::client::{Client, Reply};
use self::export::Entry;
use self::player::{Ended, Player};
use self::replies::Replies;
use self::report::{Report, print_survey};
use self::survey::Survey;
use super::demo::{Tokens, local_url};

/// How much of the requests that one address is allowed the import uses.
const SHARE_OF_ADDRESS_LIMIT: f64 = 0.75;

/// Tokens last as long as a show of a week.
const TOKEN_SECONDS: u64 = 7 * 86_400;

/// Entries that are read ahead of what is played: some megabytes, whatever the file's size.
const READ_AHEAD: usize = 1_000;

/// The longest title, category, tag and list of tags that the API takes.
const TITLE_MAX: usize = 140;
const CATEGORY_MAX: usize = 50;
const TAGS_MAX: usize = 10;

const READING: &str = "reading [{bar:40}] {binary_bytes} of {binary_total_bytes}, {eta} left";
const PLAYING: &str = "playing [{bar:40}] {msg}, {percent} % of the file, {elapsed} so far";

/// The chat of a show that took place elsewhere.
#[derive(Args)]
pub(crate) struct Import {
    /// TwitchDownloader's chat as JSON, or yt-dlp's live_chat.json.
    file: PathBuf,
    /// Where the server is; by default where the configuration says that it listens.
    #[arg(long)]
    url: Option<String>,
    /// How many times as fast as it was, or `max`.
    #[arg(long, default_value = "1", value_parser = speed)]
    speed: Speed,
    /// The show's title, where the file's own is not wanted or there is none.
    #[arg(long)]
    title: Option<String>,
    /// The show's one currency; by default that of most payments.
    #[arg(long, value_parser = currency)]
    currency: Option<Currency>,
    /// With another label the same file becomes another show; with the same one a repeat goes on and does nothing twice.
    #[arg(long, default_value = "1")]
    label: String,
    /// Send nothing; tell what the file holds.
    #[arg(long)]
    dry_run: bool,
}

/// How fast; `None`: as fast as it goes.
#[derive(Clone, Copy)]
struct Speed(Option<f64>);

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed(None));
    }
    let factor = text.parse().ok().filter(|factor| (0.1..=100_000.0).contains(factor));
    factor.map(|factor| Speed(Some(factor))).ok_or_else(|| "use a number from 0.1 on, or max".to_owned())
}

fn currency(text: &str) -> Result<Currency, String> {
    text.parse().map_err(|error: schemas::MoneyError| error.to_string())
}

impl Import {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        let survey = self.survey()?;
        print_survey(&survey, &self.title(&survey));
        if survey.last_ms.is_empty() {
            bail!("nobody says anything in {}", self.file.display());
        }
        if self.dry_run {
            return Ok(());
        }
        if config.mode == Mode::Production {
            bail!("the import makes its own tokens, which production does not accept");
        }
        self.play(config, &survey).await
    }

    fn survey(&self) -> anyhow::Result<Survey> {
        let bar = ProgressBar::new(length_of(&self.file)?).with_style(ProgressStyle::with_template(READING)?);
        let survey = Survey::of(&self.file, &bar);
        bar.finish_and_clear();
        survey
    }

    fn title(&self, survey: &Survey) -> String {
        let of_file = || {
            let name =
                self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name = [".gz", ".json", ".live_chat"]
                .iter()
                .fold(name.as_str(), |name, ending| name.strip_suffix(ending).unwrap_or(name))
                .to_owned();
            if name.is_empty() { "Imported show".to_owned() } else { name }
        };
        let title = self.title.clone().or_else(|| survey.head.title.clone()).unwrap_or_else(of_file);
        export::cleaned(&title).replace('\n', " ").chars().take(TITLE_MAX).collect()
    }

    async fn play(&self, config: &Config, survey: &Survey) -> anyhow::Result<()> {
        let began = Instant::now();
        let url = self.url.clone().unwrap_or_else(|| local_url(config.http.listen));
        let tokens = Tokens::of(config, TOKEN_SECONDS)?;
        let host = survey.host();
        let host_token =
            tokens.mint(&format!("{}-{}", survey.format.platform(), host.id), &host.name, Role::Creator)?;
        let identity = format!("{}/{}", survey.identity(), self.label);
        let mut client = Client::new(&url, identity, per_second(config))?;
        let currency = self.currency.unwrap_or_else(|| survey.currency());
        let show = self.announce(&mut client, &host_token, survey, currency).await?;
        let Some(begun) = start(&mut client, &host_token, &show).await? else {
            println!("show {show} on {url}: was imported before; with --label it becomes another one");
            return Ok(());
        };
        println!("show {show} on {url}");
        let bar = ProgressBar::new(length_of(&self.file)?).with_style(ProgressStyle::with_template(PLAYING)?);
        let entries = read_again(&self.file, survey, &bar);
        let mut player = Player {
            client,
            tokens: &tokens,
            survey,
            show: show.clone(),
            currency,
            speed: self.speed.0,
            begun: Instant::now().checked_sub(begun.passed).unwrap_or_else(Instant::now),
            repeated_to: Some(begun.position),
            is_beyond: false,
            bar,
            report: Report::default(),
            host_token: host_token.clone(),
            people: HashMap::new(),
            replies: Replies::default(),
            leaving: BinaryHeap::new(),
            beats: VecDeque::new(),
            beat_every: Duration::from_secs(1),
        };
        let ended = player.play(entries).await;
        player.bar.finish_and_clear();
        player.report.print(currency, began.elapsed());
        told(&mut player, &ended?).await
    }

    async fn announce(
        &self,
        client: &mut Client,
        token: &str,
        survey: &Survey,
        currency: Currency,
    ) -> anyhow::Result<String> {
        let topics = survey.head.topics.iter().map(|topic| short(topic));
        let mut tags: Vec<String> =
            topics.clone().chain([survey.format.platform().to_owned(), "imported".to_owned()]).collect();
        if tags.len() > TAGS_MAX {
            tags.drain(TAGS_MAX - 2..tags.len() - 2);
        }
        let date = survey.head.date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
        let mut body = json!({
            "title": self.title(survey),
            "description": format!("The chat{date}, imported from {}.", survey.format.platform()),
            "tags": tags,
            "currency": currency.code(),
            "settings": { "recordingEnabled": false },
        });
        if let Some(category) = topics.clone().next() {
            body["category"] = json!(category);
        }
        match client.post(token, "/streams", Some("create"), Some(&body)).await? {
            Reply::Done(answer) => Ok(answer.read::<Created>()?.stream_id),
            Reply::Later { code, .. } => bail!("the show cannot be announced now: {code}"),
            Reply::Refused { status, code, detail } => {
                bail!("the show cannot be announced: {status} {code}: {detail}")
            }
        }
    }
}

/// The answer to *create*, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    stream_id: String,
}

/// A show's document, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    status: String,
    actual_start_time: Option<Timestamp>,
    stream_stats: Stats,
}

/// Its figures.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    messages_count: u64,
    peak_viewers: u64,
}

/// A show that runs.
struct Begun {
    /// So much of it has passed.
    passed: Duration,
    /// So far the log had come: what an import before this one did stands there or before.
    position: u64,
}

/// Starts the show, or finds it running. `None`: it is over.
async fn start(client: &mut Client, token: &str, show: &str) -> anyhow::Result<Option<Begun>> {
    match client.post(token, &format!("/streams/{show}/start"), Some("start"), None).await? {
        Reply::Done(_) => {}
        Reply::Later { code, .. } | Reply::Refused { code, .. } if code != "wrong_status" => {
            bail!("the show cannot be started: {code}")
        }
        Reply::Later { .. } | Reply::Refused { .. } => {}
    }
    let (document, position) = read_document(client, token, show, |status| status != "SCHEDULED").await?;
    if document.status == "ENDED" {
        return Ok(None);
    }
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let passed_ms =
        document.actual_start_time.map_or(0, |started| now - started.millis()).max(0).unsigned_abs();
    Ok(Some(Begun { passed: Duration::from_millis(passed_ms), position }))
}

/// The show as it is read, once the read models know that it has begun, or that it is over; and how far they have read.
async fn read_document(
    client: &mut Client,
    token: &str,
    show: &str,
    is_awaited: impl Fn(&str) -> bool,
) -> anyhow::Result<(Document, u64)> {
    /// Looks, and the pause between two.
    const LOOKS: u32 = 50;
    const PAUSE: Duration = Duration::from_millis(200);
    for _ in 0..LOOKS {
        if let Ok(answer) = client.get(token, &format!("/streams/{show}")).await {
            let document: Document = answer.read()?;
            if is_awaited(&document.status) {
                return Ok((document, answer.position.unwrap_or(0)));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!("the read models do not follow: show {show} cannot be read")
}

/// Reads the file again, beside what is played.
fn read_again(file: &Path, survey: &Survey, bar: &ProgressBar) -> mpsc::Receiver<Entry> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let (file, format, bar) = (file.to_owned(), survey.format, bar.clone());
    let start_ms = survey.head.start_ms;
    tokio::task::spawn_blocking(move || {
        // whatever cannot be read now was told by the survey
        drop(export::read(&file, format, Some(&bar), &mut |entry| {
            let entry = entry.since(start_ms);
            match sender.blocking_send(entry) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        }));
    });
    receiver
}

/// What the server says in the end, and whether anything went wrong.
async fn told(player: &mut Player<'_>, ended: &Ended) -> anyhow::Result<()> {
    let (token, show) = (player.host_token.clone(), player.show.clone());
    let (document, _) = read_document(&mut player.client, &token, &show, |status| status == "ENDED").await?;
    let stats = document.stream_stats;
    println!(
        "the server says: {} messages, {} {} in tips ({} under way), at most {} viewers",
        stats.messages_count, ended.total_tips.0, ended.currency, ended.pending_tips, stats.peak_viewers,
    );
    match player.report.unexpected {
        0 => Ok(()),
        count => bail!("{count} requests were refused unexpectedly"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
fn per_second(config: &Config) -> u32 {
    (f64::from(config.limits.requests_per_address_second) * SHARE_OF_ADDRESS_LIMIT) as u32
}

fn short(topic: &str) -> String {
    export::cleaned(topic).replace('\n', " ").chars().take(CATEGORY_MAX).collect()
}

fn length_of(file: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(file).with_context(|| format!("cannot open {}", file.display()))?.len())
}
