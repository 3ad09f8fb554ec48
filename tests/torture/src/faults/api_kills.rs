//! Fault test 5: a command process is killed between its append and its answer.
//!
//! One of two command processes reaches the log through the proxy, which swallows the log's answers: the append is made, and
//! nobody learns of it. Then the process is killed, and the client insists: fifty retries of one key at once, at both. A crowd gives
//! tips meanwhile, which the kill meets at any step of their payment, and insists as well.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use futures::future::try_join_all;
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::{EventLog, codec};
use platform::http::auth::Role;
use rand::Rng;
use rand::rngs::StdRng;
use schemas::events::{ChatEvent, LedgerEvent, ShowEvent};
use schemas::{Event, Revision, streams};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tally_tests::cluster::free_port;
use tally_tests::server::token;
use tally_tests::{Answer, Api, Cluster, Server};

use crate::fault_proxy::{FaultProxy, Faults};
use crate::harness::{Counts, FaultTest, Round, promise, violation};

/// The client, or a gateway before us, that draws a new key for each retry.
const FORGETS_KEYS: &str = "forgets-idempotency-keys";
const RETRIES: usize = 50;
/// Retries of each tip of the crowd: one at each process.
const CROWD_RETRIES: usize = 2;
/// Tips that are under way when a process is killed, by as many persons, each less than the limit of a person.
const CROWD: u32 = 40;
/// What the crowd gets done before the kill takes up to so long.
const CROWD_MS_MAX: u64 = 60;
/// Kills of a full round.
const KILLS: u32 = 10;
/// What is still under way, or meets a process that starts, is asked again after this.
const PAUSE: Duration = Duration::from_millis(50);
/// More tries than any start takes.
const TRIES_MAX: usize = 1_200;
/// An append that does not come within this was not made before the kill; that is well too.
const APPEND_PAUSES_MAX: usize = 1_000;
const APPEND_PAUSE: Duration = Duration::from_millis(3);
const PAGE: usize = 1_000;

/// Fault test 5.
pub(super) struct ApiKills;

#[async_trait(?Send)]
impl FaultTest for ApiKills {
    fn name(&self) -> &'static str {
        "api-kills"
    }

    fn claim(&self) -> &'static str {
        "a command process killed between append and answer: one event, equal answers, no double charge"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[FORGETS_KEYS]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let mut stage = Stage::start(&mut chance).await?;
        let played = stage.play(round, &mut chance).await;
        stage.stop().await?;
        played
    }
}

/// Two command processes over one log, and a show.
struct Stage {
    cluster: Cluster,
    proxy: FaultProxy,
    log: Arc<EventStoreLog>,
    /// The first one reaches the log through the proxy.
    processes: Vec<Server>,
    listens: [String; 2],
    show: String,
    /// Kills that came after the append.
    interrupted: u64,
    /// What was read of the show's stream so far.
    events: Vec<ShowEvent>,
    read: Revision,
}

impl Stage {
    async fn start(chance: &mut StdRng) -> anyhow::Result<Self> {
        let cluster = Cluster::start().await?;
        let upstream: SocketAddr = address_of(cluster.log_url())?.parse()?;
        let proxy = FaultProxy::start(upstream, chance.random(), |_| Faults::default()).await?;
        let log = Arc::new(EventStoreLog::new(cluster.log_url(), "torture")?);
        let listens = [format!("127.0.0.1:{}", free_port()?), format!("127.0.0.1:{}", free_port()?)];
        let (show, processes, events) = (String::new(), Vec::new(), Vec::new());
        let mut stage =
            Self { cluster, proxy, log, processes, listens, show, interrupted: 0, events, read: 0 };
        for index in 0..2 {
            let process = stage.process(index).await?;
            stage.processes.push(process);
        }
        let host = stage.api(1, "host", &[Role::Creator]);
        stage.show =
            host.post("/streams", json!({ "title": "Tortured" })).await?.expect(201).text_of("streamId");
        host.post(&format!("/streams/{}/start", stage.show), Value::Null).await?.expect(200);
        Ok(stage)
    }

    async fn process(&self, index: usize) -> anyhow::Result<Server> {
        let through = self
            .cluster
            .log_url()
            .replace(address_of(self.cluster.log_url())?, &self.proxy.address().to_string());
        let log = if index == 0 { through.as_str() } else { self.cluster.log_url() };
        let settings = [("TALLY_HTTP__LISTEN", self.listens[index].as_str()), ("TALLY_EVENT_LOG__URL", log)];
        self.cluster.service("command-api", &settings).await
    }

