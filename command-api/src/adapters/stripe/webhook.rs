//! Stripe's callbacks: at least once, in any order. Only the signature makes one believable.

use crate::adapters::hmac_sha256;
use hmac::Mac;
use http::HeaderMap;
use schemas::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;

/// The header with time and signatures.
pub const SIGNATURE_HEADER: &str = "stripe-signature";
/// How far a callback's time may be from ours, either way. Bounds replays.
pub const TOLERANCE_SECONDS: u64 = 300;
/// A signature in hex.
const SIGNATURE_HEX_BYTES: usize = 64;

/// Why a callback was not accepted.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// The header is missing, repeated or not of the form `t=…,v1=…`.
    #[error("signature header is missing or malformed")]
    Header,
    /// Too old, or from the future.
    #[error("signature is outside the tolerance of {TOLERANCE_SECONDS} seconds")]
    Stale,
    /// No `v1` is ours.
    #[error("no signature matches")]
    Signature,
    /// Signed, but no event.
    #[error("body is not the json of an event")]
    Body(#[source] serde_json::Error),
}

/// What a callback says. Order is not given: read the intent anew before acting on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookEvent {
    /// The same on every delivery of one event.
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// The intent that it is about, where it is about one.
    pub provider_ref: Option<String>,
}

#[derive(Deserialize)]
struct WireEvent {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: WireData,
}

#[derive(Deserialize)]
struct WireData {
    object: WireObject,
}

#[derive(Deserialize)]
struct WireObject {
    object: Option<String>,
    id: Option<String>,
    /// Of a charge, refund or dispute; an object if it is expanded, which callbacks never do.
    payment_intent: Option<serde_json::Value>,
}

/// Checks and reads a callback; any of the secrets will do.
///
/// # Errors
/// [`WebhookError`].
pub fn verify(
    headers: &HeaderMap,
    raw: &[u8],
    secrets: &[SecretString],
    now: Timestamp,
) -> Result<WebhookEvent, WebhookError> {
    let mut values = headers.get_all(SIGNATURE_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(WebhookError::Header) };
    let header = value.to_str().map_err(|_| WebhookError::Header)?;
    check_signature(header, raw, secrets, now)?;
    let event: WireEvent = serde_json::from_slice(raw).map_err(WebhookError::Body)?;
    let object = event.data.object;
    let provider_ref = if object.object.as_deref() == Some("payment_intent") {
        object.id
    } else {
        object.payment_intent.as_ref().and_then(|intent| intent.as_str()).map(str::to_owned)
    };
    Ok(WebhookEvent { id: event.id, kind: event.kind, provider_ref })
}

/// Checks time and signature of a body.
///
/// # Errors
/// [`WebhookError::Header`], [`WebhookError::Stale`] or [`WebhookError::Signature`].
pub fn check_signature(
    header: &str,
    raw: &[u8],
    secrets: &[SecretString],
    now: Timestamp,
) -> Result<(), WebhookError> {
    let (time, signatures) = parse(header)?;
    let signed_at_s: i64 = time.parse().map_err(|_| WebhookError::Header)?;
    if now.millis().div_euclid(1_000).abs_diff(signed_at_s) > TOLERANCE_SECONDS {
        return Err(WebhookError::Stale);
    }
    // the key is the whole text of the secret, `whsec_` included
    let is_ours = |secret: &SecretString| {
        let key = secret.expose_secret().as_bytes();
        let mac = hmac_sha256(key, &[time.as_bytes(), b".", raw]);
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    };
    if secrets.iter().any(is_ours) { Ok(()) } else { Err(WebhookError::Signature) }
}

/// The time as it was signed, and the signatures of scheme `v1`; others (`v0`) are ignored.
fn parse(header: &str) -> Result<(&str, Vec<[u8; SIGNATURE_HEX_BYTES / 2]>), WebhookError> {
    let mut time = None;
    let mut signatures = Vec::new();
    for item in header.split(',') {
        match item.split_once('=').ok_or(WebhookError::Header)? {
            ("t", value) => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                if !digits || time.replace(value).is_some() {
                    return Err(WebhookError::Header);
                }
            }
            ("v1", value) => signatures.extend(unhex(value)),
            _ => {}
        }
    }
    let time = time.ok_or(WebhookError::Header)?;
    if signatures.is_empty() { Err(WebhookError::Signature) } else { Ok((time, signatures)) }
}

/// Lower-case only, as Stripe writes it.
fn unhex(text: &str) -> Option<[u8; SIGNATURE_HEX_BYTES / 2]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || text.len() != SIGNATURE_HEX_BYTES {
        return None;
    }
    let mut bytes = [0; SIGNATURE_HEX_BYTES / 2];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
