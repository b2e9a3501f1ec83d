//! Search indexes: creating, describing, dropping, aliases.

use bytes::Bytes;

use super::search_query as query;
use crate::budget::Budget;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Side, Spec};
use crate::db::Db;
use crate::error::{Error, OOM, SYNTAX};
use crate::glob;
use crate::parse::Walk;
use crate::reply::Reply;
use crate::search::{Definition, Field, Index, Kind, LANGUAGES, Registry, Source};

/// Bounds of a definition; a snapshot holds it as one command.
const MOST_FIELDS: usize = 1000;
const MOST_PREFIXES: usize = 1000;

/// Runs `use_it` on the registry and the keyspace, which otherwise holds the registry.
pub(super) fn with_registry<T>(
    ctx: &mut Ctx<'_>,
    use_it: impl FnOnce(&mut Registry, &Db, &Budget) -> T,
) -> T {
    /// Gives the registry back, even if `use_it` panics.
    struct Taken<'d>(&'d mut Db, Registry);
    impl Drop for Taken<'_> {
        fn drop(&mut self) {
            std::mem::swap(&mut self.0.search, &mut self.1);
        }
    }
    let registry = std::mem::take(&mut ctx.db.search);
    let mut taken = Taken(ctx.db, registry);
    let Taken(db, registry) = &mut taken;
    use_it(registry, db, &ctx.side.budget)
}

/// Brings an index up to date and uses it; `None` if there is none of that name.
pub(super) fn with_index<T>(
    ctx: &mut Ctx<'_>,
    name: &[u8],
    use_it: impl FnOnce(&Index, &Db, &Budget) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    loop {
        let limit = ctx.side.options.memory_limit.unwrap_or(usize::MAX);
        // A full database can still index a little.
        let most = limit.saturating_add(limit / 32);
        let room = most.saturating_sub(ctx.used());
        let fresh = with_registry(ctx, |registry, db, budget| {
            registry.fresh(name, db, room, budget).map(drop)
        });
        match fresh {
            Err(error) if error == OOM && ctx.evict_one() => {}
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    let index = ctx.db.search.get(name);
    index
        .map(|index| use_it(index, ctx.db, &ctx.side.budget))
        .transpose()
}

/// The name of the index that a name or an alias stands for, if the caller may read what it covers.
pub(super) fn resolve(ctx: &Ctx<'_>, name: &[u8]) -> Result<Option<Bytes>, Error> {
    let name = ctx.db.search.resolve(name);
    if let Some(index) = name.as_ref().and_then(|name| ctx.db.search.get(name)) {
        check_prefixes(ctx, &index.definition)?;
    }
    Ok(name)
}

/// Fails unless the caller may read every key that an index covers: even a count or a score would
/// tell of those it may not.
fn check_prefixes(ctx: &Ctx<'_>, definition: &Definition) -> Result<(), Error> {
    if may_see(ctx, definition) {
        return Ok(());
    }
    Err(Error::fixed(
        "NOPERM this user has no permissions to read all keys that the index covers",
    ))
}

fn may_see(ctx: &Ctx<'_>, definition: &Definition) -> bool {
    let Side { acl, budget, .. } = &*ctx.side;
    match definition.stream() {
        Some(key) => acl.may_read(budget, ctx.caller, key),
        None => acl.may_read_prefixes(ctx.caller, &definition.prefixes),
    }
}

pub(super) fn utf8(text: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(text).map_err(|_| Error::fixed("ERR names must be UTF-8"))
}

/// Takes a count and as many arguments.
pub(super) fn counted<'a>(walk: &mut Walk<'a>) -> Result<&'a [&'a [u8]], Error> {
    let count = usize::try_from(walk.need_int()?).map_err(|_| SYNTAX)?;
    walk.need_many(count)
}

