//! Who calls, and what they may do.

use std::sync::Arc;

use crate::command::{Args, Flags, Spec};
use crate::error::Error;

/// On whose behalf a command runs: a user, possibly with a read-only token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    user: Arc<str>,
    read_only: bool,
}

impl Default for Caller {
    fn default() -> Self {
        Self::user("default")
    }
}

impl Caller {
    /// A named user.
    pub fn user(name: &str) -> Self {
        Self {
            user: Arc::from(name),
            read_only: false,
        }
    }

    /// The default user with a read-only token.
    pub fn read_only() -> Self {
        Self {
            user: Arc::from("default_ro"),
            read_only: true,
        }
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.user
    }

    /// Whether the token only allows reading.
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }
}

/// The users of one database and their rules.
#[derive(Debug, Default)]
pub(crate) struct Acl {}

impl Acl {
    /// Whether the caller may run this command with these arguments.
    pub(crate) fn check(&self, caller: &Caller, spec: &Spec, _args: Args<'_>) -> Result<(), Error> {
        let flags = spec.flags;
        if caller.read_only
            && (!(flags.has(Flags::READ) || flags.has(Flags::ALWAYS)) || flags.has(Flags::POWERFUL))
        {
            return Err(no_permission(spec.name));
        }
        Ok(())
    }
}

/// The refusal of a command.
pub(crate) fn no_permission(name: &str) -> Error {
    Error::new(format!(
        "NOPERM this user has no permissions to run the '{}' command or its subcommand",
        name.to_ascii_lowercase()
    ))
}
