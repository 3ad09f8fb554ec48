//! A client of the REST API that keeps what the server really answered.

use anyhow::Context;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Figures follow within this: a broker and a server may have to start first, and a history to pass.
const FIGURES_TIMEOUT: Duration = Duration::from_secs(180);

/// Views follow within this: the server waits for five seconds only, and a busy machine may have a history to pass.
const VIEWS_TIMEOUT: Duration = Duration::from_secs(120);

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// A client with a token, or without.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    /// The bearer token.
    pub token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null where it is none.
    pub body: Value,
}

impl Api {
    /// A client of `base`.
    #[must_use]
    pub fn new(base: &str, token: Option<String>) -> Self {
        Self { http: reqwest::Client::new(), base: base.trim_end_matches('/').to_owned(), token }
    }

    /// Where the server is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request with these headers.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{}{path}", self.base, if path.starts_with("/api") { "" } else { "/api/v1" });
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.context("no answer")?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body })
    }

    /// GET.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, &[], None).await
    }

    /// GET at a position or later.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn get_after(&self, path: &str, written: &Answer) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, &[("Tally-Min-Position", written.position())], None).await
    }

    /// GET at a position or later, asked again where the views are not that far yet, as people are told to; the last refusal
    /// where they never are.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn get_reached(&self, path: &str, written: &Answer) -> anyhow::Result<Answer> {
        let not_yet = |answer: &Answer| answer.body["code"] == "position_not_reached";
        self.ask_again(path, written, VIEWS_TIMEOUT, not_yet).await
    }

    /// GET of figures, once they are of a position or later; the last refusal where they never are.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn get_figures(&self, path: &str, written: &Answer) -> anyhow::Result<Answer> {
        self.ask_again(path, written, FIGURES_TIMEOUT, |answer| answer.status == 503).await
    }

    async fn ask_again(
        &self,
        path: &str,
        written: &Answer,
        patience: Duration,
        not_yet: impl Fn(&Answer) -> bool,
    ) -> anyhow::Result<Answer> {
        let begun = Instant::now();
        loop {
            let answer = self.get_after(path, written).await?;
            if !not_yet(&answer) || begun.elapsed() > patience {
                return Ok(answer);
            }
            sleep(LOOK).await;
        }
    }

    /// POST.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Answer> {
        let body = (!body.is_null()).then(|| body.to_string());
        self.send(Method::POST, path, &[], body).await
    }

    /// POST under a key.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn post_with_key(&self, path: &str, key: &str, body: Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, &[("Idempotency-Key", key)], Some(body.to_string())).await
    }
}

impl Answer {
    /// A header's text; empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The position of the command's last event.
    #[must_use]
    pub fn position(&self) -> &str {
        self.header("Tally-Position")
    }

    /// This answer, if it has this status.
    ///
    /// # Panics
    /// Where it has another.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// This answer, if it is this problem.
    ///
    /// # Panics
    /// Where it is none, or another.
    pub fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        self
    }

    /// A field as text.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn text_of(&self, field: &str) -> String {
        let value = self.body.pointer(&format!("/{field}")).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no {field} in {}", self.text)).to_owned()
    }
}
