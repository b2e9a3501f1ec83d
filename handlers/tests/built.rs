//! The built binary, one sequence of requests for each promise about identities and limits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use restis::{
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
    session::{Assertion, AssertionKeys},
};
use serde_json::{Value, json};
use support::{
    SERVICE_TOKEN,
    function::{Function, cookie},
    http, store,
};

const LOGIN_SECRET: &str = "the login secret of these tests!";
const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const POLICIES: &str = r#"{"default":{"algorithm":"fixed-window","limit":1,"window":"1h","protection":true,"analytics":true}}"#;

fn started(store: &str) -> Function {
    let signer = json!([{ "name": "signer", "secrets": [SIGNING_SECRET], "scopes": ["*"] }]);
    Function::start(
        store,
        &[
            ("RESTIS_SERVICE_TOKENS", &signer.to_string()),
            ("SESSION_LOGIN_SECRETS", LOGIN_SECRET),
            ("SESSION_CLIENT_FIELDS", "*"),
            ("RATE_LIMIT_POLICIES", POLICIES),
        ],
    )
}

#[tokio::test]
async fn logins_and_signed_requests_are_taken_once() {
    let store = store();
    let function = started(store.url());
    let bearer = format!("Bearer {SERVICE_TOKEN}");
    let login = async |organisation: &str, data: u64| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", "login-1"),
        ];
        let body = json!({ "user": "u1", "organisation": organisation, "data": { "n": data } });
        function.call("POST", "/api/sessions", &headers, body).await
    };
    let (status, first, made) = login("acme", 1).await;
    assert_eq!(status, 201);
    let (status, _, again) = login("acme", 1).await;
    assert_eq!((status, &again["id"]), (200, &made["id"]));
    let (status, _, body) = login("acme", 2).await;
    assert_eq!(
        (status, &body["code"]),
        (422, &json!("idempotency-mismatch"))
    );
    let (status, other, body) = login("other", 1).await;
    assert_eq!((status, &body["organisation"]), (201, &json!("other")));
    assert_ne!(cookie(&other), cookie(&first));

    let keys = WebhookKeys::new([SIGNING_SECRET]).unwrap();
    let at = SystemClock::new().now_ms() / 1000;
    for (path, body) in [
        ("/api/sessions", json!({ "user": "u2" })),
        ("/api/events/grants", json!({ "types": ["*"] })),
    ] {
        let signature = keys.sign(path, at, format!("POST {path}\n{body}").as_bytes());
        let at = at.to_string();
        let headers = [
            ("authorization", "HMAC signer"),
            ("webhook-id", path),
            ("webhook-timestamp", at.as_str()),
            ("webhook-signature", signature.as_str()),
        ];
        assert_eq!(
            function.call("POST", path, &headers, body.clone()).await.0,
            201
        );
        let (status, headers, answer) = function.call("POST", path, &headers, body).await;
        assert_eq!(
            (status, &answer["code"]),
            (409, &json!("signature-used")),
            "{path}"
        );
        assert!(!headers.contains_key("set-cookie"));
    }

    let keys = AssertionKeys::new([LOGIN_SECRET]).unwrap();
    let assertion = keys.sign(&Assertion::user("u3").unwrap(), SystemClock::new().now_ms());
    let body = json!({ "assertion": assertion });
    let (status, headers, _) = function
        .browser("POST", "/api/sessions", "", body.clone())
        .await;
    assert_eq!(status, 201);
    for path in ["/api/sessions", "/api/session/step-up"] {
        let (status, _, answer) = function
            .browser("POST", path, &cookie(&headers), body.clone())
            .await;
        assert_eq!(
            (status, &answer["code"]),
            (409, &json!("assertion-used")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn cookies_and_what_a_session_holds() {
    let store = store();
    let function = started(store.url());
    let bearer = format!("Bearer {SERVICE_TOKEN}");
    // A back end that forwards stale cookies does not guess; a browser does.
    for n in 0..40 {
        let stale = format!("__Host-sid=stale{n}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("cookie", stale.as_str()),
        ];
        assert_eq!(
            function
                .call("GET", "/api/session", &headers, Value::Null)
                .await
                .0,
            200
        );
    }
    let (_, headers, _) = function
        .browser(
            "GET",
            "/api/session",
            "__Host-sid=a; __Host-sid=b",
            Value::Null,
        )
        .await;
    let removed = headers.get_all("set-cookie").iter();
    let removed: Vec<_> = removed.map(|v| v.to_str().unwrap()).collect();
    assert!(
        removed
            .iter()
            .all(|c| c.starts_with("__Host-sid=; ") && c.contains("Max-Age=0")),
        "{removed:?}"
    );
    assert!(
        removed.iter().any(|c| c.contains("Partitioned")),
        "{removed:?}"
    );
    assert!(
        removed.iter().any(|c| !c.contains("Partitioned")),
        "{removed:?}"
    );

    let (status, headers, _) = function
        .token("POST", "/api/sessions", json!({ "user": "u1" }))
        .await;
    assert_eq!(status, 201);
    let cookie = cookie(&headers);
    for part in [
        json!({ "a": 1 }),
        json!({ "b": 2, "c": 3 }),
        json!({ "c": null }),
    ] {
        let patch = json!({ "cart": part });
        assert_eq!(
            function
                .browser("PATCH", "/api/session", &cookie, patch)
                .await
                .0,
            200
        );
    }
    let (_, headers, body) = function
        .browser("GET", "/api/session", &cookie, Value::Null)
        .await;
    assert_eq!(body["session"]["data"]["cart"], json!({ "a": 1, "b": 2 }));
    let tag = headers["etag"].to_str().unwrap();
    for (tags, status) in [
        ("\"v0\", \"other\"".to_owned(), 412),
        // A tag matches by its bytes (RFC 9110, 8.8.3.2), not by the number that it may be read as.
        (tag.replace('v', "v0"), 412),
        (tag.replace('v', "v+"), 412),
        (format!("\"v0\", {tag}"), 200),
    ] {
        let headers = [
            ("cookie", cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("if-match", &tags),
        ];
        let answer = function
            .call("PATCH", "/api/session", &headers, json!({ "n": 1 }))
            .await;
        assert_eq!(answer.0, status, "{tags}: {}", answer.2);
    }
}

#[tokio::test]
async fn stale_cookies_stop_a_bare_client_and_no_back_end() {
    let store = store();
    let function = started(store.url());
    let login = json!({ "user": "u1" });
    let (_, headers, _) = function.token("POST", "/api/sessions", login.clone()).await;
    let stale = format!("{}x", cookie(&headers));
    let bearer = format!("Bearer {SERVICE_TOKEN}");
    let both = [
        ("authorization", bearer.as_str()),
        ("cookie", stale.as_str()),
    ];
    let mut of_back_end = Vec::new();
    for _ in 0..40 {
        let answer = function
            .call("POST", "/api/sessions", &both, login.clone())
            .await;
        of_back_end.push(answer.0);
        let answer = function
            .call("GET", "/api/session", &both, Value::Null)
            .await;
        of_back_end.push(answer.0);
    }
    assert!(!of_back_end.contains(&429), "{of_back_end:?}");
    assert_eq!(
        of_back_end.iter().filter(|status| **status == 201).count(),
        40
    );
    let mut of_client = Vec::new();
    for _ in 0..40 {
        let answer = function
            .browser("GET", "/api/session", &stale, Value::Null)
            .await;
        of_client.push(answer.0);
    }
    assert_eq!((of_client[0], of_client[39]), (200, 429), "{of_client:?}");
    let answer = function.call("POST", "/api/sessions", &both, login).await;
    assert_eq!(answer.0, 201, "the back end goes on from the same address");
}

#[tokio::test]
async fn events_belong_to_who_publishes_them() {
    let store = store();
    let function = started(store.url());
    let wide = json!({ "types": ["notes.u1,*"] });
    assert_eq!(
        function.token("POST", "/api/events/grants", wide).await.0,
        400
    );
    let (status, _, body) = function
        .token("POST", "/api/events/publish", json!({ "type": "reset" }))
        .await;
    assert_eq!((status, &body["code"]), (422, &json!("reserved-type")));
    let batch = json!([{ "type": "reset" }, { "type": "note.added" }]);
    let (status, _, body) = function.token("POST", "/api/events/publish", batch).await;
    assert_eq!(
        (status, &body[0]["status"], &body[1]["status"]),
        (207, &json!("rejected"), &json!("published"))
    );

    let grant = json!({ "types": ["*"], "publish": ["order.*"], "subject": "mallory" });
    let (status, _, body) = function.token("POST", "/api/events/grants", grant).await;
    assert_eq!(status, 201);
    let grant = format!("Bearer {}", body["grant"].as_str().unwrap());
    let paid = json!({ "type": "order.paid", "source": "/billing", "id": "order-7" });
    let outbox = json!({ "client": "c", "epoch": 1, "first": 1, "events": [paid] });
    let (status, _, body) = function
        .call(
            "POST",
            "/api/events/sync",
            &[("authorization", &grant)],
            outbox,
        )
        .await;
    assert_eq!(
        (status, &body["results"][0]["status"]),
        (200, &json!("accepted"))
    );
    assert_eq!(
        function.token("POST", "/api/events/publish", paid).await.0,
        201
    );
}

#[tokio::test]
async fn lists_are_typed_and_members_are_bounded() {
    let store = store();
    let add = json!(["SADD", "ratelimit:default:allowList:all", "203.0.113.9"]);
    let added = http()
        .post(store.url())
        .header("authorization", "Bearer TOKEN");
    assert_eq!(
        added.body(add.to_string()).send().await.unwrap().status(),
        200
    );
    let function = started(store.url());
    let check = async |ask: Value| function.token("POST", "/api/ratelimit", ask).await.0;
    let alike = json!({ "identifier": "x", "user_agent": "203.0.113.9", "country": "203.0.113.9" });
    assert_eq!(check(alike.clone()).await, 200);
    assert_eq!(check(alike).await, 429);
    assert_eq!(check(json!({ "identifier": "203.0.113.9" })).await, 200);
    assert_eq!(check(json!({ "identifier": "203.0.113.9" })).await, 429);
    assert_eq!(
        check(json!({ "identifier": "x", "ip": "203.0.113.9" })).await,
        200
    );
    for _ in 0..14 {
        assert_eq!(
            check(json!({ "identifier": "y", "country": "x".repeat(900_000) })).await,
            400
        );
    }
    let (status, headers, _) = function
        .token("GET", "/api/ratelimit/usage", Value::Null)
        .await;
    assert_eq!(
        (status, headers["cache-control"].to_str().unwrap()),
        (200, "no-store")
    );
}
