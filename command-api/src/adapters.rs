//! The ports' implementations, each behind its provider's true wire format.

/// Agora: tokens for its real-time network.
pub mod agora;
/// What a request tells about a viewer's device and place.
pub mod audience_facts;
/// Stripe: payment intents and their callbacks.
pub mod stripe;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 over the parts, one after the other.
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC key may have any length");
    for part in parts {
        mac.update(part);
    }
    mac
}
