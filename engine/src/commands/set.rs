//! Sets.

use bytes::Bytes;

use super::generic::{SCAN_STEPS, ScanOptions, Scanned, scan_cursor, scan_reply};
use super::hash::{Draw, draw};
use crate::budget::Budget;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::{Db, Event};
use crate::dict::Positions;
use crate::error::{Error, SYNTAX};
use crate::num;
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::set::Set;
use crate::value::Typed;

fn sadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let set = ctx.db.create::<Set>(args[1])?;
    let added = args[2..].iter().filter(|member| set.insert(member)).count();
    if added > 0 {
        ctx.db.notify(Event::SET, "sadd", args[1]);
    }
    Ok(Reply::len(added))
}

fn srem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let Some(set) = ctx.db.write::<Set>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let removed = args[2..].iter().filter(|member| set.remove(member)).count();
    if removed > 0 {
        ctx.db.notify(Event::SET, "srem", args[1]);
    }
    Ok(Reply::len(removed))
}

/// What a set of one member takes besides it.
const NEW_SET: usize = 512;

fn smove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (from, to, member) = (args[1], args[2], args[3]);
    let Some(set) = ctx.db.read::<Set>(from)? else {
        return Ok(Reply::Int(0));
    };
    let known = set.contains(member);
    ctx.db.expect::<Set>(to)?;
    if from == to || !known {
        return Ok(Reply::bool(known));
    }
    if !ctx.db.exists(to) {
        ctx.make_room(NEW_SET + to.len() + member.len())?;
    }
    if let Some(set) = ctx.db.write::<Set>(from)? {
        set.remove(member);
    }
    ctx.db.notify(Event::SET, "srem", from);
    // A set that has the member already counts as unchanged.
    if !ctx
        .db
        .read::<Set>(to)?
        .is_some_and(|set| set.contains(member))
    {
        ctx.db.create::<Set>(to)?.insert(member);
        ctx.db.notify(Event::SET, "sadd", to);
    }
    Ok(Reply::Int(1))
}

fn scard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let set = ctx.db.read::<Set>(args[1])?;
    Ok(Reply::len(set.map_or(0, Set::len)))
}

fn sismember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let set = ctx.db.read::<Set>(args[1])?;
    Ok(Reply::bool(set.is_some_and(|set| set.contains(args[2]))))
}

fn smismember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let set = ctx.db.read::<Set>(args[1])?;
    Ok(Reply::array(args[2..].iter().map(|member| {
        Reply::bool(set.is_some_and(|set| set.contains(member)))
    })))
}

fn smembers(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let set = ctx.db.read::<Set>(args[1])?;
    Ok(Reply::texts(set.into_iter().flat_map(Set::iter)))
}

fn srandmember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let what = match args {
        [_, _] => None,
        [_, _, count] => Some(Draw::parse(count, &[], "")?),
        _ => return Err(SYNTAX),
    };
    let mut rng = std::mem::take(&mut ctx.db.rng);
    let set = ctx.db.read::<Set>(args[1]);
    let reply = set.map(|set| match (what, set) {
        (None, None) => Reply::Nil,
        (None, Some(set)) => set
            .random(&mut rng)
            .and_then(|at| set.get(at))
            .map_or(Reply::Nil, Reply::bulk),
        (Some(_), None) => Reply::empty(),
        (Some(what), Some(set)) => Reply::array(
            draw(set, &mut rng, what)
                .into_iter()
                .filter_map(|at| set.get(at).map(Reply::bulk)),
        ),
    });
    ctx.db.rng = rng;
    reply
}

