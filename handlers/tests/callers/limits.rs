//! Members that are far too long, on every route with a body.

use super::{
    HERE, SIGNING_SECRET, World, body,
    kinds::{Kind, Verdict, expected},
    request,
    table::{Access, ROUTES, Route},
};
use http::{Request, header};
use http_body_util::BodyExt as _;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
};
use restis_engine::{Engine, Options};
use restis_handlers::Config;
use serde_json::{Value, json};

/// Less than a body may have, far more than any member.
const BYTES: usize = 900_000;

/// The answer to a route's request with another body.
async fn answer(world: &World, route: &Route, body: &Value) -> (u16, String) {
    let kind = match route.access {
        Access::Browser => Kind::Cookie,
        _ => Kind::Root,
    };
    let request = kind.credentials(world, request(route, Some(HERE))).await;
    let request = match route.access {
        Access::StepUp(_) => request.header(header::COOKIE, world.cookie().await),
        _ => request,
    };
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let response = world
        .send(request.body(body.to_string().into()).unwrap())
        .await;
    let status = response.status().as_u16();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    (
        status,
        String::from_utf8_lossy(&text).chars().take(200).collect(),
    )
}

/// The members that hold text, as the description says, and the text of each in its place.
fn members(document: &Value, route: &Route) -> Vec<(String, Value)> {
    let long = Value::from("x".repeat(BYTES));
    let operation = &document["paths"][route.path][route.method.to_lowercase()];
    let mut schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(reference) = schema["$ref"].as_str() {
        schema = document.pointer(reference.trim_start_matches('#')).unwrap();
    }
    let is = |schema: &Value, kind: &str| {
        let each = schema["type"].as_array();
        schema["type"] == kind || each.is_some_and(|kinds| kinds.iter().any(|k| k == kind))
    };
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .filter_map(|(name, schema)| {
            if is(schema, "string") {
                Some((name.clone(), long.clone()))
            } else if is(schema, "array") && is(&schema["items"], "string") {
                Some((name.clone(), json!([long])))
            } else if is(schema, "object") {
                Some((name.clone(), json!({ "member": long })))
            } else {
                None
            }
        })
        .collect()
}

/// An event with one attribute that is too long, for each attribute.
fn events() -> Vec<Value> {
    let names = [
        "type",
        "id",
        "source",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "data",
        "correlationid",
        "causationid",
        "traceparent",
        "partitionkey",
        "extension",
    ];
    let each = names.iter().map(|name| {
        let mut event = json!({ "type": "note.added", "id": "1" });
        event[*name] = "x".repeat(BYTES).into();
        event
    });
    each.collect()
}

