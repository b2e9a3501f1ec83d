//! What the JSON commands share: arguments, error texts and the two shapes of replies.

use crate::budget::Budget;
use crate::command::Args;
use crate::ctx::Ctx;
use crate::db::Event;
use crate::error::Error;
use crate::json::{self, Change, Json, MAX_DEPTH, Node, Path};
use crate::reply::Reply;

pub(super) const NO_KEY: Error =
    Error::fixed("ERR could not perform this operation on a key that doesn't exist");
pub(super) const TOO_DEEP: Error = Error::fixed("ERR the document would be nested too deeply");
pub(super) const TOO_COMPLEX: Error = Error::fixed("ERR the path visits too many values");

pub(super) fn path(text: &[u8]) -> Result<Path, Error> {
    Path::parse(text).map_err(|_| {
        let text = String::from_utf8_lossy(text.get(..128).unwrap_or(text));
        Error::new(format!("ERR invalid JSONPath: '{text}'"))
    })
}

/// The path argument at this index; without one, the root in the older syntax.
pub(super) fn path_or_root(args: Args<'_>, at: usize) -> Result<Path, Error> {
    args.get(at)
        .map_or_else(|| Ok(Path::root()), |text| path(text))
}

/// A value argument.
pub(super) fn value(ctx: &Ctx<'_>, text: &[u8]) -> Result<Node, Error> {
    ctx.check_size(json::most_bytes(text))?;
    json::parse(text).map_err(|error| Error::new(format!("ERR {error}")))
}

pub(super) fn values(ctx: &Ctx<'_>, texts: &[&[u8]]) -> Result<Vec<Node>, Error> {
    texts.iter().map(|text| value(ctx, text)).collect()
}

pub(super) fn find<'d>(
    json: &'d Json,
    path: &Path,
    budget: &Budget,
) -> Result<Vec<&'d Node>, Error> {
    let found = json.find_within(path, Some(budget));
    found.map_err(|_| TOO_COMPLEX)
}

pub(super) fn no_such_path(path: &Path) -> Error {
    Error::new(format!("ERR Path '{path}' does not exist"))
}

/// The older syntax matched nothing of the wanted type.
pub(super) fn no_such(path: &Path, wanted: &str) -> Error {
    let article = if wanted.starts_with(['a', 'o']) {
        "an"
    } else {
        "a"
    };
    Error::new(format!(
        "ERR Path '{path}' does not exist or not {article} {wanted}"
    ))
}

pub(super) fn wrong_type(wanted: &str, found: &Node) -> Error {
    Error::new(format!(
        "WRONGTYPE wrong type of path value - expected {wanted} but found {}",
        found.type_name()
    ))
}

/// Tells subscribers of keyspace notifications.
pub(super) fn changed(ctx: &Ctx<'_>, event: &'static str, key: &[u8]) {
    ctx.db.notify(Event::MODULE, event, key);
}

/// Answers what `look` makes of each match, `Nil` where it has the wrong type.
pub(super) fn inspect(
    json: &Json,
    path: &Path,
    wanted: &str,
    budget: &Budget,
    look: impl Fn(&Node) -> Option<Reply>,
) -> Result<Reply, Error> {
    let found = find(json, path, budget)?;
    if !path.is_legacy() {
        let mut replies = Vec::with_capacity(found.len());
        for node in found {
            let reply = look(node).unwrap_or(Reply::Nil);
            budget.hold(reply.size())?;
            replies.push(reply);
        }
        return Ok(Reply::Array(replies));
    }
    let first = found.first().ok_or_else(|| no_such_path(path))?;
    look(first).ok_or_else(|| wrong_type(wanted, first))
}

/// Changes each match and answers what `change` made of it, `Nil` where it has the wrong type.
pub(super) fn modify(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    path: &Path,
    (wanted, event): (&str, &'static str),
    change: impl FnMut(&mut Node, usize) -> Change<Option<Reply>>,
) -> Result<Reply, Error> {
    let json = ctx.db.write::<Json>(key)?.ok_or(NO_KEY)?;
    let results = json.update(path, change).map_err(|_| TOO_COMPLEX)?;
    if results.iter().any(Option::is_some) {
        changed(ctx, event, key);
    }
    if !path.is_legacy() {
        return Ok(Reply::array(
            results
                .into_iter()
                .map(|result| result.unwrap_or(Reply::Nil)),
        ));
    }
    // The older syntax changes every match and answers with the last.
    results
        .into_iter()
        .flatten()
        .next_back()
        .ok_or_else(|| no_such(path, wanted))
}

/// Makes room for values in every match; fails if they are too deep for one.
pub(super) fn make_room(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    path: &Path,
    values: &[Node],
) -> Result<(), Error> {
    let json = ctx.db.read::<Json>(key)?.ok_or(NO_KEY)?;
    let deepest = values.iter().map(Node::depth).max().unwrap_or(0);
    let (matches, levels) = json
        .extent(path, &ctx.side.budget)
        .map_err(|_| TOO_COMPLEX)?;
    if levels + deepest > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    let bytes = values.iter().map(Node::size).sum::<usize>();
    ctx.make_room(bytes.saturating_mul(matches))
}

/// Makes room for a value at every match, or for the first one.
pub(super) fn make_room_to_set(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    path: &Path,
    value: &Node,
) -> Result<(), Error> {
    let matches = match ctx.db.read::<Json>(key)? {
        Some(json) if !path.is_root() => {
            json.extent(path, &ctx.side.budget)
                .map_err(|_| TOO_COMPLEX)?
                .0
        }
        _ => 1,
    };
    let bytes = value.size() + path.text().len() + Node::MEMBER_OVERHEAD;
    ctx.make_room(bytes.saturating_mul(matches.max(1)))
}
