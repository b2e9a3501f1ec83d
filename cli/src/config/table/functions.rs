//! What the functions read.

use super::{Variable, plain, secret, url};

pub(super) const FUNCTIONS: &[Variable] = &[
    secret(
        "RESTIS_SERVICE_TOKEN",
        "at least 16 characters",
        "",
        "one service token with every scope",
    ),
    secret(
        "RESTIS_SERVICE_TOKENS",
        "JSON",
        "",
        r#"`[{"name":"web","sha256":"64 hex digits","scopes":["session:*"],"organisations":["acme"]}]`; without `organisations` the token is for all. With `"secrets":["whsec_…"]` instead of `sha256` the caller [signs its requests](API.md#callers); several secrets while one is replaced"#,
    ),
    plain(
        "CORS_ORIGINS",
        "origins, by commas",
        "",
        "exact origins whose pages may call with credentials and read the headers of limits and versions",
    ),
    plain(
        "TRUSTED_PROXIES",
        "0–16",
        "0",
        "proxies in front that append to `X-Forwarded-For`; plain HTTP only",
    ),
    plain(
        "CLIENT_IP_HEADER",
        "name of a header",
        "",
        "the header in which the platform itself names the client's address, `cf-connecting-ip` on Cloudflare; workers only",
    ),
    plain(
        "MAX_BODY_BYTES",
        "1–10485760",
        "1048576",
        "largest request body",
    ),
    plain(
        "REQUEST_TIMEOUT",
        "ms, 100–900000",
        "9000",
        "time until an answer's head",
    ),
    plain(
        "METRICS_FLUSH_SECONDS",
        "s, 10–86400, 0 = never",
        "0 on plain HTTP, else 60",
        "at most so often one more command of a batch writes the counters into the store, for `GET /api/metrics?view=all`",
    ),
    secret(
        "METRICS_ALERT_WEBHOOK",
        "JSON",
        "",
        r#"`{"url":"https://…","secrets":["whsec_…"]}`: the endpoint that is told what alerts fire and clear; `"private":true` for one in your own network"#,
    ),
    plain("PORT", "0–65535", "3000", "the port of plain HTTP"),
    plain("HOST", "address", "0.0.0.0", "where plain HTTP listens"),
    plain(
        "LAMBDA_INVOKE_MODE",
        "`RESPONSE_STREAM`",
        "buffered",
        "whether the URL or gateway streams",
    ),
    plain(
        "RUST_LOG",
        "levels by target, such as `warn,restis=info`",
        "`warn`",
        "what is logged to standard error",
    ),
];

pub(super) const RATE_LIMITS: &[Variable] = &[
    plain(
        "RATE_LIMIT_MAX_REQUESTS",
        "1–9007199254740991",
        "100",
        "requests of the policy `default`, a sliding window",
    ),
    plain(
        "RATE_LIMIT_WINDOW",
        "seconds, 1–9007199254740",
        "60",
        "its window",
    ),
    plain(
        "RATE_LIMIT_POLICIES",
        "JSON by name",
        "",
        "more policies; `cache` replaces the one of the [routes of the cache](API.md#cache)",
    ),
    plain("RATE_LIMIT_POLICIES_FILE", "path", "", "the same in a file"),
    plain(
        "RATE_LIMIT_HEADERS",
        "`both`, `standard` (`RateLimit-Policy`, `RateLimit`), `legacy` (`X-RateLimit-*`), `none`",
        "`both`",
        "which headers tell of a decision; `Retry-After` always does",
    ),
];

pub(super) const CACHE: &[Variable] = &[
    plain(
        "CACHE_PREFIX",
        "text without braces",
        "`cache:`",
        "before every key",
    ),
    plain(
        "CACHE_CLUSTER",
        "`true`, `false`",
        "`false`",
        "the store is a Redis Cluster: reads are split by slot",
    ),
    plain(
        "CACHE_EVICTS",
        "`true`, `false`",
        "`false`",
        "the store may evict keys: a missing marker is a miss",
    ),
    plain(
        "CACHE_MAX_LIFETIME",
        "seconds, 1–31622400",
        "86400",
        "the longest that a value is kept",
    ),
    plain(
        "CACHE_MAX_LOAD",
        "seconds, 1–3600",
        "60",
        "the longest load whose value is stored",
    ),
    plain(
        "CACHE_LOAD_TIMEOUT",
        "seconds, 1–3600",
        "30",
        "how long a loader may take",
    ),
    plain(
        "CACHE_STALE_AFTER",
        "seconds, 0–3600",
        "as long as it takes",
        "how long a caller that has an old value waits for a load",
    ),
    plain(
        "CACHE_ERROR_PAUSE",
        "seconds, 0–3600",
        "5",
        "how long a loader that failed is not asked again",
    ),
    plain(
        "CACHE_MAX_VALUE_BYTES",
        "1–67108864",
        "1048576",
        "the largest value, before compression",
    ),
    plain(
        "CACHE_MEMORY_BYTES",
        "0–68719476736; 0 = none",
        "33554432",
        "values in the process, for keyspaces that are local",
    ),
    plain(
        "CACHE_MAX_QUEUED",
        "0–100000",
        "0 = they fail",
        "invalidations that wait for a store that does not answer",
    ),
    plain(
        "CACHE_HINTS",
        "`true`, `false`",
        "`false`",
        "invalidations are published for processes that follow them",
    ),
];

