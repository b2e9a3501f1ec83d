//! What another program writes under the keys of docs/reference/KEYS.md: every type and shape, then every route.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

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
use support::{SERVICE_TOKEN, calls::post};
use tower::ServiceExt as _;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The organisation whose keys are damaged, and one that must not notice.
const HERE: &str = "acme";
const ELSEWHERE: &str = "other";

/// The functions over a store of their own.
struct World {
    router: Router,
    redis: Redis,
}

impl World {
    async fn new() -> Self {
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
    async fn every_route(&self, organisation: &str, routes: &str) -> Vec<(String, u16, String)> {
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

    async fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.redis.command("KEYS").arg("*").query().await.unwrap();
        names.sort();
        names
    }
}

fn token(method: &str, uri: &str, body: &Value) -> Request<Body> {
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

/// Texts that are no number, no JSON, no UTF-8, or too much of it.
fn texts() -> Vec<Vec<u8>> {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    [
        &b""[..],
        b"garbage",
        b"\xff\xfe\n,\n",
        b"-1",
        b"99999999999999999999999",
        b"nan",
        b"{}",
        deep.as_bytes(),
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// The commands that make each kind of garbage of a key.
async fn garbage(redis: &Redis, key: &str) -> Vec<Vec<Vec<Vec<u8>>>> {
    let command = |parts: &[&[u8]]| parts.iter().map(|p| p.to_vec()).collect::<Vec<_>>();
    let name = key.as_bytes();
    let del = || command(&[b"DEL", name]);
    let mut kinds = vec![
        vec![del(), command(&[b"RPUSH", name, b"garbage"])],
        vec![del(), command(&[b"SADD", name, b"garbage", b"\xff"])],
        vec![
            del(),
            command(&[
                b"ZADD", name, b"inf", b"garbage", b"-inf", b"\xff", b"0", b"",
            ]),
        ],
        vec![
            del(),
            command(&[b"HSET", name, b"garbage", b"\xff", b"", b"", b"#", b"x"]),
        ],
        vec![del(), command(&[b"XADD", name, b"*", b"\xff", b"\xff"])],
        vec![
            del(),
            command(&[
                b"XADD",
                name,
                b"18446744073709551615-18446744073709551615",
                b"d",
                b"x",
            ]),
        ],
        vec![del(), command(&[b"PFADD", name, b"garbage"])],
    ];
    for text in texts() {
        kinds.push(vec![del(), command(&[b"SET", name, &text])]);
    }
    // The right type with wrong contents.
    let kind: String = redis.command("TYPE").arg(key).query().await.unwrap();
    let fields: Vec<Vec<u8>> = match kind.as_str() {
        "hash" => redis.command("HKEYS").arg(key).query().await.unwrap(),
        _ => Vec::new(),
    };
    for text in texts() {
        match kind.as_str() {
            "hash" => {
                for field in &fields {
                    kinds.push(vec![command(&[b"HSET", name, field, &text])]);
                }
                kinds.push(
                    fields
                        .iter()
                        .map(|field| command(&[b"HSET", name, field, &text]))
                        .collect(),
                );
            }
            "stream" => {
                for fields in [[&b"d"[..], &text], [&text, b"x"]] {
                    kinds.push(vec![command(&[b"XADD", name, b"*", fields[0], fields[1]])]);
                }
                kinds.push(vec![command(&[
                    b"XADD", name, b"*", b"d", &text, b"t", &text, b"m", &text,
                ])]);
                kinds.push(vec![command(&[
                    b"XADD", name, b"*", b"d", &text, b"o", &text, b"h", &text, b"k", &text,
                ])]);
            }
            "zset" => kinds.push(vec![command(&[
                b"ZADD",
                name,
                b"1",
                &text,
                b"inf",
                &[&text[..], b"2"].concat(),
            ])]),
            "set" => kinds.push(vec![command(&[b"SADD", name, &text])]),
            _ => {}
        }
    }
    kinds
}

/// Keys that these requests do not write, though they or others read them.
fn unwritten() -> Vec<String> {
    let hour = 3_600_000;
    let this_hour = SystemClock::new().now_ms() / hour * hour;
    let names = [
        "ratelimit:default:denyList:all",
        "ratelimit:default:allowList:all",
        "ratelimit:default:denyList:ipDenyList",
        "ratelimit:default:denyList:ipDenyList:next",
        "ratelimit:default:ipDenyListStatus",
        "ratelimit:default:dynamic:global",
        "ratelimit:default:dynamic:of:alice",
        "ratelimit:default:lease:alice",
        "events:development:dlq",
        "events:development:work:sister:tries",
        "org:acme:u-acme:sessions:by-expiry",
        "org:acme:u-acme:epoch",
        "org:acme:u-acme:devices",
        "org:acme:u-acme:login:key",
        "user:u-acme:everywhere",
        "session:live:0",
        "signed:signer:m1",
        "cache:#lease:entries:{acme}:report",
        "cache:#all:entries",
    ];
    let mut names: Vec<_> = names.map(str::to_owned).into();
    names.push(format!("events:development:failed:{this_hour}"));
    names
}

/// The keys of docs/reference/KEYS.md, each as the texts that stand between what a program chooses.
fn documented() -> Vec<(String, Vec<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/KEYS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let keys = rows.flat_map(|row| {
        let column = row.split('|').nth(1).unwrap();
        let spans = column.split('`').skip(1).step_by(2);
        spans.filter(|span| span.contains(':')).collect::<Vec<_>>()
    });
    let fixed = |key: &str| {
        let mut key = key.to_owned();
        while let (Some(from), Some(to)) = (key.find('['), key.find(']')) {
            key.replace_range(from..=to, "");
        }
        // Names of what is chosen are capitals, single letters, or the digits of a date.
        let chosen = |part: &str| part.len() == 1 || part.starts_with(|c: char| c.is_ascii_digit());
        let parts = key
            .split(':')
            .map(|part| if chosen(part) { "X" } else { part });
        let parts = parts.collect::<Vec<_>>().join(":");
        let texts = parts.split(|c: char| c.is_ascii_uppercase());
        texts
            .filter(|text| !matches!(*text, "" | ":"))
            .map(str::to_owned)
            .collect()
    };
    keys.map(|key| (key.to_owned(), fixed(key))).collect()
}

/// A key that is new in the documentation must be damaged, too.
#[tokio::test]
async fn every_documented_key_is_one_of_these() {
    let world = World::new().await;
    let mut names = world.names().await;
    names.extend(unwritten());
    let documented = documented();
    assert!(documented.len() > 30, "{} keys", documented.len());
    let missing: Vec<_> = documented
        .iter()
        .filter(|(_, texts)| {
            let has = |name: &String| {
                let mut rest = name.as_str();
                texts
                    .iter()
                    .all(|text| match rest.split_once(text.as_str()) {
                        Some((_, after)) => {
                            rest = after;
                            true
                        }
                        None => false,
                    })
            };
            !names.iter().any(has)
        })
        .map(|(key, _)| key)
        .collect();
    assert!(
        missing.is_empty(),
        "no test damages {missing:?}; known are {names:#?}"
    );
}

/// Writes every kind of garbage under every key of a kind, and calls the routes that use such keys.
async fn damage(prefixes: &[&str], routes: &str) {
    let first = World::new().await;
    let mut names = first.names().await;
    names.extend(unwritten());
    names.sort();
    names.dedup();
    names.retain(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    names.retain(|name| !name.contains(ELSEWHERE));
    assert!(!names.is_empty(), "no key begins so any more");
    let usual = statuses(&first.every_route(ELSEWHERE, routes).await);
    let mut failures = Vec::new();
    for key in &names {
        let world = World::new().await;
        for commands in garbage(&world.redis, key).await {
            for command in &commands {
                let [name, rest @ ..] = &command[..] else {
                    panic!("an empty command")
                };
                let call = world.redis.command(str::from_utf8(name).unwrap());
                // A stream whose ids are used up takes no more of it.
                let _ = call.args(rest.to_vec()).query::<restis::Reply>().await;
            }
            let last = String::from_utf8_lossy(&commands.last().unwrap().join(&b' ')).into_owned();
            let shape: String = last.chars().take(120).collect();
            for (request, status, body) in world.every_route(HERE, routes).await {
                let told = body.contains("urn:restis:problem:") || body.contains("\"status\"");
                if status == 500 || (status > 500 && !told) {
                    failures.push(format!("{shape}\n    {request}: {status} {body}"));
                }
            }
            // Counts that all share may differ, but nothing may fail.
            let own = key.contains(HERE);
            let elsewhere = statuses(&world.every_route(ELSEWHERE, routes).await);
            for ((request, status), (_, usual)) in elsewhere.iter().zip(&usual) {
                if status != usual && (own || *status >= 500) {
                    failures.push(format!(
                        "{shape}\n    elsewhere {request}: {status} for {usual}"
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn garbage_under_a_key_of_events_fails_no_route_and_nobody_else() {
    damage(&["events:"], "/api/events").await;
}

#[tokio::test]
async fn garbage_under_a_key_of_rate_limits_fails_no_route_and_nobody_else() {
    damage(&["ratelimit:"], "/api/ratelimit").await;
}

#[tokio::test]
async fn garbage_under_a_key_of_the_cache_fails_no_route_and_nobody_else() {
    damage(&["cache:"], "/api/cache").await;
}

#[tokio::test]
async fn garbage_under_a_key_of_sessions_fails_no_route_and_nobody_else() {
    damage(&["session:", "user:", "org:", "signed:"], "/api/").await;
}

/// Answers of a request differ in what they say, not in their status.
fn statuses(answers: &[(String, u16, String)]) -> Vec<(String, u16)> {
    answers
        .iter()
        .map(|(name, status, _)| (name.clone(), *status))
        .collect()
}