fn create(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let name = args[1];
    let mut walk = Walk::new(args, 2);
    let (mut scan, mut exists_ok) = (true, false);
    let (mut source, mut prefixes, mut language) = (None, Vec::new(), 3);
    while !walk.word("SCHEMA") {
        if walk.word("SKIPINITIALSCAN") {
            scan = false;
        } else if walk.word("EXISTSOK") {
            exists_ok = true;
        } else if walk.word("ON") {
            let kind = source_of(walk.need()?)?;
            source = Some(kind);
            if kind == Source::Stream {
                prefixes = vec![Bytes::copy_from_slice(walk.need()?)];
            }
        } else if source != Some(Source::Stream) && walk.word("PREFIX") {
            prefixes = counted(&mut walk)?
                .iter()
                .map(|prefix| Bytes::copy_from_slice(prefix))
                .collect();
        } else if walk.word("LANGUAGE") {
            let wanted = utf8(walk.need()?)?;
            let found = LANGUAGES
                .iter()
                .position(|(name, _)| name.eq_ignore_ascii_case(wanted));
            language = found
                .ok_or_else(|| Error::new(format!("ERR language '{wanted}' is not supported")))?;
        } else {
            return Err(SYNTAX);
        }
    }
    let source = source.ok_or(SYNTAX)?;
    if prefixes.is_empty() || prefixes.len() > MOST_PREFIXES {
        return Err(Error::fixed("ERR PREFIX needs from 1 to 1000 prefixes"));
    }
    let overlap = |(at, one): (usize, &Bytes)| {
        prefixes
            .iter()
            .enumerate()
            .any(|(other, prefix)| other != at && prefix.starts_with(one))
    };
    if prefixes.iter().enumerate().any(overlap) {
        return Err(Error::fixed("ERR prefixes must not overlap"));
    }
    let definition = Definition {
        source,
        prefixes,
        language,
        fields: fields(&mut walk)?,
    };
    check_prefixes(ctx, &definition)?;
    if ctx.db.exists(name) {
        return Err(Error::fixed("ERR the name is used by a key"));
    }
    if ctx.db.search.has_alias(name) {
        return Err(Error::fixed("ERR the name is used by an alias"));
    }
    ctx.make_room(definition.weight())?;
    // Definitions are part of what is saved.
    ctx.db.counters.changes += 1;
    ctx.db.effects.record_command();
    with_registry(ctx, |registry, db, _| {
        if let Some(index) = registry.get(name) {
            return match exists_ok {
                true if index.definition == definition => Ok(Reply::Int(0)),
                true => Err(Error::fixed("ERR the index exists with another definition")),
                false => Err(Error::fixed("ERR the index already exists")),
            };
        }
        registry.create(name, definition, scan, db);
        Ok(Reply::Int(1))
    })
}

fn source_of(text: &[u8]) -> Result<Source, Error> {
    match &*text.to_ascii_uppercase() {
        b"JSON" => Ok(Source::Json),
        b"HASH" => Ok(Source::Hash),
        b"STRING" => Ok(Source::Text),
        b"STREAM" => Ok(Source::Stream),
        _ => Err(SYNTAX),
    }
}

