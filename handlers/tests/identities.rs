//! Identities that must not run together, and what may be done once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::{body::Body, extract::ConnectInfo};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
    ratelimit::Limit,
    session::{Assertion, AssertionKeys, CookieConfig},
};
use restis_handlers::{AppState, Config, app, auth::ServiceTokens};
use serde_json::{Value, json};
use std::net::SocketAddr;
use support::{
    App, SERVICE_TOKEN,
    browser::{browser, config, cookie, router, router_with, sign_in, tokens},
    calls::{get, post, send},
    http as client,
};
use tower::ServiceExt as _;

const LOGIN_SECRET: &str = "the login secret of these tests!";
const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn store() -> Redis {
    Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()))
}

fn with(config_of_functions: Config) -> axum::Router {
    let state = AppState::builder(store()).config(config_of_functions);
    app(state.sessions(config()).build().unwrap())
}

async fn login(router: &axum::Router, token: &str, body: Value) -> (u16, String, Value) {
    let (response, body) = send(router, post("/api/sessions", token), body).await;
    let status = response.status().as_u16();
    let set = response.headers().contains_key(header::SET_COOKIE);
    (
        status,
        if set {
            cookie(&response)
        } else {
            String::new()
        },
        body,
    )
}

async fn is_live(router: &axum::Router, cookie: &str) -> bool {
    let (_, body) = send(router, browser("GET", "/api/session", cookie), Value::Null).await;
    !body["session"].is_null()
}

#[tokio::test]
async fn an_id_that_a_path_swallows_is_refused_everywhere() {
    let router = router();
    let (live, _) = sign_in(&router, "u1").await;
    for id in ["", ".", "..", "%2e", "%2E%2e", "../sessions", "/"] {
        let (status, _, body) = login(&router, "ROOT", json!({ "user": id })).await;
        assert_eq!(
            (status, &body["code"]),
            (400, &json!("invalid-request")),
            "{id}"
        );
    }
    for id in [
        ".",
        "..",
        "%2E",
        "%2e%2e",
        "%252E",
        "%252e%252e",
        "a%2F..%2Fb",
        "%FF",
    ] {
        for (method, uri) in [
            ("GET", format!("/api/users/{id}/epoch")),
            ("GET", format!("/api/users/{id}/sessions")),
            ("DELETE", format!("/api/users/{id}/sessions")),
            ("GET", format!("/api/events/dlq/{id}")),
            ("POST", format!("/api/events/webhooks/{id}")),
        ] {
            let request = Request::builder().method(method).uri(&uri);
            let request = request.header("authorization", "Bearer ROOT");
            let (response, body) = send(&router, request, Value::Null).await;
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{method} {uri}");
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
            assert_eq!(body["code"], "invalid-request", "{method} {uri}");
        }
        let own = browser("DELETE", &format!("/api/sessions/{id}"), &live);
        let (response, _) = send(&router, own, Value::Null).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{id}");
    }
    // What a path becomes when an id in it is swallowed ends nothing.
    for uri in [
        "/api/users/sessions",
        "/api/users//sessions",
        "/api/sessions",
        "/api/sessions/",
    ] {
        let request = browser("DELETE", uri, &live).header("authorization", "Bearer ROOT");
        let (response, _) = send(&router, request, Value::Null).await;
        assert!(
            matches!(response.status().as_u16(), 400 | 404 | 405),
            "{uri}"
        );
    }
    assert!(is_live(&router, &live).await);
}

