//! Parameters of a query, as a type; what is none of it is a problem that says so.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The parameters that `T` names; others are ignored.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> Query<T> {
    /// The parameters of an address.
    ///
    /// # Errors
    /// 400 `malformed_query` where one is there twice, or is none of its type: fields of `T` are texts where more has to be said of that.
    pub fn of(uri: &Uri) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|_| Problem::bad_request("malformed_query", "send each query parameter once"))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(serde::Deserialize)]
    struct Asked {
        name: Option<String>,
    }

    #[test]
    fn a_parameter_comes_once() {
        let asked = |text: &str| Query::<Asked>::of(&text.parse().unwrap()).map(|Query(asked)| asked.name);
        assert_eq!(asked("/figures").unwrap(), None);
        assert_eq!(asked("/figures?name=a%20b&other=1").unwrap().as_deref(), Some("a b"));
        assert_eq!(asked("/figures?name=a&name=b").unwrap_err().code(), "malformed_query");
        let all = Query::<BTreeMap<String, String>>::of(&"/?a=1&b=2".parse().unwrap()).unwrap();
        assert_eq!(all.0.len(), 2);
    }
}
