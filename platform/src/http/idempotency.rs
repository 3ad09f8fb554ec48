//! `Idempotency-Key`: from what a client repeats to the id of the one command that it means.

use std::fmt;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method};
use uuid::Uuid;

use super::auth::Authenticated;
use super::problem::Problem;

/// The header that carries the key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest key.
pub const KEY_LENGTH_MAX: usize = 255;

/// Namespace of the ids of keyed commands. Never change it: the ids are in the log, for good where money moved.
const COMMAND_NAMESPACE: Uuid = Uuid::from_u128(0x5b0e_3f52_9a1d_4c86_b7d4_1f6a_02c9_8e73);

/// A client's key for one intention: 1–255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// Reads the header's value, a structured-field string (`"8e03"`) or the bare key.
    ///
    /// # Errors
    /// 400 `idempotency_key_invalid` where it is neither.
    pub fn parse(value: &str) -> Result<Self, Problem> {
        let value = value.trim_matches([' ', '\t']);
        let key = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or_else(invalid)?,
            None => value.to_owned(),
        };
        let is_key =
            (1..=KEY_LENGTH_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key { Ok(Self(key.into())) } else { Err(invalid()) }
    }

    /// The key itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(parts: &Parts) -> Result<Option<Self>, Problem> {
        let mut values = parts.headers.get_all(&IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(invalid());
        }
        let text = HeaderValue::to_str(value).map_err(|_| invalid())?;
        Self::parse(text).map(Some)
    }
}

impl fmt::Debug for IdempotencyKey {
    /// Keys are the client's business, and may be guessable: they stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

/// The rest of a structured-field string after its opening quote, up to the closing one.
fn unquote(quoted: &str) -> Option<String> {
    let mut key = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            character => key.push(character),
        }
    }
    // parameters could follow; the draft knows none
    characters.as_str().is_empty().then_some(key)
}

fn invalid() -> Problem {
    Problem::bad_request(
        "idempotency_key_invalid",
        format!("send one Idempotency-Key of 1 to {KEY_LENGTH_MAX} visible ASCII characters"),
    )
    .with_field("Idempotency-Key")
}

/// Extractor where a key may be left out.
#[derive(Debug, Clone)]
pub struct OptionalKey(pub Option<IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for OptionalKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        IdempotencyKey::of(parts).map(Self)
    }
}

/// Extractor where a key must be sent: wherever money moves.
#[derive(Debug, Clone)]
pub struct RequiredKey(pub IdempotencyKey);

impl<S: Send + Sync> FromRequestParts<S> for RequiredKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        IdempotencyKey::of(parts)?.map(Self).ok_or_else(|| {
            Problem::bad_request(
                "idempotency_key_required",
                "send an Idempotency-Key header: a new unique value for each payment, the same one when you retry it",
            )
        })
    }
}

/// The id of a command, the same for each repeat of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandKey {
    /// The command's id: UUIDv5 of key, caller and route, or a fresh UUIDv7.
    pub id: Uuid,
    /// Whether the client sent a key, so that a repeat can come.
    pub is_repeatable: bool,
}

impl CommandKey {
    /// `route` is the matched template, `path_ids` the values of its parameters in order.
    #[must_use]
    pub fn derive<'a>(
        key: Option<&IdempotencyKey>,
        subject: &str,
        method: &Method,
        route: &str,
        path_ids: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let Some(key) = key else { return Self { id: Uuid::now_v7(), is_repeatable: false } };
        let mut name = Vec::with_capacity(256);
        let mut push = |part: &[u8]| {
            // each part behind its length: no two lists of parts give one name
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part);
        };
        push(key.0.as_bytes());
        push(subject.as_bytes());
        push(method.as_str().as_bytes());
        push(without_parameter_names(route).as_bytes());
        for id in path_ids {
            push(id.as_bytes());
        }
        Self { id: Uuid::new_v5(&COMMAND_NAMESPACE, &name), is_repeatable: true }
    }

    async fn of<S: Send + Sync>(
        parts: &mut Parts,
        state: &S,
        key: Option<&IdempotencyKey>,
    ) -> Result<Self, Problem> {
        if key.is_none() {
            return Ok(Self { id: Uuid::now_v7(), is_repeatable: false });
        }
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        let route = parts.extensions.get::<MatchedPath>().cloned();
        let route = route.as_ref().map_or_else(|| parts.uri.path(), MatchedPath::as_str).to_owned();
        let ids = RawPathParams::from_request_parts(parts, state).await.ok();
        let ids = ids.iter().flat_map(RawPathParams::iter).map(|(_, id)| id);
        Ok(Self::derive(key, &caller.sub, &parts.method, &route, ids))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CommandKey {
    type Rejection = Problem;

    /// Where a key may be left out. With a key the caller must be known: a key is his own.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let OptionalKey(key) = OptionalKey::from_request_parts(parts, state).await?;
        Self::of(parts, state, key.as_ref()).await
    }
}

