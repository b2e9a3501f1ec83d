//! What repeating a command does; decides whether it may be retried.
use std::borrow::Cow;

use crate::command::Args;

/// What happens when a command that may have run is sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Safety {
    /// It changes nothing.
    Read,
    /// The second run leaves the same state and gives the same reply as the first.
    Idempotent,
    /// A second run may count, push or remove twice, or answer differently.
    Other,
}

/// One command of the table.
#[derive(Debug)]
pub(crate) struct Properties {
    /// Upper-case name.
    pub(crate) name: &'static str,
    /// Of the plain form; see [`safety_of`] for what options change.
    pub(crate) safety: Safety,
}

const fn row(name: &'static str, safety: Safety) -> Properties {
    Properties { name, safety }
}

use Safety::{Idempotent, Other, Read};

/// Sorted by name.
pub(crate) const TABLE: &[Properties] = &[
    row("DEL", Other),
    row("EVAL", Other),
    row("EVALSHA", Other),
    row("GET", Read),
    row("INCR", Other),
    row("INCRBY", Other),
    row("MGET", Read),
    row("PING", Read),
    row("SET", Idempotent),
];

/// Finds a command, upper or lower case.
pub(crate) fn lookup(name: &[u8]) -> Option<&'static Properties> {
    let mut upper = [0_u8; 32];
    let upper = upper.get_mut(..name.len())?;
    for (to, from) in upper.iter_mut().zip(name) {
        *to = from.to_ascii_uppercase();
    }
    let at = TABLE
        .binary_search_by(|p| p.name.as_bytes().cmp(upper))
        .ok()?;
    TABLE.get(at)
}

/// Upper-case name without allocation where the command is known.
pub(crate) fn name_of(args: &Args) -> Cow<'static, str> {
    match lookup(args.get(0).unwrap_or_default()) {
        Some(known) => Cow::Borrowed(known.name),
        None => Cow::Owned(args.name().to_ascii_uppercase()),
    }
}

/// Whether repeating exactly this command does harm.
pub fn safety_of(args: &Args) -> Safety {
    let Some(known) = lookup(args.get(0).unwrap_or_default()) else {
        return Other;
    };
    match known.name {
        // Conditions and GET make the second reply differ from the first.
        "SET" if args.iter().skip(3).any(changes_second_reply) => Other,
        _ => known.safety,
    }
}

fn changes_second_reply(option: &[u8]) -> bool {
    [
        &b"NX"[..],
        b"XX",
        b"GET",
        b"IFEQ",
        b"IFNE",
        b"IFDEQ",
        b"IFDNE",
    ]
    .iter()
    .any(|o| option.eq_ignore_ascii_case(o))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_upper_case() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        assert!(
            TABLE
                .iter()
                .all(|p| p.name == p.name.to_ascii_uppercase() && p.name.len() <= 32)
        );
    }

    #[test]
    fn a_conditional_set_is_not_idempotent() {
        let mut set = Args::new();
        set.add("set").add("k").add("v");
        assert_eq!(safety_of(&set), Idempotent);
        set.add("nx");
        assert_eq!(safety_of(&set), Other);
    }

    #[test]
    fn unknown_commands_are_never_safe() {
        let mut unknown = Args::new();
        unknown.add("FOO");
        assert_eq!(safety_of(&unknown), Other);
    }
}
