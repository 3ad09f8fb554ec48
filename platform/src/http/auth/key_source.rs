//! Where the issuer's keys come from: fetched by URL, kept for as long as they may be, renewed when a new one is named.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use axum::http::{HeaderMap, header};
use jsonwebtoken::Algorithm;
use thiserror::Error;
use tokio::sync::Mutex;

use super::error::{AuthConfigError, TokenError};
use super::jwks::{KeySet, VerifyKey};
use crate::http::problem::Chain;

/// A fetch takes at most this long: requests wait for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// A set is a few KiB; more is not one.
const DOCUMENT_LENGTH_MAX: usize = 256 * 1024;

/// How long a set is good where the answer does not say.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(600);

/// Bounds of what an answer may say: not every request a fetch, not a removed key for days.
const LIFETIME_MIN: Duration = Duration::from_secs(60);
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How long the last good set is used after its end while fetching fails.
const GRACE: Duration = Duration::from_secs(6 * 3_600);

/// Between two fetches at least; else anyone's invented key ids would make us call the issuer.
pub(super) const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// The same while there is no set at all: a failed first fetch must not mean a minute of refusals.
const FIRST_INTERVAL: Duration = Duration::from_secs(2);

/// A set with its times.
struct Held {
    set: KeySet,
    fresh_until: Instant,
}

/// The keys behind a URL.
pub(super) struct KeySource {
    url: String,
    client: reqwest::Client,
    held: ArcSwapOption<Held>,
    /// Time of the last attempt; holding it is being the one that fetches.
    attempt: Mutex<Option<Instant>>,
    refresh_interval: Duration,
}

#[derive(Debug, Error)]
enum FetchError {
    #[error("the request for the key set failed")]
    Http(#[source] reqwest::Error),
    #[error("the key set has more than {DOCUMENT_LENGTH_MAX} bytes")]
    TooLong,
    #[error("the key set is not one")]
    Malformed(#[source] serde_json::Error),
    #[error("the key set has no usable key")]
    Empty,
}

impl KeySource {
    pub(super) fn new(url: String, refresh_interval: Duration) -> Result<Self, AuthConfigError> {
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(AuthConfigError::Client)?;
        Ok(Self { url, client, held: ArcSwapOption::empty(), attempt: Mutex::new(None), refresh_interval })
    }

    /// The key that a token names.
    pub(super) async fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<VerifyKey, TokenError> {
        if let Some(key) = self.current().and_then(|held| held.set.find(kid, algorithm).cloned()) {
            return Ok(key);
        }
        let is_wrong_use = |held: &Held| kid.is_some_and(|kid| held.set.has_id(kid)) || kid.is_none();
        if self.current().is_some_and(|held| is_wrong_use(&held)) {
            return Err(TokenError::Invalid("alg or kid"));
        }
        self.refresh().await;
        let held = self.current().ok_or(TokenError::KeysUnavailable)?;
        held.set.find(kid, algorithm).cloned().ok_or(TokenError::Invalid("kid"))
    }

    /// Whether a key that verified a token earlier is still the issuer's.
    pub(super) fn has_key(self: &Arc<Self>, fingerprint: &[u8; 32]) -> bool {
        self.current().is_some_and(|held| held.set.has_key(fingerprint))
    }

    /// Whether `kid` names one of the issuer's keys.
    pub(super) fn has_id(&self, kid: &str) -> bool {
        self.held.load().as_ref().is_some_and(|held| held.set.has_id(kid))
    }

    /// The set, while it may be used; one past its end is renewed beside the request that finds it so.
    fn current(self: &Arc<Self>) -> Option<Arc<Held>> {
        let held = self.held.load_full()?;
        let now = Instant::now();
        if now < held.fresh_until {
            return Some(held);
        }
        if let Ok(attempt) = self.attempt.try_lock()
            && is_due(*attempt, self.refresh_interval)
        {
            drop(attempt);
            let source = Arc::clone(self);
            tokio::spawn(async move { source.refresh().await });
        }
        (now < held.fresh_until + GRACE).then_some(held)
    }

    /// Fetches, unless that was done just now. Whoever comes while it is being done waits for the same answer.
    pub(super) async fn refresh(&self) {
        let mut attempt = self.attempt.lock().await;
        let interval = if self.held.load().is_some() {
            self.refresh_interval
        } else {
            FIRST_INTERVAL.min(self.refresh_interval)
        };
        if !is_due(*attempt, interval) {
            return;
        }
        *attempt = Some(Instant::now());
        match self.fetch().await {
            Ok(held) => {
                tracing::info!(keys = held.set.len(), "fetched the key set");
                self.held.store(Some(Arc::new(held)));
            }
            Err(error) => {
                tracing::warn!(error.chain = %Chain(&error), "cannot fetch the key set, keeping the last good one");
            }
        }
    }

    async fn fetch(&self) -> Result<Held, FetchError> {
        let answer = self.client.get(&self.url).send().await.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(FetchError::Http)?;
        let lifetime = lifetime(answer.headers());
        let mut document = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(FetchError::Http)? {
            document.extend_from_slice(&chunk);
            if document.len() > DOCUMENT_LENGTH_MAX {
                return Err(FetchError::TooLong);
            }
        }
        let set = KeySet::parse(&document).map_err(FetchError::Malformed)?;
        // an empty answer is an issuer's fault more likely than its will
        if set.len() == 0 {
            return Err(FetchError::Empty);
        }
        Ok(Held { set, fresh_until: Instant::now() + lifetime })
    }
}

fn is_due(attempt: Option<Instant>, interval: Duration) -> bool {
    attempt.is_none_or(|at| at.elapsed() >= interval)
}

/// `max-age`, within bounds.
fn lifetime(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let max_age = values
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .and_then(|(_, seconds)| seconds.trim_matches('"').parse().ok());
    max_age.map_or(LIFETIME_DEFAULT, Duration::from_secs).clamp(LIFETIME_MIN, LIFETIME_MAX)
}
