//! Commands about keys of any type.

use bytes::Bytes;

use crate::budget::Budget;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, NO_SUCH_KEY, SYNTAX};
use crate::glob;
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::value::Value;

fn del(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut removed = 0;
    for key in &args[1..] {
        if ctx.db.remove(key) {
            ctx.db.notify(Event::GENERIC, "del", key);
            removed += 1;
        }
    }
    Ok(Reply::Int(removed))
}

fn exists(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let present = args[1..].iter().filter(|key| ctx.db.exists(key)).count();
    Ok(Reply::len(present))
}

fn type_of(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::simple(match ctx.db.value(args[1]) {
        Some(value) => value.type_name(),
        // The names of search indexes count as keys.
        None if ctx.db.search.has(args[1]) => "search",
        None => "none",
    }))
}

fn rename_to(ctx: &mut Ctx<'_>, args: Args<'_>, replace: bool) -> Outcome {
    let (from, to) = (args[1], args[2]);
    if !ctx.db.exists(from) {
        return Err(NO_SUCH_KEY);
    }
    if !replace && ctx.db.exists(to) {
        return Ok(Reply::Int(0));
    }
    ctx.make_room(to.len().saturating_sub(from.len()))?;
    if from != to
        && let Some((value, expiry)) = ctx.db.take(from)
    {
        // A key under the new name is forgotten with its expiry, not overwritten.
        ctx.db.remove(to);
        ctx.db.put(to, value);
        ctx.db.set_expiry(to, expiry);
        ctx.db.notify(Event::GENERIC, "rename_from", from);
        ctx.db.notify(Event::GENERIC, "rename_to", to);
    }
    Ok(if replace { Reply::ok() } else { Reply::Int(1) })
}

fn rename(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    rename_to(ctx, args, true)
}

fn renamenx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    rename_to(ctx, args, false)
}

fn copy(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (from, to) = (args[1], args[2]);
    let mut replace = false;
    let mut walk = Walk::new(args, 3);
    while !walk.is_empty() {
        if walk.word("REPLACE") {
            replace = true;
        } else if walk.word("DB") && !walk.is_empty() {
            if parse::int_within(walk.need()?, i32::MIN.into(), i32::MAX.into())? != 0 {
                return Err(Error::fixed("ERR DB index is out of range"));
            }
        } else {
            return Err(SYNTAX);
        }
    }
    // Redis refuses to copy a key onto itself; Upstash answers that nothing was copied.
    if from == to {
        return Ok(Reply::Int(0));
    }
    let Some(expiry) = ctx.db.expiry(from) else {
        return Ok(Reply::Int(0));
    };
    if ctx.db.exists(to) && !replace {
        return Ok(Reply::Int(0));
    }
    ctx.make_room(ctx.db.weight(from).unwrap_or(0))?;
    let Some(value) = ctx.db.value(from).cloned() else {
        return Ok(Reply::Int(0));
    };
    ctx.db.remove(to);
    ctx.db.put(to, value);
    ctx.db.set_expiry(to, expiry);
    ctx.db.notify(Event::GENERIC, "copy_to", to);
    Ok(Reply::Int(1))
}

fn randomkey(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    Ok(ctx.db.random_key().map_or(Reply::Nil, Reply::Bulk))
}

fn keys(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let pattern = args[1];
    let all = glob::is_all(pattern);
    Ok(Reply::Array(
        ctx.db
            .iter()
            .filter(|(key, _, _)| all || glob::matches(pattern, key, &ctx.side.budget))
            .map(|(key, _, _)| Reply::bulk(key))
            .collect(),
    ))
}

/// How many results SCAN and its relatives return when COUNT is not given.
pub(crate) const SCAN_COUNT: usize = 10;

/// How many slots one call may look at, so that a pattern that fits nothing does not hold the lock.
pub(crate) const SCAN_STEPS: usize = 100_000;

/// The options of SCAN, HSCAN, SSCAN, ZSCAN.
#[derive(Debug)]
pub(crate) struct ScanOptions<'a> {
    pub(crate) cursor: u64,
    pattern: Option<&'a [u8]>,
    pub(crate) count: usize,
    type_name: Option<&'a [u8]>,
    with_type: bool,
    pub(crate) no_values: bool,
}

/// The cursor of a scan.
pub(crate) fn scan_cursor(text: &[u8]) -> Result<u64, Error> {
    // Redis reads it as C does: blanks in front and a sign are fine.
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .filter(|cursor| digits.len() == text.len() || *cursor == 0)
        .ok_or(Error::fixed("ERR invalid cursor"))
}

