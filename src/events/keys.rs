//! Keys and channels, by environment and organisation.

use sha2::{Digest, Sha256};

use super::{Environment, Event};
use crate::{Error, ErrorKind, Result, identity::join};

/// Checks an organisation's name: 1 to 64 letters, digits, `-` and `_`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that tells the rule.
pub fn check_scope(organisation: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if (1..=64).contains(&organisation.len()) && organisation.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::invalid_input(
        "an organisation has 1 to 64 letters, digits, `-` and `_`",
    ))
}

/// A value of another type under a key of ours is lost: a reader sees nothing there.
pub(super) fn unless_lost<T: Default>(read: Result<T>) -> Result<T> {
    read.or_else(|error| match error.kind() {
        ErrorKind::WrongType => {
            tracing::warn!(%error, "a key of the events holds something else");
            Ok(T::default())
        }
        _ => Err(error),
    })
}

/// The names of one history and what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    start: String,
    scope: String,
    /// The identity of the publisher; empty when it has none.
    principal: String,
}

/// How a repeat of an event is recognised; keys of one kind never meet those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DedupKey<'a> {
    /// A key of the publisher's own, 1 to 256 bytes.
    Key(&'a str),
    /// A place in a batch that has a key of its own.
    Place(&'a str, usize),
    /// The event's own `source` and `id`.
    Event,
}

impl<'a> From<&'a str> for DedupKey<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(key)
    }
}

impl<'a> From<&'a String> for DedupKey<'a> {
    fn from(key: &'a String) -> Self {
        Self::Key(key)
    }
}

/// A fixed number of hexadecimal digits for a list of parts.
fn digest(parts: &[&str]) -> String {
    hex::encode(&Sha256::digest(join(parts))[..20])
}