#[tokio::test]
async fn no_route_stores_a_member_that_is_too_long() {
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    let world = World::new().await;
    let mut failures = Vec::new();
    let mut tried = 0;
    for route in ROUTES.iter().filter(|route| route.body.is_some()) {
        if matches!(route.access, Access::Signature) {
            continue;
        }
        let usual: Value = serde_json::from_str(&body(route, Some(HERE)).unwrap()).unwrap();
        let mut bodies = Vec::new();
        for (name, long) in members(&document, route) {
            let mut body = usual.clone();
            // Letters are named or counted, not both.
            if name == "ids" {
                body.as_object_mut().unwrap().remove("oldest");
            }
            body[&name] = long;
            bodies.push((name, body));
        }
        match route.path {
            "/api/events/publish" => {
                bodies.extend(
                    events()
                        .into_iter()
                        .map(|event| ("event".to_owned(), event)),
                );
            }
            "/api/session" => {
                let long = "x".repeat(BYTES);
                bodies.push(("value".to_owned(), json!({ "theme": long })));
                bodies.push(("name".to_owned(), json!({ long: 1 })));
            }
            "/api/events/coordination" => {
                bodies.push(("hint".to_owned(), "x".repeat(BYTES).into()));
            }
            _ => {}
        }
        for (name, body) in bodies {
            tried += 1;
            let (status, text) = answer(&world, route, &body).await;
            if !matches!(status, 400 | 413 | 422) {
                failures.push(format!(
                    "{} {} `{name}`: {status} {text}",
                    route.method, route.path
                ));
            }
        }
    }
    assert!(tried > 40, "{tried} members");
    // An outbox tells it event by event.
    let sync = ROUTES
        .iter()
        .find(|route| !route.when.is_empty() && route.path == "/api/events/sync");
    for event in events() {
        let outbox = json!({ "client": "phone-2", "epoch": 1, "first": 1, "events": [event], "organisation": HERE });
        let (status, text) = answer(&world, sync.unwrap(), &outbox).await;
        if !(status == 200 && text.contains("rejected") || matches!(status, 400 | 413)) {
            failures.push(format!("outbox: {status} {text}"));
        }
    }
    // What lists and counts still can.
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        if expected(route, Kind::Root) == Verdict::Passes
            && !matches!(route.path, "/api/events/stream" | "/api/events/dlq/{id}")
        {
            let (status, text) = answer(&world, route, &Value::Null).await;
            if status != 200 {
                failures.push(format!("{}: {status} {text}", route.path));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn a_refusal_for_size_names_the_limit() {
    let world = World::new().await;
    let at = |method: &str, path: &str| {
        let found = ROUTES.iter().find(|r| r.method == method && r.path == path);
        found.unwrap()
    };
    let long = "x".repeat(BYTES);
    let many: serde_json::Map<_, _> = (0..65).map(|n| (format!("f{n}"), json!(n))).collect();
    for (route, body, number) in [
        (
            at("POST", "/api/sessions"),
            json!({ "user": "u1", "data": { "a": long } }),
            "16384 bytes",
        ),
        (
            at("POST", "/api/sessions"),
            json!({ "user": "u1", "data": many }),
            "64 fields",
        ),
        (
            at("PATCH", "/api/session"),
            json!({ "theme": long }),
            "16384 bytes",
        ),
    ] {
        let (status, text) = answer(&world, route, &body).await;
        assert!(status == 413 && text.contains(number), "{status} {text}");
    }
}

#[tokio::test]
async fn a_refusal_names_what_is_wrong() {
    let world = World::new().await;
    let ask = async |method: &str, uri: &str, token: &str, body: Value| {
        let request = Request::builder().method(method).uri(uri);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let response = world
            .send(request.body(body.to_string().into()).unwrap())
            .await;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&text).unwrap();
        (
            status,
            problem["detail"].as_str().unwrap_or_default().to_owned(),
        )
    };
    for uri in [
        "/api/events/dlq",
        "/api/metrics",
        "/api/ratelimit/usage",
        "/api/sessions/active",
    ] {
        let (status, detail) = ask("GET", uri, "HERE", Value::Null).await;
        assert!(
            status == 403 && detail.contains("all organisations"),
            "{uri}: {status} {detail}"
        );
    }
    let sync = json!({ "client": "a b", "epoch": 1 });
    let (status, detail) = ask("POST", "/api/events/sync", "ROOT", sync).await;
    assert!(
        status == 400 && detail.contains("`client`") && !detail.contains("organisation"),
        "{detail}"
    );
    for (query, parts) in [
        ("type=a&type=b", ["`type`", "commas"]),
        ("limit=1&limit=2", ["`limit`", "twice"]),
    ] {
        let uri = format!("/api/events/history?{query}");
        let (status, detail) = ask("GET", &uri, "ROOT", Value::Null).await;
        assert!(
            status == 400 && parts.iter().all(|part| detail.contains(part)),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn no_webhook_stores_an_attribute_that_is_too_long() {
    let senders =
        json!({ "partner": { "secrets": [SIGNING_SECRET], "organisation": HERE, "types": ["*"] } });
    let senders = senders.to_string();
    let config = |name: &str| (name == "EVENTS_INCOMING_WEBHOOKS").then(|| senders.clone());
    let redis = Redis::embedded(Engine::new(Options::default()));
    let world = World::over(redis, Config::from_vars(config).unwrap());
    let route = ROUTES
        .iter()
        .find(|route| matches!(route.access, Access::Signature));
    let keys = WebhookKeys::new([SIGNING_SECRET]).unwrap();
    let at = SystemClock::new().now_ms() / 1000;
    let send = async |id: &str, kind: &str, body: String| {
        let request = request(route.unwrap(), Some(HERE))
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", keys.sign(id, at, body.as_bytes()))
            .header(header::CONTENT_TYPE, kind);
        let response = world.send(request.body(body.into()).unwrap()).await;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            String::from_utf8_lossy(&text)
                .chars()
                .take(200)
                .collect::<String>(),
        )
    };
    let kinds = ["application/json", "application/cloudevents+json"];
    for kind in kinds {
        let event =
            json!({ "specversion": "1.0", "type": "note.added", "id": kind, "source": "/p" });
        let answer = send(kind, kind, event.to_string()).await;
        assert!(matches!(answer.0, 200 | 201), "{kind}: {answer:?}");
    }
    for (n, mut event) in events().into_iter().enumerate() {
        for kind in kinds {
            event["specversion"] = "1.0".into();
            let answer = send(&format!("{kind}-{n}"), kind, event.to_string()).await;
            assert!(
                matches!(answer.0, 400 | 413 | 422),
                "{kind} {n}: {answer:?}"
            );
        }
    }
    let history = Request::get(format!("/api/events/history?organisation={HERE}"));
    let history = history.header(header::AUTHORIZATION, "Bearer ROOT");
    let response = world
        .send(history.body(String::new().into()).unwrap())
        .await;
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let page: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(page["events"].as_array().unwrap().len(), kinds.len());
}