/// The fields of a schema, all that is left.
fn fields(walk: &mut Walk<'_>) -> Result<Vec<Field>, Error> {
    let mut fields: Vec<Field> = Vec::new();
    while let Some(name) = walk.take() {
        let name = utf8(name)?;
        let kind = walk.need()?;
        let hybrid = kind.eq_ignore_ascii_case(b"HYBRID");
        let kind = match &*kind.to_ascii_uppercase() {
            b"TEXT" | b"HYBRID" => Kind::Text {
                stem: true,
                whole: false,
            },
            b"U64" => Kind::U64,
            b"I64" => Kind::I64,
            b"F64" => Kind::F64,
            b"BOOL" => Kind::Bool,
            b"DATE" => Kind::Date,
            b"KEYWORD" => Kind::Keyword,
            b"FACET" => Kind::Facet,
            _ => {
                return Err(Error::new(format!(
                    "ERR field '{name}' has an unknown type"
                )));
            }
        };
        if name.is_empty()
            || name.starts_with('$')
            || fields.iter().any(|field| &*field.name == name)
        {
            return Err(Error::new(format!("ERR field '{name}' has no valid name")));
        }
        let mut field = Field {
            name: name.into(),
            kind,
            fast: false,
            hybrid,
            from: None,
        };
        loop {
            match &mut field.kind {
                Kind::Text { stem, .. } if walk.word("NOSTEM") => *stem = false,
                Kind::Text { whole, .. } if walk.word("NOTOKENIZE") => *whole = true,
                Kind::U64 | Kind::I64 | Kind::F64 | Kind::Bool | Kind::Date
                    if walk.word("FAST") =>
                {
                    field.fast = true;
                }
                _ if walk.word("FROM") => field.from = Some(utf8(walk.need()?)?.into()),
                _ => break,
            }
        }
        if fields.len() == MOST_FIELDS {
            return Err(Error::fixed("ERR SCHEMA has too many fields"));
        }
        fields.push(field);
    }
    if fields.is_empty() {
        return Err(Error::fixed("ERR SCHEMA needs at least one field"));
    }
    Ok(fields)
}

fn describe(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let Some(name) = resolve(ctx, args[1])? else {
        return Ok(Reply::NilArray);
    };
    let Some(index) = ctx.db.search.get(&name) else {
        return Ok(Reply::NilArray);
    };
    let definition = &index.definition;
    let schema = definition
        .fields
        .iter()
        .map(|field| Reply::array(field.options().map(Reply::bulk)));
    let pairs = [
        ("name", Reply::Bulk(name.clone())),
        ("type", Reply::bulk(definition.source.name())),
        (
            "prefixes",
            Reply::array(definition.prefixes.iter().cloned().map(Reply::Bulk)),
        ),
        ("language", Reply::bulk(definition.language_name())),
        ("indexSize", Reply::len(index.size())),
        ("pendingUpdates", Reply::len(index.pending())),
        ("schema", Reply::array(schema)),
    ];
    Ok(Reply::array(
        pairs
            .into_iter()
            .flat_map(|(name, value)| [Reply::bulk(name), value]),
    ))
}

fn drop_index(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if let Some(index) = ctx.db.search.get(args[1]) {
        check_prefixes(ctx, &index.definition)?;
    }
    ctx.db.counters.changes += 1;
    ctx.db.effects.record_command();
    Ok(Reply::bool(ctx.db.search.drop(args[1])))
}

fn reindex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let name = resolve(ctx, args[1])?;
    ctx.db.effects.record_command();
    Ok(Reply::bool(with_registry(ctx, |registry, db, _| {
        name.is_some_and(|name| registry.reindex(&name, db))
    })))
}

fn wait(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let indexed = match resolve(ctx, args[1])? {
        Some(name) => with_index(ctx, &name, |_, _, _| Ok(()))?,
        None => None,
    };
    Ok(Reply::bool(indexed.is_some()))
}

fn alias_add(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if ctx.db.search.has(args[1]) {
        return Err(Error::fixed("ERR the alias is the name of an index"));
    }
    resolve(ctx, args[1])?;
    resolve(ctx, args[2])?;
    ctx.db.counters.changes += 1;
    ctx.db.effects.record_command();
    let updated = ctx.db.search.add_alias(args[1], args[2]);
    Ok(Reply::Int(if updated { 2 } else { 1 }))
}

fn alias_del(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    resolve(ctx, args[1])?;
    ctx.db.counters.changes += 1;
    ctx.db.effects.record_command();
    Ok(Reply::bool(ctx.db.search.drop_alias(args[1])))
}

