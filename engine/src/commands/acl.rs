//! ACL, as Upstash offers it.

use crate::acl::{Acl, CATEGORIES, RuleScope, Token, User, in_category};
use crate::command::{Args, Category, Outcome};
use crate::ctx::{Ctx, Side, Spec};
use crate::error::{Error, NOT_INTEGER};
use crate::num;
use crate::parse::is;
use crate::reply::Reply;

pub(crate) const COMMANDS: &[Spec] = &[Spec::other("ACL", -2, Category::Server, acl)
    .admin()
    .noscript()];

const DEFAULT_USER: &str = "user default on nopass ~* &* +@all";
const NO_RANDOM: Error = Error::fixed("ERR no random bytes");
/// The most bits of GENPASS.
const MAX_BITS: i64 = 4096;
/// The longest user name.
const MAX_NAME: usize = 200;

fn acl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sub = String::from_utf8_lossy(args[1]).to_ascii_lowercase();
    let fits = match sub.as_str() {
        "cat" | "genpass" | "log" => args.len() <= 3,
        "whoami" | "users" | "list" | "load" | "save" => args.len() == 2,
        "getuser" => args.len() == 3,
        "setuser" | "deluser" => args.len() >= 3,
        "gentoken" => args.len() == 3 || args.len() == 4,
        "resttoken" => args.len() == 4,
        _ => {
            let shown = String::from_utf8_lossy(&args[1][..args[1].len().min(128)]).into_owned();
            return Err(Error::new(format!(
                "ERR unknown subcommand '{shown}'. Try ACL HELP."
            )));
        }
    };
    if !fits {
        return Err(Error::wrong_arity(&format!("acl|{sub}")));
    }
    match sub.as_str() {
        "cat" => categories(ctx, args.get(2).copied()),
        "genpass" => generate_password(args.get(2).copied()),
        "log" => log(args.get(2).copied()),
        "whoami" => Ok(Reply::bulk(ctx.caller.name())),
        "users" => {
            let names = ctx.side.acl.users().map(|(name, _)| Reply::bulk(name));
            Ok(Reply::array(names.chain([Reply::bulk("default")])))
        }
        "list" => {
            let lines = ctx
                .side
                .acl
                .users()
                .map(|(name, user)| Reply::bulk(user.describe(name)));
            Ok(Reply::array(lines.chain([Reply::bulk(DEFAULT_USER)])))
        }
        "getuser" => get_user(&ctx.side.acl, args[2]),
        "setuser" => {
            ctx.may_change()?;
            ctx.db.counters.changes += 1;
            set_user(ctx, args)
        }
        "deluser" => {
            ctx.may_change()?;
            ctx.db.counters.changes += 1;
            let deleted = delete_users(ctx, &args[2..]);
            ctx.side.end_refused_streams();
            deleted
        }
        "gentoken" => {
            let database = ctx.side.database_id();
            let token = Token::generate(database, user_name(args[2])?, args.get(3).copied());
            token.map(Reply::bulk).ok_or(NO_RANDOM)
        }
        "resttoken" => rest_token(ctx, args[2], args[3]),
        // There is no file: users live with the database.
        _ => Ok(Reply::ok()),
    }
}

fn user_name(text: &[u8]) -> Result<&str, Error> {
    let name = std::str::from_utf8(text).ok().filter(|name| {
        !name.is_empty() && name.len() <= MAX_NAME && !name.contains([' ', '\0', '\r', '\n', '\t'])
    });
    name.ok_or(Error::fixed(
        "ERR Usernames can't contain spaces or null characters",
    ))
}

fn categories(ctx: &Ctx<'_>, category: Option<&[u8]>) -> Outcome {
    let Some(category) = category else {
        return Ok(Reply::array(CATEGORIES.iter().map(Reply::bulk)));
    };
    let name = String::from_utf8_lossy(category).to_ascii_lowercase();
    if !CATEGORIES.contains(&name.as_str()) {
        let shown = String::from_utf8_lossy(&category[..category.len().min(128)]).into_owned();
        return Err(Error::new(format!("ERR Unknown category '{shown}'")));
    }
    let commands = ctx.side.table.commands().iter();
    let commands = commands.filter(|command| in_category(command, &name));
    Ok(Reply::array(commands.map(|command| {
        Reply::bulk(command.name.to_ascii_lowercase())
    })))
}

