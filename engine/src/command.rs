//! What is known about a command besides how it is run.

use crate::error::Error;
use crate::reply::Reply;

/// Arguments, the command name (as sent) first.
pub(crate) type Args<'a> = &'a [&'a [u8]];

/// What a command's function returns.
pub(crate) type Outcome = Result<Reply, Error>;

/// Where a command's keys are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keys {
    /// No keys.
    None,
    /// From `first` to `last` (negative: counted from the end) in steps.
    Range { first: u8, last: i8, step: u8 },
    /// The argument at this index says how many keys follow it.
    Counted(u8),
    /// A destination first, then as `Counted`.
    DestCounted(u8),
    /// Found by a function: pushes the indices of key arguments.
    Found(fn(Args<'_>, &mut dyn FnMut(usize))),
}

impl Keys {
    /// The first argument.
    pub(crate) const ONE: Self = Self::Range {
        first: 1,
        last: 1,
        step: 1,
    };
    /// The first two arguments.
    pub(crate) const TWO: Self = Self::Range {
        first: 1,
        last: 2,
        step: 1,
    };
    /// All arguments.
    pub(crate) const ALL: Self = Self::Range {
        first: 1,
        last: -1,
        step: 1,
    };

    /// Calls `visit` with the index of every key argument.
    pub(crate) fn each(self, args: Args<'_>, mut visit: impl FnMut(usize)) {
        match self {
            Self::None => {}
            Self::Range { first, last, step } => {
                let last = if last < 0 {
                    args.len().saturating_sub(usize::from(last.unsigned_abs()))
                } else {
                    usize::try_from(last).unwrap_or(0)
                };
                let last = last.min(args.len().saturating_sub(1));
                (usize::from(first)..=last)
                    .step_by(usize::from(step))
                    .for_each(visit);
            }
            Self::Counted(at) => counted(args, usize::from(at), &mut visit),
            Self::DestCounted(at) => {
                if args.len() > 1 {
                    visit(1);
                }
                counted(args, usize::from(at), &mut visit);
            }
            Self::Found(find) => find(args, &mut visit),
        }
    }
}

fn counted(args: Args<'_>, at: usize, visit: &mut dyn FnMut(usize)) {
    let count = args
        .get(at)
        .and_then(|text| crate::num::parse_i64(text))
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(0);
    let end = at.saturating_add(1).saturating_add(count).min(args.len());
    (at + 1..end).for_each(visit);
}

/// Properties of a command, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Flags {
    pub(crate) const NONE: Self = Self(0);
    /// May change the database.
    pub(crate) const WRITE: Self = Self(1);
    /// Reads keys and changes nothing.
    pub(crate) const READ: Self = Self(2);
    /// Refused when the memory limit is reached.
    pub(crate) const DENYOOM: Self = Self(4);
    /// Not from scripts.
    pub(crate) const NOSCRIPT: Self = Self(8);
    /// Constant or logarithmic time.
    pub(crate) const FAST: Self = Self(16);
    /// For operators; not shown by MONITOR.
    pub(crate) const ADMIN: Self = Self(32);
    /// In the category `dangerous`.
    pub(crate) const DANGEROUS: Self = Self(64);
    /// May run before the caller's permissions are known to fit (PING, ECHO, …).
    pub(crate) const ALWAYS: Self = Self(128);
    /// A read that shows too much for a read-only token (SCAN, KEYS).
    pub(crate) const POWERFUL: Self = Self(256);

    /// May wait for a key.
    pub(crate) const BLOCKING: Self = Self(512);
    /// Upstash does not have it, or not over REST.
    pub(crate) const REDIS_ONLY: Self = Self(1024);

    /// For Redis' tests.
    pub(crate) const DEBUG: Self = Self(2048);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The ACL category of a command's group. `read`, `write`, `fast`, `slow`, `admin` and
/// `dangerous` follow from the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Keyspace,
    String,
    Bitmap,
    Hash,
    List,
    Set,
    SortedSet,
    Stream,
    Geo,
    HyperLogLog,
    Json,
    Array,
    Search,
    PubSub,
    Scripting,
    Connection,
    Server,
}

/// What is known about a command besides how it is run.
#[derive(Debug)]
pub(crate) struct Command {
    /// Upper-case name.
    pub(crate) name: &'static str,
    /// Number of arguments with the name; negative: at least.
    pub(crate) arity: i16,
    pub(crate) flags: Flags,
    pub(crate) keys: Keys,
    pub(crate) category: Category,
}

impl Command {
    /// Whether the number of arguments fits.
    pub(crate) fn fits(&self, args: Args<'_>) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 {
            args.len() >= wanted
        } else {
            args.len() == wanted
        }
    }
}
