//! Categories of commands.

use crate::command::{Category, Command, Flags};

/// Every category, in the order of ACL CAT.
pub(crate) const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
    "json",
    "array",
    "search",
];

/// Whether a command is in the category with this lower-case name.
pub(crate) fn in_category(command: &Command, category: &str) -> bool {
    let has = |flag| command.flags.has(flag);
    match category {
        "read" => has(Flags::READ) && command.category != Category::Scripting,
        "write" => has(Flags::WRITE),
        "fast" => has(Flags::FAST),
        "slow" => !has(Flags::FAST),
        "admin" => has(Flags::ADMIN),
        "blocking" => has(Flags::BLOCKING),
        "dangerous" => has(Flags::DANGEROUS) || has(Flags::ADMIN),
        other => name_of(command.category) == Some(other),
    }
}

fn name_of(category: Category) -> Option<&'static str> {
    Some(match category {
        Category::Keyspace => "keyspace",
        Category::String => "string",
        Category::Bitmap => "bitmap",
        Category::Hash => "hash",
        Category::List => "list",
        Category::Set => "set",
        Category::SortedSet => "sortedset",
        Category::Stream => "stream",
        Category::Geo => "geo",
        Category::HyperLogLog => "hyperloglog",
        Category::Json => "json",
        Category::Array => "array",
        Category::PubSub => "pubsub",
        Category::Scripting => "scripting",
        Category::Search => "search",
        Category::Connection => "connection",
        Category::Server => return None,
    })
}
