//! Expiry of keys: EXPIRE and its relatives.

use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::parse::{self, Walk};
use crate::reply::Reply;

/// The unit and origin of an expiry argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// Unix seconds.
    UnixSeconds,
    /// Unix milliseconds.
    UnixMillis,
}

impl Unit {
    /// The unit an option word such as `PX` stands for.
    pub(crate) fn of_option(word: &[u8]) -> Option<Self> {
        if parse::is(word, "EX") {
            Some(Self::Seconds)
        } else if parse::is(word, "PX") {
            Some(Self::Millis)
        } else if parse::is(word, "EXAT") {
            Some(Self::UnixSeconds)
        } else if parse::is(word, "PXAT") {
            Some(Self::UnixMillis)
        } else {
            None
        }
    }

    const fn is_seconds(self) -> bool {
        matches!(self, Self::Seconds | Self::UnixSeconds)
    }

    const fn is_relative(self) -> bool {
        matches!(self, Self::Seconds | Self::Millis)
    }

    /// The Unix milliseconds an amount stands for, `None` on overflow. May be negative.
    pub(crate) fn absolute(self, amount: i64, now: u64) -> Option<i64> {
        let millis = if self.is_seconds() {
            amount.checked_mul(1000)?
        } else {
            amount
        };
        if self.is_relative() {
            millis.checked_add_unsigned(now)
        } else {
            Some(millis)
        }
    }

    /// The Unix milliseconds of a positive amount, or the command's error.
    pub(crate) fn positive(self, text: &[u8], now: u64, command: &str) -> Result<u64, Error> {
        let amount = parse::int(text)?;
        let at = if amount > 0 {
            self.absolute(amount, now)
        } else {
            None
        };
        at.and_then(|at| u64::try_from(at).ok())
            .ok_or_else(|| invalid_expire(command))
    }
}

/// The expiry that options ask for. One kind may be given again, and the last one counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum ExpiryOption<'a> {
    #[default]
    Unset,
    Keep,
    Persist,
    At(Unit, &'a [u8]),
}

impl<'a> ExpiryOption<'a> {
    /// Takes `EX`, `PX`, `EXAT` or `PXAT` with its time; `false` if the next word is none of them.
    pub(super) fn take(&mut self, walk: &mut Walk<'a>) -> Result<bool, Error> {
        let Some(unit) = walk.peek().and_then(Unit::of_option) else {
            return Ok(false);
        };
        walk.take();
        self.choose(Self::At(unit, walk.need()?))?;
        Ok(true)
    }

    /// Fails with a syntax error if another kind was given before.
    pub(super) fn choose(&mut self, next: Self) -> Result<(), Error> {
        let same = match (*self, next) {
            (Self::Unset, _) | (Self::Keep, Self::Keep) | (Self::Persist, Self::Persist) => true,
            (Self::At(old, _), Self::At(new, _)) => old == new,
            _ => false,
        };
        if !same {
            return Err(SYNTAX);
        }
        *self = next;
        Ok(())
    }

    /// The Unix milliseconds of the time, if one was given.
    pub(super) fn at(self, now: u64, command: &str) -> Result<Option<u64>, Error> {
        match self {
            Self::At(unit, text) => unit.positive(text, now, command).map(Some),
            _ => Ok(None),
        }
    }
}

pub(crate) fn invalid_expire(command: &str) -> Error {
    Error::new(format!(
        "ERR invalid expire time in '{}' command",
        command.to_ascii_lowercase()
    ))
}

