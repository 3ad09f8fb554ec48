//! The second reading: everything is done again, in its order and at its time.

use anyhow::bail;
use indicatif::ProgressBar;
use platform::http::amount::Amount;
use platform::http::auth::Role;
use schemas::Currency;
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::client::{Client, Reply};
use super::export::{Author, Entry, Said};
use super::replies::Replies;
use super::report::Report;
use super::survey::Survey;
use crate::command::demo::Tokens;

/// Somebody who wrote is there for so long after their last message, in the show's time: exports do not say when people go.
const LINGER_MS: i64 = 5 * 60 * 1_000;

/// The longest text of a message.
const TEXT_MAX: usize = 500;

/// The same text of one person is refused for so long.
const REPEAT_MS: i64 = 30_000;

/// The answer to *join*, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Joined {
    heartbeat_seconds: u64,
}

/// The answer to a message, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    message_id: String,
}

/// The answer to a tip, as far as it is used.
#[derive(Deserialize)]
struct Tipped {
    status: String,
}

/// The answer to *end*, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    pub(super) total_tips: Amount,
    pub(super) currency: String,
    pub(super) pending_tips: u64,
}

/// Plays an export.
pub(super) struct Player<'a> {
    pub(super) client: Client,
    pub(super) tokens: &'a Tokens,
    pub(super) survey: &'a Survey,
    pub(super) show: String,
    pub(super) currency: Currency,
    /// Real time for each millisecond of the show; `None`: as fast as it goes.
    pub(super) speed: Option<f64>,
    /// When the show's time was zero.
    pub(super) begun: Instant,
    pub(super) bar: ProgressBar,
    pub(super) report: Report,
    pub(super) host_token: String,
    pub(super) people: HashMap<String, Present>,
    pub(super) replies: Replies,
    /// Who leaves, and when in the show's time.
    pub(super) leaving: BinaryHeap<Reverse<(i64, String)>>,
    /// Whose sign of life is due, and when.
    pub(super) beats: VecDeque<(Instant, String)>,
    pub(super) beat_every: Duration,
}

/// Somebody who is in the show.
pub(super) struct Present {
    token: String,
    seen: Instant,
    /// What they wrote of late: when, and a hash.
    texts: VecDeque<(i64, u64)>,
}

