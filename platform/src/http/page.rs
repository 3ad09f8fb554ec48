//! Lists, a page at a time: opaque cursors that survive neither tampering nor a change of their meaning.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::problem::Problem;
use super::query::Query;

/// Items of a page where the client does not say.
pub const PAGE_LIMIT_DEFAULT: u32 = 50;

/// Most items of a page: a page is built in memory.
pub const PAGE_LIMIT_MAX: u32 = 200;

/// Longest cursor that is looked at; ours are far shorter.
const CURSOR_LENGTH_MAX: usize = 1_024;

/// First byte of a cursor: another meaning of the rest gets another version.
const CURSOR_VERSION: u8 = 1;

/// Enough to tell a cut or mistyped cursor; a cursor is no secret and grants nothing.
const CHECKSUM_LENGTH: usize = 4;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many items, at most.
    pub limit: u32,
    cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: PAGE_LIMIT_DEFAULT, cursor: None }
    }
}

impl Page {
    /// The position that the cursor holds, if one was sent.
    ///
    /// # Errors
    /// 422 where it is not a cursor of this list.
    pub fn cursor<C: DeserializeOwned>(&self) -> Result<Option<C>, Problem> {
        self.cursor.as_deref().map(|cursor| decode_cursor(cursor).ok_or_else(invalid_cursor)).transpose()
    }

    /// How many rows to fetch: one more than wanted, to know whether more follow.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Makes the answer of up to [`Page::fetch`] rows; `cursor_of` is the position of an item.
    ///
    /// # Errors
    /// Where a position cannot be encoded.
    pub fn answer<T, C: Serialize>(
        &self,
        mut items: Vec<T>,
        cursor_of: impl FnOnce(&T) -> C,
    ) -> Result<Paged<T>, Problem> {
        let has_more = items.len() > self.limit as usize;
        items.truncate(self.limit as usize);
        let next_cursor = match items.last() {
            Some(last) if has_more => Some(encode_cursor(&cursor_of(last))?),
            _ => None,
        };
        Ok(Paged { items, next_cursor })
    }
}

#[derive(Deserialize)]
struct PageQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::<PageQuery>::of(&parts.uri)?;
        let limit = match query.limit.as_deref() {
            None | Some("") => PAGE_LIMIT_DEFAULT,
            Some(limit) => parse_limit(limit)?,
        };
        let cursor = query.cursor.filter(|cursor| !cursor.is_empty());
        if cursor.as_deref().is_some_and(|cursor| cursor_payload(cursor).is_none()) {
            return Err(invalid_cursor());
        }
        Ok(Self { limit, cursor })
    }
}

fn parse_limit(limit: &str) -> Result<u32, Problem> {
    let number = limit.parse().ok().filter(|limit| (1..=PAGE_LIMIT_MAX).contains(limit));
    number.ok_or_else(|| {
        Problem::invalid_field("limit", format!("limit is a whole number from 1 to {PAGE_LIMIT_MAX}"))
            .with_limit(u64::from(PAGE_LIMIT_MAX))
    })
}

fn invalid_cursor() -> Problem {
    Problem::unprocessable(
        "invalid_cursor",
        "use a nextCursor of this list as it was given, or none to begin",
    )
    .with_field("cursor")
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Paged<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Where the next page begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Paged<T> {
    /// The same page with other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Paged<U> {
        Paged { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}

/// An opaque cursor for a position in a list.
///
/// # Errors
/// Where the position is not representable as JSON: a fault of ours.
pub fn encode_cursor<C: Serialize>(position: &C) -> Result<String, Problem> {
    let mut bytes = vec![CURSOR_VERSION];
    serde_json::to_writer(&mut bytes, position).map_err(|error| Problem::internal(&error))?;
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum[..CHECKSUM_LENGTH]);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The position that a cursor holds; `None` where it is not one of ours.
#[must_use]
pub fn decode_cursor<C: DeserializeOwned>(cursor: &str) -> Option<C> {
    serde_json::from_slice(&cursor_payload(cursor)?).ok()
}

/// A cursor's content, where version and checksum are right.
fn cursor_payload(cursor: &str) -> Option<Vec<u8>> {
    if cursor.len() > CURSOR_LENGTH_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_LENGTH)?)?;
    let (version, payload) = body.split_first()?;
    let is_ours = *version == CURSOR_VERSION && Sha256::digest(body)[..CHECKSUM_LENGTH] == *checksum;
    is_ours.then(|| payload.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use proptest::prelude::*;

    async fn page(query: &str) -> Result<Page, Problem> {
        let request = Request::builder().uri(format!("/x?{query}")).body(()).expect("request");
        Page::from_request_parts(&mut request.into_parts().0, &()).await
    }

    #[tokio::test]
    async fn limits_and_cursors_are_checked() {
        assert_eq!(page("").await.expect("default"), Page::default());
        assert_eq!(page("limit=200&q=x").await.expect("most").limit, 200);
        for bad in ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=abc", "cursor=%00"] {
            assert_eq!(page(bad).await.expect_err(bad).status().as_u16(), 422, "{bad}");
        }
        let cursor = encode_cursor(&(5_u64, "x")).expect("encodes");
        let page = page(&format!("cursor={cursor}")).await.expect("valid");
        assert_eq!(page.cursor::<(u64, String)>().expect("decodes"), Some((5, "x".to_owned())));
        assert_eq!(page.cursor::<Vec<bool>>().expect_err("another list").code(), "invalid_cursor");
    }

    #[test]
    fn a_full_page_tells_where_the_next_begins() {
        let page = Page { limit: 2, cursor: None };
        let answer = page.answer(vec![1, 2, 3], |last| *last).expect("encodes");
        assert_eq!(answer.items, [1, 2]);
        assert_eq!(decode_cursor::<i32>(&answer.next_cursor.expect("more")), Some(2));
        assert_eq!(page.answer(vec![1, 2], |last| *last).expect("encodes").next_cursor, None);
        assert_eq!(page.answer(Vec::<i32>::new(), |last| *last).expect("encodes").next_cursor, None);
    }

    proptest! {
        #[test]
        fn cursors_round_trip(position: (u64, String, Option<i64>)) {
            let cursor = encode_cursor(&position).expect("encodes");
            prop_assume!(cursor.len() <= CURSOR_LENGTH_MAX);
            prop_assert_eq!(decode_cursor::<(u64, String, Option<i64>)>(&cursor), Some(position));
        }

        #[test]
        fn a_changed_cursor_is_none(position: u64, at: prop::sample::Index, replacement in "[A-Za-z0-9_-]") {
            let cursor = encode_cursor(&position).expect("encodes");
            let at = at.index(cursor.len());
            let mut changed = cursor.clone();
            changed.replace_range(at..=at, &replacement);
            prop_assume!(changed != cursor);
            prop_assert_eq!(decode_cursor::<u64>(&changed), None);
        }

        #[test]
        fn any_text_is_judged_without_panic(text: String) {
            let _ = decode_cursor::<u64>(&text);
        }
    }
}
