//! Who calls, and what they may do.

mod category;
mod index;
mod token;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::budget::Budget;
use crate::command::{Args, Command, Flags, Keys};
use crate::error::Error;
use user::Needs;

pub(crate) use category::{CATEGORIES, in_category};
pub(crate) use index::TokenIndex;
pub use token::DatabaseId;
pub(crate) use token::Token;
pub(crate) use user::{RuleScope, User};

const DEFAULT: &str = "default";
const DEFAULT_READ_ONLY: &str = "default_ro";
/// The most users.
const MAX_USERS: usize = 10_000;

/// On whose behalf a command runs: a user, possibly with a read-only token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    user: Arc<str>,
    read_only: bool,
}

impl Default for Caller {
    fn default() -> Self {
        Self::user(DEFAULT)
    }
}

impl Caller {
    /// A named user.
    pub fn user(name: &str) -> Self {
        Self {
            user: Arc::from(name),
            read_only: false,
        }
    }

    /// The user that a token belongs to.
    pub(crate) fn named(user: Arc<str>) -> Self {
        Self {
            user,
            read_only: false,
        }
    }

    /// The default user with a read-only token.
    pub fn read_only() -> Self {
        Self {
            user: Arc::from(DEFAULT_READ_ONLY),
            read_only: true,
        }
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.user
    }

    /// Whether the caller is a user that ACL can change or remove.
    pub fn is_user(&self) -> bool {
        !self.read_only && !Acl::is_reserved(&self.user)
    }

    /// Whether the token only allows reading.
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }
}

/// The users of one database and their rules. The default user may do everything.
#[derive(Debug, Default)]
pub(crate) struct Acl {
    users: BTreeMap<String, User>,
    /// Roughly the bytes all users take.
    weight: usize,
    tokens: Arc<TokenIndex>,
}

/// Whether the caller may use every key.
fn sees_all(caller: &Caller) -> bool {
    &*caller.user == DEFAULT || caller.read_only
}

impl Acl {
    /// Whether the caller may run this command with these arguments.
    pub(crate) fn check(
        &self,
        budget: &Budget,
        caller: &Caller,
        command: &Command,
        args: Args<'_>,
    ) -> Result<(), Error> {
        if &*caller.user == DEFAULT {
            return Ok(());
        }
        if caller.read_only {
            let flags = command.flags;
            let reads = flags.has(Flags::READ) || flags.has(Flags::ALWAYS);
            if reads && !flags.has(Flags::POWERFUL) {
                return Ok(());
            }
            return Err(no_permission(command.name));
        }
        let user = self
            .active(caller)
            .ok_or_else(|| no_permission(command.name))?;
        if !user.may_run(command.name) {
            return Err(no_permission(command.name));
        }
        let mut refused = false;
        let mut first = true;
        command.keys.each(args, |at| {
            let needs = needs(command, args, std::mem::take(&mut first));
            refused |= args
                .get(at)
                .is_some_and(|key| !user.may_use_key(budget, key, needs));
        });
        if refused {
            return Err(Error::fixed(
                "NOPERM this user has no permissions to access one of the keys used as arguments",
            ));
        }
        if command.name == "PUBLISH" {
            let allowed = args
                .get(1)
                .is_none_or(|channel| user.may_use_channel(budget, channel, false));
            return channel_outcome(allowed);
        }
        Ok(())
    }

    /// Whether the caller may read this key.
    pub(crate) fn may_read(&self, budget: &Budget, caller: &Caller, key: &[u8]) -> bool {
        let read = Needs {
            read: true,
            write: false,
        };
        sees_all(caller)
            || self
                .active(caller)
                .is_some_and(|user| user.may_use_key(budget, key, read))
    }

    /// Whether the caller may read every key that begins with one of these.
    pub(crate) fn may_read_prefixes<A: AsRef<[u8]>>(
        &self,
        caller: &Caller,
        prefixes: &[A],
    ) -> bool {
        let covered = |user: &User| {
            let mut prefixes = prefixes.iter();
            prefixes.all(|prefix| user.may_read_prefix(prefix.as_ref()))
        };
        sees_all(caller) || self.active(caller).is_some_and(covered)
    }

    /// Whether the caller may listen to these channels and patterns.
    pub(crate) fn check_channels<A: AsRef<[u8]>>(
        &self,
        budget: &Budget,
        caller: &Caller,
        channels: &[A],
        patterns: &[A],
    ) -> Result<(), Error> {
        // Redis lets a user with only reading commands subscribe.
        if sees_all(caller) {
            return Ok(());
        }
        let Some(user) = self.active(caller) else {
            return channel_outcome(false);
        };
        // Notifications tell of keys.
        let names = channels.iter().map(AsRef::as_ref);
        if names
            .clone()
            .any(|name| !user.may_be_notified(budget, name))
            || patterns
                .iter()
                .any(|name| !user.may_be_notified_like(name.as_ref()))
        {
            return Err(Error::fixed(
                "NOPERM this user has no permissions to read all keys whose notifications these channels carry",
            ));
        }
        for (name, list) in [("SUBSCRIBE", channels), ("PSUBSCRIBE", patterns)] {
            if !list.is_empty() && !user.may_run(name) {
                return Err(no_permission(name));
            }
        }
        channel_outcome(
            channels
                .iter()
                .all(|name| user.may_use_channel(budget, name.as_ref(), false))
                && patterns
                    .iter()
                    .all(|name| user.may_use_channel(budget, name.as_ref(), true)),
        )
    }

