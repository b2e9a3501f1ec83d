//! Every route and who may call it: the table of docs/reference/API.md.

use super::kinds::{Kind, Verdict, expected};
use restis_handlers::auth::Scope;

/// Who a route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everyone.
    Anyone,
    /// Everyone, but a token that is sent must be an accepted one.
    AnyoneWithoutWrongToken,
    /// A service token with all of these scopes.
    Token(&'static [Scope], Organisation),
    /// A service token with `events:read`, or a grant.
    Reader,
    /// A service token with all of these scopes, or a grant in the header.
    Sync(&'static [Scope]),
    /// Whoever signs the body.
    Signature,
    /// A service token with all of these scopes, or an assertion in the body.
    Login(&'static [Scope]),
    /// The same, beside the cookie of a live session.
    StepUp(&'static [Scope]),
    /// A browser with a live session.
    Browser,
    /// A browser with or without a session.
    BrowserOrNone,
}

/// Where a request names the organisation that it acts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Organisation {
    Query,
    Body,
    /// Nowhere: the route is for tokens of all organisations.
    All,
}

/// A route and a request that a rightful caller gets through with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// As in the API description.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    /// Without the organisation.
    pub(crate) query: &'static str,
    /// JSON, without the organisation.
    pub(crate) body: Option<&'static str>,
    /// What is special about this request of the route.
    pub(crate) when: &'static str,
}

const fn route(method: &'static str, path: &'static str, access: Access) -> Route {
    Route {
        method,
        path,
        access,
        query: "",
        body: None,
        when: "",
    }
}

impl Route {
    const fn query(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }

    const fn body(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self
    }

    const fn when(mut self, when: &'static str) -> Self {
        self.when = when;
        self
    }
}

use Access::{
    Anyone, AnyoneWithoutWrongToken, Browser, BrowserOrNone, Login, Reader, Signature, StepUp,
    Sync, Token,
};
use Organisation::{All, Body, Query};

const EVENT: &str = r#"{"type":"booking.created","data":{}}"#;

pub(crate) const ROUTES: &[Route] = &[
    route("GET", "/api/openapi.json", Anyone),
    route("GET", "/api/health", Anyone),
    route("GET", "/api/metrics", Token(&[Scope::Metrics], All)),
    route("GET", "/api/metrics/alerts", Token(&[Scope::Metrics], All)),
    route(
        "POST",
        "/api/ratelimit",
        Token(&[Scope::RateLimitCheck], Body),
    )
    .body(r#"{"identifier":"alice"}"#),
    route(
        "GET",
        "/api/ratelimit",
        Token(&[Scope::RateLimitCheck], Query),
    )
    .query("identifier=alice"),
    route(
        "DELETE",
        "/api/ratelimit",
        Token(&[Scope::RateLimitAdmin], Query),
    )
    .query("identifier=alice"),
    route(
        "GET",
        "/api/ratelimit/usage",
        Token(&[Scope::RateLimitAdmin], All),
    ),
    route("POST", "/api/sessions", Login(&[Scope::SessionCreate])).body(r#"{"user":"u1"}"#),
    route("GET", "/api/session", BrowserOrNone),
    route("PATCH", "/api/session", Browser).body(r#"{"theme":"dark"}"#),
    route("DELETE", "/api/session", BrowserOrNone),
    route("POST", "/api/session/refresh", Browser),
    route(
        "POST",
        "/api/session/step-up",
        StepUp(&[Scope::SessionCreate]),
    )
    .body(r#"{"user":"u1","methods":["totp"]}"#),
    route("GET", "/api/sessions", Browser),
    route(
        "GET",
        "/api/sessions/active",
        Token(&[Scope::SessionAdmin], All),
    ),
    route("POST", "/api/sessions/revoke-others", Browser),
    route("DELETE", "/api/sessions/{id}", Browser),
    route(
        "GET",
        "/api/users/{user}/epoch",
        Token(&[Scope::SessionCreate], Query),
    ),
    route(
        "POST",
        "/api/sessions/revoke-all",
        Token(&[Scope::SessionAdmin], All),
    ),
    route(
        "GET",
        "/api/users/{user}/sessions",
        Token(&[Scope::SessionAdmin], Query),
    ),
    route(
        "DELETE",
        "/api/users/{user}/sessions",
        Token(&[Scope::SessionAdmin], Query),
    ),
    route(
        "DELETE",
        "/api/users/{user}/sessions/{id}",
        Token(&[Scope::SessionAdmin], Query),
    ),
    route(
        "POST",
        "/api/events/publish",
        Token(&[Scope::EventsPublish], Query),
    )
    .body(EVENT),
    route("GET", "/api/events/history", Reader),
    route("GET", "/api/events/poll", Reader),
    route("GET", "/api/events/stream", Reader),
    route("POST", "/api/events/sync", Sync(&[Scope::EventsRead]))
        .body(r#"{"client":"phone-1","epoch":1}"#),
    route(
        "POST",
        "/api/events/sync",
        Sync(&[Scope::EventsRead, Scope::EventsPublish]),
    )
    .body(r#"{"client":"phone-1","epoch":1,"first":1,"events":[{"type":"note.added","id":"1"}]}"#)
    .when("with `events`"),
    route(
        "POST",
        "/api/events/grants",
        Token(&[Scope::EventsAdmin], Body),
    )
    .body(r#"{"types":["booking.*"],"subject":"u1"}"#),
    route("GET", "/api/events/dlq", Token(&[Scope::EventsAdmin], All)),
    route(
        "GET",
        "/api/events/dlq/{id}",
        Token(&[Scope::EventsAdmin], All),
    ),
    route(
        "POST",
        "/api/events/dlq/redrive",
        Token(&[Scope::EventsAdmin], All),
    )
    .body(r#"{"oldest":1}"#),
    route(
        "POST",
        "/api/events/dlq/purge",
        Token(&[Scope::EventsAdmin], All),
    )
    .body(r#"{"oldest":1}"#),
    route(
        "POST",
        "/api/events/coordination",
        Token(&[Scope::EventsPublish], All),
    )
    .body(r#"{"changed":"prices"}"#),
    route("POST", "/api/events/webhooks/{sender}", Signature).body(EVENT),
    route(
        "POST",
        "/api/events/work",
        Token(&[Scope::EventsAdmin], All),
    ),
    route("GET", "/api/events/work", Token(&[Scope::EventsAdmin], All)),
    route("GET", "/api/events/health", AnyoneWithoutWrongToken),
    route(
        "GET",
        "/api/cache/entries/{key}",
        Token(&[Scope::CacheRead], Query),
    ),
    route(
        "PUT",
        "/api/cache/entries/{key}",
        Token(&[Scope::CacheWrite], Query),
    )
    .body(r#"{"value":{"bookings":3}}"#),
    route(
        "DELETE",
        "/api/cache/entries/{key}",
        Token(&[Scope::CacheWrite], Query),
    ),
    route("POST", "/api/cache/mget", Token(&[Scope::CacheRead], Body))
        .body(r#"{"keys":["report"]}"#),
    route(
        "POST",
        "/api/cache/invalidate",
        Token(&[Scope::CacheWrite], Body),
    )
    .body(r#"{"keys":["report"],"mode":"expire"}"#),
    route("POST", "/api/cache/warm", Token(&[Scope::CacheWrite], Body))
        .body(r#"{"entries":[{"key":"report","value":{"bookings":3}}]}"#),
    route("GET", "/api/cache/metrics", Token(&[Scope::Metrics], All)),
    route("GET", "/cache/redis/metrics", Token(&[Scope::Metrics], All)),
];

/// The table as docs/reference/API.md shows it.
pub(crate) fn markdown() -> String {
    let mut text = String::from(
        "| route | service token with | bound to organisations | another organisation's token | grant | session cookie | nobody |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for route in ROUTES {
        let when = if route.when.is_empty() {
            String::new()
        } else {
            format!(" {}", route.when)
        };
        let scopes = |scopes: &[Scope]| {
            let names: Vec<_> = scopes.iter().map(|s| format!("`{}`", s.name())).collect();
            names.join(" and ")
        };
        let elsewhere = match expected(route, Kind::BoundElsewhere) {
            Verdict::Passes => "as nobody".to_owned(),
            refused => refused.status().to_string(),
        };
        let safe = route.method == "GET";
        let (token, bound, grant, cookie, nobody) = match route.access {
            Anyone => ("any".to_owned(), "yes", "yes", "yes", "yes"),
            AnyoneWithoutWrongToken => ("any".to_owned(), "yes", "no", "yes", "yes"),
            Token(needed, Query) => (scopes(needed), "named in the query", "no", "no", "no"),
            Token(needed, Body) => (scopes(needed), "named in the body", "no", "no", "no"),
            Token(needed, All) => (scopes(needed), "no", "no", "no", "no"),
            Reader => (
                scopes(&[Scope::EventsRead]),
                "named in the query",
                "its own",
                "no",
                "no",
            ),
            Sync(needed) => {
                let grant = if when.is_empty() {
                    "its own"
                } else {
                    "its own, with `publish`"
                };
                (scopes(needed), "named in the body", grant, "no", "no")
            }
            Login(needed) => (
                scopes(needed),
                "named in the body",
                "no",
                "no",
                "with a login assertion",
            ),
            StepUp(needed) => (
                format!("{} and the cookie", scopes(needed)),
                "named in the body",
                "no",
                "live, same site, with a login assertion",
                "no",
            ),
            Signature => (
                "no; the sender's signature".to_owned(),
                "no",
                "no",
                "no",
                "no",
            ),
            Browser if safe => ("no".to_owned(), "no", "no", "live", "no"),
            Browser => ("no".to_owned(), "no", "no", "live, same site", "no"),
            BrowserOrNone if safe => ("–".to_owned(), "–", "–", "yes", "yes"),
            BrowserOrNone => ("–".to_owned(), "–", "–", "same site", "yes"),
        };
        text += &format!(
            "| `{} {}`{when} | {token} | {bound} | {elsewhere} | {grant} | {cookie} | {nobody} |\n",
            route.method, route.path
        );
    }
    text
}
