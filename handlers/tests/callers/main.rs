//! Every kind of caller, right and wrong, on every route.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documented;
mod examples;
mod faults;
mod kinds;
mod limits;
mod signatures;
mod table;

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use kinds::{Kind, Verdict, expected};
use restis::{
    Redis,
    events::{Environment, GrantKeys},
    session::{Secrets, SessionConfig},
};
use restis_handlers::{
    AppState, Config, app,
    auth::{Scope, ServiceTokens},
};
use serde_json::{Value, json};
use table::{Access, Organisation, ROUTES, Route};
use tower::ServiceExt as _;

/// Signs the grants that are accepted.
const GRANT_SECRET: &str = "the grant secret of the caller tests";
/// Signs the sessions that are accepted.
const SESSION_SECRET: &str = "the session secret of the caller tests";
/// Signs the requests that are accepted.
const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The organisation that requests name.
const HERE: &str = "acme";
/// Another one.
const ELSEWHERE: &str = "other";

/// The functions over a store of their own.
struct World {
    router: Router,
    redis: Redis,
}

impl World {
    /// Over an empty store.
    async fn new() -> Self {
        let engine = restis_engine::Engine::new(restis_engine::Options::default());
        let world = Self::over(Redis::embedded(engine), Config::default());
        // Something to read, so that a long poll answers at once.
        let uri = format!("/api/events/publish?organisation={HERE}");
        let event = Self::json("POST", &uri, r#"{"type":"booking.created"}"#);
        assert_eq!(world.send(event).await.status(), StatusCode::CREATED);
        let uri = format!("/api/cache/entries/report?organisation={HERE}");
        let entry = Self::json("PUT", &uri, r#"{"value":{"bookings":3}}"#);
        assert_eq!(world.send(entry).await.status(), StatusCode::NO_CONTENT);
        world
    }

    /// Over any store; all worlds accept the same credentials.
    fn over(redis: Redis, config: Config) -> Self {
        let sessions = SessionConfig::new(Secrets::new([SESSION_SECRET]).unwrap());
        Self::with(redis, config, Some(sessions.client_fields(["theme"])))
    }

    fn with(redis: Redis, config: Config, sessions: Option<SessionConfig>) -> Self {
        let signer = json!([{ "name": "signer", "secrets": [SIGNING_SECRET], "scopes": ["*"] }]);
        let mut tokens = ServiceTokens::parse(&signer.to_string())
            .unwrap()
            .with_full_access("root", "ROOT")
            .with("here", "HERE", &Scope::ALL, Some(&[HERE]))
            .with("elsewhere", "ELSEWHERE", &Scope::ALL, Some(&[ELSEWHERE]));
        for scope in Scope::ALL {
            tokens = tokens.with(scope.name(), &kinds::token_of(scope), &[scope], None);
        }
        let keys = GrantKeys::new([GRANT_SECRET], Environment::Development).unwrap();
        let config = Config {
            tokens,
            grant_keys: Some(keys),
            ..config
        };
        let mut state = AppState::builder(redis.clone()).config(config);
        if let Some(sessions) = sessions {
            state = state.sessions(sessions);
        }
        let state = state.build().unwrap();
        Self {
            router: app(state),
            redis,
        }
    }

    fn json(method: &str, uri: &str, body: &'static str) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, "Bearer ROOT")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .unwrap()
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The cookie of a user who has just signed in.
    async fn cookie(&self) -> String {
        let login = Self::json("POST", "/api/sessions", r#"{"user":"u1"}"#);
        let response = self.send(login).await;
        let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    /// How many commands have left for the store.
    fn commands(&self) -> u64 {
        self.redis.metrics().snapshot().batched_commands
    }
}

/// The route's request without credentials.
fn request(route: &Route, organisation: Option<&str>) -> http::request::Builder {
    let mut query = route.query.to_owned();
    let in_query = matches!(
        route.access,
        Access::Reader | Access::Token(_, Organisation::Query)
    );
    if let (true, Some(name)) = (in_query, organisation) {
        query += &format!("&organisation={name}");
    }
    let path = route.path.replace("{id}", "1-1").replace("{user}", "u9");
    let path = path
        .replace("{sender}", "partner")
        .replace("{key}", "report");
    Request::builder()
        .method(route.method)
        .uri(format!("{path}?{}", query.trim_start_matches('&')))
}

fn body(route: &Route, organisation: Option<&str>) -> Option<String> {
    let mut json: Value = serde_json::from_str(route.body?).unwrap();
    let in_body = matches!(
        route.access,
        Access::Token(_, Organisation::Body)
            | Access::Login(_)
            | Access::StepUp(_)
            | Access::Sync(_)
    );
    if let (true, Some(name)) = (in_body, organisation) {
        json["organisation"] = name.into();
    }
    Some(json.to_string())
}

async fn check(world: &World, document: &Value, route: &Route, kind: Kind) {
    let organisation = kind.names_organisation().then_some(HERE);
    let mut request = kind.credentials(world, request(route, organisation)).await;
    let body = body(route, organisation);
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request = kind.signature(request, body.as_deref().unwrap_or_default());
    let before = world.commands();
    let response = world
        .send(
            request
                .body(body.map_or_else(Body::empty, Body::from))
                .unwrap(),
        )
        .await;
    let (head, answer) = response.into_parts();
    let name = format!("{kind:?} on {} {} {}", route.method, route.path, route.when);
    let status = head.status.as_u16();
    let responses = &document["paths"][route.path][route.method.to_lowercase()]["responses"];
    if route.path != "/api/openapi.json" {
        assert!(
            responses.get(status.to_string()).is_some(),
            "{name}: {status} is not described"
        );
    }
    let verdict = expected(route, kind);
    if verdict == Verdict::Passes {
        assert!(
            status < 500 && status != 401 && status != 403 && status != 400,
            "{name}: {status}"
        );
        return;
    }
    assert_eq!(status, verdict.status(), "{name}");
    assert_eq!(
        head.headers[header::CONTENT_TYPE],
        "application/problem+json",
        "{name}"
    );
    assert_eq!(
        head.headers.contains_key(header::WWW_AUTHENTICATE),
        status == 401,
        "{name}"
    );
    assert!(!head.headers.contains_key(header::SET_COOKIE), "{name}");
    let answer = answer.collect().await.unwrap().to_bytes();
    let problem: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(problem["status"], status, "{name}");
    if !kind.is_looked_up() {
        assert_eq!(
            world.commands(),
            before,
            "{name}: the refusal cost a command"
        );
    }
}

#[tokio::test]
async fn every_kind_of_caller_gets_through_where_the_table_says_so() {
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    for route in ROUTES {
        let world = World::new().await;
        assert!(world.commands() > 0);
        for kind in Kind::all() {
            check(&world, &document, route, kind).await;
        }
    }
}

#[test]
fn every_described_route_is_in_the_table_with_its_credentials() {
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = method.to_uppercase();
            let row = ROUTES
                .iter()
                .find(|r| r.path == path && r.method == method)
                .unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            let described: Vec<&str> = operation["security"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|s| {
                    s.as_object()
                        .unwrap()
                        .keys()
                        .next()
                        .map_or("", String::as_str)
                })
                .collect();
            let wanted: &[&str] = match row.access {
                Access::Anyone | Access::Signature => &[],
                Access::AnyoneWithoutWrongToken | Access::Login(_) => &["", "service_token"],
                Access::StepUp(_) => &["service_token", "session_cookie"],
                Access::Token(..) => &["service_token"],
                Access::Sync(_) => &["service_token", "grant"],
                Access::Reader => &["service_token", "grant", "grant_in_query"],
                Access::Browser => &["session_cookie"],
                Access::BrowserOrNone => &["", "session_cookie"],
            };
            assert_eq!(described, wanted, "{method} {path}");
        }
    }
    for route in ROUTES.iter().filter(|r| r.path != "/api/openapi.json") {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        assert!(
            operation.is_object(),
            "{} {} is no route",
            route.method,
            route.path
        );
    }
}

/// `RESTIS_WRITE_DOCS=1` writes the table instead.
#[test]
fn the_documented_table_is_the_tested_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/API.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("<!-- callers -->\n").unwrap();
    let (table, after) = rest.split_once("<!-- /callers -->").unwrap();
    if std::env::var_os("RESTIS_WRITE_DOCS").is_some() {
        let table = table::markdown();
        let text = format!("{before}<!-- callers -->\n{table}<!-- /callers -->{after}");
        std::fs::write(path, text).unwrap();
        return;
    }
    assert!(
        table == table::markdown(),
        "docs/reference/API.md differs: run this test with RESTIS_WRITE_DOCS=1"
    );
}
