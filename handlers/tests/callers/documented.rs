//! The headers and members of every answer are those of the API description and of docs/reference/API.md.

use super::{
    HERE, SESSION_SECRET, World, body,
    faults::{Fault, rightful},
    kinds::Kind,
    request,
    table::{Access, ROUTES, Route},
};
use axum::body::Body;
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt as _;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    session::{Assertion, AssertionKeys, Secrets, SessionConfig},
};
use restis_engine::{Engine, Options};
use restis_handlers::Config;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const LOGIN_SECRET: &str = "the login secret of the caller tests";

/// What every answer may have: about its body, for caches, and to find it in a log.
const GENERAL: [&str; 8] = [
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "traceparent",
    "vary",
    "x-accel-buffering",
    "x-request-id",
];

/// What every answer of some statuses has, whatever the route.
const BY_STATUS: [&str; 3] = ["accept-encoding", "retry-after", "www-authenticate"];

/// Method, path and status.
type Answer = (String, String, u16);

/// Which headers answers had.
struct Seen {
    document: Value,
    headers: BTreeMap<Answer, BTreeSet<String>>,
}

impl Seen {
    fn new() -> Self {
        Self {
            document: serde_json::to_value(restis_handlers::document()).unwrap(),
            headers: BTreeMap::new(),
        }
    }

    /// Sends a request of a route and holds its answer to the documents.
    async fn send(&mut self, world: &World, route: &Route, request: Request<Body>) -> HeaderMap {
        let name = format!("{} {} {}", route.method, route.path, route.when);
        let (head, answer) = world.send(request).await.into_parts();
        let status = head.status.as_u16();
        let of_type = |kind: &str| {
            let given = head.headers.get(header::CONTENT_TYPE);
            given.is_some_and(|given| given == kind)
        };
        let problem = of_type("application/problem+json");
        let value = if problem || of_type("application/json") {
            let text = answer.collect().await.unwrap().to_bytes();
            serde_json::from_slice(&text).unwrap()
        } else {
            Value::Null
        };
        // docs/reference/API.md: "Every answer has `x-request-id`".
        assert!(
            head.headers.contains_key("x-request-id"),
            "{name}: {status}"
        );
        let has = |wanted: &str| head.headers.contains_key(wanted);
        // "Every failure is a problem document", but what health says of itself.
        let health = route.path.ends_with("/health") && status == 503;
        assert_eq!(problem, status >= 400 && !health, "{name}: {status}");
        if problem {
            for member in ["type", "title", "code"] {
                assert!(value[member].is_string(), "{name}: {value}");
            }
            assert_eq!(value["status"], status, "{name}");
            let code = value["code"].as_str().unwrap();
            assert_eq!(
                value["type"],
                format!("urn:restis:problem:{code}"),
                "{name}"
            );
            // "401 has `WWW-Authenticate`; 429 and 503 have `Retry-After`", and where they have not.
            assert_eq!(has("www-authenticate"), status == 401, "{name}: {value}");
            let waits = match status {
                429 => code == "rate-limited" && value.get("retry_after_ms") != Some(&Value::Null),
                503 => !matches!(code, "sessions-off" | "history-off"),
                504 => code == "outcome-unknown",
                _ => false,
            };
            assert_eq!(has("retry-after"), waits, "{name}: {value}");
        }
        let responses = &self.document["paths"][route.path][route.method.to_lowercase()];
        if route.path != "/api/openapi.json" {
            let described = &responses["responses"][status.to_string()];
            assert!(described.is_object(), "{name}: {status} is not described");
            let schema = &described["content"]["application/json"]["schema"];
            if of_type("application/json") {
                let mut wrong = Vec::new();
                compare(&self.document, schema, &value, "", !health, &mut wrong);
                assert!(wrong.is_empty(), "{name}: {status}: {wrong:?} in {value}");
            }
        }
        let names = head.headers.keys().map(|name| name.as_str().to_owned());
        let own = names.filter(|name| !GENERAL.contains(&name.as_str()));
        let answer = (route.method.to_lowercase(), route.path.to_owned(), status);
        self.headers.entry(answer).or_default().extend(own);
        head.headers
    }

