//! Strings.

use bytes::Bytes;

use crate::command::{Args, Category, Keys, Outcome, Spec};
use crate::ctx::Ctx;
use crate::db::Event;
use crate::reply::Reply;
use crate::value::Value;

fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::opt(ctx.db.read::<Bytes>(args[1])?))
}

fn set(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    ctx.db
        .put(args[1], Value::Str(Bytes::copy_from_slice(args[2])));
    ctx.db.notify(Event::STRING, "set", args[1]);
    Ok(Reply::ok())
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("GET", 2, Keys::ONE, Category::String, get).fast(),
    Spec::write("SET", -3, Keys::ONE, Category::String, set).denyoom(),
];
