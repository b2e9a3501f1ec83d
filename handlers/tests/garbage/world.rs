//! The functions over a store of their own, and rightful requests to every route of them.

use crate::support::{SERVICE_TOKEN, calls::post};
use axum::{Router, body::Body};
use http::{Request, header};
use http_body_util::BodyExt as _;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
    session::{Secrets, SessionConfig},
};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, Config, app};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The organisation whose keys are damaged, and one that must not notice.
pub(crate) const HERE: &str = "acme";
pub(crate) const ELSEWHERE: &str = "other";

/// The functions over a store of their own.
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) redis: Redis,
}

impl World {
    pub(crate) async fn new() -> Self {
        let redis = Redis::embedded(Engine::new(Options::default()));
        let senders = json!({ "partner": { "secrets": [SECRET], "organisation": HERE } });
        let endpoints = json!([{ "name": "sister", "url": "http://127.0.0.1:9/", "secrets": [SECRET], "types": ["*"], "private": true }]);
        let policies = json!({
            "default": { "algorithm": "fixed-window", "limit": 1000, "window": "1h", "analytics": true, "protection": true, "dynamic": true },
            "sliding": { "algorithm": "sliding-window", "limit": 1000, "window": "1h" },
            "bucket": { "algorithm": "token-bucket", "refill": 1000, "interval": "1h", "capacity": 1000 },
            "gcra": { "algorithm": "gcra", "limit": 1000, "period": "1h", "burst": 1000 },
            "month": { "algorithm": "calendar", "limit": 1000, "period": "month" },
        });
        let vars = [
            ("RESTIS_SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
            ("EVENTS_INCOMING_WEBHOOKS", senders.to_string()),
            ("EVENTS_WEBHOOKS", endpoints.to_string()),
            (
                "EVENTS_GRANT_SECRETS",
                "the grant secret of the garbage tests".to_owned(),
            ),
            ("RATE_LIMIT_POLICIES", policies.to_string()),
            ("REQUEST_TIMEOUT", "3000".to_owned()),
            ("METRICS_FLUSH_SECONDS", "10".to_owned()),
        ];
        let of = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|v| v.1.clone());
        let sessions = SessionConfig::new(Secrets::random().unwrap()).client_fields(["*"]);
        let state = AppState::builder(redis.clone()).config(Config::from_vars(of).unwrap());
        let router = app(state.sessions(sessions).build().unwrap());
        let world = Self { router, redis };
        world.every_route(HERE, "/api").await;
        world.every_route(ELSEWHERE, "/api").await;
        world
    }

    /// The status of an answer, and what it says; a stream is not read.
    async fn send(&self, request: Request<Body>) -> (u16, String, Option<String>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let cookie = response.headers().get(header::SET_COOKIE);
        let cookie = cookie.map(|c| c.to_str().unwrap().split(';').next().unwrap().to_owned());
        let streams = response
            .headers()
            .get("content-type")
            .is_some_and(|t| t == "text/event-stream");
        if streams {
            return (status, String::new(), cookie);
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned(), cookie)
    }