    /// The headers that the description names for an answer.
    fn described(&self, (method, path, status): &Answer) -> BTreeSet<String> {
        let response = &self.document["paths"][path][method]["responses"][status.to_string()];
        let names = response["headers"].as_object().into_iter().flatten();
        names.map(|(name, _)| name.to_lowercase()).collect()
    }
}

/// Where a value differs from its schema: types, members that are missing, and those not described.
fn compare(
    document: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
    closed: bool,
    wrong: &mut Vec<String>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return compare(document, target, value, at, closed, wrong);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = |choice: &Value| {
            let mut wrong = Vec::new();
            compare(document, choice, value, at, closed, &mut wrong);
            wrong.is_empty()
        };
        if !choices.iter().any(fits) {
            wrong.push(format!("{at} is none of the choices"));
        }
        return;
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !(kinds.contains(&is) || is == "integer" && kinds.contains(&"number")) {
        wrong.push(format!("{at} is {is}, not {kinds:?}"));
    }
    for each in value.as_array().into_iter().flatten() {
        compare(
            document,
            &schema["items"],
            each,
            &format!("{at}[]"),
            closed,
            wrong,
        );
    }
    let Some(members) = value.as_object() else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !members.contains_key(name.as_str().unwrap()) {
            wrong.push(format!("{at}.{name} is missing"));
        }
    }
    let more = &schema["additionalProperties"];
    for (name, value) in members {
        let at = format!("{at}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => compare(document, schema, value, &at, closed, wrong),
            None if more.is_object() => compare(document, more, value, &at, closed, wrong),
            // An object without members described holds what it likes.
            None if closed && schema["properties"].is_object() && !more.is_boolean() => {
                wrong.push(format!("{at} is not described"));
            }
            None => {}
        }
    }
}

fn route(method: &str, path: &str) -> &'static Route {
    let found = ROUTES.iter().find(|r| r.method == method && r.path == path);
    found.unwrap()
}

/// A request by a full token with further headers, and any body.
fn by_token(method: &str, uri: &str, headers: &[(&str, &str)], body: &Value) -> Request<Body> {
    let request = Request::builder().method(method).uri(uri);
    let request = request.header(header::AUTHORIZATION, "Bearer ROOT");
    let mut request = request.header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Value::Null => Body::empty(),
        body => body.to_string().into(),
    };
    request.body(body).unwrap()
}

/// A request by a page of the site that has this cookie.
fn by_browser(method: &str, uri: &str, cookie: &str, body: &Value) -> Request<Body> {
    let mut request = by_token(method, uri, &[("cookie", cookie)], body);
    request.headers_mut().remove(header::AUTHORIZATION);
    let site = http::HeaderValue::from_static("same-origin");
    request.headers_mut().insert("sec-fetch-site", site);
    request
}

fn redis() -> Redis {
    Redis::embedded(Engine::new(Options::default()))
}

fn sessions() -> SessionConfig {
    let sessions = SessionConfig::new(Secrets::new([SESSION_SECRET]).unwrap());
    sessions.client_fields(["theme"])
}

fn config(vars: &[(&str, &str)]) -> Config {
    let of = |name: &str| vars.iter().find(|(n, _)| *n == name);
    Config::from_vars(|name| of(name).map(|(_, value)| (*value).to_owned())).unwrap()
}

/// Every kind of caller on every route.
async fn callers(seen: &mut Seen) {
    for route in ROUTES {
        let world = World::new().await;
        for kind in Kind::all() {
            let organisation = kind.names_organisation().then_some(HERE);
            let mut request = kind.credentials(&world, request(route, organisation)).await;
            let body = body(route, organisation);
            if body.is_some() {
                request = request.header(header::CONTENT_TYPE, "application/json");
            }
            request = kind.signature(request, body.as_deref().unwrap_or_default());
            let body = body.map_or_else(Body::empty, Body::from);
            seen.send(&world, route, request.body(body).unwrap()).await;
        }
    }
}

