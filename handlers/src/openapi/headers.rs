//! Which headers an answer has, by route and status.

use utoipa::openapi::{
    Components, HeaderBuilder, Object, OpenApi, PathItem, Ref, RefOr, Type, path::Operation,
};

/// The headers that some answers have, and what they say; `x-request-id` is in all of them.
const HEADERS: [(&str, Type, &str); 16] = [
    (
        "Accept-Encoding",
        Type::String,
        "`identity`, when the body had a `Content-Encoding`.",
    ),
    ("Age", Type::Integer, "Seconds since the value was stored."),
    (
        "Cache-Status",
        Type::String,
        "Whether it was cached, and for how many seconds it stays fresh (RFC 9211).",
    ),
    (
        "Clear-Site-Data",
        Type::String,
        "What the browser drops; with `?clear=site-data`.",
    ),
    (
        "ETag",
        Type::String,
        "The session's version, for `If-Match`, absent without a session; a cached value's, for `If-None-Match`.",
    ),
    (
        "Events-Cursor",
        Type::String,
        "The cursor to go on from, of a CloudEvents batch.",
    ),
    (
        "Events-Unreadable",
        Type::String,
        "Offsets of what cannot be read, of a CloudEvents batch.",
    ),
    (
        "Location",
        Type::String,
        "Where the browser reads its session.",
    ),
    (
        "RateLimit",
        Type::String,
        "What is left, and when there is more; absent without a decision.",
    ),
    (
        "RateLimit-Policy",
        Type::String,
        "The limits of the policy; absent without a decision.",
    ),
    (
        "Retry-After",
        Type::Integer,
        "Seconds to wait; absent where waiting does not help.",
    ),
    (
        "Set-Cookie",
        Type::String,
        "The session's cookie when it is new, and cookies to remove.",
    ),
    (
        "WWW-Authenticate",
        Type::String,
        "The scheme of the credentials.",
    ),
    (
        "X-RateLimit-Limit",
        Type::Integer,
        "How much the limit allows; absent without a decision.",
    ),
    (
        "X-RateLimit-Remaining",
        Type::Integer,
        "How much is left; absent without a decision.",
    ),
    (
        "X-RateLimit-Reset",
        Type::Integer,
        "Unix seconds when all is left again; absent without a decision.",
    ),
];

const DECISION: [&str; 5] = [
    "RateLimit",
    "RateLimit-Policy",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
];

/// Those of an answer besides `x-request-id`, `traceparent`, and what is about its body and caches.
fn of(method: &str, path: &str, status: &str) -> Vec<&'static str> {
    let mut names = match (method, path, status) {
        ("get" | "post", "/api/ratelimit", "200" | "429") => DECISION.to_vec(),
        ("post", "/api/sessions", "200" | "201") => vec!["ETag", "Location", "Set-Cookie"],
        ("patch", "/api/session", "200") => vec!["ETag"],
        ("get", "/api/session", "200")
        | ("post", "/api/session/refresh" | "/api/session/step-up", "200") => {
            vec!["ETag", "Set-Cookie"]
        }
        ("delete", "/api/session", "204") => vec!["Clear-Site-Data", "Set-Cookie"],
        ("get", "/api/cache/entries/{key}", "200" | "304") => vec!["Age", "Cache-Status", "ETag"],
        ("get", "/api/cache/entries/{key}", "404") => vec!["Cache-Status"],
        ("get", "/api/events/history", "200") => vec!["Events-Cursor", "Events-Unreadable"],
        // A session that ends, cookies that nobody was given, or that are in each other's way.
        ("delete", "/api/sessions/{id}", "204")
        | (
            _,
            "/api/session"
            | "/api/session/refresh"
            | "/api/session/step-up"
            | "/api/sessions/revoke-others"
            | "/api/sessions/{id}",
            "401" | "429",
        )
        | ("get", "/api/sessions", "401" | "429")
        | ("post", "/api/sessions", "429") => vec!["Set-Cookie"],
        _ => Vec::new(),
    };
    match status {
        "401" => names.push("WWW-Authenticate"),
        "415" => names.push("Accept-Encoding"),
        // The documents of the health routes are no problems.
        "503" if path.ends_with("/health") => {}
        "429" | "503" => names.push("Retry-After"),
        "504" if path.starts_with("/api/events/") => names.push("Retry-After"),
        _ => {}
    }
    names
}

/// Adds them to a description.
pub(super) fn describe(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else {
                    continue;
                };
                for name in of(method, path, status) {
                    let header = Ref::new(format!("#/components/headers/{name}"));
                    response.headers.insert(name.to_owned(), RefOr::Ref(header));
                }
            }
        }
    }
    let components = document.components.get_or_insert_with(Components::new);
    for (name, kind, description) in HEADERS {
        let header = HeaderBuilder::new()
            .schema(Some(Object::with_type(kind)))
            .description(Some(description));
        let header = RefOr::T(header.build());
        components.headers.insert(name.to_owned(), header);
    }
}

/// The operations of a path by their methods.
pub(super) fn operations(
    item: &mut PathItem,
) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let methods = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    let each = methods.into_iter();
    each.filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