impl Keys {
    pub(super) fn new(environment: Environment, organisation: Option<&str>) -> Self {
        let start = format!("events:{environment}");
        Self {
            start,
            scope: organisation.map_or(String::new(), |o| format!(":{o}")),
            principal: String::new(),
        }
    }
    pub(super) fn of_organisation(&self, environment: Environment, organisation: &str) -> Self {
        Self {
            principal: self.principal.clone(),
            ..Self::new(environment, Some(organisation))
        }
    }
    pub(super) fn of_principal(&self, kind: &str, name: &str) -> Self {
        Self {
            principal: join([kind, name]),
            ..self.clone()
        }
    }
    pub(super) fn history(&self) -> String {
        format!("{}:history{}", self.start, self.scope)
    }
    pub(super) fn meta(&self) -> String {
        format!("{}:meta{}", self.start, self.scope)
    }
    pub(super) fn dedup(&self, key: DedupKey<'_>, event: &Event) -> String {
        let who = self.principal.as_str();
        let digest = match key {
            DedupKey::Key(key) => digest(&[who, "key", key]),
            DedupKey::Place(key, place) => digest(&[who, "place", key, &place.to_string()]),
            DedupKey::Event => digest(&[who, "event", &event.source, &event.id]),
        };
        format!("{}:dedup{}:{digest}", self.start, self.scope)
    }
    pub(super) fn stats(&self, hour: u64) -> String {
        format!("{}:stats{}:{hour}", self.start, self.scope)
    }
    /// What a client that numbers its events has sent.
    pub(super) fn producer(&self, client: &str) -> String {
        let digest = digest(&[&self.principal, client]);
        format!("{}:client{}:{digest}", self.start, self.scope)
    }
    pub(super) fn subscribers(&self) -> String {
        format!("{}:work", self.start)
    }
    pub(super) fn work(&self, subscriber: &str) -> String {
        format!("{}:work:{subscriber}", self.start)
    }
    pub(super) fn retry(&self, subscriber: &str) -> String {
        format!("{}:work:{subscriber}:retry", self.start)
    }
    pub(super) fn tries(&self, subscriber: &str) -> String {
        format!("{}:work:{subscriber}:tries", self.start)
    }
    pub(super) fn dead_letters(&self) -> String {
        format!("{}:dlq", self.start)
    }
    pub(super) fn failures(&self, hour: u64) -> String {
        format!("{}:failed:{hour}", self.start)
    }
    pub(super) fn breaker(&self, endpoint: &str) -> String {
        format!("{}:breaker:{endpoint}", self.start)
    }
    pub(super) fn coordination(&self) -> String {
        format!("{}:coordination", self.start)
    }
    /// Channels are this and the event's type.
    pub(super) fn channel_prefix(&self) -> String {
        match self.scope.strip_prefix(':') {
            Some(organisation) => format!("{}:org:{organisation}:", self.start),
            None => format!("{}:", self.start),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    /// Texts near each other: separators, escapes, and words that keys have.
    fn part() -> impl Strategy<Value = String> {
        "([a:/#% 0-]{0,3}|key|place|event|failed|acme)"
    }

    fn name() -> impl Strategy<Value = String> {
        "(a|acme|failed|org|history|[0-9]{1,2}|a-[ab_])"
    }

    /// Who publishes where, and what a repeat is recognised by.
    type Known = (
        Option<String>,
        Option<(String, String)>,
        (u8, String, String, usize),
    );

    fn known() -> impl Strategy<Value = Known> {
        let key = (0..3_u8, part(), part(), 0..12_usize);
        (
            proptest::option::of(name()),
            proptest::option::of((part(), part())),
            key,
        )
    }

    fn keys(organisation: Option<&str>, principal: Option<&(String, String)>) -> Keys {
        let keys = Keys::new(Environment::Development, organisation);
        principal.map_or(keys.clone(), |(kind, name)| keys.of_principal(kind, name))
    }

    fn dedup((organisation, principal, (kind, a, b, place)): &Known) -> String {
        let mut event = Event::new("a", "/", serde_json::Value::Null).unwrap();
        (event.source, event.id) = (a.clone(), b.clone());
        let key = match kind {
            0 => DedupKey::Key(a),
            1 => DedupKey::Place(a, *place),
            _ => DedupKey::Event,
        };
        keys(organisation.as_deref(), principal.as_ref()).dedup(key, &event)
    }

    /// What of it is part of the identity.
    fn identity((organisation, principal, (kind, a, b, place)): &Known) -> Known {
        let key = match kind {
            0 => (0, a.clone(), String::new(), 0),
            1 => (1, a.clone(), String::new(), *place),
            _ => (2, a.clone(), b.clone(), 0),
        };
        (organisation.clone(), principal.clone(), key)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_dedup_key_is_of_one_publisher_one_kind_and_one_event(one in known(), two in known()) {
            prop_assert_eq!(identity(&one) == identity(&two), dedup(&one) == dedup(&two));
        }

        #[test]
        fn no_two_keys_of_different_meaning_are_the_same(
            one in proptest::option::of(name()), two in proptest::option::of(name()),
            client in name(), subscriber in name(), hour in 0..99_u64,
        ) {
            let all = |organisation: Option<&str>| {
                let keys = keys(organisation, None);
                let event = Event::new("a", "/", serde_json::Value::Null).unwrap();
                vec![
                    keys.history(), keys.meta(), keys.stats(hour), keys.producer(&client),
                    keys.dedup(DedupKey::Key(&client), &event),
                ]
            };
            let shared = keys(None, None);
            let mut every = all(one.as_deref());
            if one != two {
                every.extend(all(two.as_deref()));
            }
            every.extend([
                shared.subscribers(), shared.work(&subscriber), shared.retry(&subscriber),
                shared.tries(&subscriber), shared.dead_letters(), shared.failures(hour),
                shared.breaker(&client),
            ]);
            let many = every.len();
            every.sort();
            every.dedup();
            prop_assert_eq!(every.len(), many);
        }
    }
}
