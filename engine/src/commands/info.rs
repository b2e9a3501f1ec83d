//! INFO.

use std::fmt::Write as _;

use crate::command::{Args, Outcome};
use crate::ctx::Ctx;
use crate::parse;
use crate::reply::Reply;

/// The version of Redis whose behaviour is offered.
const REDIS_VERSION: &str = "8.2.0";

/// A section, whether it is shown without being asked for, and what writes it.
type Section = (&'static str, bool, fn(&Ctx<'_>, &mut String));

const SECTIONS: [Section; 11] = [
    ("Server", true, server),
    ("Clients", true, clients),
    ("Memory", true, memory),
    ("Persistence", true, persistence),
    ("Stats", true, stats),
    ("Replication", true, replication),
    ("Commandstats", false, commandstats),
    ("Errorstats", true, errorstats),
    ("Latencystats", false, latencystats),
    ("Cluster", true, cluster),
    ("Keyspace", true, keyspace),
];

/// Appends a line; writing to a String cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        let _ = write!($out, $($arg)*);
        $out.push_str("\r\n");
    }};
}

fn server(ctx: &Ctx<'_>, out: &mut String) {
    let now = ctx.side.options.clock.now();
    let uptime = now.saturating_sub(ctx.side.started).as_secs();
    line!(out, "redis_version:{REDIS_VERSION}");
    line!(out, "redis_mode:standalone");
    line!(
        out,
        "os:{} {}",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    line!(out, "server_name:restis");
    line!(out, "server_version:{}", env!("CARGO_PKG_VERSION"));
    line!(out, "uptime_in_seconds:{uptime}");
    line!(out, "uptime_in_days:{}", uptime / 86_400);
}

fn clients(ctx: &Ctx<'_>, out: &mut String) {
    let side = &ctx.side;
    line!(
        out,
        "pubsub_channels:{}",
        side.hub.channels(b"*", &side.budget).len()
    );
    line!(out, "pubsub_patterns:{}", side.hub.patterns());
}

fn memory(ctx: &Ctx<'_>, out: &mut String) {
    let side = &ctx.side;
    let used = ctx.used();
    line!(out, "used_memory:{used}");
    line!(out, "used_memory_peak:{}", side.peak.max(used));
    line!(out, "used_memory_dataset:{}", ctx.db.used());
    line!(out, "used_memory_overhead:{}", side.weight());
    let scripting = &side.scripting;
    line!(out, "used_memory_scripts:{}", scripting.weight());
    line!(out, "number_of_cached_scripts:{}", scripting.script_count());
    line!(out, "number_of_functions:{}", scripting.function_count());
    line!(out, "number_of_libraries:{}", scripting.libraries().count());
    line!(out, "maxmemory:{}", side.options.memory_limit.unwrap_or(0));
    line!(out, "maxmemory_policy:{}", side.options.eviction.name());
}

fn persistence(ctx: &Ctx<'_>, out: &mut String) {
    out.push_str(&super::persistence::info(ctx));
}

fn stats(ctx: &Ctx<'_>, out: &mut String) {
    let (counters, stats) = (&ctx.db.counters, &ctx.side.stats);
    line!(out, "total_commands_processed:{}", stats.processed);
    line!(
        out,
        "instantaneous_ops_per_sec:{}",
        stats.per_second(ctx.now())
    );
    line!(out, "expired_keys:{}", counters.expired);
    line!(out, "evicted_keys:{}", counters.evicted);
    line!(out, "keyspace_hits:{}", counters.hits.get());
    line!(out, "keyspace_misses:{}", counters.misses.get());
    line!(out, "total_error_replies:{}", stats.error_replies);
}

fn replication(_ctx: &Ctx<'_>, out: &mut String) {
    line!(out, "role:master");
    line!(out, "connected_slaves:0");
}

fn commandstats(ctx: &Ctx<'_>, out: &mut String) {
    for (name, stats) in ctx.side.stats.commands() {
        let micros = stats.time.as_micros();
        let each = stats.time.as_secs_f64() * 1e6 / stats.calls.max(1) as f64;
        let (calls, rejected, failed) = (stats.calls, stats.rejected, stats.failed);
        line!(
            out,
            "cmdstat_{}:calls={calls},usec={micros},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}",
            name.to_ascii_lowercase()
        );
    }
}

fn errorstats(ctx: &Ctx<'_>, out: &mut String) {
    for (code, count) in ctx.side.stats.errors() {
        line!(out, "errorstat_{code}:count={count}");
    }
}

fn latencystats(ctx: &Ctx<'_>, out: &mut String) {
    for (name, stats) in ctx.side.stats.commands() {
        if stats.calls == 0 {
            continue;
        }
        let micros = |share| stats.quantile(share).as_secs_f64() * 1e6;
        line!(
            out,
            "latency_percentiles_usec_{}:p50={:.3},p95={:.3},p99={:.3},p99.9={:.3}",
            name.to_ascii_lowercase(),
            micros(0.5),
            micros(0.95),
            micros(0.99),
            micros(0.999)
        );
    }
}

fn cluster(_ctx: &Ctx<'_>, out: &mut String) {
    line!(out, "cluster_enabled:0");
}

fn keyspace(ctx: &Ctx<'_>, out: &mut String) {
    let (keys, expires) = (ctx.db.len(), ctx.db.volatile_len());
    if keys > 0 {
        line!(out, "db0:keys={keys},expires={expires},avg_ttl=0");
    }
}

pub(super) fn info(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let wanted = &args[1..];
    let asked = |name: &str| wanted.iter().any(|word| parse::is(word, name));
    let every = asked("all") || asked("everything");
    let usual = wanted.is_empty() || asked("default");
    let mut out = String::new();
    for (name, shown, write) in SECTIONS {
        if every || usual && shown || asked(name) {
            if !out.is_empty() {
                out.push_str("\r\n");
            }
            line!(out, "# {name}");
            write(ctx, &mut out);
        }
    }
    Ok(Reply::bulk(out))
}
