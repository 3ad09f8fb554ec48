//! AccessToken2, version "007": what Agora's network takes as proof that we let somebody in.
//!
//! The text is `"007"` and the Base64 of a zlib stream. Any deflate encoder will do, so the text is no fingerprint:
//! tokens are compared by their inflated bytes.

use super::service::Service;
use super::wire::{Reader, Writer};
use crate::adapters::hmac_sha256;
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, Decompress, FlushDecompress, Status, write::ZlibEncoder};
use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};
use std::io::Write;
use thiserror::Error;

/// What the text of a token starts with.
const VERSION: &str = "007";
/// App ids and certificates are so many hex digits, used as text.
const HEX_ID_BYTES: usize = 32;
/// A longer token text is not ours: five services with the longest names stay below.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// No token inflates to more; bounds what a hostile text can make us allocate.
const PLAIN_BYTES_MAX: usize = 64 * 1024;

/// Why a token was not made or not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TokenError {
    /// The app id is not 32 hex digits.
    #[error("app id is not 32 hex digits")]
    InvalidAppId,
    /// The certificate is not 32 hex digits.
    #[error("app certificate is not 32 hex digits")]
    InvalidCertificate,
    /// See [`super::service::check_channel`].
    #[error("channel name is empty, too long or has characters that are not allowed")]
    InvalidChannel,
    /// Longer than [`super::service::ACCOUNT_BYTES_MAX`].
    #[error("account is too long")]
    InvalidAccount,
    /// A token for nothing.
    #[error("token has no service")]
    NoService,
    /// More bytes or entries than the format can count.
    #[error("value is too long for a token")]
    TooLong,
    /// Not a token of version 007.
    #[error("not a token of version 007")]
    WrongVersion,
    /// Not Base64 of a whole zlib stream.
    #[error("token text is damaged")]
    Damaged,
    /// The content ends early.
    #[error("token content ends early")]
    Truncated,
}

/// The content of a token. `Debug` shows no secret: the certificate is never kept here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessToken {
    /// The project.
    pub app_id: String,
    /// When it was issued, Unix seconds.
    pub issued_at_s: u32,
    /// How long it lasts from then.
    pub expire_s: u32,
    /// Makes two tokens of one second differ.
    pub salt: u32,
    /// What it is good for.
    pub services: Vec<Service>,
}

impl AccessToken {
    /// The text of the token.
    ///
    /// # Errors
    /// [`TokenError`]: bad ids, no service, or values too long.
    pub fn build(&self, certificate: &SecretString) -> Result<SecretString, TokenError> {
        let deflate = |plain: &[u8]| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(plain)?;
            encoder.finish()
        };
        let deflated = deflate(&self.plain(certificate)?).map_err(|_| TokenError::Damaged)?;
        Ok(format!("{VERSION}{}", STANDARD.encode(deflated)).into())
    }

    /// Signature and message, as they are before compression.
    pub(super) fn plain(&self, certificate: &SecretString) -> Result<Vec<u8>, TokenError> {
        if !is_hex_id(&self.app_id) {
            return Err(TokenError::InvalidAppId);
        }
        if !is_hex_id(certificate.expose_secret()) {
            return Err(TokenError::InvalidCertificate);
        }
        let message = self.message()?;
        let key = signing_key(certificate, self.issued_at_s, self.salt);
        let signature = hmac_sha256(&key, &[&message]).finalize().into_bytes();
        let mut plain = Writer::default();
        plain.bytes(&signature)?.0.extend_from_slice(&message);
        Ok(plain.0)
    }

    /// What is signed. Services go out by type; those of one type keep their order.
    pub(super) fn message(&self) -> Result<Vec<u8>, TokenError> {
        if self.services.is_empty() {
            return Err(TokenError::NoService);
        }
        let mut services = self.services.iter().collect::<Vec<_>>();
        services.sort_by_key(|service| service.kind());
        let mut message = Writer::default();
        message.text(&self.app_id)?.u32(self.issued_at_s).u32(self.expire_s).u32(self.salt);
        message.count(services.len())?;
        for service in services {
            service.write(&mut message)?;
        }
        Ok(message.0)
    }
}

/// A token that was read: its content, and what its signature is checked over.
#[derive(Clone, Debug)]
pub struct ReadToken {
    /// The content, up to the first service of an unknown type.
    pub content: AccessToken,
    signature: Vec<u8>,
    message: Vec<u8>,
}

impl ReadToken {
    /// Reads a token. Nothing is proven by that: see [`ReadToken::is_signed_with`].
    ///
    /// # Errors
    /// [`TokenError::WrongVersion`], [`TokenError::Damaged`] or [`TokenError::Truncated`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let encoded = text.strip_prefix(VERSION).ok_or(TokenError::WrongVersion)?;
        if encoded.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let plain = inflate(&STANDARD.decode(encoded).map_err(|_| TokenError::Damaged)?)?;
        let mut reader = Reader(&plain);
        let signature = reader.bytes()?.to_vec();
        let message = reader.0.to_vec();
        let mut content = AccessToken {
            app_id: reader.text()?,
            issued_at_s: reader.u32()?,
            expire_s: reader.u32()?,
            salt: reader.u32()?,
            services: Vec::new(),
        };
        for _ in 0..reader.u16()? {
            let Some(service) = Service::read(&mut reader)? else { break };
            content.services.push(service);
        }
        Ok(Self { content, signature, message })
    }

    /// Whether the holder of the certificate made this token. Takes the same time whatever differs.
    #[must_use]
    pub fn is_signed_with(&self, certificate: &SecretString) -> bool {
        let key = signing_key(certificate, self.content.issued_at_s, self.content.salt);
        is_hex_id(certificate.expose_secret())
            && hmac_sha256(&key, &[&self.message]).verify_slice(&self.signature).is_ok()
    }

    /// Whether the token still works at a time, Unix seconds.
    #[must_use]
    pub fn is_current(&self, now_s: u64) -> bool {
        let issued_at_s = u64::from(self.content.issued_at_s);
        now_s < issued_at_s + u64::from(self.content.expire_s)
    }
}

/// Whether the text is 32 hex digits, in either case.
pub(super) fn is_hex_id(id: &str) -> bool {
    id.len() == HEX_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Time and salt go in as keys, the certificate as data: so Agora defines it.
pub(super) fn signing_key(certificate: &SecretString, issued_at_s: u32, salt: u32) -> [u8; 32] {
    let certificate = certificate.expose_secret().as_bytes();
    let by_time = hmac_sha256(&issued_at_s.to_le_bytes(), &[certificate]).finalize().into_bytes();
    hmac_sha256(&salt.to_le_bytes(), &[&by_time]).finalize().into_bytes().into()
}

/// The whole stream or nothing: a reader that forgives a missing end would take a truncated token.
fn inflate(deflated: &[u8]) -> Result<Vec<u8>, TokenError> {
    let mut plain = Vec::with_capacity(PLAIN_BYTES_MAX);
    let status = Decompress::new(true).decompress_vec(deflated, &mut plain, FlushDecompress::Finish);
    match status {
        Ok(Status::StreamEnd) => Ok(plain),
        Ok(Status::Ok | Status::BufError) | Err(_) => Err(TokenError::Damaged),
    }
}