    fn api(&self, index: usize, sub: &str, roles: &[Role]) -> Api {
        Api::new(&format!("http://{}", self.listens[index]), Some(token(sub, roles)))
    }

    async fn play(&mut self, round: &Round, chance: &mut StdRng) -> anyhow::Result<Counts> {
        let forgets = round.is_control(FORGETS_KEYS);
        let kills = round.share(KILLS);
        let mut tips: u64 = 0;
        for number in 0..kills {
            let is_tip = forgets || chance.random();
            tips += u64::from(is_tip);
            let asked = self.ask(&format!("person-{number}"), is_tip, forgets, chance);
            let crowd: Vec<_> = (0..if forgets { 0 } else { round.share(CROWD) })
                .map(|one| self.ask(&format!("person-{number}-{one}"), true, false, chance))
                .collect();
            tips += crowd.len() as u64;
            try_join_all([&asked].into_iter().chain(&crowd).map(|asked| self.join(&asked.sub))).await?;
            self.interrupt(&asked, &crowd, chance).await?;
            let mut answers = vec![self.insist(&asked, RETRIES).await?];
            self.check_changed(&asked).await?;
            answers.extend(try_join_all(crowd.iter().map(|tip| self.insist(tip, CROWD_RETRIES))).await?);
            let times = self.times().await?;
            for answer in answers {
                let id = answer.body["tipId"].as_str().or(answer.body["messageId"].as_str());
                let id = id.context("an answer without an id")?;
                let times = times.get(id).copied().unwrap_or_default();
                promise(times == 1, || format!("{id} stands {times} times in the log"))?;
            }
        }
        let charges = self.charges().await?;
        promise(charges == tips, || format!("{charges} charges for {tips} tips"))?;
        Ok(Counts::from([
            ("kills", u64::from(kills)),
            ("of them after an append", self.interrupted),
            ("tips", tips),
        ]))
    }

    fn ask(&self, sub: &str, is_tip: bool, forgets: bool, chance: &mut StdRng) -> Asked {
        let (path, body) = if is_tip {
            ("tip", json!({ "amount": "1.25", "message": format!("a tip of {sub}") }))
        } else {
            ("chat", json!({ "message": format!("a message of {sub}") }))
        };
        Asked {
            sub: sub.to_owned(),
            path: format!("/streams/{}/{path}", self.show),
            key: format!("key-{sub}-{}", chance.random::<u32>()),
            body,
            forgets,
        }
    }

    async fn join(&self, sub: &str) -> anyhow::Result<()> {
        // by the first process, which then knows the show and can append without reading
        let (api, path) = (self.api(0, sub, &[Role::Viewer]), format!("/streams/{}/join", self.show));
        let joined = api.post(&path, Value::Null).await?;
        promise(joined.status == 200, || format!("{sub} cannot join"))?;
        Ok(())
    }

