//! The client's address, as far as trusted proxies vouch for it.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};

/// The address of the client behind this many trusted proxies.
///
/// With 0 it is the peer of the connection. Otherwise it is the entry of `X-Forwarded-For` that the
/// outermost trusted proxy appended, counted from the right: never the left-most one, which the
/// client writes itself. `None` when nothing trustworthy names an address.
pub fn client_ip(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    trusted_proxies: usize,
) -> Option<IpAddr> {
    let Some(index) = trusted_proxies.checked_sub(1) else {
        return peer.map(|ip| ip.to_canonical());
    };
    // Bytes: whatever the client wrote before it, the entry of the proxy counts.
    let lines = headers.get_all("x-forwarded-for").iter();
    let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    let entries = lines.iter().flat_map(|line| line.split(|&b| b == b','));
    let entry = entries.rev().nth(index)?;
    std::str::from_utf8(entry).ok().and_then(parse_ip)
}

/// An address as proxies write it: with or without a port and brackets.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
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
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn forwarded(lines: &[&str]) -> HeaderMap {
        let name = http::HeaderName::from_static("x-forwarded-for");
        lines
            .iter()
            .map(|line| (name.clone(), line.parse().unwrap()))
            .collect()
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn without_trusted_proxies_only_the_peer_counts() {
        let headers = forwarded(&["203.0.113.9"]);
        assert_eq!(client_ip(&headers, ip("192.0.2.7"), 0), ip("192.0.2.7"));
        assert_eq!(client_ip(&headers, None, 0), None);
    }

    #[test]
    fn with_trusted_proxies_the_entry_counted_from_the_right_wins() {
        let headers = forwarded(&["198.51.100.66, 203.0.113.9", "10.0.0.2"]);
        let peer = ip("10.0.0.1");
        assert_eq!(client_ip(&headers, peer, 1), ip("10.0.0.2"));
        assert_eq!(client_ip(&headers, peer, 2), ip("203.0.113.9"));
        assert_eq!(client_ip(&headers, peer, 4), None);
        assert_eq!(client_ip(&HeaderMap::new(), peer, 1), None);
    }

    #[test]
    fn what_the_client_wrote_does_not_hide_the_entry_of_the_proxy() {
        let name = "x-forwarded-for";
        for spoof in [&b"\xff"[..], "é".as_bytes(), b"\xff, \xfe,,", b"\"", b" "] {
            let line = [spoof, b", 203.0.113.11"].concat();
            let mut headers = HeaderMap::new();
            headers.append(name, HeaderValue::from_bytes(&line).unwrap());
            assert_eq!(client_ip(&headers, None, 1), ip("203.0.113.11"));
            let mut lines = HeaderMap::new();
            lines.append(name, HeaderValue::from_bytes(spoof).unwrap());
            lines.append(name, "203.0.113.11".parse().unwrap());
            assert_eq!(client_ip(&lines, None, 1), ip("203.0.113.11"));
        }
    }

    #[test]
    fn addresses_come_with_ports_and_brackets() {
        assert_eq!(parse_ip("[2001:db8::1]:443"), ip("2001:db8::1"));
        assert_eq!(parse_ip("[2001:db8::1]"), ip("2001:db8::1"));
        assert_eq!(parse_ip(" ::ffff:192.0.2.1 "), ip("192.0.2.1"));
        assert_eq!(parse_ip("unknown"), None);
    }
}