    /// The caller's user, if it exists and is on.
    fn active(&self, caller: &Caller) -> Option<&User> {
        self.users.get(caller.name()).filter(|user| user.enabled)
    }

    /// The tokens of users that are on, kept up to date.
    pub(crate) fn tokens(&self) -> Arc<TokenIndex> {
        Arc::clone(&self.tokens)
    }

    /// Takes the users of another instead; the token index stays the same one.
    pub(crate) fn replace(&mut self, other: Self) {
        self.users = other.users;
        self.weight = other.weight;
        self.tokens.clear();
        for (name, user) in &self.users {
            self.tokens.set(name, &[], user.live_tokens());
        }
    }

    /// The user with this name; the default user is not among them.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// All users besides the default one, by name.
    pub(crate) fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user))
    }

    /// Makes or replaces a user; `true`: a token that it had opens the database no longer.
    pub(crate) fn set(&mut self, name: &str, user: User) -> Result<bool, Error> {
        if !self.users.contains_key(name) && self.users.len() >= MAX_USERS {
            return Err(Error::fixed("ERR too many users"));
        }
        let after = user.live_tokens();
        let before = self.users.get(name).map_or(&[][..], User::live_tokens);
        self.tokens.set(name, before, after);
        let lost = before.iter().any(|digest| !after.contains(digest));
        self.weight += weight_of(name, &user);
        if let Some(old) = self.users.insert(name.to_owned(), user) {
            self.weight -= weight_of(name, &old);
        }
        Ok(lost)
    }

    /// Roughly the bytes all users take.
    pub(crate) const fn weight(&self) -> usize {
        self.weight
    }

    /// Removes a user; `false`: there is none.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(user) = self.users.remove(name) else {
            return false;
        };
        self.weight -= weight_of(name, &user);
        self.tokens.set(name, user.live_tokens(), &[]);
        true
    }

    /// Whether this name belongs to the engine itself.
    pub(crate) fn is_reserved(name: &str) -> bool {
        name == DEFAULT || name == DEFAULT_READ_ONLY
    }
}

fn weight_of(name: &str, user: &User) -> usize {
    name.len() + user.weight()
}

fn channel_outcome(allowed: bool) -> Result<(), Error> {
    if allowed {
        return Ok(());
    }
    Err(Error::fixed(
        "NOPERM this user has no permissions to access one of the channels used as arguments",
    ))
}

/// Commands that write to their keys and tell nothing of what was there.
const ONLY_WRITE: &[&str] = &[
    "APPEND",
    "BITOP",
    "DEL",
    "EXPIRE",
    "EXPIREAT",
    "GEOADD",
    "HDEL",
    "HMSET",
    "HSET",
    "HSETNX",
    "JSON.DEL",
    "JSON.FORGET",
    "JSON.MERGE",
    "JSON.MSET",
    "JSON.SET",
    "LINSERT",
    "LPUSH",
    "LPUSHX",
    "LREM",
    "LSET",
    "LTRIM",
    "MSET",
    "MSETEX",
    "MSETNX",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PFADD",
    "PSETEX",
    "RPUSH",
    "RPUSHX",
    "SADD",
    "SET",
    "SETBIT",
    "SETEX",
    "SETNX",
    "SETRANGE",
    "SREM",
    "UNLINK",
    "XACK",
    "XADD",
    "XCFGSET",
    "XDEL",
    "XGROUP",
    "XTRIM",
    "ZADD",
    "ZREM",
    "ZREMRANGEBYLEX",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE",
];

/// Commands that write to their first key and read the others.
const STORE: &[&str] = &[
    "BITOP",
    "GEOSEARCHSTORE",
    "PFMERGE",
    "SDIFFSTORE",
    "SINTERSTORE",
    "SUNIONSTORE",
    "ZDIFFSTORE",
    "ZINTERSTORE",
    "ZRANGESTORE",
    "ZUNIONSTORE",
];

/// What a command does with a key: its first one, or another.
fn needs(command: &Command, args: Args<'_>, first: bool) -> Needs {
    let (read, write) = match command.name {
        name if STORE.contains(&name) => (!first, first),
        "COPY" | "SORT" => (first, !first),
        "SET" => {
            let gets = args
                .iter()
                .skip(3)
                .any(|word| word.eq_ignore_ascii_case(b"GET"));
            (gets, true)
        }
        name if ONLY_WRITE.contains(&name) => (false, true),
        _ if command.flags.has(Flags::READ) => (true, false),
        _ => (true, true),
    };
    debug_assert!(!matches!(command.keys, Keys::None), "asked for a key only");
    Needs { read, write }
}

/// The refusal of a command.
pub(crate) fn no_permission(name: &str) -> Error {
    Error::new(format!(
        "NOPERM this user has no permissions to run the '{}' command or its subcommand",
        name.to_ascii_lowercase()
    ))
}
