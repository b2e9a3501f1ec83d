//! The table of commands that a database offers.
//!
//! A group of commands is a file in `commands/` that ends in one table:
//!
//! ```ignore
//! pub(crate) const COMMANDS: &[Spec] = &[
//!     Spec::read("GET", 2, Keys::ONE, Category::STRING, get).fast(),
//!     Spec::write("SET", -3, Keys::ONE, Category::STRING, set).denyoom(),
//! ];
//! ```
//!
//! and one line in `commands/mod.rs`. Before `run` is called the engine has checked arity,
//! permissions and memory; after it the engine removes emptied keys and accounts for memory.

use std::collections::HashMap;

use super::Ctx;
use crate::command::{Args, Category, Command, Flags, Keys, Outcome};
use crate::error::Error;

/// A command's function.
pub(crate) type Run = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

/// A command and how it is run.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) command: Command,
    pub(crate) run: Run,
}

impl Spec {
    const fn new(
        (name, arity): (&'static str, i16),
        flags: Flags,
        keys: Keys,
        category: Category,
        run: Run,
    ) -> Self {
        let command = Command {
            name,
            arity,
            flags,
            keys,
            category,
        };
        Self { command, run }
    }

    /// A command that only reads.
    pub(crate) const fn read(
        name: &'static str,
        arity: i16,
        keys: Keys,
        category: Category,
        run: Run,
    ) -> Self {
        Self::new((name, arity), Flags::READ, keys, category, run)
    }

    /// A command that may write.
    pub(crate) const fn write(
        name: &'static str,
        arity: i16,
        keys: Keys,
        category: Category,
        run: Run,
    ) -> Self {
        Self::new((name, arity), Flags::WRITE, keys, category, run)
    }

    /// A command that is about no key, such as PING.
    pub(crate) const fn other(
        name: &'static str,
        arity: i16,
        category: Category,
        run: Run,
    ) -> Self {
        Self::new((name, arity), Flags::NONE, Keys::None, category, run)
    }

    /// Where its keys are.
    pub(crate) const fn keys(mut self, keys: Keys) -> Self {
        self.command.keys = keys;
        self
    }

    pub(crate) const fn fast(self) -> Self {
        self.flag(Flags::FAST)
    }

    pub(crate) const fn denyoom(self) -> Self {
        self.flag(Flags::DENYOOM)
    }

    pub(crate) const fn noscript(self) -> Self {
        self.flag(Flags::NOSCRIPT)
    }

    pub(crate) const fn admin(self) -> Self {
        self.flag(Flags::ADMIN).flag(Flags::DANGEROUS)
    }

    pub(crate) const fn dangerous(self) -> Self {
        self.flag(Flags::DANGEROUS)
    }

    pub(crate) const fn powerful(self) -> Self {
        self.flag(Flags::POWERFUL)
    }

    pub(crate) const fn always(self) -> Self {
        self.flag(Flags::ALWAYS)
    }

    pub(crate) const fn blocking(self) -> Self {
        self.flag(Flags::BLOCKING)
            .flag(Flags::NOSCRIPT)
            .redis_only()
    }

    pub(crate) const fn redis_only(self) -> Self {
        self.flag(Flags::REDIS_ONLY)
    }

    /// Offered only where there are debug commands.
    pub(crate) const fn debug(self) -> Self {
        self.redis_only().flag(Flags::DEBUG)
    }

    const fn flag(mut self, flag: Flags) -> Self {
        self.command.flags = self.command.flags.with(flag);
        self
    }
}

/// The longest command name, with room to spare.
pub(crate) const LONGEST: usize = 32;

/// The commands of a database. Whoever makes a database hands it in, so that what runs commands
/// does not depend on them.
#[derive(Debug)]
pub(crate) struct Table {
    specs: HashMap<&'static [u8], &'static Spec, foldhash::fast::RandomState>,
    commands: Vec<&'static Command>,
}

impl Table {
    pub(crate) fn new(specs: impl Iterator<Item = &'static Spec> + Clone) -> Self {
        Self {
            commands: specs.clone().map(|spec| &spec.command).collect(),
            specs: specs
                .map(|spec| (spec.command.name.as_bytes(), spec))
                .collect(),
        }
    }

    /// Every command, in the order of the groups.
    pub(crate) fn commands(&self) -> &[&'static Command] {
        &self.commands
    }

    /// The command with this name, in any case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&'static Spec> {
        let mut buffer = [0u8; LONGEST];
        let upper = buffer.get_mut(..name.len())?;
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        self.specs.get(&*upper).copied()
    }
}

/// Commands bound to a connection; some have an endpoint of their own.
const CONNECTION_BOUND: &[&str] = &[
    "AUTH",
    "HELLO",
    "RESET",
    "QUIT",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH",
    "UNWATCH",
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "MONITOR",
    "CLIENT",
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
];

/// Commands of other servers, or about the server, that no script may call.
const NOT_FROM_SCRIPT: &[&str] = &[
    "BGREWRITEAOF",
    "BGSAVE",
    "CLUSTER",
    "FAILOVER",
    "PSYNC",
    "REPLICAOF",
    "SAVE",
    "SHUTDOWN",
    "SLAVEOF",
    "SYNC",
];

/// Commands between a server and its replicas.
const REPLICATION: &[&str] = &[
    "FAILOVER",
    "PSYNC",
    "REPLCONF",
    "REPLICAOF",
    "SLAVEOF",
    "SYNC",
];

/// Whether a command that is not in the table may not be called by scripts of Redis either.
pub(super) fn is_not_from_script(name: &[u8]) -> bool {
    CONNECTION_BOUND
        .iter()
        .chain(NOT_FROM_SCRIPT)
        .any(|bound| name.eq_ignore_ascii_case(bound.as_bytes()))
}

/// Why a command is not in the table.
pub(super) fn unknown(name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]).to_uppercase();
    if CONNECTION_BOUND.contains(&name.as_str()) {
        return Error::new(format!(
            "ERR Command \"{name}\" is not allowed in REST or it has a special context path"
        ));
    }
    Error::new(format!(
        "ERR Command is not available: '{name}'. See https://upstash.com/docs/redis/overall/rediscompatibility for details"
    ))
}

/// The same in the words of Redis.
pub(super) fn unknown_to_redis(args: Args<'_>) -> Error {
    const MOST: usize = 128;
    let shown = |text: &[u8], most: usize| {
        String::from_utf8_lossy(&text[..text.len().min(most)]).into_owned()
    };
    let name = shown(args.first().copied().unwrap_or_default(), MOST);
    if REPLICATION.contains(&name.to_uppercase().as_str()) {
        return Error::new(format!(
            "ERR {name} is not available: there is no replication here; `restis export` copies a database"
        ));
    }
    let mut text = format!("ERR unknown command '{name}', with args beginning with: ");
    let mut left = MOST;
    for arg in args.iter().skip(1) {
        if left == 0 {
            break;
        }
        let arg = shown(arg, left);
        left = left.saturating_sub(arg.len() + 3);
        text.push_str(&format!("'{arg}' "));
    }
    Error::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_command_says_why() {
        assert!(unknown(b"foo").message().contains("not available: 'FOO'"));
        assert!(unknown(b"watch").message().contains("not allowed in REST"));
        assert_eq!(
            unknown_to_redis(&[b"foo", b"a", b"b"]).message(),
            "ERR unknown command 'foo', with args beginning with: 'a' 'b' "
        );
        assert!(
            unknown_to_redis(&[b"Sync"])
                .message()
                .contains("restis export")
        );
        assert!(unknown(b"vadd").message().contains("not available: 'VADD'"));
    }
}
