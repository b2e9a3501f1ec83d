//! What `restis serve` and `restis dev` read.

use super::{Variable, plain, secret, url};

pub(super) const SERVE: &[Variable] = &[
    plain(
        "RESTIS_ADDR",
        "host:port",
        "127.0.0.1:8079",
        "where the REST server listens",
    ),
    plain(
        "RESTIS_FUNCTIONS_ADDR",
        "host:port",
        "127.0.0.1:3030 or the next free port",
        "where `dev` serves the functions",
    ),
    plain(
        "RESTIS_EPHEMERAL",
        "`true`, `false`",
        "`false`",
        "`dev` keeps neither secrets nor data; else both are in `.restis/` of the working directory",
    ),
    secret(
        "RESTIS_TOKEN",
        "by commas",
        "random, printed; `dev` keeps it in `.restis/`",
        "tokens, each with a database of its own",
    ),
    secret(
        "RESTIS_READ_ONLY_TOKEN",
        "by commas",
        "",
        "read-only tokens; the first belongs to the first token's database, and so on",
    ),
    plain(
        "RESTIS_TENANTS_FILE",
        "path",
        "",
        r#"`{"TOKEN":{"name":"acme","read_only":false,"memory":"256mb","redis":"rediss://…"}}`; equal names share a database"#,
    ),
    secret("RESTIS_TENANTS", "JSON", "", "the same JSON"),
    url(
        "RESTIS_REDIS",
        "URL",
        "",
        "keep data in this Redis: `redis://`, `rediss://`, `unix://`, `redis-cluster://a:1,b:2`, `redis-sentinel://a:1,b:2/NAME`",
    ),
    plain("RESTIS_THREADS", "1–1024", "1", "serving threads"),
    plain(
        "RESTIS_MEMORY",
        "256mb, 1gb, …",
        "",
        "most memory of a database",
    ),
    plain(
        "RESTIS_EVICTION",
        "`noeviction`, `allkeys-random`, `volatile-random`, `optimistic-volatile`",
        "`noeviction`",
        "at the limit of memory: refuse writes, or evict random keys: any, those with an expiry, those with an expiry first",
    ),
    plain(
        "RESTIS_DATA",
        "directory",
        "",
        "keep in-memory databases here: a snapshot and a log of what was changed since",
    ),
    plain(
        "RESTIS_SYNC",
        "`always`, `everysec`, `no`",
        "`everysec`",
        "when a write is on disk: before its answer, within a second, when the system finds time",
    ),
    plain(
        "RESTIS_CORS",
        "origins, by commas",
        "",
        "origins whose pages may call; `*` for all",
    ),
    plain(
        "RESTIS_TLS_CERT",
        "PEM file",
        "",
        "serve HTTPS with this certificate chain",
    ),
    plain("RESTIS_TLS_KEY", "PEM file", "", "and its private key"),
    plain(
        "RESTIS_RESP",
        "host:port, `off`",
        "`dev`: 127.0.0.1:6379 or the next free port; `serve`: off",
        "where the [Redis protocol](RESP.md) is served",
    ),
    plain(
        "RESTIS_CONSOLE",
        "host:port",
        "`dev`: at the functions' address, if it is a loopback one; `serve`: off",
        "where the [console](../guide/console.md) is served",
    ),
    plain(
        "RESTIS_CONSOLE_HOST",
        "names, by commas",
        "",
        "names, beside addresses and `localhost`, by which browsers may call the console",
    ),
    plain(
        "RESTIS_RESP_TIMEOUT",
        "seconds, above 0, up to 3600",
        "",
        "how long a connection of the Redis protocol may ask nothing before it is closed",
    ),
    plain(
        "RESTIS_ADMIN_ADDR",
        "host:port",
        "",
        "`/health` and `/metrics`",
    ),
    plain(
        "RESTIS_FAULT",
        "`latency=20ms..80ms,error=2%,drop=1%,seed=7`",
        "",
        "inject faults; the same seed gives the same faults in the same order of requests",
    ),
    plain("RESTIS_MAX_REQUEST", "size", "10mb", "largest request body"),
    plain(
        "RESTIS_MAX_RESPONSE",
        "size",
        "10mb",
        "largest response body",
    ),
    plain(
        "RESTIS_MAX_TIME",
        "seconds, above 0, up to 3600",
        "5",
        "how long the commands of one request may run together",
    ),
    plain(
        "RESTIS_MAX_PIPELINE",
        "commands",
        "100000",
        "most commands in a pipeline or transaction",
    ),
    plain(
        "RESTIS_LOG",
        "level, `access` or tracing filter",
        "`warn`",
        "what is logged to standard error; `access` adds one line a request, without values",
    ),
    plain("RESTIS_LOG_JSON", "true", "false", "log as JSON lines"),
];
