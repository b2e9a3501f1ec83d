//! Deny and allow lists: sets in the store, looked up with the decision.

use std::{borrow::Cow, net::IpAddr};

use super::request::RateLimitRequest;
use crate::{Error, Result, identity};

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

/// What stands in a deny or allow list, and which member of a question it matches.
///
/// A text is an address or a network if it reads as one. Any other text is an identifier in the allow
/// list, as it stands; in the deny list it matches an identifier, a user agent or a country, which
/// is what it means to `@upstash/ratelimit`.
///
/// ```
/// use restis::ratelimit::ListEntry;
///
/// let crawlers = ListEntry::user_agent("BadBot/1");
/// let network = ListEntry::from("203.0.113.0/24");
/// # let _ = (crawlers, network);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListEntry(Entry);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Entry {
    Text(String),
    Identifier(String),
    Of(String, String),
    UserAgent(String),
    Country(String),
}

impl ListEntry {
    /// An address.
    pub fn address(address: IpAddr) -> Self {
        Self(Entry::Text(address.to_canonical().to_string()))
    }

    /// An identifier of no organisation, whatever it looks like.
    pub fn identifier(identifier: impl Into<String>) -> Self {
        Self(Entry::Identifier(identifier.into()))
    }

    /// An identifier of an organisation.
    pub fn identifier_of(organisation: impl Into<String>, identifier: impl Into<String>) -> Self {
        Self(Entry::Of(organisation.into(), identifier.into()))
    }

    /// A user agent.
    pub fn user_agent(user_agent: impl Into<String>) -> Self {
        Self(Entry::UserAgent(user_agent.into()))
    }

    /// A country code.
    pub fn country(country: impl Into<String>) -> Self {
        Self(Entry::Country(country.into()))
    }

    /// As lookups write it.
    ///
    /// # Errors
    /// What is never looked up: a network of such a size, and what is empty or too long.
    pub(super) fn member(&self) -> Result<String> {
        let written = self.written()?;
        if self.text_bytes().all(|len| (1..=LONGEST).contains(&len)) {
            return Ok(written);
        }
        Err(Error::invalid_input("a list member has 1 to 512 bytes"))
    }

    fn text_bytes(&self) -> impl Iterator<Item = usize> {
        let texts = match &self.0 {
            Entry::Of(organisation, identifier) => [Some(organisation), Some(identifier)],
            Entry::Text(text)
            | Entry::Identifier(text)
            | Entry::UserAgent(text)
            | Entry::Country(text) => [Some(text), None],
        };
        texts.into_iter().flatten().map(String::len)
    }

    /// The same for a member that is to be removed, however long.
    pub(super) fn written(&self) -> Result<String> {
        Ok(match &self.0 {
            Entry::Text(text) => written(text)?.into_owned(),
            Entry::Identifier(text) => identifier_member(text).into_owned(),
            Entry::Of(organisation, identifier) => of_organisation(organisation, identifier),
            Entry::UserAgent(text) => typed("user-agent", text),
            Entry::Country(text) => typed("country", text),
        })
    }
}

impl From<&str> for ListEntry {
    fn from(text: &str) -> Self {
        Self(Entry::Text(text.to_owned()))
    }
}

impl From<&&str> for ListEntry {
    fn from(text: &&str) -> Self {
        Self::from(*text)
    }
}

impl From<String> for ListEntry {
    fn from(text: String) -> Self {
        Self(Entry::Text(text))
    }
}

impl From<&String> for ListEntry {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<IpAddr> for ListEntry {
    fn from(address: IpAddr) -> Self {
        Self::address(address)
    }
}

impl From<&Self> for ListEntry {
    fn from(entry: &Self) -> Self {
        entry.clone()
    }
}

/// What no other client writes and no plain text is looked up as.
fn typed(kind: &str, text: &str) -> String {
    format!("#{kind}:{text}")
}

fn of_organisation(organisation: &str, identifier: &str) -> String {
    format!("#org:{}", identity::join([organisation, identifier]))
}

/// An identifier as it stands, unless it reads as something else.
fn identifier_member(text: &str) -> Cow<'_, str> {
    match text.starts_with('#') || written(text).is_err() || network(text).is_some() {
        true => Cow::Owned(typed("identifier", text)),
        false => Cow::Borrowed(text),
    }
}

/// A text as lookups write it.
fn written(text: &str) -> Result<Cow<'_, str>> {
    let is_network = text
        .split_once('/')
        .is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok());
    match network(text) {
        Some(network) => Ok(Cow::Owned(network)),
        None if is_network => Err(Error::invalid_input(
            "a network has 8 to 32 bits, or 16 to 128 in steps of four",
        )),
        None if text.starts_with('#') => Ok(Cow::Owned(typed("identifier", text))),
        None => Ok(Cow::Borrowed(text)),
    }
}

/// What may stand in the lists for a caller.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    /// In both lists first, then in the deny list only.
    pub(super) all: Vec<Cow<'a, str>>,
    /// How many may stand in both.
    pub(super) allowing: usize,
}

