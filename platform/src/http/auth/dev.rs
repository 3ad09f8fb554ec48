//! Tokens for development, signed with the shared secret.

use jsonwebtoken::{EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use thiserror::Error;

use super::Role;
use super::verifier::install_crypto;

/// What a development token says.
#[derive(Debug, Clone)]
pub struct DevToken<'a> {
    /// The subject.
    pub sub: &'a str,
    /// The roles.
    pub roles: &'a [Role],
    /// The name to show.
    pub name: Option<&'a str>,
    /// The configured issuer.
    pub issuer: &'a str,
    /// The configured audience.
    pub audience: &'a str,
    /// How long it is good.
    pub lifetime_seconds: u32,
}

#[derive(Serialize)]
struct DevClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    roles: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// Why no token was made.
#[derive(Debug, Error)]
#[error("cannot sign the development token")]
pub struct MintError(#[source] jsonwebtoken::errors::Error);

/// Makes a token that a [`super::Verifier`] with the same secret, issuer and audience accepts.
///
/// That nothing calls this in production mode is for the composition root to see to.
///
/// # Errors
/// Where signing fails.
pub fn mint_dev_token(secret: &SecretString, token: &DevToken<'_>, now: i64) -> Result<String, MintError> {
    install_crypto();
    let claims = DevClaims {
        iss: token.issuer,
        aud: token.audience,
        sub: token.sub,
        iat: now,
        nbf: now,
        exp: now + i64::from(token.lifetime_seconds),
        roles: token.roles.iter().map(|role| role.name()).collect(),
        name: token.name,
    };
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).map_err(MintError)
}