impl Player<'_> {
    /// Plays entries until there are no more, then ends the show. Answers what the server says of it.
    pub(super) async fn play(&mut self, mut entries: mpsc::Receiver<Entry>) -> anyhow::Result<Ended> {
        while let Some(entry) = entries.recv().await {
            if let Entry::Said(said) = entry {
                self.leave_until(said.at_ms).await?;
                self.wait_until(said.at_ms).await?;
                self.say(said).await?;
            }
        }
        self.leave_until(self.survey.length_ms).await?;
        self.wait_until(self.survey.length_ms).await?;
        let path = format!("/streams/{}/end", self.show);
        match self.client.post(&self.host_token, &path, "end", None).await? {
            Reply::Done(ended) => ended.read(),
            Reply::Later { code, .. } | Reply::Refused { code, .. } => {
                bail!("the show cannot be ended: {code}")
            }
        }
    }

    /// Waits until it is so late in the show, and gives signs of life meanwhile.
    async fn wait_until(&mut self, at_ms: i64) -> anyhow::Result<()> {
        self.bar.set_message(clock(at_ms));
        let due = self
            .speed
            .map(|speed| self.begun + Duration::from_secs_f64(at_ms.max(0) as f64 / 1_000.0 / speed));
        loop {
            let now = Instant::now();
            let due = due.unwrap_or(now).max(now);
            match self.beats.front() {
                Some((beat, _)) if *beat <= due => {
                    sleep_until(*beat).await;
                    self.beat().await?;
                }
                Some(_) | None => {
                    sleep_until(due).await;
                    return Ok(());
                }
            }
        }
    }

    /// The sign of life that is due first, unless its person was heard of meanwhile or is gone.
    async fn beat(&mut self) -> anyhow::Result<()> {
        let Some((_, id)) = self.beats.pop_front() else { return Ok(()) };
        let Some(person) = self.people.get_mut(&id) else { return Ok(()) };
        let fresh = person.seen + self.beat_every;
        if fresh > Instant::now() {
            // the others in between are due no earlier
            self.beats.push_back((fresh.max(Instant::now() + Duration::from_millis(1)), id));
            return Ok(());
        }
        person.seen = Instant::now();
        let path = format!("/streams/{}/heartbeat", self.show);
        // whoever is not there any more left late; a limit is met by the next beat
        drop(self.client.beat(&person.token, &path).await?);
        self.beats.push_back((Instant::now() + self.beat_every, id));
        Ok(())
    }

    async fn leave_until(&mut self, at_ms: i64) -> anyhow::Result<()> {
        while self.leaving.peek().is_some_and(|Reverse((leaves_ms, _))| *leaves_ms < at_ms) {
            let Some(Reverse((leaves_ms, id))) = self.leaving.pop() else { break };
            self.wait_until(leaves_ms).await?;
            let Some(person) = self.people.remove(&id) else { continue };
            let path = format!("/streams/{}/leave", self.show);
            // the sweeper may have been faster
            drop(self.ask(&person.token, &path, &format!("leave/{id}"), None).await?);
        }
        Ok(())
    }

    /// A command, as often as a limit says that it may be made later.
    async fn ask(
        &mut self,
        token: &str,
        path: &str,
        what: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        loop {
            match self.client.post(token, path, what, body).await? {
                Reply::Later { code, wait } if code != "duplicate_message" => self.pause(wait).await,
                reply @ (Reply::Done(_) | Reply::Later { .. } | Reply::Refused { .. }) => return Ok(reply),
            }
        }
    }

    async fn pause(&mut self, wait: Duration) {
        self.report.wait(wait);
        tokio::time::sleep(wait).await;
    }

    /// Somebody's token; they join where they are not there.
    async fn token_of(&mut self, author: &Author) -> anyhow::Result<String> {
        if author.is_host {
            return Ok(self.host_token.clone());
        }
        if let Some(person) = self.people.get_mut(&author.id) {
            person.seen = Instant::now();
            return Ok(person.token.clone());
        }
        let role = if author.is_moderator { Role::Moderator } else { Role::Viewer };
        let sub = format!("{}-{}", self.survey.format.platform(), author.id);
        let token = self.tokens.mint(&sub, &author.name, role)?;
        let path = format!("/streams/{}/join", self.show);
        match self.ask(&token, &path, &format!("join/{}", author.id), None).await? {
            Reply::Done(joined) => {
                self.report.people += 1;
                let joined: Joined = joined.read()?;
                self.beat_every = Duration::from_secs(joined.heartbeat_seconds.max(1));
            }
            Reply::Later { code, .. } => self.report.refuse_unexpectedly("join", 429, &code, ""),
            Reply::Refused { status, code, detail } => {
                self.report.refuse_unexpectedly("join", status, &code, &detail);
            }
        }
        let now = Instant::now();
        self.beats.push_back((now + self.beat_every, author.id.clone()));
        let last_ms = self.survey.last_ms.get(&author.id).copied().unwrap_or(0);
        self.leaving.push(Reverse((last_ms + LINGER_MS, author.id.clone())));
        let present = Present { token: token.clone(), seen: now, texts: VecDeque::new() };
        self.people.insert(author.id.clone(), present);
        Ok(token)
    }

    async fn say(&mut self, mut said: Said) -> anyhow::Result<()> {
        if said.text.chars().count() > TEXT_MAX {
            said.text = said.text.chars().take(TEXT_MAX).collect::<String>().trim_end().to_owned();
            self.report.cut += 1;
        }
        let token = self.token_of(&said.author).await?;
        match said.paid {
            Some(money) if money.currency() != self.currency => {
                self.report.foreign.entry(money.currency().code()).or_default().add(money);
                Ok(())
            }
            Some(money) => {
                let body = json!({
                    "amount": money.amount().to_string(),
                    "currency": money.currency().code(),
                    "message": said.text,
                });
                self.tip(&token, &said, money, &body).await
            }
            None => self.post(&token, &said).await,
        }
    }

    async fn tip(
        &mut self,
        token: &str,
        said: &Said,
        money: schemas::Money,
        body: &Value,
    ) -> anyhow::Result<()> {
        let path = format!("/streams/{}/tip", self.show);
        match self.ask(token, &path, &format!("tip/{}", said.id), Some(body)).await? {
            Reply::Done(answer) => {
                self.report.tips.add(money);
                let tipped: Tipped = answer.read()?;
                self.report.pending_tips += u64::from(tipped.status == "PENDING");
            }
            Reply::Refused { code, .. }
                if ["payment_declined", "own_stream", "amount_too_large"].contains(&code.as_str()) =>
            {
                self.report.refuse(&format!("tip: {code}"));
            }
            Reply::Later { code, .. } => self.report.refuse_unexpectedly("tip", 429, &code, ""),
            Reply::Refused { status, code, detail } => {
                self.report.refuse_unexpectedly("tip", status, &code, &detail);
            }
        }
        Ok(())
    }

    async fn post(&mut self, token: &str, said: &Said) -> anyhow::Result<()> {
        let path = format!("/streams/{}/chat", self.show);
        let what = format!("message/{}", said.id);
        let mut reply_to = self.replies.meant_by(said);
        let is_repeat = self.is_repeat(said);
        loop {
            let mut body = json!({ "message": said.text });
            if let Some(message) = &reply_to {
                body["replyTo"] = json!(message);
            }
            match self.ask(token, &path, &what, Some(&body)).await? {
                Reply::Done(answer) => {
                    let posted: Posted = answer.read()?;
                    self.replies.remember(said, &posted.message_id);
                    self.report.messages += 1;
                    self.report.replies += u64::from(reply_to.is_some());
                    return Ok(());
                }
                // `ask` leaves repeats to us: one that was none when it was written must only wait
                Reply::Later { .. } if is_repeat => {
                    self.report.refuse("the same text of the same person within 30 seconds");
                    return Ok(());
                }
                Reply::Later { wait, .. } => self.pause(wait).await,
                // too far back; or an earlier import sent it without, and this is a repeat of that
                Reply::Refused { code, .. }
                    if reply_to.is_some()
                        && ["message_unknown", "idempotency_key_reused"].contains(&code.as_str()) =>
                {
                    reply_to = None;
                    self.report.lost_replies += 1;
                }
                Reply::Refused { status, code, detail } => {
                    self.report.refuse_unexpectedly("message", status, &code, &detail);
                    return Ok(());
                }
            }
        }
    }

    /// Whether the person wrote the same shortly before, when it really happened.
    fn is_repeat(&mut self, said: &Said) -> bool {
        let Some(person) = self.people.get_mut(&said.author.id) else { return false };
        person.texts.retain(|(at_ms, _)| said.at_ms - at_ms <= REPEAT_MS);
        let hash = hash_of(&said.text);
        let is_repeat = person.texts.iter().any(|(_, known)| *known == hash);
        person.texts.push_back((said.at_ms, hash));
        is_repeat
    }
}

/// As the product compares texts, nearly: case and spacing do not tell repeats apart.
fn hash_of(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for word in text.split_whitespace() {
        word.to_lowercase().hash(&mut hasher);
    }
    hasher.finish()
}

fn clock(at_ms: i64) -> String {
    let seconds = at_ms.max(0) / 1_000;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
