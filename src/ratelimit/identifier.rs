//! Identifiers: assumed hostile, turned into key parts.

use std::{borrow::Cow, net::IpAddr};

use sha2::{Digest, Sha256};

use crate::{Error, Result, identity};

/// Longer identifiers are hashed; Upstash allows keys of 32 KB.
const LONGEST: usize = 512;

/// Names that control keys use under the same prefix.
const RESERVED: [&str; 7] = [
    "dynamic",
    "events",
    "denyList",
    "allowList",
    "ipDenyListStatus",
    "lease",
    "gcra",
];

/// The part of the key that stands for an identifier.
///
/// Ordinary identifiers stay as they are, which is what other clients expect. One that would
/// name a control key, or that is too long, becomes `#` and its SHA-256.
pub(super) fn key_part(identifier: &str) -> Result<Cow<'_, str>> {
    if identifier.is_empty() {
        return Err(Error::invalid_input("an identifier must not be empty"));
    }
    let first = identifier.split(':').next().unwrap_or(identifier);
    if identifier.len() <= LONGEST && !RESERVED.contains(&first) && !identifier.starts_with('#') {
        return Ok(Cow::Borrowed(identifier));
    }
    Ok(Cow::Owned(hashed(identifier)))
}

/// The part for an identifier of an organisation; no identifier alone has it.
pub(super) fn organisation_part(organisation: &str, identifier: &str) -> Result<String> {
    if organisation.is_empty() || identifier.is_empty() {
        return Err(Error::invalid_input("an identifier must not be empty"));
    }
    let part = format!("#org:{}", identity::join([organisation, identifier]));
    Ok(if part.len() <= LONGEST {
        part
    } else {
        hashed(&part)
    })
}

/// A part that cannot be taken for another's with the number or date of a window behind it.
pub(super) fn apart(part: Cow<'_, str>) -> Cow<'_, str> {
    let counter = |c: char| c.is_ascii_digit() || c == '-';
    match part.rsplit_once(':') {
        Some((_, end)) if end.chars().all(counter) => Cow::Owned(hashed(&part)),
        _ => part,
    }
}

/// The part of the key that stands for a group; no identifier has it.
pub(super) fn group_part(part: &str) -> String {
    format!("#group:{part}")
}

/// The part for another limit that would count in the same key; no identifier has it.
pub(super) fn numbered_part(part: &str, ordinal: u8) -> Cow<'_, str> {
    match ordinal {
        0 => Cow::Borrowed(part),
        _ => Cow::Owned(format!("#{}:{part}", u16::from(ordinal) + 1)),
    }
}

/// The same in braces, which a Redis Cluster takes for what to place the key by.
pub(super) fn tagged(part: &str) -> String {
    if part.contains(['{', '}']) {
        format!("{{{}}}", hashed(part))
    } else {
        format!("{{{part}}}")
    }
}

fn hashed(identifier: &str) -> String {
    format!("#{}", hex::encode(Sha256::digest(identifier)))
}

/// The identifier of a client's address: IPv4 whole, IPv6 by its /64 network.
///
/// A subscriber usually holds a whole /64 and could otherwise use a new address for each request.
pub fn group_ipv6(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> 64 << 64;
            format!("{}/64", std::net::Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn ordinary_identifiers_stay_as_they_are() {
        for id in ["alice", "203.0.113.9", "user:1:child", "*", "a b\n"] {
            assert_eq!(key_part(id).unwrap(), id);
        }
    }

    #[test]
    fn identifiers_that_name_control_keys_or_are_too_long_are_hashed() {
        let long = "x".repeat(513);
        for id in [
            "dynamic",
            "dynamic:global",
            "events:0",
            "denyList:all",
            "ipDenyListStatus",
            "#abc",
            &long,
        ] {
            let part = key_part(id).unwrap();
            assert!(part.starts_with('#') && part.len() == 65, "{part}");
        }
        assert_ne!(key_part("events").unwrap(), key_part("dynamic").unwrap());
        assert!(key_part("").is_err());
    }

    #[test]
    fn no_identifier_alone_is_one_of_an_organisation() {
        let part = |organisation, id| organisation_part(organisation, id).unwrap();
        assert_eq!(part("acme", "alice"), "#org:acme:alice");
        assert_ne!(part("a", "b:c"), part("a:b", "c"));
        for id in ["acme/alice", "acme:alice", "#org:acme:alice"] {
            assert_ne!(key_part(id).unwrap(), part("acme", "alice"));
        }
        assert_eq!(part("acme", &"x".repeat(600)).len(), 65);
        assert!(organisation_part("acme", "").is_err());
    }

    #[test]
    fn no_identifier_is_a_group() {
        assert_eq!(group_part("acme"), "#group:acme");
        assert_ne!(key_part("#group:acme").unwrap(), "#group:acme");
    }

    #[test]
    fn no_identifier_is_another_limit_of_anyone() {
        assert_eq!(numbered_part("acme", 0), "acme");
        assert_eq!(numbered_part("acme", 1), "#2:acme");
        assert_ne!(key_part("#2:acme").unwrap(), "#2:acme");
    }

    #[test]
    fn what_looks_like_the_counter_of_another_is_hashed_where_they_could_meet() {
        for id in [
            "bob:180000000",
            "a:b:7",
            "bob:2026-11",
            "bob:2026-11-20",
            "::1",
        ] {
            assert!(apart(id.into()).starts_with('#'), "{id}");
        }
        for id in ["bob", "180000000", "bob:7a", "bob:x-1", "2026-11"] {
            assert_eq!(apart(id.into()), id);
        }
    }

    #[test]
    fn a_tagged_identifier_cannot_choose_its_place() {
        assert_eq!(tagged("alice"), "{alice}");
        for id in ["}", "{}", "a}b", "{a"] {
            let part = tagged(id);
            assert!(part.starts_with("{#") && part.len() == 67, "{part}");
        }
    }

    #[test]
    fn ipv6_addresses_of_one_network_share_an_identifier() {
        let group = |s: &str| group_ipv6(s.parse().unwrap());
        assert_eq!(group("2001:db8::1"), group("2001:db8::ffff:1"));
        assert_ne!(group("2001:db8::1"), group("2001:db8:0:1::1"));
        assert_eq!(group("::ffff:203.0.113.9"), "203.0.113.9");
    }
}