    /// Calls every route as rightful callers of an organisation do; the answers by their request.
    pub(crate) async fn every_route(
        &self,
        organisation: &str,
        routes: &str,
    ) -> Vec<(String, u16, String)> {
        let o = organisation;
        let mut answers = Vec::new();
        let login = json!({ "user": format!("u-{o}"), "organisation": o, "methods": ["password"], "device": "d1" });
        let (status, body, cookie) = self.send(token("POST", "/api/sessions", &login)).await;
        answers.push(("POST /api/sessions".to_owned(), status, body));
        let cookie = cookie.unwrap_or_default();
        let browser = |method: &str, uri: &str, body: Value| {
            let request = Request::builder()
                .method(method)
                .uri(uri)
                .header("cookie", cookie.as_str());
            let request = request
                .header("sec-fetch-site", "same-origin")
                .header("content-type", "application/json");
            request
                .body(if body.is_null() {
                    Body::empty()
                } else {
                    Body::from(body.to_string())
                })
                .unwrap()
        };
        let event = json!({ "type": "booking.created", "data": { "n": 1 } });
        let mut requests = vec![
            token("GET", "/api/health", &Value::Null),
            token("GET", "/api/metrics", &Value::Null),
            token("GET", "/api/metrics?view=all", &Value::Null),
            token("GET", "/api/metrics/alerts", &Value::Null),
            browser("GET", "/api/session", Value::Null),
            browser("PATCH", "/api/session", json!({ "theme": "dark" })),
            browser("POST", "/api/session/refresh", Value::Null),
            browser("GET", "/api/sessions", Value::Null),
            browser("DELETE", "/api/sessions/none", Value::Null),
            token("GET", "/api/sessions/active", &Value::Null),
            token(
                "GET",
                &format!("/api/users/u-{o}/epoch?organisation={o}"),
                &Value::Null,
            ),
            token("GET", &format!("/api/users/u-{o}/sessions"), &Value::Null),
            token(
                "GET",
                &format!("/api/users/u-{o}/sessions?organisation={o}"),
                &Value::Null,
            ),
            token(
                "POST",
                &format!("/api/events/publish?organisation={o}"),
                &event,
            ),
            token(
                "POST",
                &format!("/api/events/publish?organisation={o}"),
                &json!([event, { "type": "a.b", "id": "same" }]),
            ),
            keyed(o, &event),
            keyed(o, &event),
            token(
                "GET",
                &format!("/api/events/history?organisation={o}&since=2026-01-01T00:00:00Z"),
                &Value::Null,
            ),
            token(
                "GET",
                &format!("/api/events/history?organisation={o}&until=9999999999999"),
                &Value::Null,
            ),
            token(
                "GET",
                &format!("/api/events/poll?organisation={o}&after=0-0"),
                &Value::Null,
            ),
            token(
                "GET",
                &format!("/api/events/stream?organisation={o}"),
                &Value::Null,
            ),
            token(
                "POST",
                "/api/events/sync",
                &json!({ "client": "phone", "epoch": 1, "first": 1, "organisation": o,
                "events": [{ "type": "note.added", "id": "1" }] }),
            ),
            token(
                "POST",
                "/api/events/grants",
                &json!({ "types": ["*"], "organisation": o }),
            ),
            token("POST", "/api/events/work", &Value::Null),
            token("GET", "/api/events/dlq", &Value::Null),
            token("GET", "/api/events/dlq/1-1", &Value::Null),
            token("POST", "/api/events/dlq/redrive", &json!({ "oldest": 500 })),
            token(
                "POST",
                "/api/events/coordination",
                &json!({ "changed": "prices" }),
            ),
            token("GET", "/api/events/health?hours=2", &Value::Null),
            token("GET", "/api/ratelimit/usage", &Value::Null),
            token("GET", "/api/cache/metrics", &Value::Null),
            token(
                "POST",
                "/api/cache/invalidate",
                &json!({ "mode": "expire" }),
            ),
        ];
        let entry = format!("/api/cache/entries/report?organisation={o}");
        let of = |body: Value| {
            let mut body = body;
            body["organisation"] = o.into();
            body
        };
        for mode in ["expire", "remove"] {
            let all = of(json!({ "mode": mode }));
            requests.push(token("POST", "/api/cache/invalidate", &all));
            requests.push(token("PUT", &entry, &json!({ "value": 1 })));
            requests.push(token("GET", &entry, &Value::Null));
            let keys = of(json!({ "keys": ["report"] }));
            requests.push(token("POST", "/api/cache/mget", &keys));
            let keys = of(json!({ "keys": ["report"], "mode": mode }));
            requests.push(token("POST", "/api/cache/invalidate", &keys));
            requests.push(token("PUT", &entry, &json!({ "value": 2 })));
            let warm = of(json!({ "entries": [{ "key": "report", "value": 3, "tags": ["t"] }] }));
            requests.push(token("POST", "/api/cache/warm", &warm));
        }
        for policy in ["default", "sliding", "bucket", "gcra", "month"] {
            let ask = json!({ "identifier": "alice", "policy": policy, "organisation": o });
            requests.push(token("POST", "/api/ratelimit", &ask));
            let uri = format!("/api/ratelimit?identifier=alice&policy={policy}&organisation={o}");
            requests.push(token("GET", &uri, &Value::Null));
        }
        if o == HERE {
            requests.push(webhook(&event));
        } else {
            let notable = [
                "publish",
                "history",
                "stream",
                "sync",
                "work",
                "cache/entries",
                "POST /api/ratelimit",
                "epoch",
            ];
            requests.retain(|request| {
                let name = format!("{} {}", request.method(), request.uri());
                notable.iter().any(|part| name.contains(part))
            });
        }
        requests.retain(|request| request.uri().path().starts_with(routes));
        for request in requests {
            let name = format!("{} {}", request.method(), request.uri());
            let (status, body, _) = self.send(request).await;
            answers.push((name, status, body));
        }
        answers
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.redis.command("KEYS").arg("*").query().await.unwrap();
        names.sort();
        names
    }
}

pub(crate) fn token(method: &str, uri: &str, body: &Value) -> Request<Body> {
    let request = Request::builder().method(method).uri(uri);
    let request = request.header("authorization", format!("Bearer {SERVICE_TOKEN}"));
    let request = request.header("content-type", "application/json");
    request
        .body(if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        })
        .unwrap()
}

fn keyed(organisation: &str, event: &Value) -> Request<Body> {
    let uri = format!("/api/events/publish?organisation={organisation}");
    let request = post(&uri, SERVICE_TOKEN).header("idempotency-key", "k");
    request.body(Body::from(event.to_string())).unwrap()
}

fn webhook(body: &Value) -> Request<Body> {
    let at = SystemClock::new().now_ms() / 1000;
    let keys = WebhookKeys::new([SECRET]).unwrap();
    let request = Request::post("/api/events/webhooks/partner")
        .header("content-type", "application/json")
        .header("webhook-id", "m1")
        .header("webhook-timestamp", at.to_string())
        .header(
            "webhook-signature",
            keys.sign("m1", at, body.to_string().as_bytes()),
        );
    request.body(Body::from(body.to_string())).unwrap()
}

/// Answers of a request differ in what they say, not in their status.
pub(crate) fn statuses(answers: &[(String, u16, String)]) -> Vec<(String, u16)> {
    answers
        .iter()
        .map(|(name, status, _)| (name.clone(), *status))
        .collect()
}