/// NX, XX, GT, LT.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut conditions = Self::default();
        for word in args {
            if parse::is(word, "NX") {
                conditions.nx = true;
            } else if parse::is(word, "XX") {
                conditions.xx = true;
            } else if parse::is(word, "GT") {
                conditions.gt = true;
            } else if parse::is(word, "LT") {
                conditions.lt = true;
            } else {
                return Err(Error::new(format!(
                    "ERR Unsupported option {}",
                    String::from_utf8_lossy(word)
                )));
            }
        }
        if conditions.nx && (conditions.xx || conditions.gt || conditions.lt) {
            return Err(Error::fixed(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.gt && conditions.lt {
            return Err(Error::fixed(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// Whether an expiry may go from `old` (0: none) to `new`.
    fn allow(self, old: u64, new: i64) -> bool {
        let later = old != 0 && new > old as i64;
        let earlier = old == 0 || new < old as i64;
        !(self.nx && old != 0 || self.xx && old == 0 || self.gt && !later || self.lt && !earlier)
    }
}

fn set_expiry(ctx: &mut Ctx<'_>, args: Args<'_>, unit: Unit, name: &str) -> Outcome {
    let conditions = Conditions::parse(&args[3..])?;
    let amount = parse::int(args[2])?;
    let at = unit
        .absolute(amount, ctx.now())
        .ok_or_else(|| invalid_expire(name))?;
    let Some(old) = ctx.db.expiry(args[1]) else {
        return Ok(Reply::Int(0));
    };
    if !conditions.allow(old, at) {
        return Ok(Reply::Int(0));
    }
    match u64::try_from(at) {
        Ok(at) if at > ctx.now() => {
            ctx.db.set_expiry(args[1], at);
            ctx.db.notify(Event::GENERIC, "expire", args[1]);
        }
        _ => {
            ctx.db.remove(args[1]);
            ctx.db.notify(Event::GENERIC, "del", args[1]);
        }
    }
    Ok(Reply::Int(1))
}

fn expire(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_expiry(ctx, args, Unit::Seconds, "expire")
}

fn pexpire(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_expiry(ctx, args, Unit::Millis, "pexpire")
}

fn expireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_expiry(ctx, args, Unit::UnixSeconds, "expireat")
}

fn pexpireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_expiry(ctx, args, Unit::UnixMillis, "pexpireat")
}

/// -2: no key, -1: no expiry, else what `show` makes of the time.
fn tell(ctx: &Ctx<'_>, key: &[u8], show: impl Fn(u64) -> u64) -> Outcome {
    Ok(Reply::Int(match ctx.db.expiry(key) {
        None => -2,
        Some(0) => -1,
        Some(at) => show(at) as i64,
    }))
}

fn ttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now = ctx.now();
    tell(ctx, args[1], |at| (at.saturating_sub(now) + 500) / 1000)
}

fn pttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now = ctx.now();
    tell(ctx, args[1], |at| at.saturating_sub(now))
}

fn expiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    tell(ctx, args[1], |at| (at + 500) / 1000)
}

fn pexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    tell(ctx, args[1], |at| at)
}

fn persist(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let volatile = ctx.db.expiry(args[1]).is_some_and(|at| at != 0);
    if volatile {
        ctx.db.set_expiry(args[1], 0);
        ctx.db.notify(Event::GENERIC, "persist", args[1]);
    }
    Ok(Reply::bool(volatile))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("EXPIRE", -3, Keys::ONE, Category::Keyspace, expire).fast(),
    Spec::write("EXPIREAT", -3, Keys::ONE, Category::Keyspace, expireat).fast(),
    Spec::read("EXPIRETIME", 2, Keys::ONE, Category::Keyspace, expiretime).fast(),
    Spec::write("PERSIST", 2, Keys::ONE, Category::Keyspace, persist).fast(),
    Spec::write("PEXPIRE", -3, Keys::ONE, Category::Keyspace, pexpire).fast(),
    Spec::write("PEXPIREAT", -3, Keys::ONE, Category::Keyspace, pexpireat).fast(),
    Spec::read("PEXPIRETIME", 2, Keys::ONE, Category::Keyspace, pexpiretime).fast(),
    Spec::read("PTTL", 2, Keys::ONE, Category::Keyspace, pttl).fast(),
    Spec::read("TTL", 2, Keys::ONE, Category::Keyspace, ttl).fast(),
];