fn generate_password(bits: Option<&[u8]>) -> Outcome {
    let bits = match bits {
        None => 256,
        Some(text) => num::parse_i64(text).filter(|bits| (1..=MAX_BITS).contains(bits)).ok_or(Error::fixed(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ))?,
    };
    let digits = (bits as usize).div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).map_err(|_| NO_RANDOM)?;
    Ok(Reply::bulk(&hex::encode(&bytes)[..digits]))
}

/// Refusals are not kept.
fn log(what: Option<&[u8]>) -> Outcome {
    match what {
        Some(word) if is(word, "RESET") => Ok(Reply::ok()),
        Some(count) if num::parse_i64(count).is_none() => Err(NOT_INTEGER),
        _ => Ok(Reply::empty()),
    }
}

fn get_user(acl: &Acl, name: &[u8]) -> Outcome {
    let name = String::from_utf8_lossy(name);
    let fields =
        |flags: &[&str], passwords: Vec<Reply>, commands: &str, keys: &str, channels: &str| {
            Reply::array([
                Reply::bulk("flags"),
                Reply::array(flags.iter().map(Reply::bulk)),
                Reply::bulk("passwords"),
                Reply::Array(passwords),
                Reply::bulk("commands"),
                Reply::bulk(commands),
                Reply::bulk("keys"),
                Reply::bulk(keys),
                Reply::bulk("channels"),
                Reply::bulk(channels),
            ])
        };
    if name == "default" {
        return Ok(fields(&["on", "nopass"], Vec::new(), "+@all", "~*", "&*"));
    }
    Ok(acl.user(&name).map_or(Reply::Nil, |user| {
        fields(
            &[user.state()],
            user.password_hashes().map(Reply::bulk).collect(),
            &user.command_rules(),
            &user.key_rules(),
            &user.channel_rules(),
        )
    }))
}

/// All rules take effect, or none.
fn set_user(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let name = user_name(args[2])?;
    if Acl::is_reserved(name) {
        return Err(Error::new(format!(
            "ERR The '{name}' user cannot be changed"
        )));
    }
    let scope = RuleScope {
        database: Some(ctx.side.database_id()),
        commands: ctx.side.table.commands(),
    };
    let mut user = ctx.side.acl.user(name).cloned().unwrap_or_default();
    let before = user.weight();
    for rule in &args[3..] {
        user.apply(name, rule, scope)?;
    }
    ctx.make_room(user.weight().saturating_sub(before) + name.len())?;
    if ctx.side.acl.set(name, user)? {
        // Which token opened a stream is not known: with another one it can be opened again.
        ctx.side.hub.end_streams(|owner, _, _| owner == name);
    }
    ctx.side.end_refused_streams();
    let rules = ctx.side.acl.user(name).map(User::rules);
    ctx.db.record_user(name, rules.as_deref());
    Ok(Reply::ok())
}

/// Makes a user from the rules of a snapshot.
pub(crate) fn restore_user(side: &mut Side, name: &[u8], rules: Args<'_>) -> Result<(), Error> {
    let name = user_name(name)?;
    let mut user = User::default();
    let scope = RuleScope {
        database: None,
        commands: side.table.commands(),
    };
    for rule in rules {
        user.apply(name, rule, scope)?;
    }
    side.acl.set(name, user).map(|_| ())
}

fn delete_users(ctx: &mut Ctx<'_>, names: Args<'_>) -> Outcome {
    let names: Vec<_> = names
        .iter()
        .map(|name| String::from_utf8_lossy(name))
        .collect();
    if let Some(name) = names.iter().find(|name| Acl::is_reserved(name)) {
        return Err(Error::new(format!(
            "ERR The '{name}' user cannot be removed"
        )));
    }
    let mut deleted = 0;
    for name in &names {
        if ctx.side.acl.remove(name) {
            ctx.db.record_user(name, None);
            deleted += 1;
        }
    }
    Ok(Reply::len(deleted))
}

/// The token of a user for REST, given a token or the password it was made from.
fn rest_token(ctx: &Ctx<'_>, name: &[u8], password: &[u8]) -> Outcome {
    let name = String::from_utf8_lossy(name);
    let given = std::str::from_utf8(password).ok().map(str::to_owned);
    let derived = Token::generate(ctx.side.database_id(), &name, Some(password));
    let token = ctx.side.acl.user(&name).and_then(|user| {
        [given, derived]
            .into_iter()
            .flatten()
            .find(|token| user.accepts(&name, token))
    });
    token.map(Reply::bulk).ok_or_else(|| {
        Error::new(format!(
            "ERR Wrong password or user \"{name}\" does not exist"
        ))
    })
}
