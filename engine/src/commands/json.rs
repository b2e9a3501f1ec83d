//! JSON documents: setting, getting, merging and deleting.

use std::collections::HashMap;

use super::json_args::{self as ja, path_or_root};
use crate::budget::Budget;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::{Error, SYNTAX, WRONGTYPE};
use crate::json::{Change, Format, Json, Node, Path, Refusal, SetOptions, TOO_LARGE};
use crate::parse::Walk;
use crate::reply::Reply;
use crate::value::Value;

const NOT_ROOT: Error = Error::fixed("ERR new objects must be created at the root");

fn refused(refusal: Refusal, path: &Path) -> Error {
    match refusal {
        Refusal::NoSuchPath => ja::no_such_path(path),
        Refusal::NotStatic => Error::fixed("ERR wrong static path"),
        Refusal::IndexOutOfRange => Error::fixed("ERR array index out of range"),
        Refusal::TooDeep => ja::TOO_DEEP,
        Refusal::TooComplex => ja::TOO_COMPLEX,
    }
}

/// Sets one value; `false` if an option forbids it.
fn set_one(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    path: &Path,
    value: Node,
    options: SetOptions,
) -> Result<bool, Error> {
    ja::make_room_to_set(ctx, key, path, &value)?;
    let exists = ctx.db.read::<Json>(key)?.is_some();
    if path.is_root() {
        if options == SetOptions::IfMissing && exists || options == SetOptions::IfPresent && !exists
        {
            return Ok(false);
        }
        *ctx.db.create::<Json>(key)? = Json::new(value);
        return Ok(true);
    }
    match ctx.db.write::<Json>(key)? {
        Some(json) => json
            .set(path, &value, options)
            .map_err(|refusal| refused(refusal, path)),
        None if options == SetOptions::IfPresent => Ok(false),
        None => Err(NOT_ROOT),
    }
}

fn set(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, path, value) = (args[1], ja::path(args[2])?, ja::value(ctx, args[3])?);
    let mut options = SetOptions::Always;
    let mut walk = Walk::new(args, 4);
    while !walk.is_empty() {
        options = match options {
            SetOptions::Always if walk.word("NX") => SetOptions::IfMissing,
            SetOptions::Always if walk.word("XX") => SetOptions::IfPresent,
            _ => return Err(SYNTAX),
        };
    }
    if !set_one(ctx, key, &path, value, options)? {
        return Ok(Reply::Nil);
    }
    ja::changed(ctx, "json.set", key);
    Ok(Reply::ok())
}

fn mset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let triples = &args[1..];
    if !triples.len().is_multiple_of(3) {
        return Err(Error::wrong_arity("json.mset"));
    }
    let mut parsed = Vec::with_capacity(triples.len() / 3);
    for triple in triples.chunks_exact(3) {
        parsed.push((triple[0], ja::path(triple[1])?, ja::value(ctx, triple[2])?));
    }
    // All or nothing: what the documents become is worked out before any of them is touched.
    let mut results: Vec<(&[u8], Json)> = Vec::with_capacity(parsed.len());
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut bytes = 0;
    for (key, path, value) in parsed {
        let at = places.get(key).copied();
        places.entry(key).or_insert(results.len());
        if path.is_root() {
            ctx.db.expect::<Json>(key)?;
            let json = Json::new(value);
            bytes += json.weight();
            match at.and_then(|at| results.get_mut(at)) {
                Some((_, known)) => *known = json,
                None => results.push((key, json)),
            }
            continue;
        }
        if at.is_none() {
            bytes += ctx.db.weight(key).unwrap_or(0);
            ctx.make_room(bytes)?;
            results.push((key, ctx.db.read::<Json>(key)?.cloned().ok_or(NOT_ROOT)?));
        }
        let at = at.unwrap_or(results.len() - 1);
        if let Some((_, json)) = results.get_mut(at) {
            let (matches, _) = json
                .extent(&path, &ctx.side.budget)
                .map_err(|_| ja::TOO_COMPLEX)?;
            bytes += value.size().saturating_mul(matches.max(1));
            ctx.make_room(bytes)?;
            json.set(&path, &value, SetOptions::Always)
                .map_err(|refusal| refused(refusal, &path))?;
        }
    }
    ctx.make_room(bytes)?;
    for (key, json) in results {
        ctx.db.put_keep_expiry(key, Value::Json(Box::new(json)));
        ja::changed(ctx, "json.mset", key);
    }
    Ok(Reply::ok())
}

fn merge(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, path, patch) = (args[1], ja::path(args[2])?, ja::value(ctx, args[3])?);
    ja::make_room_to_set(ctx, key, &path, &patch)?;
    match ctx.db.write::<Json>(key)? {
        Some(json) => {
            json.merge(&path, &patch)
                .map_err(|refusal| refused(refusal, &path))?;
        }
        None if path.is_root() => *ctx.db.create::<Json>(key)? = Json::new(patch),
        None => return Err(NOT_ROOT),
    }
    ja::changed(ctx, "json.merge", key);
    Ok(Reply::ok())
}

/// Appends what one path selects.
fn write_selection(
    json: &Json,
    path: &Path,
    format: &Format<'_>,
    level: usize,
    budget: &Budget,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let found = ja::find(json, path, budget)?;
    if path.is_legacy() {
        let first = found.first().ok_or_else(|| ja::no_such_path(path))?;
        format.write(first, level, out);
    } else {
        format.write_array(&found, level, out);
    }
    format.check(out)
}

fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut format = Format::within(ctx.side.budget.most_bytes());
    let mut walk = Walk::new(args, 2);
    loop {
        let has_value = walk.len() > 1;
        if has_value && walk.word("INDENT") {
            format.indent = walk.need()?;
        } else if has_value && walk.word("NEWLINE") {
            format.newline = walk.need()?;
        } else if has_value && walk.word("SPACE") {
            format.space = walk.need()?;
        } else if !walk.word("NOESCAPE") {
            break;
        }
    }
    let mut paths = walk
        .rest()
        .iter()
        .map(|text| ja::path(text))
        .collect::<Result<Vec<Path>, Error>>()?;
    if paths.is_empty() {
        paths.push(Path::root());
    }
    let Some(json) = ctx.db.read::<Json>(args[1])? else {
        return Ok(Reply::Nil);
    };
    let mut out = Vec::new();
    if let [path] = &*paths {
        write_selection(json, path, &format, 0, &ctx.side.budget, &mut out)?;
        return Ok(Reply::bulk(out));
    }
    // One path of the new kind makes every answer an array of matches.
    let legacy = paths.iter().all(Path::is_legacy);
    let mut failed = None;
    format.write_all(*b"{}", &paths, 0, &mut out, |path, out| {
        format.write_member(path.text(), out);
        let result = if legacy {
            write_selection(json, path, &format, 1, &ctx.side.budget, out)
        } else {
            ja::find(json, path, &ctx.side.budget).map(|found| format.write_array(&found, 1, out))
        };
        failed = failed.take().or(result.err());
    });
    format.check(&out)?;
    failed.map_or_else(|| Ok(Reply::bulk(out)), Err)
}

fn mget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let Some((path, keys)) = args[1..].split_last() else {
        return Err(SYNTAX);
    };
    let path = ja::path(path)?;
    let mut replies = Vec::with_capacity(keys.len());
    let mut left = ctx.side.budget.most_bytes();
    for key in keys {
        // A key of another type counts as missing.
        let json = ctx.db.read::<Json>(key).ok().flatten();
        let mut out = Vec::new();
        let written = json.map(|json| {
            write_selection(
                json,
                &path,
                &Format::within(left),
                0,
                &ctx.side.budget,
                &mut out,
            )
        });
        left = left.saturating_sub(out.len());
        replies.push(match written {
            Some(Ok(())) => Reply::bulk(out),
            Some(Err(error)) if error == ja::TOO_COMPLEX || error == TOO_LARGE => {
                return Err(error);
            }
            _ => Reply::Nil,
        });
    }
    Ok(Reply::Array(replies))
}

fn del(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let path = path_or_root(args, 2)?;
    if args.len() > 3 {
        return Err(Error::wrong_arity(&String::from_utf8_lossy(args[0])));
    }
    if ctx.db.read::<Json>(key)?.is_none() {
        return Ok(Reply::Int(0));
    }
    let deleted = if path.is_root() {
        usize::from(ctx.db.remove(key))
    } else {
        let json = ctx.db.write::<Json>(key)?.ok_or(WRONGTYPE)?;
        json.delete(&path).map_err(|_| ja::TOO_COMPLEX)?
    };
    if deleted > 0 {
        ja::changed(ctx, "json.del", key);
    }
    Ok(Reply::len(deleted))
}

fn clear(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let path = path_or_root(args, 2)?;
    let json = ctx.db.write::<Json>(key)?.ok_or(ja::NO_KEY)?;
    let cleared = json.update(&path, |node, _| {
        let before = node.size();
        let cleared = match node {
            Node::Array(items) => !std::mem::take(items).is_empty(),
            Node::Object(members) => !std::mem::take(members).is_empty(),
            Node::Int(0) => false,
            Node::Int(_) | Node::Uint(_) => {
                *node = Node::Int(0);
                true
            }
            Node::Float(n) => {
                let cleared = *n != 0.0;
                *node = Node::Int(0);
                cleared
            }
            _ => false,
        };
        Change {
            result: cleared,
            bytes: node.size() as isize - before as isize,
        }
    });
    let cleared = cleared
        .map_err(|_| ja::TOO_COMPLEX)?
        .into_iter()
        .filter(|&cleared| cleared)
        .count();
    if cleared > 0 {
        ja::changed(ctx, "json.clear", key);
    }
    Ok(Reply::len(cleared))
}

/// Every third argument.
const TRIPLES: Keys = Keys::Range {
    first: 1,
    last: -1,
    step: 3,
};
/// All arguments but the last.
const BUT_LAST: Keys = Keys::Range {
    first: 1,
    last: -2,
    step: 1,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("JSON.SET", -4, Keys::ONE, Category::Json, set).denyoom(),
    Spec::write("JSON.MSET", -4, TRIPLES, Category::Json, mset).denyoom(),
    Spec::write("JSON.MERGE", 4, Keys::ONE, Category::Json, merge).denyoom(),
    Spec::read("JSON.GET", -2, Keys::ONE, Category::Json, get),
    Spec::read("JSON.MGET", -3, BUT_LAST, Category::Json, mget),
    Spec::write("JSON.DEL", -2, Keys::ONE, Category::Json, del),
    Spec::write("JSON.FORGET", -2, Keys::ONE, Category::Json, del),
    Spec::write("JSON.CLEAR", -2, Keys::ONE, Category::Json, clear),
];
