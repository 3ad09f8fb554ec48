//! Calls with bounded attempts. Repeats carry the same idempotency key, so that they charge once.

use super::wire::{Failure, read};
use crate::ports::payments::{Cause, Intent};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use rand::Rng;
use reqwest::{Client, Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use thiserror::Error;

/// Attempts of one call. What still fails then is the saga's to repeat, later and with the same key.
const ATTEMPTS_MAX: u32 = 4;
/// The pause after the first attempt; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(150);
/// The longest pause, also where the provider asks for more: someone waits for the answer.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Connecting takes milliseconds or fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle connections are given up before Stripe does so.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// An intent has about 5 kB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// One request.
pub(super) enum Call<'a> {
    Get { path: &'a str },
    Post { path: &'a str, key: Option<&'a str>, form: &'a [(&'static str, String)] },
}

/// The way to Stripe.
pub(super) struct Transport {
    client: Client,
    base_url: String,
    secret_key: SecretString,
}

/// An answer that cannot be an intent.
#[derive(Debug, Error)]
#[error("answer is longer than {ANSWER_BYTES_MAX} bytes")]
struct TooLong;

impl Transport {
    pub(super) fn new(
        base_url: &str,
        secret_key: SecretString,
        attempt_timeout: Duration,
    ) -> reqwest::Result<Self> {
        let client = Client::builder()
            .timeout(attempt_timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // a redirect would carry the key elsewhere
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { client, base_url: base_url.trim_end_matches('/').to_owned(), secret_key })
    }

    /// Calls until there is an answer that another attempt would not change.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Intent, Failure> {
        let mut attempt = 1;
        loop {
            let (failure, asked_pause) = match self.attempt(call).await {
                (Ok(intent), _) => return Ok(intent),
                (Err(failure), asked_pause) => (failure, asked_pause),
            };
            if attempt >= ATTEMPTS_MAX || !failure.is_worth_repeating() {
                return Err(failure);
            }
            let pause = asked_pause.unwrap_or_else(|| backoff(attempt)).min(PAUSE_MAX);
            tracing::debug!(payments.attempt = attempt, error = %failure, "payment provider is asked again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// One attempt, and the pause that the provider asks for.
    async fn attempt(&self, call: &Call<'_>) -> (Result<Intent, Failure>, Option<Duration>) {
        let url = |path: &str| format!("{}{path}", self.base_url);
        let request = match call {
            Call::Get { path } => self.client.get(url(path)),
            Call::Post { path, key, form } => {
                let request = self.client.post(url(path)).form(form);
                if let Some(key) = key { request.header("idempotency-key", *key) } else { request }
            }
        };
        let response = match request.bearer_auth(self.secret_key.expose_secret()).send().await {
            Ok(response) => response,
            Err(error) => return (Err(Failure::NoAnswer(Cause::new(error.without_url()))), None),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let outcome = match body(response).await {
            Ok(body) => read(status, &headers, &body),
            Err(cause) => Err(Failure::NoAnswer(cause)),
        };
        (outcome, retry_after(&headers))
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, Cause> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Cause::new(error.without_url()))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Cause::new(TooLong));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Half of the pause is random, so that callers who failed together do not come back together.
fn backoff(attempt: u32) -> Duration {
    let full = PAUSE_FIRST.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(PAUSE_MAX);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// In seconds; dates are not used by Stripe.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
