//! Whose request it is: the connection's other end, or what a trusted proxy says of it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use super::NO_ADDRESS;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// More hops than any chain of proxies has; the rest of a longer list is not looked at.
const HOPS_MAX: usize = 32;

/// The client's address; the edge adds it to each request. It is personal data: never log or store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    /// Where nothing is known, as in tests without a socket, the unspecified address.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(NO_ADDRESS)))
    }
}

/// The right-most address that no trusted proxy vouches for: everything left of it is the client's own claim.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted =
        |address: IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
    if trusted.is_empty() || !is_trusted(peer) {
        return peer.to_canonical();
    }
    let mut client = peer;
    for hop in forwarded(headers).into_iter().rev().take(HOPS_MAX) {
        // what no address can be read from ends the chain: the last known hop answers for it
        let Some(address) = hop else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client.to_canonical()
}

/// The hops in the order of the header, `Forwarded` or else `X-Forwarded-For`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let texts = |name: HeaderName| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    if headers.contains_key(header::FORWARDED) {
        return texts(header::FORWARDED).flat_map(|text| text.split(',')).map(forwarded_for).collect();
    }
    texts(X_FORWARDED_FOR).flat_map(|text| text.split(',')).map(|hop| node(hop.trim())).collect()
}

/// `for=` of one element of RFC 7239's header.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    node(value.trim().trim_matches('"'))
}

/// An address with or without brackets and port.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&str, &str)]) -> String {
        let trusted = ["10.0.0.0/8".parse().expect("network"), "::1/128".parse().expect("network")];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().expect("name"), value.parse().expect("value"));
        }
        client_address(peer.parse().expect("address"), &map, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let forwarded = |value| [("x-forwarded-for", value)];
        assert_eq!(client("203.0.113.9", &forwarded("198.51.100.1")), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &forwarded("198.51.100.1")), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &forwarded("198.51.100.1")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &forwarded("1.1.1.1, 198.51.100.1, 10.9.9.9")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &forwarded("1.1.1.1, nonsense")), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &forwarded("[2001:db8::1]:443")), "2001:db8::1");
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")]),
            "2.2.2.2"
        );
    }

    #[test]
    fn the_standard_header_is_read() {
        let headers = [
            ("forwarded", "for=1.1.1.1, For=\"[2001:db8::7]:80\";proto=https"),
            ("x-forwarded-for", "9.9.9.9"),
        ];
        assert_eq!(client("10.0.0.1", &headers), "2001:db8::7");
        assert_eq!(client("10.0.0.1", &[("forwarded", "for=_hidden")]), "10.0.0.1");
    }
}