fn spop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(parse::count(count)?),
        _ => return Err(SYNTAX),
    };
    let mut rng = std::mem::take(&mut ctx.db.rng);
    let popped = ctx.db.write::<Set>(args[1]).map(|set| {
        set.map(|set| {
            let drawn = draw(set, &mut rng, Draw::Distinct(count.unwrap_or(1)));
            let taken = set.take(&drawn).into_iter().map(Reply::Bulk);
            taken.collect::<Vec<_>>()
        })
    });
    ctx.db.rng = rng;
    let popped = popped?;
    if let Some(members) = popped.as_ref().filter(|members| !members.is_empty()) {
        ctx.db
            .effects
            .record_instead(|| remove_command(args[1], members));
        ctx.db.notify(Event::SET, "spop", args[1]);
    }
    Ok(match (count, popped) {
        (None, popped) => popped
            .and_then(|members| members.into_iter().next())
            .unwrap_or(Reply::Nil),
        (Some(_), popped) => Reply::Array(popped.unwrap_or_default()),
    })
}

/// The SREM of these members.
fn remove_command(key: &[u8], members: &[Reply]) -> Vec<Bytes> {
    let mut args = vec![Bytes::from_static(b"SREM"), Bytes::copy_from_slice(key)];
    args.extend(members.iter().filter_map(|member| match member {
        Reply::Bulk(member) => Some(member.clone()),
        _ => None,
    }));
    args
}

fn sscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    scan_cursor(args[2])?;
    // A missing key answers before the options are looked at.
    if ctx.db.read::<Set>(args[1])?.is_none() {
        return Ok(scan_reply(0, Vec::new()));
    }
    let options = ScanOptions::parse(args, 2, Scanned::Members)?;
    let Some(set) = ctx.db.read::<Set>(args[1])? else {
        return Ok(scan_reply(0, Vec::new()));
    };
    let mut found = Vec::new();
    let cursor = set.scan(options.cursor, SCAN_STEPS, |member| {
        if options.fits(&member, &ctx.side.budget) {
            found.push(Reply::bulk(member));
        }
        found.len() < options.count
    });
    Ok(scan_reply(cursor, found))
}

/// What it takes to look for a member.
const STEPS: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Combine {
    Inter,
    Union,
    Diff,
}

/// The sets of these keys; a missing key is `None`.
fn sets<'a>(db: &'a Db, keys: &[&[u8]]) -> Result<Vec<Option<&'a Set>>, Error> {
    keys.iter().map(|key| db.read::<Set>(key)).collect()
}

/// Members common to all sets, walking the smallest; stops when `visit` says so.
fn intersect(sets: &[Option<&Set>], budget: &Budget, mut visit: impl FnMut(&[u8]) -> bool) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<_>>>() else {
        return;
    };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else {
        return;
    };
    for member in smallest.iter() {
        let has = |set: &&Set| budget.spend(STEPS).is_ok() && set.contains(&member);
        if budget.check().is_err() || others.iter().all(has) && !visit(&member) {
            return;
        }
    }
}

fn combine(
    db: &Db,
    keys: &[&[u8]],
    how: Combine,
    budget: &Budget,
    mut visit: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let sets = sets(db, keys)?;
    match how {
        Combine::Inter => intersect(&sets, budget, |member| {
            visit(member);
            true
        }),
        Combine::Union => {
            let mut seen = Set::default();
            for member in sets.into_iter().flatten().flat_map(Set::iter) {
                budget.spend(STEPS)?;
                if seen.insert(&member) {
                    budget.hold(member.len() + size_of::<Reply>())?;
                    visit(&member);
                }
            }
        }
        Combine::Diff => {
            let Some((Some(first), others)) = sets.split_first() else {
                return Ok(());
            };
            for member in first.iter() {
                let has = |set: &&Set| budget.spend(STEPS).is_err() || set.contains(&member);
                if !others.iter().flatten().any(has) {
                    visit(&member);
                }
            }
        }
    }
    budget.check()
}

fn show(ctx: &Ctx<'_>, args: Args<'_>, how: Combine) -> Outcome {
    let mut out = Vec::new();
    combine(ctx.db, &args[1..], how, &ctx.side.budget, |member| {
        out.push(Reply::bulk(member));
    })?;
    Ok(Reply::Array(out))
}

