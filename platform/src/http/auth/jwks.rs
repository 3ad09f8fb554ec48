//! A JSON Web Key Set: the usable keys of whatever it lists.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Most keys of a set: an issuer has a handful.
const KEYS_MAX: usize = 64;

/// Longest key id that is kept or looked up.
const KEY_ID_LENGTH_MAX: usize = 256;

/// RFC 7518 asks for RSA keys of 2048 bits or more.
const RSA_MODULUS_LENGTH_MIN: usize = 256;

/// Larger RSA keys only cost time.
const RSA_MODULUS_LENGTH_MAX: usize = 1024;

/// A key with the one algorithm that it is for.
#[derive(Clone)]
pub(super) struct VerifyKey {
    kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
    /// Tells whether a later set has this very key.
    pub(super) fingerprint: [u8; 32],
}

/// The usable keys of a set.
#[derive(Clone, Default)]
pub(super) struct KeySet {
    keys: Vec<VerifyKey>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. Entries that are no usable key are skipped: an issuer may list what we do not know yet.
    pub(super) fn parse(document: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(document)?;
        let keys: Vec<_> = document.keys.into_iter().take(KEYS_MAX).filter_map(usable).collect();
        Ok(Self { keys })
    }

    /// The key that a token names, if it is for the token's algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&VerifyKey> {
        match kid {
            Some(kid) => {
                self.keys.iter().find(|key| key.kid.as_deref() == Some(kid) && key.algorithm == algorithm)
            }
            // without a name there must be nothing to choose
            None => self.keys.first().filter(|key| self.keys.len() == 1 && key.algorithm == algorithm),
        }
    }

    /// Whether any key has this id, whatever it is for.
    pub(super) fn has_id(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    pub(super) fn has_key(&self, fingerprint: &[u8; 32]) -> bool {
        self.keys.iter().any(|key| key.fingerprint == *fingerprint)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn usable(entry: Value) -> Option<VerifyKey> {
    let entry: Entry = serde_json::from_value(entry).ok()?;
    let is_for_signatures = entry.usage.as_deref().is_none_or(|usage| usage == "sig")
        && entry.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"))
        && entry.kid.as_ref().is_none_or(|kid| kid.len() <= KEY_ID_LENGTH_MAX);
    if !is_for_signatures {
        return None;
    }
    let (name, algorithm, decoding, material) = match (entry.kty.as_str(), entry.crv.as_deref()) {
        ("RSA", None) => {
            let (decoding, material) = rsa(&entry.n?, &entry.e?)?;
            ("RS256", Algorithm::RS256, decoding, material)
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (fixed(&entry.x?)?, fixed(&entry.y?)?);
            let point = [&[4_u8][..], &x, &y].concat();
            ("ES256", Algorithm::ES256, DecodingKey::from_ec_der(&point), point)
        }
        ("OKP", Some("Ed25519")) => {
            let x = fixed(&entry.x?)?;
            ("EdDSA", Algorithm::EdDSA, DecodingKey::from_ed_der(&x), x.to_vec())
        }
        _ => return None,
    };
    // a key is for its own algorithm and no other; where it names none, for the one that its type implies
    if entry.alg.as_deref().is_some_and(|alg| alg != name) {
        return None;
    }
    let fingerprint = fingerprint(entry.kid.as_deref(), &material);
    Some(VerifyKey { kid: entry.kid, algorithm, decoding, fingerprint })
}

fn rsa(n: &str, e: &str) -> Option<(DecodingKey, Vec<u8>)> {
    let modulus = decode(n)?;
    let length = modulus.iter().skip_while(|byte| **byte == 0).count();
    if !(RSA_MODULUS_LENGTH_MIN..=RSA_MODULUS_LENGTH_MAX).contains(&length) {
        return None;
    }
    let exponent = decode(e).filter(|exponent| !exponent.is_empty())?;
    let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Some((key, [modulus, exponent].concat()))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

fn fixed(text: &str) -> Option<[u8; 32]> {
    decode(text)?.try_into().ok()
}

fn fingerprint(kid: Option<&str>, material: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kid.unwrap_or_default().as_bytes());
    hash.update([0]);
    hash.update(material);
    hash.finalize().into()
}
