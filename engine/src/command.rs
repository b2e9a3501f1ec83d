//! What the engine knows about a command.
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

use crate::ctx::Ctx;
use crate::error::Error;
use crate::reply::Reply;

/// Arguments, the command name (as sent) first.
pub(crate) type Args<'a> = &'a [&'a [u8]];

/// What a command's function returns.
pub(crate) type Outcome = Result<Reply, Error>;

/// A command's function.
pub(crate) type Run = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

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

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn with(self, other: Self) -> Self {
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

/// A command.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Upper-case name.
    pub(crate) name: &'static str,
    /// Number of arguments with the name; negative: at least.
    pub(crate) arity: i16,
    pub(crate) flags: Flags,
    pub(crate) keys: Keys,
    pub(crate) category: Category,
    pub(crate) run: Run,
}

impl Spec {
    /// A command that only reads.
    pub(crate) const fn read(
        name: &'static str,
        arity: i16,
        keys: Keys,
        category: Category,
        run: Run,
    ) -> Self {
        Self {
            name,
            arity,
            flags: Flags::READ,
            keys,
            category,
            run,
        }
    }

    /// A command that may write.
    pub(crate) const fn write(
        name: &'static str,
        arity: i16,
        keys: Keys,
        category: Category,
        run: Run,
    ) -> Self {
        Self {
            name,
            arity,
            flags: Flags::WRITE,
            keys,
            category,
            run,
        }
    }

    /// A command that is about no key, such as PING.
    pub(crate) const fn other(
        name: &'static str,
        arity: i16,
        category: Category,
        run: Run,
    ) -> Self {
        Self {
            name,
            arity,
            flags: Flags::NONE,
            keys: Keys::None,
            category,
            run,
        }
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

    const fn flag(mut self, flag: Flags) -> Self {
        self.flags = self.flags.with(flag);
        self
    }

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
