//! Whether the user of a database may reach what belongs to others on the same Redis.
//!
//! Database numbers keep nobody apart, since a script can select any; only the rules of the users
//! do. They are asked by commands that change nothing, whatever the answer is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Cmd, Pipeline};
use restis_engine::Reply;
use tokio::sync::OnceCell;

use super::convert;
use super::link::{Links, Trouble};
use crate::texts::{self, Failure};

/// A name that nobody uses: no key, channel, library or option.
const PROBE: &str = "restis-probe-6a0e6f0b";

/// Commands that reach beyond the caller's keys and channels, in a form that does nothing.
const BEYOND: &[&[&str]] = &[
    &["PUBLISH", PROBE, ""],
    &["FLUSHALL", PROBE],
    &["FLUSHDB", PROBE],
    &["SWAPDB", PROBE, PROBE],
    &["KEYS", PROBE],
    &["SCAN", PROBE],
    &["RANDOMKEY"],
    &["FUNCTION", "LOAD", PROBE],
    &["FUNCTION", "DELETE", PROBE],
    &["FUNCTION", "FLUSH", PROBE],
    &["FUNCTION", "RESTORE", PROBE],
    &["PUBSUB", "CHANNELS", PROBE],
    &["CONFIG", "GET", PROBE],
    &["ACL", "GETUSER", PROBE],
];

/// What keeps users apart, after their own keys and channels.
pub(crate) const RULES: &str = "+@all -@admin -@dangerous -scan -randomkey -keys -function -pubsub";

/// The other users of a Redis, and whether they were found to be out of reach.
#[derive(Debug, Default)]
pub(super) struct Apart {
    others: OnceLock<Vec<String>>,
    proven: OnceCell<()>,
    told: AtomicBool,
}

impl Apart {
    /// Names the other users, before the first command.
    pub(super) fn set_others(&self, users: Vec<String>) {
        // Told once, when the server is put together.
        let _ = self.others.set(users);
    }

    /// Fails unless `user` is kept from the others; asked until it is.
    pub(super) async fn check(&self, user: Option<&str>, links: &Links) -> Result<(), Failure> {
        let Some(others) = self.others.get().filter(|others| !others.is_empty()) else {
            return Ok(());
        };
        let proof = || async {
            let allowed = reached(others, links).await?;
            if allowed.is_empty() {
                return Ok(());
            }
            if !self.told.swap(true, Ordering::Relaxed) {
                let user = user.unwrap_or("default");
                tracing::error!(
                    user,
                    allowed = allowed.join(", "),
                    "a user of a Redis that others share may run these commands; its database is closed until ACL SETUSER {user} resetkeys resetchannels ~{user}:* &{user}:* {RULES}"
                );
            }
            Err(super::super::unavailable(texts::NOT_APART))
        };
        self.proven.get_or_try_init(proof).await.copied()
    }
}

/// The commands that are allowed and must not be.
async fn reached(others: &[String], links: &Links) -> Result<Vec<String>, Trouble> {
    let keys = others.iter().map(|user| format!("{user}:{PROBE}"));
    let keys = keys.chain([PROBE.to_owned()]);
    let asked: Vec<Vec<String>> = keys
        .map(|key| vec!["EXISTS".to_owned(), key])
        .chain(
            BEYOND
                .iter()
                .map(|words| words.iter().map(ToString::to_string).collect()),
        )
        .collect();
    let command = |words: &[String]| {
        let mut cmd = Cmd::new();
        for word in words {
            cmd.arg(word);
        }
        cmd
    };
    let mut replies = Vec::with_capacity(asked.len());
    if links.is_cluster() {
        for words in &asked {
            replies.push(match links.command(&command(words)).await {
                Ok(value) => convert::reply(value),
                Err(Trouble::Broken(error)) => convert::failure(error).unwrap_or(Reply::Nil),
                Err(trouble) => return Err(trouble),
            });
        }
    } else {
        // Within a transaction that is given up nothing runs at all, where there may be one.
        let mut pipeline = Pipeline::with_capacity(asked.len() + 2);
        pipeline.cmd("MULTI");
        for words in &asked {
            pipeline.add_command(command(words));
        }
        pipeline.cmd("DISCARD");
        let values = links.pipeline(&pipeline).await?;
        replies.extend(values.into_iter().skip(1).map(convert::reply));
    }
    let allowed = asked
        .iter()
        .zip(&replies)
        .filter(|(_, reply)| !is_refused(reply));
    Ok(allowed.map(|(words, _)| words.join(" ")).collect())
}

/// No permission, or no such command.
fn is_refused(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(error)
        if error.message().starts_with("NOPERM") || error.message().starts_with("ERR unknown"))
}