pub(super) const EVENTS: &[Variable] = &[
    plain(
        "EVENTS_ENV",
        "`development`, `staging` (or `preview`), `production`",
        "as `APP_ENV`",
        "isolates keys and channels; an unknown value ends the start",
    ),
    plain(
        "ENABLE_REDIS_EVENTS",
        "`true`, `false`",
        "`true`",
        "`false`: nothing is stored, answers say so",
    ),
    plain(
        "EVENTS_MAX_EVENTS",
        "1–10000000",
        "10000",
        "events kept in a history, about; a record of Upstash has at most 100 MB on most plans",
    ),
    plain(
        "EVENTS_MAX_AGE",
        "seconds, 60–31536000",
        "86400",
        "older events go when others are published",
    ),
    plain(
        "EVENTS_DEDUP_WINDOW",
        "seconds, 1–2592000",
        "86400",
        "how long an idempotency key or id is known",
    ),
    plain(
        "EVENTS_BEST_EFFORT_TYPES",
        "`a.b`, `a.*`, by comma",
        "",
        "while the store is away these are told within the instance and answered with 202, not 503",
    ),
    plain(
        "EVENTS_SCHEMAS",
        "JSON",
        "",
        r#"[JSON schemas](https://json-schema.org/) by type, `{"booking.created":{…},"typing.*":true}`; data that does not fit is answered with 422. The functions have the feature `schemas` by default, `restis dev` does not; references to other documents are refused"#,
    ),
    plain("EVENTS_SCHEMAS_FILE", "path", "", "the same in a file"),
    plain(
        "EVENTS_UNREGISTERED_TYPES",
        "`accept`, `reject`",
        "`accept`",
        "what happens to types without a schema",
    ),
    secret(
        "EVENTS_WEBHOOKS",
        "JSON",
        "",
        r#"endpoints: `[{"name":"billing","url":"https://…","secrets":["whsec_…"],"types":["booking.*"]}]`; several secrets while one is replaced; `"private": true` allows `http` and private addresses; `"mode": "binary"` sends the attributes as `ce-*` headers and the data alone as the body. `POST` or `GET /api/events/work` delivers"#,
    ),
    secret(
        "EVENTS_INCOMING_WEBHOOKS",
        "JSON",
        "",
        r#"senders: `{"partner":{"secrets":["whsec_…"],"types":["partner.*"],"organisation":"acme"}}`; without `types` those below the name, without `organisation` the shared history"#,
    ),
    secret(
        "EVENTS_GRANT_SECRETS",
        "at least 32 bytes each, by comma",
        "",
        "sign grants: the first signs, all verify; without them `/api/events/grants` answers 404",
    ),
    plain(
        "EVENTS_STREAM_SECONDS",
        "seconds, 1–3600",
        "240; on Vercel 55, on Lambda 25",
        "length of one stream, up to a tenth less; keep it below the platform's limit, which `vercel.json` sets to 60 and `deploy/lambda` to 30",
    ),
];

pub(super) const OTEL: &[Variable] = &[
    url(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "URL",
        "",
        "base URL of an OTLP collector such as `http://127.0.0.1:4318`: spans go to `/v1/traces`, metrics to `/v1/metrics`. Without it nothing is recorded or sent",
    ),
    secret(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "`name=value`, by comma",
        "",
        "headers of each export, percent-encoded",
    ),
    plain(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "`http/protobuf`",
        "`http/protobuf`",
        "the one protocol that is spoken",
    ),
    plain(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "ms, 1–60000",
        "10000",
        "time of one export; before an answer of a Lambda function never more than 200 ms",
    ),
    plain(
        "OTEL_METRIC_EXPORT_INTERVAL",
        "ms, 1000–3600000",
        "60000",
        "time between two exports of metrics; spans go every 5 seconds, in Vercel and Lambda functions with each request",
    ),
    plain(
        "OTEL_SERVICE_NAME",
        "text",
        "`restis`",
        "the service's name",
    ),
    plain(
        "OTEL_RESOURCE_ATTRIBUTES",
        "`name=value`, by comma",
        "",
        "what else describes the service, percent-encoded",
    ),
    plain(
        "OTEL_SDK_DISABLED",
        "`true`, `false`",
        "`false`",
        "`true` switches all of it off",
    ),
];