fn list_aliases(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    let pair = |(alias, index): (&Bytes, &Bytes)| {
        Reply::Array(vec![Reply::Bulk(alias.clone()), Reply::Bulk(index.clone())])
    };
    let registry = &ctx.db.search;
    let shown = |(_, index): &(&Bytes, &Bytes)| {
        let index = registry.get(index);
        index.is_none_or(|index| may_see(ctx, &index.definition))
    };
    Ok(Reply::array(registry.aliases().filter(shown).map(pair)))
}

fn list_indexes(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (mut pattern, mut limit, mut offset): (&[u8], _, _) = (b"*", usize::MAX, 0);
    let mut walk = Walk::new(args, 1);
    while !walk.is_empty() {
        let number = |walk: &mut Walk<'_>| usize::try_from(walk.need_int()?).map_err(|_| SYNTAX);
        if walk.word("MATCH") {
            pattern = walk.need()?;
        } else if walk.word("LIMIT") {
            limit = number(&mut walk)?;
        } else if walk.word("OFFSET") {
            offset = number(&mut walk)?;
        } else {
            return Err(SYNTAX);
        }
    }
    let found = ctx
        .db
        .search
        .names()
        .filter(|(name, _)| glob::matches(pattern, name, &ctx.side.budget))
        .filter(|(_, index)| may_see(ctx, &index.definition))
        .skip(offset)
        .take(limit);
    Ok(Reply::array(found.map(|(name, index)| {
        Reply::Array(vec![
            Reply::bulk("name"),
            Reply::Bulk(name.clone()),
            Reply::bulk("type"),
            Reply::bulk(index.definition.source.name()),
        ])
    })))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("SEARCH.CREATE", -6, Keys::ONE, Category::Search, create).denyoom(),
    Spec::read("SEARCH.DESCRIBE", 2, Keys::ONE, Category::Search, describe),
    Spec::write("SEARCH.DROP", 2, Keys::ONE, Category::Search, drop_index),
    Spec::write("SEARCH.REINDEX", 2, Keys::ONE, Category::Search, reindex),
    Spec::read("SEARCH.WAITINDEXING", 2, Keys::ONE, Category::Search, wait),
    Spec::write("SEARCH.ALIASADD", 3, Keys::TWO, Category::Search, alias_add).denyoom(),
    Spec::write("SEARCH.ALIASDEL", 2, Keys::ONE, Category::Search, alias_del),
    Spec::read(
        "SEARCH.LISTALIASES",
        1,
        Keys::None,
        Category::Search,
        list_aliases,
    ),
    Spec::read(
        "SEARCH.LISTINDEXES",
        -1,
        Keys::None,
        Category::Search,
        list_indexes,
    ),
    Spec::read(
        "SEARCH.QUERY",
        -3,
        Keys::ONE,
        Category::Search,
        query::query,
    ),
    Spec::read("SEARCH.COUNT", 3, Keys::ONE, Category::Search, query::count),
    Spec::read(
        "SEARCH.AGGREGATE",
        4,
        Keys::ONE,
        Category::Search,
        query::aggregate,
    ),
];

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use super::*;
    use crate::acl::Caller;
    use crate::hub::Hub;
    use crate::options::Options;

    #[test]
    fn indexes_survive_a_panic_of_who_uses_them() {
        let hub = Arc::new(Hub::default());
        let mut db = Db::new(Arc::clone(&hub));
        let mut side = Side::new(Options::default(), hub, super::super::table());
        let mut ctx = Ctx {
            db: &mut db,
            side: &mut side,
            caller: &Caller::default(),
            script: None,
        };
        let create = b"SEARCH.CREATE i ON HASH PREFIX 1 p: SCHEMA n U64";
        let words: Vec<&[u8]> = create.split(|byte| *byte == b' ').collect();
        assert_eq!(ctx.call(&words), Reply::Int(1));
        let fault = || with_registry(&mut ctx, |_, _, _| -> () { panic!("a fault") });
        assert!(catch_unwind(AssertUnwindSafe(fault)).is_err());
        assert!(db.search.has(b"i"));
    }
}
