//! Deny and allow lists: sets in the store, looked up with the decision.

use std::{borrow::Cow, net::IpAddr};

use crate::{Error, Result};

/// Longer values cannot be list members.
const LONGEST: usize = 512;

pub(super) fn deny_key(prefix: &str) -> String {
    format!("{prefix}:denyList:all")
}

pub(super) fn allow_key(prefix: &str) -> String {
    format!("{prefix}:allowList:all")
}

/// Addresses of a feed that stand in the deny list.
pub(super) fn feed_key(prefix: &str) -> String {
    format!("{prefix}:denyList:ipDenyList")
}

pub(super) fn status_key(prefix: &str) -> String {
    format!("{prefix}:ipDenyListStatus")
}

/// An address or network as lookups write it; `None` for what is neither, or could not be found.
pub(super) fn network(text: &str) -> Option<String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    match (address, bits) {
        (address, None) => Some(address.to_canonical().to_string()),
        (IpAddr::V4(v4), Some(bits @ 8..=32)) => {
            let network = u32::from(v4) & (u32::MAX << (32 - bits));
            Some(format!("{}/{bits}", std::net::Ipv4Addr::from(network)))
        }
        (IpAddr::V6(v6), Some(bits @ 16..=128)) if bits % 4 == 0 => {
            let network = u128::from(v6) & (u128::MAX << (128 - bits));
            Some(format!("{}/{bits}", std::net::Ipv6Addr::from(network)))
        }
        _ => None,
    }
}

/// A member as lookups write it.
///
/// # Errors
/// What is never looked up: a network of such a size, and what is empty or too long.
pub(super) fn member(text: &str) -> Result<Cow<'_, str>> {
    if !(1..=LONGEST).contains(&text.len()) {
        return Err(Error::invalid_input("a list member has 1 to 512 bytes"));
    }
    written(text)
}

/// The same for a member that is to be removed, however long.
pub(super) fn written(text: &str) -> Result<Cow<'_, str>> {
    let is_network = text
        .split_once('/')
        .is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok());
    match network(text) {
        Some(network) => Ok(Cow::Owned(network)),
        None if is_network => Err(Error::invalid_input(
            "a network has 8 to 32 bits, or 16 to 128 in steps of four",
        )),
        None => Ok(Cow::Borrowed(text)),
    }
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
    fn what_is_listed_is_written_as_it_is_looked_up() {
        for (text, written) in [
            ("203.0.113.77/24", "203.0.113.0/24"),
            ("2001:DB8:0::5", "2001:db8::5"),
            ("2001:db8::5/32", "2001:db8::/32"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("alice", "alice"),
            ("curl/8", "curl/8"),
        ] {
            assert_eq!(member(text).unwrap(), written);
        }
        let (longest, longer) = ("x".repeat(LONGEST), "x".repeat(LONGEST + 1));
        assert_eq!(member(&longest).unwrap(), longest);
        for text in [
            "10.0.0.0/7",
            "2001:db8::/33",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "",
            &longer,
        ] {
            assert!(member(text).is_err(), "{text}");
        }
        assert_eq!(written(&longer).unwrap(), longer);
    }

    #[test]
    fn empty_and_overlong_values_are_no_members() {
        assert!(members("", None, Some(&"x".repeat(600)), Some("")).is_empty());
    }
}
