//! The player against a server that remembers commands by their keys, and that can forget who is there.

use super::*;
use crate::command::import::export::{Format, Head};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use parking_lot::Mutex;
use platform::config::Config;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

#[derive(Default)]
struct Server {
    position: u64,
    /// Answers by key, with where they stand.
    done: HashMap<String, u64>,
    present: HashSet<String>,
    /// How often each person joined where they were not there.
    joins: HashMap<String, u32>,
    texts: Vec<String>,
    /// Texts are refused once where they were sent before.
    put_off: HashSet<String>,
    present_at_end: usize,
}

impl Server {
    fn keyed(&mut self, key: Option<&str>) -> (u64, bool) {
        self.position += 1;
        let position = self.position;
        let Some(key) = key else { return (position, false) };
        let known = self.done.get(key).copied();
        (*self.done.entry(key.to_owned()).or_insert(position), known.is_some())
    }

    fn answer(&mut self, verb: &str, headers: &HeaderMap, body: &Value) -> Response {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (person, key) = (header("authorization").unwrap(), header("idempotency-key"));
        let text = body["message"].as_str().unwrap_or_default().to_owned();
        let is_new = key.as_ref().is_none_or(|key| !self.done.contains_key(key));
        if verb == "chat" && is_new && self.texts.contains(&text) && self.put_off.insert(key.clone().unwrap())
        {
            let problem = json!({ "code": "duplicate_message" });
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")], Json(problem)).into_response();
        }
        if verb == "heartbeat" && !self.present.contains(&person) {
            return (StatusCode::NOT_FOUND, Json(json!({ "code": "session_unknown" }))).into_response();
        }
        let (position, is_repeat) = self.keyed(key.as_deref());
        match verb {
            "join" if !is_repeat && self.present.insert(person.clone()) => {
                *self.joins.entry(person).or_default() += 1;
            }
            "leave" => drop(self.present.remove(&person)),
            "chat" if !is_repeat => self.texts.push(text),
            "end" => self.present_at_end = self.present.len(),
            _ => {}
        }
        let answer = json!({
            "heartbeatSeconds": 1, "messageId": position.to_string(), "status": "SETTLED",
            "totalTips": 0, "currency": "USD", "pendingTips": 0,
        });
        ([("tally-position", position.to_string())], Json(answer)).into_response()
    }
}

struct Stage {
    server: Arc<Mutex<Server>>,
    url: String,
    tokens: Tokens,
    survey: Survey,
}

async fn handle(State(server): State<Arc<Mutex<Server>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let verb = parts.uri.path().rsplit('/').next().unwrap().to_owned();
    server.lock().answer(&verb, &parts.headers, &body)
}

impl Stage {
    async fn of(entries: &[Entry]) -> Self {
        let server = Arc::new(Mutex::new(Server::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle).with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        // whoever makes tokens makes the secrets that are missing: not where the tests run
        let data = tempfile::tempdir().unwrap();
        let settings = [("TALLY_DATA__DIR".into(), data.path().into())];
        let config = Config::of("", settings).unwrap();
        let tokens = Tokens::of(&config, 60).unwrap();
        Self { server, url, tokens, survey: survey(entries) }
    }

    fn player(&self, speed: Option<f64>, per_second: u32) -> Player<'_> {
        let sub = |name: &str| self.tokens.mint(name, name, Role::Creator).unwrap();
        Player {
            client: Client::new(&self.url, "test".to_owned(), per_second).unwrap(),
            tokens: &self.tokens,
            survey: &self.survey,
            show: "s".to_owned(),
            currency: Currency::USD,
            speed,
            begun: Instant::now(),
            repeated_to: Some(self.server.lock().position),
            is_beyond: false,
            bar: ProgressBar::hidden(),
            report: Report::default(),
            host_token: sub("host"),
            people: HashMap::new(),
            replies: Replies::default(),
            leaving: BinaryHeap::new(),
            beats: VecDeque::new(),
            beat_every: Duration::from_secs(1),
        }
    }

    async fn play(&self, player: &mut Player<'_>, entries: Vec<Entry>) {
        let (sender, receiver) = mpsc::channel(entries.len().max(1));
        for entry in entries {
            sender.send(entry).await.unwrap();
        }
        drop(sender);
        let playing = player.play(receiver);
        tokio::time::timeout(Duration::from_secs(15), playing).await.expect("it ends").unwrap();
    }
}

fn survey(entries: &[Entry]) -> Survey {
    let mut survey = Survey {
        format: Format::Twitch,
        head: Head::default(),
        last_ms: HashMap::new(),
        messages: 0,
        emotes: 0,
        paid: BTreeMap::new(),
        unmapped: BTreeMap::new(),
        first_id: None,
        length_ms: 0,
    };
    for entry in entries {
        if let Entry::Said(said) = entry {
            survey.last_ms.insert(said.author.id.clone(), said.at_ms.max(0));
            survey.length_ms = survey.length_ms.max(said.at_ms);
        }
    }
    survey
}

