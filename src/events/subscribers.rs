//! Who gets which events as work.

use std::{collections::BTreeMap, sync::PoisonError};

use bytes::Bytes;

use super::{Events, TypeFilter, keys::check_scope};
use crate::{FromReply, Reply, Result};

script_call! {
    Register<'a> = "lua/own.lua" "lua/register.lua".key_locking()
    keys { subscribers_key, work_key }
    args {
        name: &'a str,
        // Separated by commas; empty ends the subscriber.
        types: &'a str,
    }
}

/// The subscribers as the store last told them.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscribers {
    version: String,
    filters: BTreeMap<String, TypeFilter>,
}

impl Subscribers {
    pub(super) fn version(&self) -> &str {
        if self.version.is_empty() {
            "0"
        } else {
            &self.version
        }
    }

    /// The registrations; what is none is passed over.
    pub(super) fn read(version: String, fields: Reply) -> Result<Self> {
        let filters = subscribers(BTreeMap::from_reply(fields)?).collect();
        Ok(Self { version, filters })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.filters.keys().map(String::as_str)
    }

    /// Those who want an event of this type, by their place among all names.
    pub(super) fn places(&self, kind: &str) -> impl Iterator<Item = usize> {
        let wanted = |filter: &TypeFilter| !kind.is_empty() && filter.matches(kind);
        let all = self.filters.values().enumerate();
        all.filter_map(move |(at, filter)| wanted(filter).then_some(at))
    }
}

/// Subscribers by name, of the fields of their hash.
pub(super) fn subscribers(
    fields: BTreeMap<Bytes, Bytes>,
) -> impl Iterator<Item = (String, TypeFilter)> {
    fields.into_iter().filter_map(|(name, types)| {
        let name = String::from_utf8(name.into()).ok()?;
        check_scope(&name).ok()?;
        let types = TypeFilter::parse(str::from_utf8(&types).ok()?).ok()?;
        Some((name, types))
    })
}

impl Events {
    /// Makes matching events the work of a subscriber, from now on, in every history.
    ///
    /// Registering again changes the types. It holds until [`unregister`](Self::unregister).
    ///
    /// # Errors
    /// A bad name, or whatever the client returns.
    pub async fn register(&self, subscriber: &str, types: &TypeFilter) -> Result<()> {
        check_scope(subscriber)?;
        self.registration(subscriber, &types.to_string()).await
    }

    /// Ends a subscriber; what waits for it stays.
    ///
    /// # Errors
    /// A bad name, or whatever the client returns.
    pub async fn unregister(&self, subscriber: &str) -> Result<()> {
        check_scope(subscriber)?;
        self.registration(subscriber, "").await
    }

    async fn registration(&self, subscriber: &str, types: &str) -> Result<()> {
        let call = Register {
            subscribers_key: &self.keys.subscribers(),
            work_key: &self.keys.work(subscriber),
            name: subscriber,
            types,
        };
        call.call().idempotent().run(&self.redis).await
    }

    pub(super) fn known_subscribers(&self) -> Subscribers {
        self.subscribers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn learn_subscribers(&self, fresh: Subscribers) {
        *self
            .subscribers
            .write()
            .unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}
