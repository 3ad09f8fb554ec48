//! Where a request may carry its token.

use axum::http::{HeaderMap, Uri, header};

use super::error::TokenError;

/// The query parameter for sockets and event streams, whose browser interfaces cannot set headers.
const QUERY_PARAMETER: &str = "access_token";

/// The WebSocket sub-protocol that announces a token as the next one in the list.
const SUB_PROTOCOL: &str = "bearer";

/// The request's token: from `Authorization`, or, for a socket or an event stream only, from the sub-protocol pair
/// `bearer, <token>` or from `?access_token=`.
///
/// # Errors
/// Where `Authorization` is sent and holds no bearer token.
pub fn find_token<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Result<Option<&'a str>, TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = values.next() {
        if values.next().is_some() {
            return Err(TokenError::Invalid("more than one Authorization header"));
        }
        let value = value.to_str().map_err(|_| TokenError::Invalid("Authorization is no text"))?;
        return bearer(value).map(Some).ok_or(TokenError::Invalid("Authorization is no bearer token"));
    }
    let is_socket =
        headers.contains_key(header::SEC_WEBSOCKET_KEY) || has_token(headers, header::UPGRADE, "websocket");
    if is_socket && let Some(token) = sub_protocol_token(headers) {
        return Ok(Some(token));
    }
    if is_socket || has_token(headers, header::ACCEPT, "text/event-stream") {
        return Ok(uri.query().and_then(query_token));
    }
    Ok(None)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    list(headers, name)
        .any(|item| item.split(';').next().is_some_and(|item| item.eq_ignore_ascii_case(wanted)))
}

fn sub_protocol_token(headers: &HeaderMap) -> Option<&str> {
    let mut protocols = list(headers, header::SEC_WEBSOCKET_PROTOCOL);
    protocols.find(|protocol| protocol.eq_ignore_ascii_case(SUB_PROTOCOL))?;
    protocols.next()
}

/// Tokens need no escapes in a query, so none are undone.
fn query_token(query: &str) -> Option<&str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, token)| *name == QUERY_PARAMETER && !token.is_empty()).map(|(_, token)| token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn find(uri: &str, headers: &[(&str, &str)]) -> Result<Option<String>, TokenError> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).expect("request").into_parts().0;
        find_token(&parts.headers, &parts.uri).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_is_found_where_it_may_be() {
        let found = |token: &str| Ok(Some(token.to_owned()));
        let socket = ("upgrade", "websocket");
        assert_eq!(find("/", &[("authorization", "Bearer a.b.c")]), found("a.b.c"));
        assert_eq!(find("/", &[("authorization", "bearer a.b.c")]), found("a.b.c"));
        assert_eq!(find("/?access_token=q", &[("authorization", "Bearer h"), socket]), found("h"));
        assert_eq!(find("/?x=1&access_token=q", &[socket]), found("q"));
        assert_eq!(find("/?access_token=q", &[("accept", "text/event-stream")]), found("q"));
        assert_eq!(find("/", &[socket, ("sec-websocket-protocol", "v12.stomp, bearer, t")]), found("t"));
        assert_eq!(find("/?access_token=q", &[]), Ok(None));
        assert_eq!(find("/?access_token=", &[socket]), Ok(None));
        assert_eq!(find("/", &[("sec-websocket-protocol", "bearer, t")]), Ok(None));
        assert!(find("/", &[("authorization", "Basic eA==")]).is_err());
        assert!(find("/", &[("authorization", "Bearer")]).is_err());
        assert!(find("/", &[("authorization", "Bearer a"), ("authorization", "Bearer b")]).is_err());
    }
}