/// Extractor of the command's id where a key must be sent.
#[derive(Debug, Clone, Copy)]
pub struct RequiredCommandKey(pub CommandKey);

impl<S: Send + Sync> FromRequestParts<S> for RequiredCommandKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let RequiredKey(key) = RequiredKey::from_request_parts(parts, state).await?;
        CommandKey::of(parts, state, Some(&key)).await.map(Self)
    }
}

/// A template with its parameters' names left out: renaming one in the code must not change a command's id.
fn without_parameter_names(route: &str) -> String {
    let mut is_name = false;
    route
        .chars()
        .filter(|&character| {
            is_name = match character {
                '{' => true,
                '}' => false,
                _ => return !is_name,
            };
            true
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Option<String> {
        IdempotencyKey::parse(value).ok().map(|key| key.as_str().to_owned())
    }

    fn id(key: &str, subject: &str, method: &Method, route: &str, ids: &[&str]) -> Uuid {
        let key = IdempotencyKey::parse(key).expect("key");
        CommandKey::derive(Some(&key), subject, method, route, ids.iter().copied()).id
    }

    #[test]
    fn quoted_and_bare_keys_are_read() {
        assert_eq!(key("8e03978e").as_deref(), Some("8e03978e"));
        assert_eq!(key("\"8e03978e\"").as_deref(), Some("8e03978e"));
        assert_eq!(key(r#""a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
        assert_eq!(key(&"k".repeat(255)).map(|key| key.len()), Some(255));
        for bad in
            ["", "\"\"", "\"a", "a b", "\"a\" b", "\"a b\"", r#""a\n""#, "é", "\"a\";p=1", &"k".repeat(256)]
        {
            assert_eq!(key(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_intention_has_one_id() {
        let post = Method::POST;
        let first = id("k", "alice", &post, "/streams/{id}/tip", &["s1"]);
        assert_eq!(first, id("\"k\"", "alice", &post, "/streams/{stream_id}/tip", &["s1"]));
        assert_eq!(first.get_version_num(), 5);
        let others = [
            id("l", "alice", &post, "/streams/{id}/tip", &["s1"]),
            id("k", "bob", &post, "/streams/{id}/tip", &["s1"]),
            id("k", "alice", &Method::PUT, "/streams/{id}/tip", &["s1"]),
            id("k", "alice", &post, "/streams/{id}/gifts", &["s1"]),
            id("k", "alice", &post, "/streams/{id}/tip", &["s2"]),
            id("k", "alice", &post, "/streams/{id}/tip", &["s", "1"]),
        ];
        assert!(!others.contains(&first));
    }

    #[test]
    fn an_id_is_the_same_in_every_release() {
        let id = id("k", "alice", &Method::POST, "/api/v1/streams/{id}/tip", &["s1"]);
        assert_eq!(id.to_string(), "ff3218ce-0126-522d-a23a-319674d7994f");
    }

    #[test]
    fn without_a_key_each_command_is_its_own() {
        let fresh = || CommandKey::derive(None, "alice", &Method::POST, "/x", []);
        assert_ne!(fresh().id, fresh().id);
        assert!(!fresh().is_repeatable);
        assert_eq!(fresh().id.get_version_num(), 7);
    }
}
