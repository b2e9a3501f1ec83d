//! What sessions read.

use super::{Variable, plain, secret};

pub(super) const SESSIONS: &[Variable] = &[
    secret(
        "SESSION_SECRETS",
        "comma-separated, ≥ 32 bytes each",
        "required",
        "newest first: the first signs, all verify",
    ),
    plain("SESSION_TTL", "seconds, 1–34560000", "86400", "idle time"),
    plain(
        "SESSION_ABSOLUTE_TTL",
        "seconds, 1–34560000",
        "2592000",
        "end in any case",
    ),
    plain(
        "SESSION_TOUCH_INTERVAL",
        "seconds, 0–34560000",
        "idle / 20, 1 to 3600",
        "least time between extensions",
    ),
    plain(
        "SESSION_ROTATE_INTERVAL",
        "seconds, 0–34560000; 0 = never",
        "0",
        "renews the identifier",
    ),
    plain(
        "SESSION_ROTATE_GRACE",
        "seconds, 0–300",
        "30",
        "the old identifier still works",
    ),
    plain("SESSION_PREFIX", "text", "", "before every key"),
    plain(
        "SESSION_MAX_PER_USER",
        "whole number; 0 = no limit",
        "20",
        "sessions of one user",
    ),
    plain(
        "SESSION_LIMIT_POLICY",
        "`evict`, `reject`",
        "`evict`",
        "at the limit",
    ),
    plain(
        "SESSION_ONE_PER_DEVICE",
        "`true`, `false`",
        "`false`",
        "a login replaces the one of the same device id",
    ),
    plain(
        "SESSION_COUNT",
        "`off`, `estimate`, `exact`",
        "`estimate`",
        "how live sessions are counted",
    ),
    plain(
        "SESSION_CLUSTER",
        "`true`, `false`",
        "`false`",
        "keys of one user in one Redis Cluster slot",
    ),
    plain(
        "SESSION_SET_INDEX",
        "`true`, `false`",
        "`false`",
        "the index also as a plain set",
    ),
    plain(
        "SESSION_ENCRYPTION",
        "`off`, `required`, `migrating`",
        "`off`",
        "seals values (feature `encryption`)",
    ),
    plain(
        "SESSION_COOKIE_NAME",
        "token",
        "`__Host-sid`",
        "name of the cookie",
    ),
    plain(
        "SESSION_COOKIE_SAMESITE",
        "`lax`, `strict`, `none`",
        "`lax`",
        "its `SameSite`",
    ),
    plain(
        "SESSION_COOKIE_DOMAIN",
        "host",
        "",
        "shares the cookie with subdomains",
    ),
    plain(
        "SESSION_COOKIE_INSECURE",
        "`true`, `false`",
        "`false`",
        "`sid` without `Secure`, for plain HTTP",
    ),
    plain(
        "SESSION_COOKIE_PARTITIONED",
        "`true`, `false`",
        "`false`",
        "its `Partitioned`",
    ),
    plain(
        "SESSION_CLIENT_FIELDS",
        "comma-separated names, `*` for all",
        "",
        "values that the browser itself may change",
    ),
    plain(
        "SESSION_REQUIRE_IF_MATCH",
        "`true`, `false`",
        "`false`",
        "the browser must say which version it changes",
    ),
    plain(
        "SESSION_FRESH_AUTH",
        "seconds, 0–34560000; 0 = never asked for",
        "3600",
        "how long after signing in the browser may end other sessions",
    ),
    secret(
        "SESSION_LOGIN_SECRETS",
        "comma-separated, ≥ 32 bytes each",
        "",
        "newest first; they sign login assertions, and nothing else may use them",
    ),
    plain(
        "SESSION_MAX_INVALID_COOKIES",
        "0–1000000, 0 = any number",
        "30",
        "cookies of no session that a client may present in a minute to one instance; then 429",
    ),
    plain(
        "SESSION_ALLOWED_ORIGINS",
        "comma-separated origins",
        "",
        "other origins that may act with the cookie",
    ),
];