fn said(name: &str, at_ms: i64, text: &str) -> Said {
    let author = Author { id: name.to_owned(), name: name.to_owned(), is_host: false, is_moderator: false };
    Said { id: format!("{name}-{at_ms}-{text}"), at_ms, author, text: text.to_owned(), emotes: 0, paid: None }
}

fn entry(name: &str, at_ms: i64, text: &str) -> Entry {
    Entry::Said(said(name, at_ms, text))
}

/// The import was stopped, and the sweeper ended all sessions before it was started again.
#[tokio::test]
async fn whoever_is_there_joins_again_after_a_pause_and_whoever_left_does_not() {
    let again = entry("ann", 10_000, "one");
    let early =
        vec![entry("ann", 0, "one"), again, entry("ben", 20_000, "two"), entry("cai", 400_000, "three")];
    let mut all = early.clone();
    all.extend([entry("dee", 400_001, "four"), entry("cai", 400_002, "five"), entry("ben", 400_003, "six")]);
    let stage = Stage::of(&all).await;
    let mut first = stage.player(None, 1_000);
    let (sender, receiver) = mpsc::channel(10);
    for entry in early {
        sender.send(entry).await.unwrap();
    }
    // the channel stays open, so the show goes on until the import is stopped
    assert!(tokio::time::timeout(Duration::from_millis(500), first.play(receiver)).await.is_err());
    assert_eq!(stage.server.lock().texts.len(), 3);
    assert_eq!(stage.server.lock().present.len(), 2, "ann left five minutes after her last message");
    stage.server.lock().present.clear();

    let mut second = stage.player(None, 1_000);
    stage.play(&mut second, all).await;
    let server = stage.server.lock();
    assert_eq!(server.present_at_end, 3);
    let mut joins: Vec<u32> = server.joins.values().copied().collect();
    joins.sort_unstable();
    assert_eq!(joins, [1, 1, 2, 2], "ann and dee once, ben and cai once more");
    assert_eq!(server.texts, ["one", "two", "three", "four", "five", "six"]);
    assert_eq!(second.report.unexpected, 0);
}

#[tokio::test]
async fn a_session_that_ended_too_early_is_begun_again() {
    let all = vec![entry("ann", 0, "one"), entry("ben", 2_500, "two")];
    let stage = Stage::of(&all).await;
    let server = Arc::clone(&stage.server);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        server.lock().present.clear();
    });
    let mut player = stage.player(Some(1.0), 1_000);
    stage.play(&mut player, all).await;
    assert_eq!((stage.server.lock().present_at_end, player.report.rejoined), (2, 1));
    assert_eq!(player.report.people, 2, "somebody who comes back is not another one");
}

/// Signs of life take longer than they are good for: the show must go on nevertheless.
#[tokio::test]
async fn more_people_than_can_give_signs_of_life_do_not_stop_the_show() {
    let mut all: Vec<Entry> = (0..24).map(|number| entry(&format!("p{number}"), number, "hi")).collect();
    let people = all.len();
    all.extend((0..10).map(|number| entry("p0", 1_000 + number, &format!("more {number}"))));
    let stage = Stage::of(&all).await;
    // a round of all takes 1.2 s, and each is due every second
    let mut player = stage.player(None, 20);
    stage.play(&mut player, all).await;
    assert_eq!((stage.server.lock().texts.len(), player.report.messages), (people + 10, people as u64 + 10));
}

#[tokio::test]
async fn the_words_of_a_payment_in_a_foreign_currency_are_a_message() {
    let pay = |text: &str, at_ms: i64, amount: &str| {
        let paid = crate::command::import::amount::parse(amount);
        assert!(paid.is_some());
        Entry::Said(Said { paid, ..said("ann", at_ms, text) })
    };
    let all = vec![pay("for tea", 0, "€2.00"), pay("", 1, "€3.00"), pay("for coffee", 2, "US$4.00")];
    let stage = Stage::of(&all).await;
    let mut player = stage.player(None, 1_000);
    stage.play(&mut player, all).await;
    assert_eq!(stage.server.lock().texts, ["for tea"]);
    let foreign = player.report.foreign["EUR"];
    assert_eq!((foreign.count, foreign.amount.to_string()), (2, "5.00".to_owned()));
    assert_eq!((player.report.tips.count, player.report.messages), (1, 1));
}

/// In the waiting room everything happens at once for the show, and did not for the people.
#[tokio::test]
async fn the_same_text_is_a_repeat_by_when_it_was_written() {
    let times = [-120_000, -80_000, -60_000, -45_000, 20_000];
    let all: Vec<Entry> = times.iter().map(|at_ms| entry("ann", *at_ms, "hello")).collect();
    let stage = Stage::of(&all).await;
    let mut player = stage.player(None, 1_000);
    stage.play(&mut player, all).await;
    assert_eq!(stage.server.lock().texts.len(), 4);
    assert_eq!(player.report.refused.values().sum::<u64>(), 1, "twenty seconds after the one before");
}