    /// Sends a command to the first process, kills it once the first event is written, and starts it again. The append
    /// of a message gets no answer; tips go on for a moment, to die somewhere between their promise and their answer.
    async fn interrupt(&mut self, asked: &Asked, crowd: &[Asked], chance: &mut StdRng) -> anyhow::Result<()> {
        self.read_on().await?;
        let before = self.events.len();
        self.proxy.swallow_answers(!asked.is_tip());
        let sent = tokio::spawn(asked.clone().once(self.api(0, &asked.sub, &[Role::Viewer])));
        for _ in 0..APPEND_PAUSES_MAX {
            self.read_on().await?;
            if self.events.len() > before {
                self.interrupted += 1;
                break;
            }
            tokio::time::sleep(APPEND_PAUSE).await;
        }
        let crowd: Vec<_> = crowd
            .iter()
            .map(|tip| tokio::spawn(tip.clone().once(self.api(0, &tip.sub, &[Role::Viewer]))))
            .collect();
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..CROWD_MS_MAX))).await;
        self.processes[0].kill().await?;
        let answer = sent.await?;
        for tip in crowd {
            // whatever the answer was, or none: it is asked for again
            let _ = tip.await?;
        }
        let is_answered = answer.as_ref().is_ok_and(|answer| answer.status < 500);
        promise(asked.is_tip() || !is_answered, || {
            format!("an append without an answer was told as {answer:?}")
        })?;
        self.proxy.swallow_answers(false);
        self.proxy.reset_all();
        self.processes[0] = self.process(0).await?;
        Ok(())
    }

    /// Asks many times at once, each until there is a final answer; all must be the same.
    async fn insist(&self, asked: &Asked, retries: usize) -> anyhow::Result<Answer> {
        let apis = [0, 1].map(|index| self.api(index, &asked.sub, &[Role::Viewer]));
        // more would only meet the limit of tips for a person
        let retries = if asked.forgets { 5 } else { retries };
        let answers = (0..retries).map(|number| asked.until_final(&apis[number % 2], number));
        let mut answers = try_join_all(answers).await?;
        let first = answers.pop().context("no answers")?;
        promise(first.status == 201, || {
            format!("{} is answered {}: {}", asked.path, first.status, first.text)
        })?;
        for answer in &answers {
            promise(answer.status == first.status && answer.text == first.text, || {
                format!("two answers to one key: {} and {}", first.text, answer.text)
            })?;
        }
        Ok(first)
    }

    /// The same key for something else is refused.
    async fn check_changed(&self, asked: &Asked) -> anyhow::Result<()> {
        let mut changed = asked.body.clone();
        changed["message"] = json!("something else");
        for index in 0..2 {
            let api = self.api(index, &asked.sub, &[Role::Viewer]);
            let answer = api.post_with_key(&asked.path, &asked.key, changed.clone()).await?;
            promise(answer.status == 422, || {
                format!("a key with another body is answered {}", answer.status)
            })?;
        }
        Ok(())
    }

    /// Reads what is new in the show's stream.
    async fn read_on(&mut self) -> anyhow::Result<()> {
        let stream = streams::show(self.show.parse()?);
        loop {
            let page = self.log.read_stream(&stream, self.read, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.read += page.len() as u64;
            for stored in &page {
                if let Event::Show(event) = codec::decode(stored)?.event {
                    self.events.push(event);
                }
            }
        }
    }

    /// How often each message was posted, and each tip captured.
    async fn times(&mut self) -> anyhow::Result<HashMap<String, usize>> {
        self.read_on().await?;
        let mut times = HashMap::new();
        for event in &self.events {
            let id = match event {
                ShowEvent::Chat(ChatEvent::Posted(message)) => message.message_id.to_string(),
                ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => tip.tip_id.to_string(),
                ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_))
                | ShowEvent::Audience(_)
                | ShowEvent::Lifecycle(_)
                | ShowEvent::Settings(_)
                | ShowEvent::Interaction(_) => continue,
            };
            *times.entry(id).or_default() += 1;
        }
        Ok(times)
    }

    async fn charges(&self) -> anyhow::Result<u64> {
        let url = format!("{}/sandbox/charges", self.cluster.payments.url());
        let key = self.cluster.payments.secret_key().expose_secret();
        let charges: Value = reqwest::Client::new().get(url).bearer_auth(key).send().await?.json().await?;
        charges["count"].as_u64().context("no count")
    }

    async fn stop(self) -> anyhow::Result<()> {
        for process in self.processes {
            process.stop().await?;
        }
        drop((self.proxy, self.log));
        self.cluster.stop().await
    }
}

/// A command that a client does not give up.
#[derive(Clone)]
struct Asked {
    sub: String,
    path: String,
    key: String,
    body: Value,
    forgets: bool,
}

impl Asked {
    fn is_tip(&self) -> bool {
        self.path.ends_with("/tip")
    }

    async fn once(self, api: Api) -> anyhow::Result<Answer> {
        api.post_with_key(&self.path, &self.key, self.body).await
    }

    async fn until_final(&self, api: &Api, number: usize) -> anyhow::Result<Answer> {
        let key = if self.forgets { format!("{}-{number}", self.key) } else { self.key.clone() };
        for _ in 0..TRIES_MAX {
            match api.post_with_key(&self.path, &key, self.body.clone()).await {
                // 202: the payment is under way
                Ok(answer) if answer.status < 500 && answer.status != 202 => return Ok(answer),
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(violation("there is never a final answer to")(&self.path).into())
    }
}

/// Host and port in a connection string.
fn address_of(url: &str) -> anyhow::Result<&str> {
    let rest = url.split_once("://").context("no address")?.1;
    Ok(rest.split(['/', '?']).next().unwrap_or(rest))
}