fn store(ctx: &mut Ctx<'_>, args: Args<'_>, how: Combine, event: &'static str) -> Outcome {
    let mut result = Set::default();
    combine(ctx.db, &args[2..], how, &ctx.side.budget, |member| {
        result.insert(member);
    })?;
    let len = result.len();
    if len > 0 {
        let result = result.into_value();
        ctx.keep(&result)?;
        ctx.db.put(args[1], result);
        ctx.db.notify(Event::SET, event, args[1]);
    } else if ctx.db.remove(args[1]) {
        ctx.db.notify(Event::GENERIC, "del", args[1]);
    }
    Ok(Reply::len(len))
}

fn sinter(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    show(ctx, args, Combine::Inter)
}

fn sunion(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    show(ctx, args, Combine::Union)
}

fn sdiff(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    show(ctx, args, Combine::Diff)
}

fn sinterstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    store(ctx, args, Combine::Inter, "sinterstore")
}

fn sunionstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    store(ctx, args, Combine::Union, "sunionstore")
}

fn sdiffstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    store(ctx, args, Combine::Diff, "sdiffstore")
}

/// Parses `numkeys key … [LIMIT limit]` of SINTERCARD; limit 0: none.
fn keys_and_limit(args: Args<'_>) -> Result<(&[&[u8]], usize), Error> {
    let mut walk = Walk::new(args, 1);
    let count = num::parse_i64(walk.need()?)
        .and_then(|n| usize::try_from(n).ok())
        .filter(|&n| n > 0)
        .ok_or(Error::fixed("ERR numkeys should be greater than 0"))?;
    if count > walk.len() {
        return Err(Error::fixed(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let keys = walk.need_many(count)?;
    let mut limit = 0;
    while !walk.is_empty() {
        if !walk.word("LIMIT") {
            return Err(SYNTAX);
        }
        limit = num::parse_i64(walk.need()?)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or(Error::fixed("ERR LIMIT can't be negative"))?;
    }
    Ok((keys, limit))
}

fn sintercard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (keys, limit) = keys_and_limit(args)?;
    let mut count = 0;
    intersect(&sets(ctx.db, keys)?, &ctx.side.budget, |_| {
        count += 1;
        count != limit
    });
    Ok(Reply::len(count))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("SADD", -3, Keys::ONE, Category::Set, sadd)
        .denyoom()
        .fast(),
    Spec::read("SCARD", 2, Keys::ONE, Category::Set, scard).fast(),
    Spec::read("SDIFF", -2, Keys::ALL, Category::Set, sdiff),
    Spec::write("SDIFFSTORE", -3, Keys::ALL, Category::Set, sdiffstore).denyoom(),
    Spec::read("SINTER", -2, Keys::ALL, Category::Set, sinter),
    Spec::read(
        "SINTERCARD",
        -3,
        Keys::Counted(1),
        Category::Set,
        sintercard,
    ),
    Spec::write("SINTERSTORE", -3, Keys::ALL, Category::Set, sinterstore).denyoom(),
    Spec::read("SISMEMBER", 3, Keys::ONE, Category::Set, sismember).fast(),
    Spec::read("SMEMBERS", 2, Keys::ONE, Category::Set, smembers),
    Spec::read("SMISMEMBER", -3, Keys::ONE, Category::Set, smismember).fast(),
    Spec::write("SMOVE", 4, Keys::TWO, Category::Set, smove).fast(),
    Spec::write("SPOP", -2, Keys::ONE, Category::Set, spop).fast(),
    Spec::read("SRANDMEMBER", -2, Keys::ONE, Category::Set, srandmember),
    Spec::write("SREM", -3, Keys::ONE, Category::Set, srem).fast(),
    Spec::read("SSCAN", -3, Keys::ONE, Category::Set, sscan),
    Spec::read("SUNION", -2, Keys::ALL, Category::Set, sunion),
    Spec::write("SUNIONSTORE", -3, Keys::ALL, Category::Set, sunionstore).denyoom(),
];
