//! PING and ECHO.

use crate::command::{Args, Category, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::Error;
use crate::reply::Reply;

fn ping(_ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args {
        [_] => Ok(Reply::simple("PONG")),
        [_, message] => Ok(Reply::bulk(message)),
        _ => Err(Error::wrong_arity("ping")),
    }
}

fn echo(_ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::bulk(args[1]))
}

fn select(_ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match crate::parse::int_or(args[1], Error::fixed("ERR invalid DB index"))? {
        0 => Ok(Reply::ok()),
        _ => Err(Error::fixed("ERR DB index is out of range")),
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::other("ECHO", 2, Category::Connection, echo)
        .fast()
        .always(),
    Spec::other("PING", -1, Category::Connection, ping)
        .fast()
        .always(),
    Spec::other("SELECT", 2, Category::Connection, select)
        .fast()
        .always(),
];
