//! Numbers, strings, booleans and objects within JSON documents, and what they look like.

use super::json_args::{self as ja, path_or_root};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::{Error, SYNTAX};
use crate::json::{self, Change, Json, Node, NumberError};
use crate::parse;
use crate::reply::Reply;

type Operation = fn(&Node, &Node) -> Result<Node, NumberError>;

fn calculate(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    operation: Operation,
    event: &'static str,
) -> Outcome {
    let (key, path, operand) = (args[1], ja::path(args[2])?, ja::value(ctx, args[3])?);
    if !operand.is_number() {
        return Err(ja::wrong_type("a number", &operand));
    }
    // Every result is known before the first number is changed.
    let json = ctx.db.read::<Json>(key)?.ok_or(ja::NO_KEY)?;
    let mut results = Vec::new();
    for node in ja::find(json, &path, &ctx.side.budget)? {
        results.push(match operation(node, &operand) {
            Ok(result) => result,
            Err(NumberError::NotANumber) => Node::Null,
            Err(NumberError::OutOfRange) => return Err(Error::fixed("ERR result is not a number")),
        });
    }
    let legacy = if path.is_legacy() {
        let first = ja::find(json, &path, &ctx.side.budget)?
            .into_iter()
            .next()
            .ok_or_else(|| ja::no_such_path(&path))?;
        let last = results
            .iter()
            .rev()
            .find(|result| result.is_number())
            .cloned();
        Some(last.ok_or_else(|| ja::wrong_type("a number", first))?)
    } else {
        None
    };
    let mut next = results.iter();
    let reply = ja::modify(ctx, key, &path, ("number", event), |node, _| {
        let Some(result) = next.next().filter(|result| result.is_number()) else {
            return Change::same_size(None);
        };
        *node = result.clone();
        Change::same_size(Some(Reply::Nil))
    });
    reply?;
    Ok(Reply::bulk(
        legacy.unwrap_or(Node::Array(results)).to_text(),
    ))
}

fn numincrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    calculate(ctx, args, json::add, "json.numincrby")
}

fn nummultby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    calculate(ctx, args, json::multiply, "json.nummultby")
}

fn toggle(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let path = ja::path(args[2])?;
    let legacy = path.is_legacy();
    ja::modify(ctx, args[1], &path, ("bool", "json.toggle"), |node, _| {
        let Node::Bool(flag) = node else {
            return Change::same_size(None);
        };
        *flag = !*flag;
        let reply = match (legacy, *flag) {
            (false, flag) => Reply::bool(flag),
            (true, true) => Reply::bulk("true"),
            (true, false) => Reply::bulk("false"),
        };
        Change::same_size(Some(reply))
    })
}

fn strappend(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (path, text) = match args {
        [_, _, text] => (json::Path::root(), text),
        [_, _, path, text] => (ja::path(path)?, text),
        _ => return Err(Error::wrong_arity("json.strappend")),
    };
    let suffix = ja::value(ctx, text)?;
    ja::make_room(ctx, args[1], &path, std::slice::from_ref(&suffix))?;
    let suffix = suffix
        .as_str()
        .ok_or_else(|| ja::wrong_type("string", &suffix))?;
    ja::modify(
        ctx,
        args[1],
        &path,
        ("string", "json.strappend"),
        |node, _| {
            let Node::Str(text) = node else {
                return Change::same_size(None);
            };
            *text = format!("{text}{suffix}").into();
            Change {
                result: Some(Reply::len(text.len())),
                bytes: suffix.len() as isize,
            }
        },
    )
}

/// A read of one document; a missing key is answered with `Nil`.
fn look(
    ctx: &Ctx<'_>,
    args: Args<'_>,
    wanted: &str,
    look: impl Fn(&Node) -> Option<Reply>,
) -> Outcome {
    let path = path_or_root(args, 2)?;
    match ctx.db.read::<Json>(args[1])? {
        Some(json) => ja::inspect(json, &path, wanted, &ctx.side.budget, look),
        None => Ok(Reply::Nil),
    }
}