/// A store that is away, and what the operator has switched off.
async fn refusals(seen: &mut Seen) {
    let healthy = World::new().await;
    let own = Some(sessions());
    let off = config(&[("ENABLE_REDIS_EVENTS", "false")]);
    let worlds = [
        World::with(Fault::Away.store(), config(&[]), own.clone()),
        World::with(Fault::Gateway.store(), config(&[]), own.clone()),
        World::with(redis(), off, None),
    ];
    for world in &worlds {
        for route in ROUTES {
            if let Some(request) = rightful(&healthy, route).await {
                seen.send(world, route, request).await;
            }
        }
    }
    // A client that presents cookies nobody was given.
    let config = config(&[
        ("SESSION_MAX_INVALID_COOKIES", "1"),
        ("SESSION_LOGIN_SECRETS", LOGIN_SECRET),
    ]);
    let world = World::with(redis(), config, own);
    for route in ROUTES {
        if matches!(
            route.access,
            Access::Browser | Access::BrowserOrNone | Access::StepUp(_)
        ) {
            for given in ["__Host-sid=one; __Host-sid=two", "__Host-sid=three"] {
                for world in [&healthy, &world] {
                    let mut request = by_browser(
                        route.method,
                        route.path,
                        given,
                        &route
                            .body
                            .map_or(Value::Null, |body| serde_json::from_str(body).unwrap()),
                    );
                    if matches!(route.access, Access::StepUp(_)) {
                        let body = json!({ "user": "u1" });
                        request = by_token("POST", route.path, &[("cookie", given)], &body);
                    }
                    seen.send(world, route, request).await;
                }
            }
        }
    }
    let keys = AssertionKeys::new([LOGIN_SECRET]).unwrap();
    for route in ["/api/sessions", "/api/session/step-up"].map(|path| route("POST", path)) {
        let now = SystemClock::new().now_ms();
        let assertion = keys.sign(&Assertion::user("u1").unwrap(), now);
        let body = json!({ "assertion": assertion });
        let request = by_browser("POST", route.path, "__Host-sid=four", &body);
        seen.send(&world, route, request).await;
    }
    // Bodies that are compressed, or of another type.
    for route in ROUTES.iter().filter(|route| route.body.is_some()) {
        for (name, value) in [("content-encoding", "gzip"), ("content-type", "text/plain")] {
            let Some(mut request) = rightful(&healthy, route).await else {
                continue;
            };
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
            seen.send(&healthy, route, request).await;
        }
    }
}

