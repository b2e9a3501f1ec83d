//! The client's address, as far as the platform vouches for it.

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, request::Parts};
use restis::web::{client_ip, parse_ip};
use std::{convert::Infallible, net::IpAddr};

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
    peer: Option<IpAddr>,
    trusted_proxies: usize,
) -> ClientIp {
    ClientIp(client_ip(headers, peer, trusted_proxies))
}

/// A worker: the header that its platform is known to set.
pub(crate) fn from_header(headers: &HeaderMap, name: Option<&HeaderName>) -> ClientIp {
    let value = name.and_then(|name| headers.get(name));
    ClientIp(value.and_then(|value| parse_ip(value.to_str().ok()?)))
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
                .and_then(parse_ip)
        });
    ClientIp(ip)
}
