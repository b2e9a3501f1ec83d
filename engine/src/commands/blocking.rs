//! Commands that wait for a list or sorted set, and what they do when they do not wait.
//!
//! The functions here never wait: within MULTI and scripts that is all there is. A connection waits
//! by [`Engine::call_or_wait`](crate::Engine::call_or_wait).

use smallvec::SmallVec;

use super::list::{lmpop, move_item, pop_one as pop_item};
use super::zset::{pop_one, zmpop};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::Error;
use crate::list::End;
use crate::reply::Reply;

/// Fails unless this is a time to wait in seconds.
fn check_seconds(text: &[u8]) -> Result<(), Error> {
    crate::parse::seconds(text).map(drop)
}

fn first_of(
    args: Args<'_>,
    mut pop: impl FnMut(&[u8]) -> Result<Option<Vec<Reply>>, Error>,
) -> Outcome {
    let [_, keys @ .., timeout] = args else {
        return Ok(Reply::NilArray);
    };
    check_seconds(timeout)?;
    for key in keys {
        if let Some(items) = pop(key)? {
            let mut reply = vec![Reply::bulk(key)];
            reply.extend(items);
            return Ok(Reply::Array(reply));
        }
    }
    Ok(Reply::NilArray)
}

fn blpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    first_of(args, |key| pop_item(ctx, key, End::Left))
}

fn brpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    first_of(args, |key| pop_item(ctx, key, End::Right))
}

fn bzpopmin(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    first_of(args, |key| pop_one(ctx, key, false))
}

fn bzpopmax(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    first_of(args, |key| pop_one(ctx, key, true))
}

fn blmove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (take, put) = (End::parse(args[3])?, End::parse(args[4])?);
    check_seconds(args[5])?;
    move_item(ctx, args[1], args[2], take, put)
}

fn brpoplpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    check_seconds(args[3])?;
    move_item(ctx, args[1], args[2], End::Right, End::Left)
}

/// The arguments without the time to wait.
fn without_time(args: Args<'_>) -> Result<SmallVec<[&[u8]; 8]>, Error> {
    check_seconds(args[1])?;
    Ok([args[0]].iter().chain(&args[2..]).copied().collect())
}

fn blmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let args = without_time(args)?;
    lmpop(ctx, &args)
}

fn bzmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let args = without_time(args)?;
    zmpop(ctx, &args)
}

/// All arguments but the time to wait at the end.
const BEFORE_TIME: Keys = Keys::Range {
    first: 1,
    last: -2,
    step: 1,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("BLMOVE", 6, Keys::TWO, Category::List, blmove)
        .denyoom()
        .blocking(),
    Spec::write("BLMPOP", -5, Keys::Counted(2), Category::List, blmpop).blocking(),
    Spec::write("BLPOP", -3, BEFORE_TIME, Category::List, blpop).blocking(),
    Spec::write("BRPOP", -3, BEFORE_TIME, Category::List, brpop).blocking(),
    Spec::write("BRPOPLPUSH", 4, Keys::TWO, Category::List, brpoplpush)
        .denyoom()
        .blocking(),
    Spec::write("BZMPOP", -5, Keys::Counted(2), Category::SortedSet, bzmpop).blocking(),
    Spec::write("BZPOPMAX", -3, BEFORE_TIME, Category::SortedSet, bzpopmax)
        .fast()
        .blocking(),
    Spec::write("BZPOPMIN", -3, BEFORE_TIME, Category::SortedSet, bzpopmin)
        .fast()
        .blocking(),
];