/// As `look`, and in the older syntax a path that matches nothing is answered with `Nil`, too.
fn look_softly(
    ctx: &Ctx<'_>,
    args: Args<'_>,
    wanted: &str,
    get: impl Fn(&Node) -> Option<Reply>,
) -> Outcome {
    let path = path_or_root(args, 2)?;
    if path.is_legacy()
        && let Some(json) = ctx.db.read::<Json>(args[1])?
        && ja::find(json, &path, &ctx.side.budget)?.is_empty()
    {
        return Ok(Reply::Nil);
    }
    look(ctx, args, wanted, get)
}

fn strlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    look(ctx, args, "string", |node| {
        node.as_str().map(|text| Reply::len(text.len()))
    })
}

fn objlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    look_softly(ctx, args, "object", |node| {
        node.as_object().map(|members| Reply::len(members.len()))
    })
}

fn objkeys(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    look_softly(ctx, args, "object", |node| {
        let names = node.as_object()?.keys();
        Some(Reply::array(names.map(|name| Reply::bulk(&**name))))
    })
}

fn type_of(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    look_softly(ctx, args, "value", |node| {
        Some(Reply::bulk(node.type_name()))
    })
}

fn resp(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    look(ctx, args, "value", |node| Some(as_reply(node)))
}

/// The tree as nested replies, brackets first.
fn as_reply(node: &Node) -> Reply {
    match node {
        Node::Null => Reply::Nil,
        Node::Bool(true) => Reply::simple("true"),
        Node::Bool(false) => Reply::simple("false"),
        Node::Int(n) => Reply::Int(*n),
        Node::Uint(_) | Node::Float(_) => Reply::bulk(node.to_text()),
        Node::Str(text) => Reply::bulk(&**text),
        Node::Array(items) => {
            Reply::array(std::iter::once(Reply::simple("[")).chain(items.iter().map(as_reply)))
        }
        Node::Object(members) => Reply::array(
            std::iter::once(Reply::simple("{")).chain(
                members
                    .iter()
                    .flat_map(|(name, value)| [Reply::bulk(&**name), as_reply(value)]),
            ),
        ),
    }
}

fn debug(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if parse::is(args[1], "HELP") {
        return Ok(Reply::array([
            Reply::bulk("MEMORY <key> [path] - reports memory usage"),
            Reply::bulk("HELP                - this message"),
        ]));
    }
    if !parse::is(args[1], "MEMORY") {
        let sub = String::from_utf8_lossy(args[1]);
        return Err(Error::new(format!(
            "ERR unknown subcommand '{sub}'. Try JSON.DEBUG HELP."
        )));
    }
    let key = args
        .get(2)
        .ok_or_else(|| Error::wrong_arity("json.debug|memory"))?;
    let path = path_or_root(args, 3)?;
    if args.len() > 4 {
        return Err(SYNTAX);
    }
    match ctx.db.read::<Json>(key)? {
        Some(json) if path.is_legacy() && ja::find(json, &path, &ctx.side.budget)?.is_empty() => {
            Ok(Reply::Int(0))
        }
        Some(json) => ja::inspect(json, &path, "value", &ctx.side.budget, |node| {
            Some(Reply::len(node.size()))
        }),
        None if path.is_legacy() => Ok(Reply::Int(0)),
        None => Ok(Reply::empty()),
    }
}

fn debug_keys(args: Args<'_>, visit: &mut dyn FnMut(usize)) {
    if args.len() > 2 {
        visit(2);
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("JSON.NUMINCRBY", 4, Keys::ONE, Category::Json, numincrby).denyoom(),
    Spec::write("JSON.NUMMULTBY", 4, Keys::ONE, Category::Json, nummultby).denyoom(),
    Spec::write("JSON.TOGGLE", 3, Keys::ONE, Category::Json, toggle),
    Spec::write("JSON.STRAPPEND", -3, Keys::ONE, Category::Json, strappend).denyoom(),
    Spec::read("JSON.STRLEN", -2, Keys::ONE, Category::Json, strlen),
    Spec::read("JSON.OBJLEN", -2, Keys::ONE, Category::Json, objlen),
    Spec::read("JSON.OBJKEYS", -2, Keys::ONE, Category::Json, objkeys),
    Spec::read("JSON.TYPE", -2, Keys::ONE, Category::Json, type_of),
    Spec::read("JSON.RESP", -2, Keys::ONE, Category::Json, resp),
    Spec::read(
        "JSON.DEBUG",
        -2,
        Keys::Found(debug_keys),
        Category::Json,
        debug,
    ),
];
