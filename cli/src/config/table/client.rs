//! What the client reads.

use super::{Variable, plain, secret, url};

pub(super) const ENVIRONMENT: &[Variable] = &[
    plain(
        "APP_ENV",
        "`development`, `staging` (or `preview`), `production`",
        "`development`",
        "the environment: which `.env` files are read, where events are kept, whether a store in the process is refused",
    ),
    plain(
        "VERCEL_ENV",
        "the same",
        "",
        "the same, when `APP_ENV` is not set",
    ),
    plain("NODE_ENV", "the same", "", "the same, when neither is set"),
    plain(
        "RESTIS_ENV_FILES",
        "`true`, `false`",
        "`true`",
        "`false` in the environment of the process: no `.env` file is read",
    ),
    plain(
        "NO_COLOR",
        "anything",
        "",
        "no colours in what the command prints",
    ),
];

pub(super) const CLIENT: &[Variable] = &[
    url(
        "UPSTASH_REDIS_REST_URL",
        "URL",
        "",
        "the address of the database",
    ),
    secret("UPSTASH_REDIS_REST_TOKEN", "text", "", "its token"),
    url(
        "KV_REST_API_URL",
        "URL",
        "",
        "the same, when `UPSTASH_REDIS_REST_URL` is not set",
    ),
    secret("KV_REST_API_TOKEN", "text", "", "its token"),
    secret(
        "KV_REST_API_READ_ONLY_TOKEN",
        "text",
        "",
        "its token, when `KV_REST_API_TOKEN` is not set",
    ),
    url(
        "REDIS_URL",
        "URL",
        "",
        "the database, when none of these is set, as `rediss://default:TOKEN@HOST.upstash.io:6379`; for any other address run `restis serve --redis`",
    ),
    url("KV_URL", "URL", "", "the same, when `REDIS_URL` is not set"),
    plain(
        "REDIS_CONNECT_TIMEOUT",
        "ms, 1–3600000",
        "1000",
        "time for one connection",
    ),
    plain(
        "REDIS_COMMAND_TIMEOUT",
        "ms, 1–3600000",
        "2000",
        "time for a call, all attempts included",
    ),
    plain(
        "REDIS_MAX_RETRIES",
        "0–10",
        "3",
        "attempts after the first one",
    ),
    plain(
        "REDIS_CA_FILE",
        "path",
        "",
        "PEM file of certificate authorities to trust besides the web's, for a server with a certificate of your own authority (in code: `Builder::root_certificates`)",
    ),
    plain(
        "UPSTASH_DISABLE_TELEMETRY",
        "anything",
        "",
        "no telemetry headers (SDK version, kind of platform as `VERCEL` and `AWS_REGION` tell, language)",
    ),
    plain(
        "SKIP_REDIS_WARNING",
        "`true`, `false`",
        "`false`",
        "no warning about the in-process store",
    ),
];