/// Headers that an answer has only in a case of its own.
async fn cases(seen: &mut Seen) {
    let policies = json!({
        "default": { "algorithm": "fixed-window", "limit": 2, "window": "1h" },
        "listed": { "algorithm": "fixed-window", "limit": 2, "window": "1h", "protection": true },
    });
    let config = config(&[("RATE_LIMIT_POLICIES", &policies.to_string())]);
    // The identifier is always due to be renewed.
    let own = sessions().rotate_every(Duration::ZERO);
    let world = World::with(redis(), config, Some(own));

    for (method, key, headers) in [
        ("PUT", "report", &[][..]),
        ("GET", "report", &[][..]),
        ("GET", "report", &[("if-none-match", "*")][..]),
        ("GET", "missing", &[][..]),
    ] {
        let body = match method {
            "PUT" => json!({ "value": { "bookings": 3 } }),
            _ => Value::Null,
        };
        let request = by_token(method, &format!("/api/cache/entries/{key}"), headers, &body);
        let entry = route(method, "/api/cache/entries/{key}");
        seen.send(&world, entry, request).await;
    }

    let deny = world
        .redis
        .command("SADD")
        .arg("ratelimit:listed:denyList:all")
        .arg("eve");
    let _: i64 = deny.query().await.unwrap();
    let check = route("POST", "/api/ratelimit");
    for (ask, waits) in [
        (json!({ "identifier": "a", "cost": 2 }), false),
        (json!({ "identifier": "a" }), true),
        (json!({ "identifier": "a", "cost": 3 }), false),
        (json!({ "identifier": "eve", "policy": "listed" }), false),
    ] {
        let request = by_token("POST", check.path, &[], &ask);
        let headers = seen.send(&world, check, request).await;
        assert_eq!(headers.contains_key("retry-after"), waits, "{ask}");
        let decided = !ask.to_string().contains("eve");
        assert_eq!(headers.contains_key("ratelimit"), decided, "{ask}");
    }

    let create = route("POST", "/api/sessions");
    let mut cookie = String::new();
    for _ in 0..2 {
        let key = [("idempotency-key", "login-1")];
        let request = by_token("POST", create.path, &key, &json!({ "user": "u1" }));
        let headers = seen.send(&world, create, request).await;
        let set = headers[header::SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().clone_into(&mut cookie);
    }
    let none = Value::Null;
    let theme = json!({ "theme": "dark" });
    for (method, path, body) in [
        ("GET", "/api/session", &none),
        ("PATCH", "/api/session", &theme),
        ("POST", "/api/session/refresh", &none),
    ] {
        let request = by_browser(method, path, &cookie, body);
        seen.send(&world, route(method, path), request).await;
    }
    let step_up = route("POST", "/api/session/step-up");
    let proof = json!({ "user": "u1", "methods": ["totp"] });
    let request = by_token("POST", step_up.path, &[("cookie", &cookie)], &proof);
    let headers = seen.send(&world, step_up, request).await;
    let set = headers[header::SET_COOKIE].to_str().unwrap();
    let cookie = set.split(';').next().unwrap();
    let listed = route("GET", "/api/sessions");
    let request = by_browser("GET", listed.path, cookie, &none);
    let answer = world
        .send(request)
        .await
        .into_body()
        .collect()
        .await
        .unwrap();
    let list: Value = serde_json::from_slice(&answer.to_bytes()).unwrap();
    let path = format!("/api/sessions/{}", list[0]["id"].as_str().unwrap());
    let request = by_browser("DELETE", &path, cookie, &none);
    seen.send(&world, route("DELETE", "/api/sessions/{id}"), request)
        .await;
    let logout = by_browser("DELETE", "/api/session?clear=site-data", cookie, &none);
    seen.send(&world, route("DELETE", "/api/session"), logout)
        .await;

    let publish = route("POST", "/api/events/publish");
    let request = by_token("POST", publish.path, &[], &json!({ "type": "a.b" }));
    seen.send(&world, publish, request).await;
    let names: Vec<String> = world
        .redis
        .command("KEYS")
        .arg("*:history")
        .query()
        .await
        .unwrap();
    let foreign = world
        .redis
        .command("XADD")
        .arg(&names[0])
        .args(["2-0", "d", "x"]);
    let _: String = foreign.query().await.unwrap();
    // It ends with the last event that was published.
    let request = by_token("POST", publish.path, &[], &json!({ "type": "a.b" }));
    seen.send(&world, publish, request).await;
    let history = route("GET", "/api/events/history");
    let batch = [("accept", "application/cloudevents-batch+json")];
    let uri = format!("{}?since=2026-01-01T00:00:00Z", history.path);
    let request = by_token("GET", &uri, &batch, &none);
    seen.send(&world, history, request).await;
}

#[tokio::test]
async fn every_answer_has_the_headers_and_members_that_are_described() {
    let mut seen = Seen::new();
    callers(&mut seen).await;
    refusals(&mut seen).await;
    cases(&mut seen).await;
    let mut wrong = Vec::new();
    for (answer, headers) in &seen.headers {
        let described = seen.described(answer);
        if *headers != described {
            wrong.push(format!(
                "{answer:?} has {headers:?}, described are {described:?}"
            ));
        }
    }
    // Nothing is promised that no answer here has shown.
    for (path, operations) in seen.document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                let answer = (method.clone(), path.clone(), status.parse().unwrap());
                // What hangs on the status alone was held to it in every answer.
                let mut own = seen.described(&answer);
                own.retain(|name| !BY_STATUS.contains(&name.as_str()));
                if !seen.headers.contains_key(&answer) && !own.is_empty() {
                    wrong.push(format!("{answer:?} was not seen"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
