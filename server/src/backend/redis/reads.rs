//! Commands that only read, as the Redis itself lists them.

use std::collections::HashSet;

use redis::Value;

/// Commands a read-only token may use; names in lower case, subcommands as `name|sub`.
#[derive(Debug)]
pub(super) struct Reads(HashSet<Vec<u8>>);

/// Allowed besides: commands that are about no key.
const ALWAYS: [&[u8]; 3] = [b"ping", b"echo", b"time"];
/// Reads that are refused: they walk over the whole keyspace, and scripts can run all the others.
const POWERFUL: [&[u8]; 5] = [b"scan", b"keys", b"eval_ro", b"evalsha_ro", b"fcall_ro"];

impl Reads {
    /// From the reply to `COMMAND`.
    pub(super) fn new(commands: &Value) -> Self {
        let mut reads: HashSet<Vec<u8>> = ALWAYS.iter().map(|name| name.to_vec()).collect();
        collect(commands, &mut reads);
        for name in POWERFUL {
            reads.remove(name);
        }
        Self(reads)
    }

    pub(super) fn allows(&self, args: &[&[u8]]) -> bool {
        let Some(name) = args.first() else {
            return false;
        };
        let name = name.to_ascii_lowercase();
        if self.0.contains(&name) {
            return true;
        }
        let Some(sub) = args.get(1) else {
            return false;
        };
        let full = [name.as_slice(), b"|", &sub.to_ascii_lowercase()].concat();
        self.0.contains(&full)
    }
}

/// Entries are arrays: name, arity, flags, …, and subcommands of the same form at index 9.
fn collect(entries: &Value, reads: &mut HashSet<Vec<u8>>) {
    let Value::Array(entries) = entries else {
        return;
    };
    for entry in entries {
        let Value::Array(fields) = entry else {
            continue;
        };
        if let (Some(name), Some(Value::Array(flags) | Value::Set(flags))) =
            (fields.first().and_then(text), fields.get(2))
            && flags.iter().any(|flag| text(flag) == Some(b"readonly"))
        {
            reads.insert(name.to_ascii_lowercase());
        }
        if let Some(subcommands) = fields.get(9) {
            collect(subcommands, reads);
        }
    }
}

fn text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}
