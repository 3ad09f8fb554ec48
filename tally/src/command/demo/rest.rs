//! The host's requests.

use anyhow::{Context, ensure};
use platform::http::amount::Amount;
use platform::http::idempotency::IDEMPOTENCY_KEY;
use platform::http::position::{TALLY_MIN_POSITION, TALLY_POSITION};
use reqwest::{Method, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// A request that takes longer has failed: a query waits up to 5 s for its position.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client with the host's token.
pub(super) struct Rest {
    client: reqwest::Client,
    base: String,
    token: String,
}

/// An answer and what its headers say.
pub(super) struct Answer<T> {
    pub(super) body: T,
    pub(super) position: Option<String>,
    pub(super) etag: Option<String>,
}

/// The answer to *create*, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    pub(super) stream_id: String,
}

/// The answer to *end*.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    pub(super) duration: u64,
    pub(super) viewer_count: u64,
    pub(super) total_tips: Amount,
    pub(super) pending_tips: u64,
}

/// A show's document, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) status: String,
    pub(super) stream_stats: Stats,
}

/// Its figures.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    pub(super) peak_viewers: u64,
    pub(super) total_tips: Amount,
    pub(super) duration: u64,
    pub(super) messages_count: u64,
}

impl Rest {
    pub(super) fn new(url: &str, token: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { client, base: format!("{}/api/v1", url.trim_end_matches('/')), token })
    }

    pub(super) async fn create(&self, show: &Value) -> anyhow::Result<Answer<Created>> {
        self.call(Method::POST, "/streams", Some(show), None).await
    }

    pub(super) async fn start(&self, show: &str) -> anyhow::Result<()> {
        let answer: Answer<Value> =
            self.call(Method::POST, &format!("/streams/{show}/start"), None, None).await?;
        let has_video = answer.body["agoraToken"].as_str().is_some_and(|token| !token.is_empty());
        ensure!(has_video, "the answer to start has no video token");
        Ok(())
    }

    pub(super) async fn end(&self, show: &str) -> anyhow::Result<Answer<Ended>> {
        self.call(Method::POST, &format!("/streams/{show}/end"), None, None).await
    }

    /// Changes the settings as they were read, or not at all.
    pub(super) async fn change(&self, show: &str, settings: &Value) -> anyhow::Result<()> {
        let read: Answer<Value> = self.call(Method::GET, &format!("/streams/{show}"), None, None).await?;
        let condition = read.etag.map(|etag| (header::IF_MATCH, etag));
        let _: Answer<Value> =
            self.call(Method::PATCH, &format!("/streams/{show}"), Some(settings), condition).await?;
        Ok(())
    }

    pub(super) async fn document(&self, show: &str, position: Option<String>) -> anyhow::Result<Document> {
        let condition = position.map(|position| (TALLY_MIN_POSITION, position));
        Ok(self.call(Method::GET, &format!("/streams/{show}"), None, condition).await?.body)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        condition: Option<(header::HeaderName, String)>,
    ) -> anyhow::Result<Answer<T>> {
        let what = format!("{method} {path}");
        let mut request =
            self.client.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(&self.token);
        if method == Method::POST {
            request = request.header(IDEMPOTENCY_KEY, Uuid::new_v4().to_string());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some((name, value)) = condition {
            request = request.header(name, value);
        }
        let response = request.send().await.with_context(|| format!("{what} has no answer"))?;
        let status = response.status();
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (position, etag) = (header(TALLY_POSITION), header(header::ETAG));
        let text = response.text().await?;
        ensure!(status.is_success(), "{what} is refused: {status} {text}");
        let body = serde_json::from_str(&text).with_context(|| format!("{what} is answered with {text}"))?;
        Ok(Answer { body, position, etag })
    }
}
