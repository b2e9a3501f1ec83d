//! The functions of `string` that may take long or much memory.

use mlua::{Lua, LuaString, MultiValue, Result, Table, Value};

use super::args::{integer_or, number, string};
use super::bounds::{Bounds, Output};
use super::error::{bad_argument, raise_at};
use super::pattern::{self, Capture, Matcher, Problem};

/// Puts the functions into the library's table.
pub(super) fn install(lua: &Lua, table: &Table) -> Result<()> {
    table.raw_set(
        "find",
        lua.create_function(|lua, args| search(lua, &args, "find"))?,
    )?;
    table.raw_set(
        "match",
        lua.create_function(|lua, args| search(lua, &args, "match"))?,
    )?;
    table.raw_set("gmatch", lua.create_function(gmatch)?)?;
    table.raw_set("gsub", lua.create_function(gsub)?)?;
    table.raw_set("replaced", lua.create_function(replaced)?)?;
    table.raw_set("rep", lua.create_function(rep)?)?;
    for (name, change) in [
        ("lower", <[u8]>::make_ascii_lowercase as fn(&mut [u8])),
        ("upper", <[u8]>::make_ascii_uppercase),
        ("reverse", <[u8]>::reverse),
    ] {
        let changed =
            lua.create_function(move |lua, args: MultiValue| changed(lua, &args, name, change))?;
        table.raw_set(name, changed)?;
    }
    Ok(())
}

/// `find` and `match`.
fn search(lua: &Lua, args: &MultiValue, name: &str) -> Result<MultiValue> {
    let finds = name == "find";
    let subject = string(lua, args, 1, name)?;
    let pattern = string(lua, args, 2, name)?;
    let from = integer_or(lua, args, 3, name, 1)?;
    let (subject, pattern) = (&*subject.as_bytes(), &*pattern.as_bytes());
    let from = start(from, subject.len());
    let bounds = Bounds::of(lua)?;
    let plain = args.get(3).is_some_and(is_true);
    if finds && (plain || pattern::is_plain(pattern)) {
        let found = pattern::find_plain(&subject[from..], pattern, bounds.budget());
        let mut values = MultiValue::new();
        match found.map_err(|problem| refuse(lua, &bounds, problem))? {
            None => values.push_back(Value::Nil),
            Some(at) => {
                values.push_back(whole(from + at + 1));
                values.push_back(whole(from + at + pattern.len()));
            }
        }
        return Ok(values);
    }
    let mut matcher = Matcher::new(subject, pattern, true, bounds.budget());
    let found = matcher.find(from);
    let Some((start, end)) = found.map_err(|problem| refuse(lua, &bounds, problem))? else {
        return Ok(MultiValue::from_vec(vec![Value::Nil]));
    };
    let mut values = Vec::new();
    if finds {
        values.push(whole(start + 1));
        values.push(whole(end));
    }
    if !finds || matcher.capture_count() > 0 {
        captures(lua, &bounds, &matcher, subject, (start, end), &mut values)?;
    }
    Ok(MultiValue::from_vec(values))
}

/// Where a search starts: from 1, or from the end if negative.
fn start(from: i64, length: usize) -> usize {
    let from = if from < 0 {
        (length as i64).saturating_add(from)
    } else {
        from.saturating_sub(1)
    };
    usize::try_from(from).unwrap_or(0).min(length)
}

/// The next match at a place or after: where the one after it is looked for, and the captures.
///
/// The iterator of `gmatch` is the sandbox's: a native one would hold texts that Lua cannot see.
fn gmatch(lua: &Lua, args: MultiValue) -> Result<MultiValue> {
    let found = next_match(lua, &args, "gmatch", false)?;
    Ok(found.map_or_else(MultiValue::new, |mut found| {
        found.values.insert(0, found.next);
        MultiValue::from_vec(found.values)
    }))
}

/// The next match that `gsub` replaces: where it starts and ends, where the next one is looked
/// for (`false`: nowhere), and the captures.
///
/// The sandbox calls the script's function itself, so that its errors stay what they are.
fn replaced(lua: &Lua, args: MultiValue) -> Result<MultiValue> {
    let found = next_match(lua, &args, "gsub", true)?;
    Ok(found.map_or_else(MultiValue::new, |mut found| {
        let place = [whole(found.start), whole(found.end), found.next];
        found.values.splice(0..0, place);
        MultiValue::from_vec(found.values)
    }))
}

/// A match, and where the next one is looked for.
struct Found {
    start: usize,
    end: usize,
    next: Value,
    values: Vec<Value>,
}

/// Arguments: subject, pattern, the place from 0.
fn next_match(lua: &Lua, args: &MultiValue, name: &str, anchors: bool) -> Result<Option<Found>> {
    let subject = string(lua, args, 1, name)?;
    let pattern = string(lua, args, 2, name)?;
    let from = integer_or(lua, args, 3, name, 0)?;
    let (subject, pattern) = (&*subject.as_bytes(), &*pattern.as_bytes());
    let bounds = Bounds::of(lua)?;
    let mut matcher = Matcher::new(subject, pattern, anchors, bounds.budget());
    let found = matcher.find(usize::try_from(from).unwrap_or(usize::MAX));
    let Some((start, end)) = found.map_err(|problem| refuse(lua, &bounds, problem))? else {
        return Ok(None);
    };
    let mut values = Vec::new();
    captures(lua, &bounds, &matcher, subject, (start, end), &mut values)?;
    // After an empty match the character there stays, and the next match is behind it.
    let next = end + usize::from(end == start);
    let over = matcher.is_anchored() || next > subject.len();
    let next = if over {
        Value::Boolean(false)
    } else {
        whole(next)
    };
    Ok(Some(Found {
        start,
        end,
        next,
        values,
    }))
}