/// Everything that may stand in a list for this caller: itself, and each network that holds its address.
///
/// Networks are written canonically: IPv4 from /8 to /32, IPv6 in steps of four from /16 to /128. An
/// entry of the deny list holds for an identifier in every organisation.
pub(super) fn members<'a>(request: &RateLimitRequest<'a>) -> Members<'a> {
    let given = |text: &&str| (1..=LONGEST).contains(&text.len());
    let identifier = Some(request.identifier).filter(given);
    let user_agent = request.user_agent.filter(given);
    let country = request.country.filter(given);
    let own = match (request.organisation, identifier) {
        (Some(organisation), Some(id)) => Some(Cow::Owned(of_organisation(organisation, id))),
        (None, id) => id.map(identifier_member),
        (Some(_), None) => None,
    };
    let mut all: Vec<Cow<'a, str>> = own.into_iter().collect();
    all.extend(user_agent.map(|text| Cow::Owned(typed("user-agent", text))));
    all.extend(country.map(|text| Cow::Owned(typed("country", text))));
    match request.ip.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(v4)) => {
            all.push(Cow::Owned(v4.to_string()));
            all.extend((8..=32).rev().map(|bits: u32| {
                let network = u32::from(v4) & (u32::MAX << (32 - bits));
                Cow::Owned(format!("{}/{bits}", std::net::Ipv4Addr::from(network)))
            }));
        }
        Some(IpAddr::V6(v6)) => {
            all.push(Cow::Owned(v6.to_string()));
            all.extend((16..=128).rev().step_by(4).map(|bits: u32| {
                let network = u128::from(v6) & (u128::MAX << (128 - bits));
                Cow::Owned(format!("{}/{bits}", std::net::Ipv6Addr::from(network)))
            }));
        }
        None => {}
    }
    let allowing = all.len();
    all.extend(
        identifier
            .filter(|_| request.organisation.is_some())
            .map(identifier_member),
    );
    let texts = [identifier, user_agent, country].into_iter().flatten();
    let plain = texts.filter(|text| !text.starts_with('#'));
    all.extend(plain.map(Cow::Borrowed));
    Members { all, allowing }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn member(text: &str) -> Result<String> {
        ListEntry::from(text).member()
    }

    fn request<'a>(identifier: &'a str, ip: &str) -> RateLimitRequest<'a> {
        RateLimitRequest::new(identifier).ip(ip.parse().unwrap())
    }

    #[test]
    fn an_address_is_in_every_network_that_holds_it() {
        let v4 = request("alice", "203.0.113.77");
        let found = members(&v4.user_agent("curl/8").country("DE")).all;
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
        let v6 = members(&request("x", "2001:db8:1:2::5")).all;
        assert!(
            v6.iter().any(|m| m == "2001:db8:1:2::/64") && v6.iter().any(|m| m == "2001:db8::/32")
        );
    }

    #[test]
    fn an_entry_of_the_allow_list_matches_its_own_member_only() {
        let texts = ["203.0.113.9", "alice", "DE", "10.0.0.0/8", "#country:DE"];
        let allows = |entry: &ListEntry, request: &RateLimitRequest<'_>| {
            let (written, found) = (entry.member().unwrap(), members(request));
            found.all[..found.allowing].iter().any(|m| *m == written)
        };
        for text in texts {
            let own = [
                (ListEntry::identifier(text), RateLimitRequest::new(text)),
                (
                    ListEntry::user_agent(text),
                    RateLimitRequest::new("x").user_agent(text),
                ),
                (
                    ListEntry::country(text),
                    RateLimitRequest::new("x").country(text),
                ),
                (
                    ListEntry::identifier_of("acme", text),
                    RateLimitRequest::new(text).organisation("acme"),
                ),
            ];
            for (n, (entry, _)) in own.iter().enumerate() {
                for (m, (_, request)) in own.iter().enumerate() {
                    assert_eq!(
                        allows(entry, request),
                        n == m,
                        "{text}: {entry:?} {request:?}"
                    );
                }
            }
        }
        for address in ["203.0.113.9", "203.0.113.0/24"] {
            let entry = ListEntry::from(address);
            assert!(allows(&entry, &request("x", "203.0.113.9")));
            for other in [
                RateLimitRequest::new(address),
                RateLimitRequest::new("x").user_agent(address),
                RateLimitRequest::new("x").country(address),
                RateLimitRequest::new(address).organisation("acme"),
            ] {
                assert!(!allows(&entry, &other), "{other:?}");
            }
        }
    }

    #[test]
    fn a_plain_text_in_the_deny_list_means_what_it_means_to_other_clients() {
        let of_acme = RateLimitRequest::new("mallory").organisation("acme");
        for request in [
            RateLimitRequest::new("mallory"),
            of_acme,
            RateLimitRequest::new("x").user_agent("mallory"),
            RateLimitRequest::new("x").country("mallory"),
        ] {
            let found = members(&request).all;
            assert!(found.iter().any(|m| m == "mallory"), "{request:?}");
        }
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
        assert_eq!(ListEntry::from(&longer).written().unwrap(), longer);
    }

    #[test]
    fn empty_and_overlong_values_are_no_members() {
        let long = "x".repeat(600);
        let request = RateLimitRequest::new("").user_agent(&long).country("");
        assert!(members(&request).all.is_empty());
    }
}