#[tokio::test]
async fn a_login_key_is_its_callers_organisations_and_users() {
    let tokens = tokens().with(
        "other",
        "OTHER",
        &restis_handlers::auth::Scope::ALL,
        Some(&["other"]),
    );
    let router = with(Config {
        tokens,
        ..Config::default()
    });
    let keyed = async |token: &str, body: Value| {
        let request = post("/api/sessions", token).header("idempotency-key", "login-1");
        let (response, body) = send(&router, request, body).await;
        (response.status().as_u16(), body)
    };
    let acme = json!({ "user": "u1", "organisation": "acme", "data": { "secret": "acme's" } });
    let (status, first) = keyed("ACME", acme.clone()).await;
    assert_eq!(status, 201);
    let (status, again) = keyed("ACME", acme.clone()).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    let mut ids = vec![first["id"].clone()];
    for (token, body) in [
        ("OTHER", json!({ "user": "u1", "organisation": "other" })),
        ("ROOT", acme.clone()),
        ("ROOT", json!({ "user": "u1", "organisation": "other" })),
        ("ROOT", json!({ "user": "u1" })),
        ("ACME", json!({ "user": "u2", "organisation": "acme" })),
    ] {
        let (status, made) = keyed(token, body.clone()).await;
        assert_eq!(status, 201, "{token} {body}");
        assert!(!ids.contains(&made["id"]), "{token} {body}");
        ids.push(made["id"].clone());
    }
    for changed in [
        json!({ "user": "u1", "organisation": "acme" }),
        json!({ "user": "u1", "organisation": "acme", "data": { "secret": "x" } }),
        json!({ "user": "u1", "organisation": "acme", "data": { "secret": "acme's" }, "methods": ["totp"] }),
    ] {
        let (status, refused) = keyed("ACME", changed).await;
        assert_eq!(
            (status, &refused["code"]),
            (422, &json!("idempotency-mismatch"))
        );
    }
}

#[tokio::test]
async fn the_same_id_in_two_organisations_is_two_users() {
    let router = router();
    let victim = json!({ "user": "victim", "organisation": "other" });
    let (_, theirs, made) = login(&router, "ROOT", victim).await;
    let (_, everywhere, _) = login(&router, "ROOT", json!({ "user": "victim" })).await;
    let ours = json!({ "user": "victim", "organisation": "acme" });
    let (status, own, _) = login(&router, "ACME", ours.clone()).await;
    assert_eq!(status, 201);
    // Lists.
    let (_, listed) = send(&router, browser("GET", "/api/sessions", &own), Value::Null).await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    // Ending: one, all others, all by an administrator of the organisation.
    let id = made["id"].as_str().unwrap();
    let one = browser("DELETE", &format!("/api/sessions/{id}"), &own);
    assert_eq!(
        send(&router, one, Value::Null).await.0.status(),
        StatusCode::NOT_FOUND
    );
    let others = browser("POST", "/api/sessions/revoke-others", &own);
    assert_eq!(send(&router, others, Value::Null).await.1["revoked"], 0);
    let epoch = async |query: &str, token: &str| {
        let request = get(&format!("/api/users/victim/epoch{query}"), token);
        let (response, body) = send(&router, request, Value::Null).await;
        (response.status().as_u16(), body["epoch"].clone())
    };
    let before = epoch("?organisation=other", "ROOT").await;
    let all = |query: &str, token: &str| {
        Request::delete(format!("/api/users/victim/sessions{query}"))
            .header("authorization", format!("Bearer {token}"))
    };
    let (_, ended) = send(&router, all("?organisation=acme", "ACME"), Value::Null).await;
    assert_eq!(ended["revoked"], 1);
    assert!(!is_live(&router, &own).await && is_live(&router, &theirs).await);
    assert!(is_live(&router, &everywhere).await);
    assert_eq!(epoch("?organisation=other", "ROOT").await, before);
    for query in ["", "?organisation=other"] {
        let (response, _) = send(&router, all(query, "ACME"), Value::Null).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{query}");
        let list = get(&format!("/api/users/victim/sessions{query}"), "ACME");
        let (response, _) = send(&router, list, Value::Null).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{query}");
        assert_eq!(epoch(query, "ACME").await.0, 403, "{query}");
    }
    // The cap of 20 evicts the organisation's own.
    for _ in 0..25 {
        assert_eq!(login(&router, "ACME", ours.clone()).await.0, 201);
    }
    assert!(is_live(&router, &theirs).await && is_live(&router, &everywhere).await);
    // Everywhere, by a token of all organisations.
    let listed = send(
        &router,
        get("/api/users/victim/sessions", "ROOT"),
        Value::Null,
    )
    .await
    .1;
    assert_eq!(listed.as_array().unwrap().len(), 22);
    let (_, ended) = send(&router, all("", "ROOT"), Value::Null).await;
    assert_eq!(ended["revoked"], 22);
    assert!(!is_live(&router, &theirs).await && !is_live(&router, &everywhere).await);
    // A login that began before that is late in every organisation.
    for organisation in ["other", "acme", "third"] {
        let late = json!({ "user": "victim", "organisation": organisation, "epoch": before.1 });
        let (status, _, body) = login(&router, "ROOT", late).await;
        assert_eq!(
            (status, &body["code"]),
            (409, &json!("stale-auth")),
            "{organisation}"
        );
    }
}