/// `gsub` with a text as replacement.
fn gsub(lua: &Lua, args: MultiValue) -> Result<(LuaString, usize)> {
    let (subject, pattern, most) = gsub_arguments(lua, &args)?;
    let Some(Value::String(_) | Value::Integer(_) | Value::Number(_)) = args.get(2) else {
        let expected = "string/function/table expected";
        return Err(bad_argument(lua, 3, "gsub", expected));
    };
    let replacement = string(lua, &args, 3, "gsub")?;
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let replacement = replacement.as_bytes();
    let bounds = Bounds::of(lua)?;
    let mut matcher = Matcher::new(&subject, &pattern, true, bounds.budget());
    let mut out = Output::new(lua)?;
    let (mut at, mut count) = (0, 0);
    while (count as i64) < most {
        let matched = matcher.match_at(at);
        let matched = matched.map_err(|problem| refuse(lua, &bounds, problem))?;
        if let Some(end) = matched {
            count += 1;
            substitute(&mut out, &replacement, &matcher, &subject, (at, end))
                .map_err(|problem| problem.raise(lua, &bounds))?;
        }
        match matched {
            Some(end) if end > at => at = end,
            _ if at < subject.len() => {
                out.push(subject[at])?;
                at += 1;
            }
            _ => break,
        }
        if matcher.is_anchored() {
            break;
        }
    }
    out.extend(&subject[at..])?;
    Ok((out.finish(lua)?, count))
}

fn gsub_arguments(lua: &Lua, args: &MultiValue) -> Result<(LuaString, LuaString, i64)> {
    let subject = string(lua, args, 1, "gsub")?;
    let pattern = string(lua, args, 2, "gsub")?;
    let all = subject.as_bytes().len() as i64 + 1;
    let most = integer_or(lua, args, 4, "gsub", all)?;
    Ok((subject, pattern, most))
}

/// Why a replacement failed.
enum Failure {
    Pattern(Problem),
    Lua(mlua::Error),
}

impl Failure {
    fn raise(self, lua: &Lua, bounds: &Bounds) -> mlua::Error {
        match self {
            Self::Pattern(problem) => refuse(lua, bounds, problem),
            Self::Lua(error) => error,
        }
    }
}

/// Appends a replacement text with `%0` to `%9` filled in.
fn substitute(
    out: &mut Output,
    text: &[u8],
    matcher: &Matcher<'_>,
    subject: &[u8],
    (start, end): (usize, usize),
) -> std::result::Result<(), Failure> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        out.extend(&rest[..at]).map_err(Failure::Lua)?;
        // A text that ends with an escape: Lua takes the zero after its end.
        let escaped = rest.get(at + 1).copied().unwrap_or(0);
        rest = rest.get(at + 2..).unwrap_or_default();
        let outcome = match escaped {
            b'0' => out.extend(&subject[start..end]),
            digit @ b'1'..=b'9' => {
                let index = usize::from(digit - b'1');
                match matcher
                    .capture(index, start, end)
                    .map_err(Failure::Pattern)?
                {
                    Capture::Text(from, to) => out.extend(&subject[from..to]),
                    Capture::Position(place) => out.extend(place.to_string().as_bytes()),
                }
            }
            other => out.push(other),
        };
        outcome.map_err(Failure::Lua)?;
    }
    out.extend(rest).map_err(Failure::Lua)
}

/// Appends the captures of a match, or the whole if it has none.
fn captures(
    lua: &Lua,
    bounds: &Bounds,
    matcher: &Matcher<'_>,
    subject: &[u8],
    (start, end): (usize, usize),
    values: &mut Vec<Value>,
) -> Result<()> {
    for index in 0..matcher.capture_count().max(1) {
        let capture = matcher.capture(index, start, end);
        let capture = capture.map_err(|problem| refuse(lua, bounds, problem))?;
        values.push(value(lua, subject, capture)?);
    }
    Ok(())
}

fn value(lua: &Lua, subject: &[u8], capture: Capture) -> Result<Value> {
    Ok(match capture {
        Capture::Text(start, end) => Value::String(lua.create_string(&subject[start..end])?),
        Capture::Position(place) => whole(place),
    })
}

fn whole(n: usize) -> Value {
    Value::Number(n as f64)
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Nil | Value::Boolean(false))
}

fn refuse(lua: &Lua, bounds: &Bounds, problem: Problem) -> mlua::Error {
    match problem {
        Problem::Invalid(text) => raise_at(lua, text),
        Problem::Stopped => bounds.overtime(),
    }
}

/// A copy of a text, changed in place.
fn changed(lua: &Lua, args: &MultiValue, name: &str, change: fn(&mut [u8])) -> Result<LuaString> {
    let text = string(lua, args, 1, name)?;
    let text = text.as_bytes();
    let bounds = Bounds::of(lua)?;
    // Twice: here, and as the string.
    bounds.check_room(lua, text.len().saturating_mul(2))?;
    bounds.spend(text.len() / 8)?;
    let mut copy = text.to_vec();
    change(&mut copy);
    lua.create_string(copy)
}

fn rep(lua: &Lua, args: MultiValue) -> Result<LuaString> {
    let text = string(lua, &args, 1, "rep")?;
    let count = number(lua, &args, 2, "rep")?;
    let text = text.as_bytes();
    if count < 1.0 || text.is_empty() {
        return lua.create_string("");
    }
    let bounds = Bounds::of(lua)?;
    // Twice: here, and as the string.
    let length = text.len() as f64 * count.trunc();
    bounds.check_room(lua, (2.0 * length) as usize)?;
    bounds.spend(length as usize / 64)?;
    lua.create_string(text.repeat(count as usize))
}
