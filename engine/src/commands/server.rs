//! Commands about the server as a whole.

use crate::command::{Args, Category, Keys, Outcome, Spec};
use crate::ctx::Ctx;
use crate::error::SYNTAX;
use crate::parse;
use crate::reply::Reply;

fn dbsize(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    Ok(Reply::len(ctx.db.len()))
}

fn flush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args {
        [_] => {}
        [_, mode] if parse::is(mode, "ASYNC") || parse::is(mode, "SYNC") => {}
        _ => return Err(SYNTAX),
    }
    ctx.db.clear();
    Ok(Reply::ok())
}

fn time(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    let now = ctx.side.options.clock.now();
    Ok(Reply::Array(vec![
        Reply::bulk(now.as_secs().to_string()),
        Reply::bulk(now.subsec_micros().to_string()),
    ]))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("DBSIZE", 1, Keys::None, Category::Keyspace, dbsize).fast(),
    Spec::write("FLUSHALL", -1, Keys::None, Category::Keyspace, flush).dangerous(),
    Spec::write("FLUSHDB", -1, Keys::None, Category::Keyspace, flush).dangerous(),
    Spec::other("TIME", 1, Category::Server, time)
        .fast()
        .always(),
];
