//! Verifying tokens: signature by the key that is for it, then claims by our clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::Caller;
use super::claims::{Claims, Header, Validity};
use super::error::{AuthConfigError, TokenError};
use super::key_source::{KeySource, REFRESH_INTERVAL};

/// Longest token: what is longer is not even decoded.
const TOKEN_LENGTH_MAX: usize = 8 * 1024;

/// Longest token that the cache keeps: with its size this bounds the cache's memory.
const CACHED_LENGTH_MAX: usize = 2 * 1024;

/// Verified tokens kept: the active persons of a busy node.
const CACHE_SIZE: usize = 20_000;

/// RFC 7518: a secret at least as long as the hash.
const SECRET_LENGTH_MIN: usize = 32;

/// Our clock, in seconds since 1970; replaced in tests.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock.
#[must_use]
pub fn system_now() -> Now {
    Arc::new(|| {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Chooses the cryptography of `jsonwebtoken` by name, so that a dependency that enables a second one cannot make
/// the first use panic. Call it at start; calling it again does nothing.
pub fn install_crypto() {
    // an error only says that it is installed already
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// What tokens are accepted.
#[derive(Debug, Clone)]
pub struct VerifierSettings {
    /// The one issuer, exactly.
    pub issuer: String,
    /// The audience that a token must name.
    pub audience: String,
    /// How far clocks may differ.
    pub leeway_seconds: u32,
    /// Accept HS256 with this secret.
    pub hs256_secret: Option<SecretString>,
    /// Accept RS256, ES256 and EdDSA by the keys at this URL.
    pub jwks_url: Option<String>,
}

/// A verified token, and what must still hold at each use of it.
struct Verified {
    caller: Arc<Caller>,
    validity: Validity,
    /// The issuer's key that verified it; none for the shared secret, which never changes while we run.
    key: Option<[u8; 32]>,
}

/// Verifies bearer tokens.
pub struct Verifier {
    settings: VerifierSettings,
    now: Now,
    secret: Option<DecodingKey>,
    keys: Option<Arc<KeySource>>,
    verified: Cache<Box<str>, Arc<Verified>>,
}

impl Verifier {
    /// A verifier with these settings and this clock.
    ///
    /// # Errors
    /// Where the settings name no key, or a secret that is too short.
    pub fn new(settings: VerifierSettings, now: Now) -> Result<Self, AuthConfigError> {
        Self::with_refresh_interval(settings, now, REFRESH_INTERVAL)
    }

    pub(super) fn with_refresh_interval(
        settings: VerifierSettings,
        now: Now,
        refresh_interval: Duration,
    ) -> Result<Self, AuthConfigError> {
        install_crypto();
        let secret = settings.hs256_secret.as_ref().map(|secret| secret.expose_secret().as_bytes());
        if secret.is_some_and(|secret| secret.len() < SECRET_LENGTH_MIN) {
            return Err(AuthConfigError::ShortSecret(SECRET_LENGTH_MIN));
        }
        let secret = secret.map(DecodingKey::from_secret);
        let source =
            settings.jwks_url.clone().map(|url| KeySource::new(url, refresh_interval)).transpose()?;
        if secret.is_none() && source.is_none() {
            return Err(AuthConfigError::NoKeys);
        }
        Ok(Self { settings, now, secret, keys: source.map(Arc::new), verified: Cache::new(CACHE_SIZE) })
    }

    /// Fetches the key set ahead of the first request.
    pub async fn warm_up(&self) {
        if let Some(keys) = &self.keys {
            keys.refresh().await;
        }
    }

    /// Who bears `token`.
    ///
    /// # Errors
    /// Where the token is no good now, or cannot be judged.
    pub async fn verify(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(TokenError::Invalid("too long"));
        }
        let known = self.verified.get(token).filter(|known| self.is_key_current(known));
        let verified = match known {
            Some(verified) => verified,
            None => self.verify_afresh(token).await?,
        };
        // at each use: a cached token ends when it ends
        verified.validity.check((self.now)(), self.settings.leeway_seconds)?;
        Ok(Arc::clone(&verified.caller))
    }

    fn is_key_current(&self, verified: &Verified) -> bool {
        match (&verified.key, &self.keys) {
            (None, _) => true,
            (Some(key), Some(keys)) => keys.has_key(key),
            (Some(_), None) => false,
        }
    }

    async fn verify_afresh(&self, token: &str) -> Result<Arc<Verified>, TokenError> {
        let parts = Parts::split(token)?;
        let header: Header = decode(parts.header)?;
        header.check()?;
        let (key, algorithm, fingerprint) = self.key_for(&header).await?;
        let is_signed =
            jsonwebtoken::crypto::verify(parts.signature, parts.message.as_bytes(), &key, algorithm);
        if !is_signed.unwrap_or(false) {
            return Err(TokenError::Invalid("signature"));
        }
        let claims: Claims = decode(parts.claims)?;
        claims.check(&self.settings.issuer, &self.settings.audience)?;
        let validity = claims.validity();
        validity.check((self.now)(), self.settings.leeway_seconds)?;
        let caller = Arc::new(claims.into_caller(token)?);
        let verified = Arc::new(Verified { caller, validity, key: fingerprint });
        if token.len() <= CACHED_LENGTH_MAX {
            self.verified.insert(token.into(), Arc::clone(&verified));
        }
        Ok(verified)
    }

    async fn key_for(
        &self,
        header: &Header,
    ) -> Result<(DecodingKey, Algorithm, Option<[u8; 32]>), TokenError> {
        let algorithm = match header.alg.as_str() {
            "HS256" => return self.secret_for(header),
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            _ => return Err(TokenError::Invalid("alg")),
        };
        let keys = self.keys.as_ref().ok_or(TokenError::Invalid("alg"))?;
        let key = keys.find(header.kid.as_deref(), algorithm).await?;
        Ok((key.decoding, key.algorithm, Some(key.fingerprint)))
    }

    fn secret_for(&self, header: &Header) -> Result<(DecodingKey, Algorithm, Option<[u8; 32]>), TokenError> {
        let names_a_public_key = match (&header.kid, &self.keys) {
            (Some(kid), Some(keys)) => keys.has_id(kid),
            _ => false,
        };
        let secret =
            self.secret.as_ref().filter(|_| !names_a_public_key).ok_or(TokenError::Invalid("alg"))?;
        Ok((secret.clone(), Algorithm::HS256, None))
    }
}

/// The three parts of a token, still encoded.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What is signed: the first two with their dot.
    message: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenError> {
        let malformed = TokenError::Invalid("not three parts");
        let (message, signature) = token.rsplit_once('.').ok_or(malformed.clone())?;
        let (header, claims) = message.split_once('.').ok_or(malformed.clone())?;
        if claims.contains('.') || [header, claims, signature].iter().any(|part| part.is_empty()) {
            return Err(malformed);
        }
        Ok(Self { header, claims, signature, message })
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Invalid("base64"))?;
    // serde would also read a struct from an array
    if json.first() != Some(&b'{') {
        return Err(TokenError::Invalid("no object"));
    }
    serde_json::from_slice(&json).map_err(|_| TokenError::Invalid("header or claims"))
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;