/// What a scan walks over, which decides the options it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    Keys,
    Hash,
    Members,
}

impl<'a> ScanOptions<'a> {
    /// Parses from the cursor's argument on.
    pub(crate) fn parse(args: Args<'a>, at: usize, scanned: Scanned) -> Result<Self, Error> {
        let keyspace = scanned == Scanned::Keys;
        let cursor = scan_cursor(args[at])?;
        let mut options = Self {
            cursor,
            pattern: None,
            count: SCAN_COUNT,
            type_name: None,
            with_type: false,
            no_values: false,
        };
        let mut walk = Walk::new(args, at + 1);
        while !walk.is_empty() {
            if walk.word("MATCH") {
                options.pattern = Some(walk.need()?).filter(|pattern| !glob::is_all(pattern));
            } else if walk.word("COUNT") {
                let count = walk.need_int()?;
                options.count = usize::try_from(count)
                    .ok()
                    .filter(|&count| count > 0)
                    .ok_or(SYNTAX)?;
            } else if keyspace && walk.word("TYPE") {
                options.type_name = Some(walk.need()?);
            } else if keyspace && walk.word("WITHTYPE") {
                options.with_type = true;
            } else if walk.word("NOVALUES") {
                if scanned != Scanned::Hash {
                    return Err(Error::fixed(
                        "ERR NOVALUES option can only be used in HSCAN",
                    ));
                }
                options.no_values = true;
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(options)
    }

    pub(crate) fn fits(&self, name: &[u8], budget: &Budget) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, name, budget))
    }

    fn fits_type(&self, value: &Value) -> bool {
        self.type_name.is_none_or(|wanted| {
            parse::is(wanted, value.type_name())
                || (matches!(value, Value::Json(_)) && parse::is(wanted, "json"))
        })
    }
}

/// The reply of a scan: the next cursor and what was found.
pub(crate) fn scan_reply(cursor: u64, found: Vec<Reply>) -> Reply {
    let text = itoa::Buffer::new().format(cursor).to_owned();
    Reply::Array(vec![Reply::Bulk(Bytes::from(text)), Reply::Array(found)])
}

fn scan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = ScanOptions::parse(args, 1, Scanned::Keys)?;
    let budget = &ctx.side.budget;
    let mut found = Vec::new();
    if options
        .type_name
        .is_some_and(|name| parse::is(name, "search"))
    {
        let names = ctx.db.search.names();
        for (name, _) in names.filter(|(name, _)| options.fits(name, budget)) {
            found.push(Reply::Bulk(name.clone()));
            found.extend(options.with_type.then(|| Reply::bulk("search")));
        }
        return Ok(scan_reply(0, found));
    }
    let mut results = 0;
    let cursor = ctx.db.scan(options.cursor, SCAN_STEPS, |key, value| {
        if options.fits(key, budget) && options.fits_type(value) {
            found.push(Reply::bulk(key));
            if options.with_type {
                found.push(Reply::bulk(value.type_name()));
            }
            results += 1;
        }
        results < options.count
    });
    Ok(scan_reply(cursor, found))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("COPY", -3, Keys::TWO, Category::Keyspace, copy).denyoom(),
    Spec::write("DEL", -2, Keys::ALL, Category::Keyspace, del),
    Spec::read("EXISTS", -2, Keys::ALL, Category::Keyspace, exists).fast(),
    Spec::read("KEYS", 2, Keys::None, Category::Keyspace, keys)
        .dangerous()
        .powerful(),
    Spec::read("RANDOMKEY", 1, Keys::None, Category::Keyspace, randomkey),
    Spec::write("RENAME", 3, Keys::TWO, Category::Keyspace, rename),
    Spec::write("RENAMENX", 3, Keys::TWO, Category::Keyspace, renamenx).fast(),
    // Upstash refuses SCAN, like KEYS, to read-only tokens.
    Spec::read("SCAN", -2, Keys::None, Category::Keyspace, scan).powerful(),
    Spec::read("TOUCH", -2, Keys::ALL, Category::Keyspace, exists).fast(),
    Spec::read("TYPE", 2, Keys::ONE, Category::Keyspace, type_of).fast(),
    // Upstash accepts UNLINK without keys.
    Spec::write("UNLINK", -1, Keys::ALL, Category::Keyspace, del).fast(),
];
