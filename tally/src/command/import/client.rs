//! Requests: paced, under keys that follow from the export, and again where there was no answer.

use anyhow::{Context, bail};
use platform::http::idempotency::IDEMPOTENCY_KEY;
use platform::http::position::TALLY_POSITION;
use reqwest::{Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Tries at a request without an answer, or that a server put off, and the pause before each.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// Keys are UUIDv5 in this namespace. Never change it: a repeat of an import would do everything again.
const KEYS: Uuid = Uuid::from_u128(0x7d1b_5f0a_3c64_4e0e_9a53_c2a1_0f6e_88b7);

/// A client of the public API.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    /// What all keys begin with: the export, and the label of the import.
    identity: String,
    pause: Duration,
    next: Instant,
}

/// What a server answers.
pub(super) struct Answer {
    /// As it wrote it: amounts are exact only there.
    text: String,
    /// Where in the log what it tells of stands, or how far it has read. A repeat is told where it was done first.
    pub(super) position: Option<u64>,
}

impl Answer {
    pub(super) fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(&self.text)
            .with_context(|| format!("an answer is not as expected: {}", self.text))
    }
}

/// What came of a request.
pub(super) enum Reply {
    /// Done, with the answer.
    Done(Answer),
    /// Refused for now.
    Later { code: String, wait: Duration },
    /// Refused.
    Refused { status: u16, code: String, detail: String },
}

impl Client {
    pub(super) fn new(url: &str, identity: String, per_second: u32) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().timeout(TIMEOUT).build()?,
            base: format!("{}/api/v1", url.trim_end_matches('/')),
            identity,
            pause: Duration::from_secs(1) / per_second.max(1),
            next: Instant::now(),
        })
    }

    pub(super) async fn get(&mut self, token: &str, path: &str) -> anyhow::Result<Answer> {
        match self.send(Method::GET, token, path, None, None).await? {
            Reply::Done(answer) => Ok(answer),
            Reply::Later { code, .. } | Reply::Refused { code, .. } => bail!("GET {path} is refused: {code}"),
        }
    }

    /// A command, under the key of what it is for: a repeat of it, in this import or another, does nothing more. `None` where
    /// it asks for a state rather than an act, and does nothing where that is reached.
    pub(super) async fn post(
        &mut self,
        token: &str,
        path: &str,
        what: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        let key = what.map(|what| Uuid::new_v5(&KEYS, format!("{}/{what}", self.identity).as_bytes()));
        self.send(Method::POST, token, path, key, body).await
    }

    async fn send(
        &mut self,
        method: Method,
        token: &str,
        path: &str,
        key: Option<Uuid>,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        let mut last = None;
        for _ in 0..TRIES {
            self.turn().await;
            let mut request =
                self.http.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(token);
            if let Some(key) = key {
                request = request.header(IDEMPOTENCY_KEY, key.to_string());
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            match request.send().await {
                Err(error) => {
                    last = Some(error);
                    sleep(PAUSE).await;
                }
                Ok(response) => match reply(response).await {
                    // its outcome is known when the same is asked again
                    Ok(None) => sleep(PAUSE).await,
                    Ok(Some(reply)) => return Ok(reply),
                    Err(error) => {
                        last = Some(error);
                        sleep(PAUSE).await;
                    }
                },
            }
        }
        match last {
            Some(error) => Err(error).with_context(|| format!("{method} {path} has no answer")),
            None => bail!("{method} {path} is put off again and again: the server is overloaded"),
        }
    }

    /// All requests come from one address, of which a server takes so many a second.
    async fn turn(&mut self) {
        sleep_until(self.next).await;
        self.next = self.next.max(Instant::now() - self.pause) + self.pause;
    }
}

/// `None`: to be asked again.
async fn reply(response: reqwest::Response) -> reqwest::Result<Option<Reply>> {
    let status = response.status();
    let seconds = response.headers().get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let position = response.headers().get(TALLY_POSITION);
    let position = position.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let text = response.text().await?;
    if status.is_success() {
        return Ok(Some(Reply::Done(Answer { text, position })));
    }
    if status.is_server_error() {
        return Ok(None);
    }
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let field = |name: &str| body[name].as_str().map(str::to_owned);
    let code = field("code").unwrap_or_else(|| status.to_string());
    Ok(Some(if status == StatusCode::TOO_MANY_REQUESTS {
        Reply::Later { code, wait: Duration::from_secs(seconds.unwrap_or(1)) }
    } else {
        Reply::Refused { status: status.as_u16(), code, detail: field("detail").unwrap_or(text) }
    }))
}
