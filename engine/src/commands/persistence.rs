//! Commands about what is kept on disk.

use crate::command::{Args, Category, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::{Error, SYNTAX};
use crate::parse;
use crate::reply::Reply;

const NOT_KEPT: Error = Error::fixed(
    "ERR this server keeps nothing on disk; start it with --data DIR for what survives a restart",
);

fn start_rewrite(ctx: &Ctx<'_>, answer: &'static str) -> Outcome {
    let log = ctx.side.log.as_ref().ok_or(NOT_KEPT)?;
    log.start_rewrite()?;
    Ok(Reply::simple(answer))
}

fn bgsave(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args {
        [_] => {}
        [_, word] if parse::is(word, "SCHEDULE") => {}
        _ => return Err(SYNTAX),
    }
    start_rewrite(ctx, "Background saving started")
}

fn bgrewriteaof(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    start_rewrite(ctx, "Background append only file rewriting started")
}

/// A connection waits for the snapshot; here nobody can.
fn save(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    Err(match &ctx.side.log {
        Some(_) => Error::fixed("ERR SAVE is not allowed here; BGSAVE is"),
        None => NOT_KEPT,
    })
}

/// 0: there is no snapshot.
fn lastsave(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    let log = ctx.side.log.as_ref();
    let saved = log.and_then(|log| log.status().last_snapshot);
    Ok(Reply::Int(saved.unwrap_or(0) as i64))
}

/// The lines of INFO.
pub(super) fn info(ctx: &Ctx<'_>) -> String {
    let changes = ctx.db.counters.changes;
    let log = ctx.side.log.as_ref();
    let status = log.map(|log| log.status()).unwrap_or_default();
    let ok = |failed: bool| if failed { "err" } else { "ok" };
    let rewriting = u8::from(status.rewriting);
    let unsaved = changes.saturating_sub(status.saved_changes);
    let mut lines = format!(
        "loading:0\r\nrdb_changes_since_last_save:{unsaved}\r\nrdb_bgsave_in_progress:{rewriting}\r\nrdb_last_save_time:{}\r\nrdb_last_bgsave_status:{}\r\naof_enabled:{}\r\naof_rewrite_in_progress:{rewriting}\r\naof_last_bgrewrite_status:{}\r\naof_last_write_status:{}\r\n",
        status.last_snapshot.unwrap_or(0),
        ok(status.rewrite_failed),
        u8::from(log.is_some()),
        ok(status.rewrite_failed),
        ok(status.write_failed),
    );
    if log.is_some() {
        lines.push_str(&format!(
            "aof_current_size:{}\r\naof_base_size:{}\r\naof_pending_bio_fsync:{}\r\n",
            status.snapshot_bytes + status.log_bytes,
            status.snapshot_bytes,
            u8::from(!status.synced),
        ));
    }
    lines.push_str(&format!("changes:{changes}\r\n"));
    lines
}

/// What CONFIG GET tells.
pub(super) fn parameters(ctx: &Ctx<'_>) -> [(&'static str, String); 2] {
    let log = ctx.side.log.as_ref();
    let sync = log.map_or("no", |log| log.status().sync);
    [
        ("appendfsync", sync.to_owned()),
        (
            "appendonly",
            if log.is_some() { "yes" } else { "no" }.to_owned(),
        ),
    ]
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::other("BGREWRITEAOF", 1, Category::Server, bgrewriteaof)
        .admin()
        .noscript()
        .redis_only(),
    Spec::other("BGSAVE", -1, Category::Server, bgsave)
        .admin()
        .noscript()
        .redis_only(),
    Spec::other("LASTSAVE", 1, Category::Server, lastsave)
        .fast()
        .admin()
        .redis_only(),
    Spec::other("SAVE", 1, Category::Server, save)
        .admin()
        .noscript()
        .redis_only(),
];
