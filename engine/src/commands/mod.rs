//! The command table.
//!
//! To add a group: a file here that ends in `pub(crate) const COMMANDS: &[Spec]`, its `mod` line,
//! and its line in `GROUPS`.

mod acl;
mod array;
mod array_search;
mod bitfield;
mod bitmap;
mod blocking;
mod connection;
mod debug;
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
mod info;
mod introspection;
mod json;
mod json_args;
mod json_array;
mod json_value;
mod lcs;
mod list;
mod persistence;
mod pubsub;
mod scripting;
mod search;
mod search_query;
mod search_score;
mod server;
mod set;
mod sort;
mod stream;
mod stream_add;
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

use std::sync::LazyLock;

pub(crate) use acl::restore_user;
pub(crate) use function::restore_library;

use crate::ctx::{Spec, Table};

/// One line a group.
const GROUPS: &[&[Spec]] = &[
    acl::COMMANDS,
    array::COMMANDS,
    array_search::COMMANDS,
    bitfield::COMMANDS,
    bitmap::COMMANDS,
    blocking::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    dump::COMMANDS,
    expire::COMMANDS,
    function::COMMANDS,
    generic::COMMANDS,
    geo::COMMANDS,
    hash::COMMANDS,
    hash_ttl::COMMANDS,
    hll::COMMANDS,
    increx::COMMANDS,
    introspection::COMMANDS,
    json::COMMANDS,
    json_array::COMMANDS,
    json_value::COMMANDS,
    lcs::COMMANDS,
    list::COMMANDS,
    persistence::COMMANDS,
    pubsub::COMMANDS,
    scripting::COMMANDS,
    search::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    sort::COMMANDS,
    stream::COMMANDS,
    stream_add::COMMANDS,
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

/// Every command.
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(GROUPS.iter().copied().flatten()));

/// The table of all commands, for [`Side::new`](crate::ctx::Side::new).
pub(crate) fn table() -> &'static Table {
    &TABLE
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::ctx::LONGEST;

    #[test]
    fn names_are_found_in_any_case() {
        for command in TABLE.commands() {
            let name = command.name;
            assert!(name.len() <= LONGEST, "{name}");
            assert_eq!(name, name.to_ascii_uppercase());
            let lower = name.to_ascii_lowercase();
            let found = TABLE.find(lower.as_bytes());
            assert_eq!(found.map(|spec| spec.command.name), Some(name));
        }
    }

    #[test]
    fn no_command_is_in_two_groups() {
        let names = TABLE.commands().iter().map(|command| command.name);
        let different: HashSet<&str> = names.collect();
        assert_eq!(different.len(), TABLE.commands().len());
    }
}
