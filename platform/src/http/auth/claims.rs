//! What a token says: its header and claims, typed strictly, and judged by a clock.

use std::fmt;
use std::sync::Arc;

use chrono::DateTime;
use serde::{Deserialize, Deserializer, de};

use super::error::TokenError;
use super::{BearerToken, Caller, Role, Roles};

/// Longest subject: it is an index key and part of a name in many places.
const SUBJECT_LENGTH_MAX: usize = 255;

/// Longest name that is shown; a longer one is cut, as its bearer is not at fault.
const NAME_LENGTH_MAX: usize = 100;

/// The end of the year 9999: a token that ends later is good, and said to end then.
const SHOWN_TIME_MAX: f64 = 253_402_300_799.0;

/// Past any whole number of seconds that others can read: no time.
const TIME_LIMIT: f64 = u64::MAX as f64;

/// A token's header. `jku`, `x5u`, `jwk` and the rest are never looked at.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default, deserialize_with = "present")]
    pub(super) kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<serde_json::Value>,
}

impl Header {
    pub(super) fn check(&self) -> Result<(), TokenError> {
        if self.crit.is_some() {
            // none of the extensions that could be critical is understood here
            return Err(TokenError::Invalid("crit"));
        }
        let is_access_token = self.typ.as_deref().is_none_or(|typ| {
            ["at+jwt", "application/at+jwt", "jwt"].iter().any(|good| good.eq_ignore_ascii_case(typ))
        });
        if is_access_token { Ok(()) } else { Err(TokenError::Invalid("typ")) }
    }
}

/// A token's claims, as far as they concern us.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: Time,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Time>,
    // typed so that a token that gets it wrong is refused; no rule uses it
    #[serde(default, deserialize_with = "present", rename = "iat")]
    _iat: Option<Time>,
    #[serde(default, deserialize_with = "present")]
    roles: Option<Vec<String>>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// When a token is good, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    expires_at: f64,
    not_before: f64,
}

impl Validity {
    /// The end itself is out, the beginning in.
    pub(super) fn check(self, now: i64, leeway_seconds: u32) -> Result<(), TokenError> {
        let (now, leeway) = (now as f64, f64::from(leeway_seconds));
        if now >= self.expires_at + leeway {
            return Err(TokenError::Expired);
        }
        if now + leeway < self.not_before {
            return Err(TokenError::Invalid("nbf"));
        }
        Ok(())
    }
}

impl Claims {
    pub(super) fn validity(&self) -> Validity {
        Validity { expires_at: self.exp.0, not_before: self.nbf.map_or(f64::NEG_INFINITY, |time| time.0) }
    }

    /// Everything but time.
    pub(super) fn check(&self, issuer: &str, audience: &str) -> Result<(), TokenError> {
        if self.iss != issuer {
            return Err(TokenError::Invalid("iss"));
        }
        let is_for_us = match &self.aud {
            Audience::One(one) => one == audience,
            Audience::Many(many) => many.iter().any(|one| one == audience),
        };
        if !is_for_us {
            return Err(TokenError::Invalid("aud"));
        }
        let is_subject = !self.sub.trim().is_empty()
            && self.sub.len() <= SUBJECT_LENGTH_MAX
            && !self.sub.chars().any(char::is_control);
        if is_subject { Ok(()) } else { Err(TokenError::Invalid("sub")) }
    }

    pub(super) fn into_caller(self, token: &str) -> Result<Caller, TokenError> {
        let roles: Roles = self.roles.iter().flatten().filter_map(|name| Role::parse(name)).collect();
        let name = self.name.as_deref().map(shown_name).filter(|name| !name.is_empty());
        // fractions of a second are dropped, so the end never comes late
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the year 9999")]
        let expires_at = DateTime::from_timestamp(self.exp.0.min(SHOWN_TIME_MAX) as i64, 0)
            .ok_or(TokenError::Invalid("exp"))?;
        Ok(Caller {
            sub: Arc::from(self.sub),
            name: name.map(Arc::from),
            roles,
            expires_at,
            token: BearerToken::from(token),
        })
    }
}

fn shown_name(name: &str) -> String {
    name.trim().chars().filter(|character| !character.is_control()).take(NAME_LENGTH_MAX).collect()
}

/// A NumericDate: a number, possibly with a fraction, of seconds.
#[derive(Debug, Clone, Copy)]
struct Time(f64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl de::Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds since 1970")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Time, E> {
                self.visit_f64(value as f64)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Time, E> {
                self.visit_f64(value as f64)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Time, E> {
                if (0.0..TIME_LIMIT).contains(&value) {
                    Ok(Time(value))
                } else {
                    Err(E::custom("not a time"))
                }
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

/// A member that may be left out, but not be null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
