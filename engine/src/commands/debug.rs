//! DEBUG: what Redis' own tests ask of a server, offered to nobody else.

use std::time::Duration;

use crate::command::{Args, Category, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::Error;
use crate::parse::{self, is};
use crate::reply::Reply;

/// The longest sleep.
const MOST_SLEEP: Duration = Duration::from_secs(10);

/// What is kept in other ways here: nothing has to be done.
const NOTHING: [&str; 3] = ["JMAP", "LISTPACK", "QUICKLIST-PACKED-THRESHOLD"];

fn debug(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args {
        [_, sub, time] if is(sub, "SLEEP") => {
            // The database is locked meanwhile, as the tests want it.
            std::thread::sleep(parse::seconds(time)?.min(MOST_SLEEP));
        }
        [_, sub, on] if is(sub, "SET-ACTIVE-EXPIRE") => {
            ctx.side.expires_actively = parse::int(on)? != 0;
        }
        [_, sub, ..] if NOTHING.iter().any(|known| is(sub, known)) => {}
        [_, sub, ..] => return Err(Error::unknown_subcommand(sub)),
        _ => return Err(Error::wrong_arity("debug")),
    }
    Ok(Reply::ok())
}

pub(crate) const COMMANDS: &[Spec] = &[Spec::other("DEBUG", -2, Category::Server, debug)
    .admin()
    .noscript()
    .debug()];
