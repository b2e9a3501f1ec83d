//! Who gets which events as work.

use std::{collections::BTreeMap, sync::PoisonError};

use super::{Events, TypeFilter, keys::check_scope};
use crate::{FromReply, Reply, Result, Script};

static REGISTER: Script = Script::new(include_str!("lua/register.lua")).key_locking();

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

    pub(super) fn of<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s str> {
        let wanted =
            |(_, filter): &(&String, &TypeFilter)| !kind.is_empty() && filter.matches(kind);
        self.filters
            .iter()
            .filter(wanted)
            .map(|(name, _)| name.as_str())
    }
}

impl FromReply for Subscribers {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut fields = BTreeMap::<String, String>::from_reply(reply)?;
        let version = fields.remove("#").unwrap_or_default();
        let parse = |(name, types): (String, String)| Ok((name, TypeFilter::parse(&types)?));
        let filters = fields.into_iter().map(parse).collect::<Result<_>>()?;
        Ok(Self { version, filters })
    }
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
        REGISTER
            .key(self.keys.subscribers())
            .key(self.keys.work(subscriber))
            .arg(subscriber)
            .arg(types)
            .idempotent()
            .run(&self.redis)
            .await
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