#[tokio::test]
async fn a_visitors_data_stays_in_its_organisation() {
    let router = router();
    let visit = |organisation: Option<&str>| json!({ "organisation": organisation, "data": { "cart": "c" } });
    for (visitor, token, moves) in [
        (Some("other"), "ACME", false),
        (None, "ACME", false),
        (Some("other"), "ROOT", false),
        (Some("acme"), "ACME", true),
        (None, "ROOT", true),
    ] {
        let (_, cookie, _) = login(&router, "ROOT", visit(visitor)).await;
        let request = post("/api/sessions", token).header("cookie", cookie);
        let body = json!({ "user": "u1", "organisation": "acme", "keep": ["cart"] });
        let (_, made) = send(&router, request, body).await;
        let kept = made["data"]["cart"] == "c";
        assert_eq!(kept, moves, "{visitor:?} {token}: {made}");
    }
}

#[tokio::test]
async fn an_assertion_is_good_once_anywhere_and_for_its_own_user() {
    let keys = AssertionKeys::new([LOGIN_SECRET]).unwrap();
    let router = with(Config {
        tokens: tokens(),
        login_keys: Some(keys.clone()),
        ..Config::default()
    });
    let now = SystemClock::new().now_ms();
    let sign = |assertion: Assertion| keys.sign(&assertion, now);
    let assert_as = async |uri: &str, cookie: &str, token: &str| {
        let request = browser("POST", uri, cookie);
        let (response, body) = send(&router, request, json!({ "assertion": token })).await;
        let set = response.headers().contains_key(header::SET_COOKIE);
        let new = if set {
            support::browser::cookie(&response)
        } else {
            String::new()
        };
        (response.status().as_u16(), body["code"].clone(), new)
    };
    let (login_uri, step_up) = ("/api/sessions", "/api/session/step-up");
    let used = |answer: &(u16, Value, String)| {
        (answer.0, answer.1.as_str()) == (409, Some("assertion-used"))
    };
    // One that logged in steps nobody up, one that stepped up does not again, nor logs in.
    let first = sign(Assertion::user("u1").unwrap());
    let (status, _, session) = assert_as(login_uri, "", &first).await;
    assert_eq!(status, 201);
    assert!(used(&assert_as(step_up, &session, &first).await));
    let second = sign(Assertion::user("u1").unwrap());
    let (status, _, session) = assert_as(step_up, &session, &second).await;
    assert_eq!(status, 200);
    assert!(used(&assert_as(step_up, &session, &second).await));
    assert!(used(&assert_as(login_uri, "", &second).await));
    assert!(is_live(&router, &session).await, "a refusal ends nothing");
    // The same id in an organisation is another user.
    let acme = || Assertion::user("u1").unwrap().organisation("acme");
    let (_, _, of_acme) = assert_as(login_uri, "", &sign(acme())).await;
    for wrong in [
        Assertion::user("u1").unwrap(),
        Assertion::user("u1").unwrap().organisation("other"),
    ] {
        assert_eq!(assert_as(step_up, &of_acme, &sign(wrong)).await.0, 403);
    }
    // The epoch counts here, too.
    let epoch = get("/api/users/u1/epoch?organisation=acme", "ROOT");
    let (_, body) = send(&router, epoch, Value::Null).await;
    let epoch = restis::session::LoginEpoch::parse(body["epoch"].as_str().unwrap()).unwrap();
    let early = sign(acme().epoch(&epoch));
    let others = browser("POST", "/api/sessions/revoke-others", &of_acme);
    assert_eq!(
        send(&router, others, Value::Null).await.0.status(),
        StatusCode::OK
    );
    let stale = assert_as(step_up, &of_acme, &early).await;
    assert_eq!((stale.0, stale.1.as_str()), (409, Some("stale-auth")));
    assert_eq!(assert_as(step_up, &of_acme, &sign(acme())).await.0, 200);
}

