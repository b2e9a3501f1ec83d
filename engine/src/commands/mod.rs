//! The command table.
//!
//! To add a group: a file here that ends in `pub(crate) const COMMANDS: &[Spec]`, its `mod` line,
//! and its line in `GROUPS`.

mod acl;
mod array;
mod array_search;
mod bitfield;
mod bitmap;
mod connection;
mod dump;
mod expire;
mod function;
mod generic;
mod geo;
mod geo_search;
mod hash;
mod hash_ttl;
mod hll;
mod increx;
mod json;
mod json_args;
mod json_array;
mod json_value;
mod list;
mod pubsub;
mod scripting;
mod search;
mod search_query;
mod search_score;
mod server;
mod set;
mod stream;
mod stream_args;
mod stream_claim;
mod stream_group;
mod stream_info;
mod stream_release;
mod string;
mod string_set;
mod vector;
mod zset;
mod zset_ops;
mod zset_range;

use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) use acl::restore_user;
pub(crate) use function::restore_library;

use crate::command::Spec;
use crate::error::Error;

/// One line a group.
const GROUPS: &[&[Spec]] = &[
    acl::COMMANDS,
    array::COMMANDS,
    array_search::COMMANDS,
    bitfield::COMMANDS,
    bitmap::COMMANDS,
    connection::COMMANDS,
    dump::COMMANDS,
    expire::COMMANDS,
    function::COMMANDS,
    generic::COMMANDS,
    geo::COMMANDS,
    hash::COMMANDS,
    hash_ttl::COMMANDS,
    hll::COMMANDS,
    increx::COMMANDS,
    json::COMMANDS,
    json_array::COMMANDS,
    json_value::COMMANDS,
    list::COMMANDS,
    pubsub::COMMANDS,
    scripting::COMMANDS,
    search::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    stream::COMMANDS,
    stream_claim::COMMANDS,
    stream_group::COMMANDS,
    stream_info::COMMANDS,
    stream_release::COMMANDS,
    string::COMMANDS,
    string_set::COMMANDS,
    vector::COMMANDS,
    zset::COMMANDS,
    zset_ops::COMMANDS,
    zset_range::COMMANDS,
];

/// The longest command name, with room to spare.
const LONGEST: usize = 32;

type Table = HashMap<&'static [u8], &'static Spec, foldhash::fast::RandomState>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    all()
        .map(|spec| (spec.name.as_bytes(), spec))
        .collect::<Table>()
});

/// Every command.
pub(crate) fn all() -> impl Iterator<Item = &'static Spec> {
    GROUPS.iter().copied().flatten()
}

/// How many commands there are.
pub(crate) fn count() -> i64 {
    i64::try_from(TABLE.len()).unwrap_or(i64::MAX)
}

/// The command with this name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut buffer = [0u8; LONGEST];
    let upper = buffer.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    TABLE.get(&*upper).copied()
}

/// Commands bound to a connection; some have an endpoint of their own.
const CONNECTION_BOUND: &[&str] = &[
    "AUTH",
    "HELLO",
    "RESET",
    "QUIT",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH",
    "UNWATCH",
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "MONITOR",
    "CLIENT",
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
];

/// Whether a command needs a connection of its own.
pub(crate) fn is_connection_bound(name: &[u8]) -> bool {
    CONNECTION_BOUND
        .iter()
        .any(|bound| name.eq_ignore_ascii_case(bound.as_bytes()))
}

/// Why a command is not in the table.
pub(crate) fn unknown(name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]).to_uppercase();
    if CONNECTION_BOUND.contains(&name.as_str()) {
        return Error::new(format!(
            "ERR Command \"{name}\" is not allowed in REST or it has a special context path"
        ));
    }
    Error::new(format!(
        "ERR Command is not available: '{name}'. See https://upstash.com/docs/redis/overall/rediscompatibility for details"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for spec in all() {
            assert!(spec.name.len() <= LONGEST, "{}", spec.name);
            assert_eq!(spec.name, spec.name.to_ascii_uppercase());
            let lower = spec.name.to_ascii_lowercase();
            assert_eq!(find(lower.as_bytes()).map(|s| s.name), Some(spec.name));
        }
    }

    #[test]
    fn no_command_is_in_two_groups() {
        assert_eq!(all().count(), TABLE.len());
    }

    #[test]
    fn a_missing_command_says_why() {
        assert!(unknown(b"foo").message().contains("not available: 'FOO'"));
        assert!(unknown(b"watch").message().contains("not allowed in REST"));
        assert!(unknown(b"vadd").message().contains("not available: 'VADD'"));
    }
}
