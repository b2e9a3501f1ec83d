//! EVAL and its family, SCRIPT.

use crate::budget::{NOTBUSY, ScriptKind};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::{Error, NOT_INTEGER};
use crate::lua::{Declared, Mode};
use crate::num;
use crate::options::Dialect;
use crate::parse::is;
use crate::reply::Reply;
use crate::scripting::{Script, ScriptFlags, Scripting, Sha};

const NOSCRIPT: Error = Error::fixed("NOSCRIPT No matching script. Please use EVAL.");

const KEYS: Keys = Keys::Counted(2);

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::other("EVAL", -3, Category::Scripting, eval)
        .keys(KEYS)
        .noscript(),
    Spec::read("EVAL_RO", -3, KEYS, Category::Scripting, eval_ro).noscript(),
    Spec::other("EVALSHA", -3, Category::Scripting, evalsha)
        .keys(KEYS)
        .noscript(),
    Spec::read("EVALSHA_RO", -3, KEYS, Category::Scripting, evalsha_ro).noscript(),
    Spec::other("SCRIPT", -2, Category::Scripting, script).noscript(),
];

fn eval(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    // The number of keys comes before the script, as in Redis.
    keys_and_args(args, NOT_INTEGER)?;
    let (sha, script) = compiled(ctx, args[1])?;
    run(ctx, &sha, &script, args, false)
}

fn eval_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    keys_and_args(args, NOT_INTEGER)?;
    let (sha, script) = compiled(ctx, args[1])?;
    run(ctx, &sha, &script, args, true)
}

fn evalsha(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (sha, script) = known(ctx, args)?;
    run(ctx, &sha, &script, args, false)
}

fn evalsha_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (sha, script) = known(ctx, args)?;
    run(ctx, &sha, &script, args, true)
}

/// Compiles a script; it is kept if there is room for it.
fn compiled(ctx: &mut Ctx<'_>, body: &[u8]) -> Result<(Sha, Script), Error> {
    let fits = ctx.fits(Scripting::cost(body.len()));
    let (sha, script) = ctx.side.script(body, false)?;
    if !fits {
        ctx.side.scripting.forget(&sha);
    }
    Ok((sha, script))
}

fn known(ctx: &mut Ctx<'_>, args: Args<'_>) -> Result<(Sha, Script), Error> {
    let sha = parse_sha(args[1]).ok_or(NOSCRIPT)?;
    keys_and_args(args, NOT_INTEGER)?;
    let script = ctx.side.scripting.find(&sha).ok_or(NOSCRIPT)?;
    Ok((sha, script))
}

fn parse_sha(text: &[u8]) -> Option<Sha> {
    if text.len() != 40 {
        return None;
    }
    let mut sha = [0; 20];
    for (byte, pair) in sha.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(sha)
}

/// Splits the arguments after the number of keys into keys and the rest.
pub(super) fn keys_and_args(
    args: Args<'_>,
    not_a_number: Error,
) -> Result<(Args<'_>, Args<'_>), Error> {
    let count = num::parse_i64(args[2]).ok_or(not_a_number)?;
    let rest = &args[3..];
    let count =
        usize::try_from(count).map_err(|_| Error::fixed("ERR Number of keys can't be negative"))?;
    rest.split_at_checked(count).ok_or(Error::fixed(
        "ERR Number of keys can't be greater than number of args",
    ))
}

/// How a script with these flags runs.
pub(super) fn mode(flags: ScriptFlags, read_only: bool, keys: &[&[u8]]) -> Mode {
    Mode {
        read_only: read_only || flags.no_writes,
        declared: flags.allow_key_locking.then(|| Declared::new(keys)),
    }
}

/// Refuses code that declares itself and may write where nothing may be written. Upstash runs it.
pub(super) fn check_read_only(
    ctx: &Ctx<'_>,
    flags: ScriptFlags,
    read_only: bool,
) -> Result<(), Error> {
    let may_write = flags.declared && !flags.no_writes;
    if read_only && may_write && ctx.side.dialect == Dialect::Redis {
        return Err(Error::fixed(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    Ok(())
}

fn run(ctx: &mut Ctx<'_>, sha: &Sha, script: &Script, args: Args<'_>, read_only: bool) -> Outcome {
    let (keys, argv) = keys_and_args(args, NOT_INTEGER)?;
    check_read_only(ctx, script.flags, read_only)?;
    let vm = ctx.side.vm()?;
    let mode = mode(script.flags, read_only, keys);
    let _running = ctx.side.budget.begin_script(ScriptKind::Script);
    Ok(vm.run(ctx, &script.compiled, mode, keys, argv, || hex::encode(sha)))
}

fn script(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sub = args[1];
    let arity = |wanted: bool| {
        if wanted {
            Ok(())
        } else {
            Err(Error::wrong_arity(&format!(
                "script|{}",
                String::from_utf8_lossy(sub)
            )))
        }
    };
    if is(sub, "LOAD") {
        arity(args.len() == 3)?;
        ctx.make_room(Scripting::cost(args[2].len()))?;
        let (sha, _) = ctx.side.script(args[2], true)?;
        Ok(Reply::bulk(hex::encode(sha)))
    } else if is(sub, "EXISTS") {
        arity(args.len() >= 3)?;
        Ok(Reply::array(args[2..].iter().map(|text| {
            Reply::bool(parse_sha(text).is_some_and(|sha| ctx.side.scripting.has(&sha)))
        })))
    } else if is(sub, "FLUSH") {
        match args[2..] {
            [] => {}
            [how] if is(how, "ASYNC") || is(how, "SYNC") => {}
            _ => {
                return Err(Error::fixed(
                    "ERR SCRIPT FLUSH only support SYNC|ASYNC option",
                ));
            }
        }
        ctx.side.scripting.flush_scripts();
        Ok(Reply::ok())
    } else if is(sub, "KILL") {
        arity(args.len() == 2)?;
        Err(NOTBUSY)
    } else {
        Err(Error::new(format!(
            "ERR unknown subcommand '{}'. Try SCRIPT HELP.",
            String::from_utf8_lossy(&sub[..sub.len().min(128)])
        )))
    }
}
