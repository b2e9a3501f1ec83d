//! Arrays within JSON documents.

use super::json_args::{self as ja, path_or_root};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::Error;
use crate::json::{Change, Json, Node};
use crate::parse;
use crate::reply::Reply;

/// An array was not found: nothing was changed.
const fn nothing() -> Change<Option<Reply>> {
    Change {
        result: None,
        bytes: 0,
    }
}

fn arrappend(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, path, values) = (args[1], ja::path(args[2])?, ja::values(ctx, &args[3..])?);
    ja::make_room(ctx, key, &path, &values)?;
    let bytes: usize = values.iter().map(Node::size).sum();
    ja::modify(ctx, key, &path, ("array", "json.arrappend"), |node, _| {
        let Some(items) = node.as_array_mut() else {
            return nothing();
        };
        items.extend(values.iter().cloned());
        Change {
            result: Some(Reply::len(items.len())),
            bytes: bytes as isize,
        }
    })
}

fn arrinsert(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, path, index) = (args[1], ja::path(args[2])?, parse::int(args[3])?);
    let values = ja::values(ctx, &args[4..])?;
    ja::make_room(ctx, key, &path, &values)?;
    // Every array is checked before the first is changed.
    let json = ctx.db.read::<Json>(key)?.ok_or(ja::NO_KEY)?;
    for items in ja::find(json, &path, &ctx.side.budget)?
        .into_iter()
        .filter_map(Node::as_array)
    {
        if insert_position(index, items.len()).is_none() {
            return Err(Error::fixed("ERR index out of bounds"));
        }
    }
    let bytes: usize = values.iter().map(Node::size).sum();
    ja::modify(ctx, key, &path, ("array", "json.arrinsert"), |node, _| {
        let Some(items) = node.as_array_mut() else {
            return nothing();
        };
        let Some(at) = insert_position(index, items.len()) else {
            return nothing();
        };
        items.splice(at..at, values.iter().cloned());
        Change {
            result: Some(Reply::len(items.len())),
            bytes: bytes as isize,
        }
    })
}

fn insert_position(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add_unsigned(len as u64)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|&index| index <= len)
}

fn arrindex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 6 {
        return Err(Error::wrong_arity("json.arrindex"));
    }
    let (path, wanted) = (ja::path(args[2])?, ja::value(ctx, args[3])?);
    let bound = |at: usize| args.get(at).map_or(Ok(0), |text| parse::int(text));
    let (start, stop) = (bound(4)?, bound(5)?);
    let json = ctx.db.read::<Json>(args[1])?.ok_or(ja::NO_KEY)?;
    ja::inspect(json, &path, "array", &ctx.side.budget, |node| {
        let items = node.as_array()?;
        let range = search_range(start, stop, items.len());
        let found = items
            .get(range.clone())?
            .iter()
            .position(|item| *item == wanted);
        Some(Reply::Int(found.map_or(-1, |at| (range.start + at) as i64)))
    })
}

/// Where to look: from `start` up to but without `stop`; 0 as `stop` means the end.
fn search_range(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let size = len as i64;
    let from = if start < 0 {
        start.saturating_add(size).max(0)
    } else {
        start.min(size)
    };
    let to = match stop {
        0 => size,
        stop if stop < 0 => stop.saturating_add(size).max(0),
        stop => stop.min(size),
    };
    if from >= to {
        0..0
    } else {
        from as usize..to as usize
    }
}

fn arrlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let path = path_or_root(args, 2)?;
    let Some(json) = ctx.db.read::<Json>(args[1])? else {
        return if path.is_legacy() {
            Ok(Reply::Nil)
        } else {
            Err(ja::NO_KEY)
        };
    };
    ja::inspect(json, &path, "array", &ctx.side.budget, |node| {
        node.as_array().map(|items| Reply::len(items.len()))
    })
}

fn arrpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 4 {
        return Err(Error::wrong_arity("json.arrpop"));
    }
    let (key, path) = (args[1], path_or_root(args, 2)?);
    let index = args.get(3).map_or(Ok(-1), |text| parse::int(text))?;
    ja::modify(ctx, key, &path, ("array", "json.arrpop"), |node, _| {
        let Some(items) = node.as_array_mut() else {
            return nothing();
        };
        if items.is_empty() {
            return Change::same_size(Some(Reply::Nil));
        }
        let size = items.len() as i64;
        let at = if index < 0 {
            index.saturating_add(size).max(0)
        } else {
            index.min(size - 1)
        };
        let gone = items.remove(at as usize);
        Change {
            result: Some(Reply::bulk(gone.to_text())),
            bytes: -(gone.size() as isize),
        }
    })
}

fn arrtrim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, path) = (args[1], ja::path(args[2])?);
    let (start, stop) = (parse::int(args[3])?, parse::int(args[4])?);
    ja::modify(ctx, key, &path, ("array", "json.arrtrim"), |node, _| {
        let Some(items) = node.as_array_mut() else {
            return nothing();
        };
        let before: usize = items.iter().map(Node::size).sum();
        let kept = parse::index_range(start, stop, items.len());
        items.truncate(kept.end);
        items.drain(..kept.start.min(items.len()));
        let after: usize = items.iter().map(Node::size).sum();
        Change {
            result: Some(Reply::len(items.len())),
            bytes: after as isize - before as isize,
        }
    })
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("JSON.ARRAPPEND", -4, Keys::ONE, Category::Json, arrappend).denyoom(),
    Spec::write("JSON.ARRINSERT", -5, Keys::ONE, Category::Json, arrinsert).denyoom(),
    Spec::read("JSON.ARRINDEX", -4, Keys::ONE, Category::Json, arrindex),
    Spec::read("JSON.ARRLEN", -2, Keys::ONE, Category::Json, arrlen),
    Spec::write("JSON.ARRPOP", -2, Keys::ONE, Category::Json, arrpop),
    Spec::write("JSON.ARRTRIM", 5, Keys::ONE, Category::Json, arrtrim),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_to_search_follow_the_documented_rules() {
        assert_eq!(search_range(0, 0, 5), 0..5);
        assert_eq!(search_range(1, 3, 5), 1..3);
        assert_eq!(search_range(-2, 0, 5), 3..5);
        assert_eq!(search_range(-99, -1, 5), 0..4);
        assert_eq!(search_range(9, 0, 5), 0..0);
        assert_eq!(search_range(3, 2, 5), 0..0);
        assert_eq!(search_range(i64::MIN, i64::MIN, 5), 0..0);
        assert_eq!(search_range(0, 0, 0), 0..0);
        assert_eq!(insert_position(-1, 3), Some(2));
        assert_eq!(insert_position(3, 3), Some(3));
        assert_eq!(insert_position(-4, 3), None);
    }
}
