//! Why a token is refused, and what the client is told of it.

use axum::http::{HeaderValue, StatusCode, header};
use thiserror::Error;

use crate::http::problem::Problem;

/// After how many seconds to try again while the issuer's keys cannot be had.
const KEYS_RETRY_SECONDS: u64 = 5;

/// Why there is no caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// No token was sent.
    #[error("no token was sent")]
    Missing,
    /// The token's time is over.
    #[error("the token has expired")]
    Expired,
    /// The token is no good; the reason is for the log, not for whoever tries tokens.
    #[error("the token is invalid: {0}")]
    Invalid(&'static str),
    /// The token may be good: the keys to verify it could not be fetched.
    #[error("the keys to verify tokens are not available")]
    KeysUnavailable,
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Missing => {
                Self::unauthorized("token_missing", "send the header Authorization: Bearer and a token")
            }
            TokenError::Expired => challenged("token_expired", "get a new token and send the request again"),
            TokenError::Invalid(_) => {
                challenged("token_invalid", "send a valid token of this service's issuer")
            }
            TokenError::KeysUnavailable => Self::unavailable(
                "keys_unavailable",
                "tokens cannot be verified just now; try again",
                KEYS_RETRY_SECONDS,
            ),
        }
    }
}

fn challenged(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer error="invalid_token""#))
}

/// Why tokens cannot be verified at all with these settings.
#[derive(Debug, Error)]
pub enum AuthConfigError {
    /// Neither a secret nor a key set.
    #[error("set auth.hs256_secret or auth.jwks_url: there is no key to verify tokens with")]
    NoKeys,
    /// Shorter than the hash, which RFC 7518 forbids.
    #[error("auth.hs256_secret has to have at least {0} bytes")]
    ShortSecret(usize),
    /// The client for the key set could not be built.
    #[error("the HTTP client for auth.jwks_url cannot be built")]
    Client(#[source] reqwest::Error),
}
