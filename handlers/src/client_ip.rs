//! The client's address, as far as the platform vouches for it.

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{HeaderMap, request::Parts};
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

/// The client's address; `None` when nothing trustworthy names it.
///
/// Never the left-most `X-Forwarded-For`, which the client writes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(None)))
    }
}

/// Plain HTTP: the peer, or the entry that the outermost trusted proxy appended.
pub(crate) fn from_peer(
    headers: &HeaderMap,
    peer: Option<&ConnectInfo<SocketAddr>>,
    trusted_proxies: usize,
) -> ClientIp {
    let peer = peer.map(|ConnectInfo(a)| a.ip().to_canonical());
    if trusted_proxies == 0 {
        return ClientIp(peer);
    }
    ClientIp(forwarded_from_right(headers, trusted_proxies - 1))
}

/// The entry `index` places from the right of all `X-Forwarded-For` lines.
pub(crate) fn forwarded_from_right(headers: &HeaderMap, index: usize) -> Option<IpAddr> {
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|v| v.to_str().ok())
        .collect::<Option<_>>()?;
    lines
        .iter()
        .flat_map(|line| line.split(','))
        .rev()
        .nth(index)
        .and_then(parse)
}

/// Vercel: the edge sets these and removes what the client sent.
pub(crate) fn from_vercel(headers: &HeaderMap) -> ClientIp {
    let ip = ["x-vercel-forwarded-for", "x-real-ip"]
        .iter()
        .find_map(|name| {
            headers
                .get(*name)?
                .to_str()
                .ok()?
                .split(',')
                .next()
                .and_then(parse)
        });
    ClientIp(ip)
}

/// An address with or without a port and brackets.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let ip = text
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()));
    ip.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
        .map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn forwarded(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            "x-forwarded-for".parse::<http::HeaderName>().unwrap(),
            value.parse().unwrap(),
        )])
    }
    fn ip(text: &str) -> ClientIp {
        ClientIp(Some(text.parse().unwrap()))
    }

    #[test]
    fn without_trusted_proxies_only_the_peer_counts() {
        let peer = ConnectInfo("192.0.2.7:4000".parse().unwrap());
        assert_eq!(
            from_peer(&forwarded("203.0.113.9"), Some(&peer), 0),
            ip("192.0.2.7")
        );
        assert_eq!(from_peer(&HeaderMap::new(), None, 0), ClientIp(None));
    }

    #[test]
    fn with_trusted_proxies_the_entry_counted_from_the_right_wins() {
        let peer = ConnectInfo("10.0.0.1:4000".parse().unwrap());
        let headers = forwarded("198.51.100.66, 203.0.113.9, 10.0.0.2");
        assert_eq!(from_peer(&headers, Some(&peer), 1), ip("10.0.0.2"));
        assert_eq!(from_peer(&headers, Some(&peer), 2), ip("203.0.113.9"));
        assert_eq!(from_peer(&headers, Some(&peer), 4), ClientIp(None));
    }

    #[test]
    fn addresses_come_with_ports_and_brackets() {
        assert_eq!(
            parse("[2001:db8::1]:443"),
            Some("2001:db8::1".parse().unwrap())
        );
        assert_eq!(
            parse(" ::ffff:192.0.2.1 "),
            Some("192.0.2.1".parse().unwrap())
        );
        assert_eq!(parse("unknown"), None);
    }
}
