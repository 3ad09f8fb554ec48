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

use super::client::{Answer, Client, Reply};
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
    /// So far the log had come at first: what is answered from there or before was done by an import that was stopped.
    /// `None` as soon as there is no more of it.
    pub(super) repeated_to: Option<u64>,
    /// Whether something was done that no import did before.
    pub(super) is_beyond: bool,
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
                if self.is_beyond {
                    self.take_over().await?;
                }
            }
        }
        self.take_over().await?;
        self.leave_until(self.survey.length_ms).await?;
        self.wait_until(self.survey.length_ms).await?;
        let path = format!("/streams/{}/end", self.show);
        match self.client.post(&self.host_token, &path, Some("end"), None).await? {
            Reply::Done(ended) => ended.read(),
            Reply::Later { code, .. } | Reply::Refused { code, .. } => {
                bail!("the show cannot be ended: {code}")
            }
        }
    }

    /// From here on everything is new. The pause since an earlier import may have ended the sessions of all whom it left in
    /// the show, and their joins are answered without a new one: they join once more.
    async fn take_over(&mut self) -> anyhow::Result<()> {
        if self.repeated_to.take().is_none() {
            return Ok(());
        }
        let present: Vec<String> = self.people.values().map(|person| person.token.clone()).collect();
        for token in present {
            self.join(&token, None).await?;
        }
        Ok(())
    }

    /// Waits until it is so late in the show, and gives signs of life meanwhile. Where it is late already, one of these is
    /// given: so neither the show nor its audience waits for the other for ever.
    async fn wait_until(&mut self, at_ms: i64) -> anyhow::Result<()> {
        self.bar.set_message(clock(at_ms));
        let due = self
            .speed
            .map(|speed| self.begun + Duration::from_secs_f64(at_ms.max(0) as f64 / 1_000.0 / speed));
        loop {
            let now = Instant::now();
            let until = due.unwrap_or(now).max(now);
            let Some((beat, _)) = self.beats.front().filter(|(beat, _)| *beat <= until) else {
                sleep_until(until).await;
                return Ok(());
            };
            sleep_until(*beat).await;
            if self.beat().await? && until == now {
                return Ok(());
            }
        }
    }

    /// The sign of life that is due first, unless its person was heard of meanwhile or is gone: then none is given.
    async fn beat(&mut self) -> anyhow::Result<bool> {
        let Some((_, id)) = self.beats.pop_front() else { return Ok(false) };
        let Some(person) = self.people.get_mut(&id) else { return Ok(false) };
        let fresh = person.seen + self.beat_every;
        if fresh > Instant::now() {
            // the others in between are due no earlier
            self.beats.push_back((fresh.max(Instant::now() + Duration::from_millis(1)), id));
            return Ok(false);
        }
        person.seen = Instant::now();
        let token = person.token.clone();
        let path = format!("/streams/{}/heartbeat", self.show);
        // a limit is met by the next beat
        let reply = self.client.post(&token, &path, None, None).await?;
        let is_lost = matches!(&reply, Reply::Refused { code, .. } if code == "session_unknown");
        // while an earlier import is repeated, nobody is there yet
        if is_lost && self.repeated_to.is_none() && self.join(&token, None).await? {
            self.report.rejoined += 1;
        }
        self.beats.push_back((Instant::now() + self.beat_every, id));
        Ok(true)
    }

    async fn leave_until(&mut self, at_ms: i64) -> anyhow::Result<()> {
        while self.leaving.peek().is_some_and(|Reverse((leaves_ms, _))| *leaves_ms < at_ms) {
            let Some(Reverse((leaves_ms, id))) = self.leaving.pop() else { break };
            self.wait_until(leaves_ms).await?;
            let Some(person) = self.people.remove(&id) else { continue };
            let path = format!("/streams/{}/leave", self.show);
            // the sweeper may have been faster
            drop(self.ask(&person.token, &path, None, None).await?);
        }
        Ok(())
    }

    /// A command, as often as a limit says that it may be made later.
    async fn ask(
        &mut self,
        token: &str,
        path: &str,
        what: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        loop {
            match self.client.post(token, path, what, body).await? {
                Reply::Later { code, wait } if code != "duplicate_message" => self.pause(wait).await,
                reply @ (Reply::Done(_) | Reply::Later { .. } | Reply::Refused { .. }) => return Ok(reply),
            }
        }
    }

    /// Finds out where an earlier import was stopped: what it did stands where it was done.
    fn compare(&mut self, answer: &Answer) {
        self.is_beyond |= answer.position > self.repeated_to;
    }

    async fn pause(&mut self, wait: Duration) {
        self.report.wait(wait);
        tokio::time::sleep(wait).await;
    }

    /// Somebody joins. Without a key they join only where they are not there: the product continues a session that is open.
    async fn join(&mut self, token: &str, what: Option<&str>) -> anyhow::Result<bool> {
        let path = format!("/streams/{}/join", self.show);
        match self.ask(token, &path, what, None).await? {
            Reply::Done(answer) => {
                if what.is_some() {
                    self.compare(&answer);
                }
                let joined: Joined = answer.read()?;
                self.beat_every = Duration::from_secs(joined.heartbeat_seconds.max(1));
                return Ok(true);
            }
            Reply::Later { code, .. } => self.report.refuse_unexpectedly("join", 429, &code, ""),
            Reply::Refused { status, code, detail } => {
                self.report.refuse_unexpectedly("join", status, &code, &detail);
            }
        }
        Ok(false)
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
        if self.join(&token, Some(&format!("join/{}", author.id))).await? {
            self.report.people += 1;
        }
        let now = Instant::now();
        self.beats.push_back((now + self.beat_every, author.id.clone()));
        let last_ms = self.survey.last_ms.get(&author.id).copied().unwrap_or(0);
        self.leaving.push(Reverse((last_ms.saturating_add(LINGER_MS), author.id.clone())));
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
                // the words were said all the same
                if said.text.is_empty() { Ok(()) } else { self.post(&token, &said).await }
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
        match self.ask(token, &path, Some(&format!("tip/{}", said.id)), Some(body)).await? {
            Reply::Done(answer) => {
                self.compare(&answer);
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
        // not left to the server: it would take it from an import that goes on later
        if self.is_repeat(said) {
            self.report.refuse("the same text of the same person within 30 seconds");
            return Ok(());
        }
        loop {
            let mut body = json!({ "message": said.text });
            if let Some(message) = &reply_to {
                body["replyTo"] = json!(message);
            }
            match self.ask(token, &path, Some(&what), Some(&body)).await? {
                Reply::Done(answer) => {
                    self.compare(&answer);
                    let posted: Posted = answer.read()?;
                    self.replies.remember(said, &posted.message_id);
                    self.report.messages += 1;
                    self.report.replies += u64::from(reply_to.is_some());
                    return Ok(());
                }
                // `ask` leaves repeats to us: one that was none when it was written must only wait
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

    /// Whether the person wrote the same shortly before, when it really happened, as far as that was no repeat itself.
    fn is_repeat(&mut self, said: &Said) -> bool {
        let Some(person) = self.people.get_mut(&said.author.id) else { return false };
        person.texts.retain(|(at_ms, _)| said.at_ms.saturating_sub(*at_ms) <= REPEAT_MS);
        let hash = hash_of(&said.text);
        let is_repeat = person.texts.iter().any(|(_, known)| *known == hash);
        if !is_repeat {
            person.texts.push_back((said.at_ms, hash));
        }
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

#[cfg(test)]
#[path = "player_tests.rs"]
mod tests;
