//! Deny and allow lists: sets in the store, looked up with the decision.

use std::{borrow::Cow, net::IpAddr};

/// Longer values cannot be list members.
const LONGEST: usize = 512;

pub(super) fn deny_key(prefix: &str) -> String {
    format!("{prefix}:denyList:all")
}

pub(super) fn allow_key(prefix: &str) -> String {
    format!("{prefix}:allowList:all")
}

/// Everything that may stand in a list for this caller: itself, and each network that holds its address.
///
/// Networks are written canonically: IPv4 from /8 to /32, IPv6 in steps of four from /16 to /128.
pub(super) fn members<'a>(
    identifier: &'a str,
    ip: Option<IpAddr>,
    user_agent: Option<&'a str>,
    country: Option<&'a str>,
) -> Vec<Cow<'a, str>> {
    let mut members: Vec<Cow<'a, str>> = Vec::new();
    let texts = [Some(identifier), user_agent, country]
        .into_iter()
        .flatten();
    members.extend(
        texts
            .filter(|t| (1..=LONGEST).contains(&t.len()))
            .map(Cow::Borrowed),
    );
    match ip.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(v4)) => {
            members.push(Cow::Owned(v4.to_string()));
            members.extend((8..=32).rev().map(|bits: u32| {
                let network = u32::from(v4) & (u32::MAX << (32 - bits));
                Cow::Owned(format!("{}/{bits}", std::net::Ipv4Addr::from(network)))
            }));
        }
        Some(IpAddr::V6(v6)) => {
            members.push(Cow::Owned(v6.to_string()));
            members.extend((16..=128).rev().step_by(4).map(|bits: u32| {
                let network = u128::from(v6) & (u128::MAX << (128 - bits));
                Cow::Owned(format!("{}/{bits}", std::net::Ipv6Addr::from(network)))
            }));
        }
        None => {}
    }
    members
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_address_is_in_every_network_that_holds_it() {
        let found = members(
            "alice",
            Some("203.0.113.77".parse().unwrap()),
            Some("curl/8"),
            Some("DE"),
        );
        for member in [
            "alice",
            "203.0.113.77",
            "203.0.113.77/32",
            "203.0.113.0/24",
            "203.0.0.0/16",
            "203.0.0.0/8",
            "curl/8",
            "DE",
        ] {
            assert!(found.iter().any(|m| m == member), "{member}");
        }
        assert!(!found.iter().any(|m| m == "203.0.113.0/23"));
        let v6 = members("x", Some("2001:db8:1:2::5".parse().unwrap()), None, None);
        assert!(
            v6.iter().any(|m| m == "2001:db8:1:2::/64") && v6.iter().any(|m| m == "2001:db8::/32")
        );
    }

    #[test]
    fn empty_and_overlong_values_are_no_members() {
        assert!(members("", None, Some(&"x".repeat(600)), Some("")).is_empty());
    }
}