#[tokio::test]
async fn a_signed_request_is_accepted_once() {
    let signer = json!([{ "name": "web", "secrets": [SIGNING_SECRET], "scopes": ["*"] }]);
    let router = with(Config {
        tokens: ServiceTokens::parse(&signer.to_string()).unwrap(),
        ..Config::default()
    });
    let keys = WebhookKeys::new([SIGNING_SECRET]).unwrap();
    let signed = |method: &str, target: &str, id: &str, body: &str| {
        let at = SystemClock::new().now_ms() / 1000;
        let text = format!("{method} {target}\n{body}");
        Request::builder()
            .method(method)
            .uri(target)
            .header("authorization", "HMAC web")
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", keys.sign(id, at, text.as_bytes()))
    };
    for (n, (method, target, body)) in [
        ("POST", "/api/sessions", json!({ "user": "u1" })),
        ("POST", "/api/ratelimit", json!({ "identifier": "a" })),
        ("POST", "/api/events/work", Value::Null),
        ("GET", "/api/users/u1/sessions", Value::Null),
        ("DELETE", "/api/users/u1/sessions", Value::Null),
        ("POST", "/api/sessions/revoke-all", Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = || signed(method, target, &format!("id {n}"), &text);
        let (first, answer) = send(&router, request(), body.clone()).await;
        assert!(first.status().is_success(), "{method} {target}: {answer}");
        let (again, answer) = send(&router, request(), body.clone()).await;
        assert_eq!(again.status(), StatusCode::CONFLICT, "{method} {target}");
        assert_eq!(answer["code"], "signature-used");
        assert!(!again.headers().contains_key(header::SET_COOKIE));
        let (anew, _) = send(
            &router,
            signed(method, target, &format!("new {n}"), &text),
            body,
        )
        .await;
        assert!(anew.status().is_success(), "{method} {target}");
    }
}

#[tokio::test]
async fn whatever_a_client_forwards_the_guesses_are_counted() {
    let router = with(Config {
        tokens: tokens(),
        trusted_proxies: 1,
        ..Config::default()
    });
    let (good, _) = sign_in(&router, "u1").await;
    let guess = |n: usize, forwarded: &[u8]| {
        let value = http::HeaderValue::from_bytes(forwarded).unwrap();
        browser("GET", "/api/session", &format!("{good}{n}")).header("x-forwarded-for", value)
    };
    for forwarded in [
        &b"\xff, 203.0.113.11"[..],
        "é, 203.0.113.12".as_bytes(),
        // The proxy appended no address: all such clients are one.
        b"203.0.113.13, unknown",
    ] {
        let mut refused = 0;
        for n in 0..45 {
            let (response, _) = send(&router, guess(n, forwarded), Value::Null).await;
            refused += usize::from(response.status() == StatusCode::TOO_MANY_REQUESTS);
        }
        assert_eq!(refused, 15, "{}", String::from_utf8_lossy(forwarded));
    }
}

#[tokio::test]
async fn a_service_that_forwards_stale_cookies_does_not_guess() {
    let router = router();
    let peer: SocketAddr = "192.0.2.1:40000".parse().unwrap();
    for n in 0..60 {
        let request = post("/api/sessions", "ROOT")
            .header("cookie", format!("__Host-sid=stale{n}"))
            .extension(ConnectInfo(peer));
        let (response, body) = send(&router, request, json!({ "user": "u1" })).await;
        assert_eq!(response.status(), StatusCode::CREATED, "{n}: {body}");
    }
    let read = browser("GET", "/api/session", "__Host-sid=stale").extension(ConnectInfo(peer));
    assert_eq!(
        send(&router, read, Value::Null).await.0.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn cookies_in_each_others_way_are_all_removed() {
    let domain = CookieConfig::default()
        .name("app_sid")
        .domain("example.com");
    let router = router_with(config().cookie(domain));
    let (one, _) = {
        let (response, body) = send(
            &router,
            post("/api/sessions", "ROOT"),
            json!({ "user": "u1" }),
        )
        .await;
        (cookie(&response), body)
    };
    let both = format!("{one}; app_sid=old");
    let expired = |response: &http::Response<()>| -> Vec<String> {
        let all = response.headers().get_all(header::SET_COOKIE).iter();
        let all = all.map(|v| v.to_str().unwrap().to_owned());
        all.filter(|v| v.starts_with("app_sid=; ") && v.contains("Max-Age=0"))
            .collect()
    };
    for (method, uri) in [
        ("GET", "/api/session"),
        ("DELETE", "/api/session"),
        ("GET", "/api/sessions"),
    ] {
        let request = browser(method, uri, &both).header("host", "app.example.com");
        let (response, _) = send(&router, request, Value::Null).await;
        let expired = expired(&response);
        for (has, partitioned) in [
            (None, false),
            (None, true),
            (Some("Domain=example.com"), false),
            (Some("Domain=example.com"), true),
            (Some("Domain=app.example.com"), false),
        ] {
            let found = expired.iter().any(|c| {
                let domain = c.split("; ").find(|part| part.starts_with("Domain="));
                domain == has && c.contains("; Partitioned") == partitioned
            });
            assert!(found, "{method} {uri} {has:?} {partitioned}: {expired:?}");
        }
    }
    // The login itself gives one that stays.
    let request = post("/api/sessions", "ROOT").header("cookie", &both);
    let (response, _) = send(&router, request, json!({ "user": "u1" })).await;
    let all: Vec<_> = response
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .collect();
    let last = all.last().unwrap().to_str().unwrap();
    assert!(all.len() > 1 && !last.contains("Max-Age=0"), "{last}");
    assert!(
        !expired(&response).iter().any(|c| c
            .contains("; Domain=example.com; Secure; HttpOnly; SameSite=Lax")
            && !c.contains("Partitioned")),
        "the new one would go, too"
    );
}

#[tokio::test]
async fn a_patch_merges_and_names_versions_in_a_list() {
    let router = router();
    let (cookie, _) = sign_in(&router, "u1").await;
    let patch = async |body: Value, tags: Option<&str>| {
        let mut request = browser("PATCH", "/api/session", &cookie);
        if let Some(tags) = tags {
            request = request.header("if-match", tags);
        }
        let (response, body) = send(&router, request, body).await;
        (response.status().as_u16(), body)
    };
    patch(json!({ "cart": { "a": 1, "x": { "y": 1, "z": 2 } } }), None).await;
    let (_, body) = patch(json!({ "cart": { "b": 2, "x": { "y": null } } }), None).await;
    assert_eq!(
        body["data"]["cart"],
        json!({ "a": 1, "b": 2, "x": { "z": 2 } })
    );
    // RFC 7396, appendix A.
    for (target, patched, result) in [
        (
            json!({ "a": "b" }),
            json!({ "a": "c" }),
            json!({ "a": "c" }),
        ),
        (
            json!({ "a": "b" }),
            json!({ "b": "c" }),
            json!({ "a": "b", "b": "c" }),
        ),
        (
            json!({ "a": ["b"] }),
            json!({ "a": "c" }),
            json!({ "a": "c" }),
        ),
        (
            json!({ "a": "c" }),
            json!({ "a": ["b"] }),
            json!({ "a": ["b"] }),
        ),
        (
            json!({ "a": { "b": "c" } }),
            json!({ "a": { "b": "d", "c": null } }),
            json!({ "a": { "b": "d" } }),
        ),
        (
            json!({ "a": [{ "b": "c" }] }),
            json!({ "a": [1] }),
            json!({ "a": [1] }),
        ),
        (
            json!({ "e": null }),
            json!({ "a": 1 }),
            json!({ "e": null, "a": 1 }),
        ),
        (
            json!([1, 2]),
            json!({ "a": "b", "c": null }),
            json!({ "a": "b" }),
        ),
        (
            json!({}),
            json!({ "a": { "bb": { "ccc": null } } }),
            json!({ "a": { "bb": {} } }),
        ),
    ] {
        patch(json!({ "t": null }), None).await;
        let body = json!({ "user": "u1", "data": { "t": target } });
        let (_, cookie, _) = login(&router, "ROOT", body).await;
        let request = browser("PATCH", "/api/session", &cookie);
        let (_, body) = send(&router, request, json!({ "t": patched })).await;
        assert_eq!(body["data"]["t"], result, "{target} {patched}");
    }
    let (_, now) = patch(json!({ "n": 1 }), None).await;
    let version = now["version"].as_u64().unwrap();
    let list = format!("\"v0\", W/\"v1\",, \"other,tag\" , \"v{version}\"");
    assert_eq!(patch(json!({ "n": 2 }), Some(&list)).await.0, 200);
    for (tags, status) in [
        (list.as_str(), 412),
        (&*format!("W/\"v{}\"", version + 1), 412),
        ("\"else\"", 412),
        ("*", 200),
        ("v1", 400),
        ("", 400),
        ("\"v1", 400),
        ("\"v1\" \"v2\"", 400),
        ("*, \"v1\"", 400),
    ] {
        assert_eq!(
            patch(json!({ "n": 3 }), Some(tags)).await.0,
            status,
            "{tags}"
        );
    }
}

#[tokio::test]
async fn the_same_identifier_in_two_organisations_has_two_limits() {
    let limit = Limit::fixed_window(1, std::time::Duration::from_secs(3600)).unwrap();
    let policies = restis_handlers::PolicySet::default().with("default", vec![limit]);
    let router = with(Config {
        tokens: tokens(),
        policies,
        ..Config::default()
    });
    let check = async |body: Value| {
        let (response, _) = send(&router, post("/api/ratelimit", "ROOT"), body).await;
        response.status().as_u16()
    };
    for body in [
        json!({ "identifier": "alice", "organisation": "acme" }),
        json!({ "identifier": "alice" }),
        json!({ "identifier": "acme/alice" }),
        json!({ "identifier": "#org:acme:alice" }),
        json!({ "identifier": "acme/alice", "organisation": "acme" }),
    ] {
        assert_eq!(check(body.clone()).await, 200, "{body}");
        assert_eq!(check(body.clone()).await, 429, "{body}");
    }
    for (name, text) in [("country", "x".repeat(65)), ("user_agent", "x".repeat(513))] {
        assert_eq!(
            check(json!({ "identifier": "bob", name: text })).await,
            400,
            "{name}"
        );
    }
    let usage = get("/api/ratelimit/usage", "ROOT");
    let (response, _) = send(&router, usage, Value::Null).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn a_body_that_cannot_be_taken_is_refused_with_the_reason() {
    let router = with(Config {
        tokens: tokens(),
        request_timeout: std::time::Duration::from_millis(100),
        max_body_bytes: 1000,
        ..Config::default()
    });
    let body = json!({ "identifier": "a" });
    for coding in ["gzip", "br", "x, gzip"] {
        let request = post("/api/ratelimit", "ROOT").header("content-encoding", coding);
        let (response, answer) = send(&router, request, body.clone()).await;
        assert_eq!(
            (response.status().as_u16(), &answer["code"]),
            (415, &json!("unsupported-media-type"))
        );
        assert_eq!(response.headers()["accept-encoding"], "identity");
    }
    let request = post("/api/ratelimit", "ROOT").header("content-encoding", "Identity");
    assert_eq!(
        send(&router, request, body).await.0.status(),
        StatusCode::OK
    );
    for uri in ["/api/ratelimit", "/api/sessions", "/api/events/publish"] {
        let large = json!({ "identifier": "x".repeat(2000) });
        let (response, answer) = send(&router, post(uri, "ROOT"), large).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{uri}");
        assert!(
            answer["detail"].as_str().unwrap().contains("1000"),
            "{answer}"
        );
        // Some of the body, and then nothing.
        let part = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
        let stalled = futures_util::StreamExt::chain(part, futures_util::stream::pending());
        let request = post(uri, "ROOT")
            .body(axum::body::Body::from_stream(stalled))
            .unwrap();
        let response = tower::ServiceExt::oneshot(router.clone(), request)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT, "{uri}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
    }
}

/// The same through the binary: an id that is swallowed, a client behind a proxy, two organisations.
#[tokio::test]
async fn the_built_function_keeps_identities_apart() {
    let store = support::store();
    let secret = "s".repeat(40);
    let vars = [
        ("PORT", "0"),
        ("HOST", "127.0.0.1"),
        ("TRUSTED_PROXIES", "1"),
        ("SESSION_SECRETS", &secret),
    ];
    let mut function = App::start(store.url(), &vars);
    let base = format!("http://{}", function.address());
    let http = client();
    let sign_in = async |body: Value| {
        let request = http
            .post(format!("{base}/api/sessions"))
            .bearer_auth(SERVICE_TOKEN);
        let request = request.header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap()
    };
    for id in [".", "..", ""] {
        assert_eq!(sign_in(json!({ "user": id })).await.status(), 400, "{id}");
    }
    for organisation in ["acme", "other"] {
        let body = json!({ "user": "u1", "organisation": organisation });
        assert_eq!(sign_in(body).await.status(), 201);
    }
    // The client itself makes `/api/users/sessions` of it.
    let swallowed = http.delete(format!("{base}/api/users/%2E/sessions"));
    let swallowed = swallowed.bearer_auth(SERVICE_TOKEN).send().await.unwrap();
    assert!(matches!(swallowed.status().as_u16(), 400 | 404 | 405));
    let list = http.get(format!("{base}/api/users/u1/sessions?organisation=acme"));
    let list = list.bearer_auth(SERVICE_TOKEN).send().await.unwrap();
    let listed: Value = serde_json::from_str(&list.text().await.unwrap()).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let mut refused = 0;
    for n in 0..45 {
        let forwarded = http::HeaderValue::from_bytes(b"\xff, 203.0.113.11").unwrap();
        let guess = http.get(format!("{base}/api/session"));
        let guess = guess.header("cookie", format!("__Host-sid=guess{n}"));
        let answer = guess
            .header("x-forwarded-for", forwarded)
            .send()
            .await
            .unwrap();
        refused += u32::from(answer.status() == 429);
    }
    assert_eq!(refused, 15);
    assert!(function.terminate().success());
}

/// Of two values a proxy may check the one and the function take the other (RFC 9110, 5.3).
#[tokio::test]
async fn a_header_of_one_value_is_not_sent_twice() {
    let router = router();
    let token = "Bearer ROOT";
    for (name, values) in [
        ("authorization", [token, "Bearer x"]),
        ("authorization", [token, token]),
        ("idempotency-key", ["a", "b"]),
        ("content-type", ["application/json", "text/plain"]),
        ("sec-fetch-site", ["same-origin", "cross-site"]),
        ("ce-type", ["a.b", "c.d"]),
    ] {
        let mut request = http::Request::post("/api/events/publish");
        if name != "authorization" {
            request = request.header("authorization", token);
        }
        for value in values {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(r#"{"type":"a.b"}"#)).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let detail = format!("`{name}` is there more than once");
        assert_eq!((status, &body["detail"]), (400, &json!(detail)), "{name}");
    }
    // Lists may come in several lines.
    let request = http::Request::get("/api/session").header("accept", "text/plain");
    let request = request.header("accept", "application/json");
    let request = request.body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), 200);
}
