//! What differs between the platforms, and how the built binary makes it the same: cookies, identifiers in paths,
//! addresses, work after the answer, and the end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use axum::{Router, body::Bytes, extract::State, response::IntoResponse, routing::any};
use futures_util::FutureExt as _;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use support::{
    free_port, http, lambda,
    platform::{
        CHECK, LOGIN_SECRET, POLICIES, SECRET, bearer, command, encoded, encoded_login, in_plural,
        login, networks, on_lambda, start, without_setting,
    },
    store,
    vercel::FakeVercel,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Semaphore, mpsc},
};

#[tokio::test]
async fn cookies_and_addresses_survive_every_event() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let _app = start(store.url(), &on_lambda(&api));
    let events = [
        lambda::v2("POST", "/api/sessions", "", &encoded_login()),
        lambda::v1("POST", "/api/sessions", &encoded_login()),
        lambda::alb("POST", "/api/sessions", &in_plural(&encoded_login())),
    ];
    let places = [
        "/cookies/0",
        "/multiValueHeaders/set-cookie/0",
        "/multiValueHeaders/set-cookie/0",
    ];
    let mut cookie = String::new();
    for (event, place) in events.into_iter().zip(places) {
        let answer = api.invoke_buffered(event).await;
        assert_eq!(answer["statusCode"], 201, "{answer}");
        let set = answer.pointer(place).and_then(Value::as_str);
        let set = set.unwrap_or_else(|| panic!("no cookie: {answer}"));
        assert!(set.starts_with("__Host-sid="), "{set}");
        cookie = set.split(';').next().unwrap().to_owned();
    }
    // As HTTP APIs and function URLs hand cookies over.
    let extra = json!({ "cookies": ["theme=dark", cookie], "headers": {} });
    let event = lambda::v2("GET", "/api/sessions", "", &extra);
    let answer = api.invoke_buffered(event).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(body.as_array().unwrap().len(), 3, "{body}");
    // The address that AWS saw, not what the client claims.
    assert_eq!(networks(&store).await, ["203.0.113.0/24"; 3]);
}

#[tokio::test]
async fn the_address_is_the_one_that_each_platform_vouches_for() {
    let login = |port: &str| {
        http()
            .post(format!("http://127.0.0.1:{port}/api/sessions"))
            .header("content-type", "application/json")
            .header("sec-fetch-site", "same-origin")
            .header("x-forwarded-for", "198.51.100.66, 192.0.2.7")
            .body(login())
    };
    let secrets = [
        ("SESSION_SECRETS", SECRET.to_owned()),
        ("SESSION_LOGIN_SECRETS", LOGIN_SECRET.to_owned()),
    ];
    for (proxies, network) in [("0", "127.0.0.0/24"), ("1", "192.0.2.0/24")] {
        let store = store();
        let port = free_port().to_string();
        let mut vars = vec![
            ("PORT", port.clone()),
            ("HOST", "127.0.0.1".to_owned()),
            ("TRUSTED_PROXIES", proxies.to_owned()),
        ];
        vars.extend(secrets.clone());
        let mut app = start(store.url(), &vars);
        app.address();
        let answer = login(&port).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(networks(&store).await, [network]);
    }
    let store = store();
    let mut host = FakeVercel::listen();
    let port = free_port().to_string();
    let mut vars = vec![
        ("VERCEL_IPC_PATH", host.path()),
        ("VERCEL_DEV_PORT", port.clone()),
    ];
    vars.extend(secrets);
    let _app = start(store.url(), &vars);
    host.message("server-started").await;
    // Vercel's edge sets it and removes what the client sent.
    let answer = login(&port).header("x-vercel-forwarded-for", "203.0.113.9");
    assert_eq!(answer.send().await.unwrap().status(), 201);
    assert_eq!(networks(&store).await, ["203.0.113.0/24"]);
}

/// An identifier in a path as a client encodes it, which a platform, a proxy or a client could make
/// another path of; `None` where a gateway that decodes paths cannot hand it over.
const SWALLOWED: [(&str, Option<&str>); 10] = [
    ("", Some("")),
    (".", Some(".")),
    ("..", Some("..")),
    ("%2E", Some(".")),
    ("%2e%2e", Some("..")),
    ("%252E", Some("%2E")),
    ("%252e%252e", Some("%2e%2e")),
    ("a%2F..%2F..%2Fb", Some("a/../../b")),
    ("..%2Fu1", Some("../u1")),
    ("%FF", None),
];
const WITH_IDENTIFIERS: [(&str, &str); 7] = [
    ("GET", "/api/users/{}/epoch"),
    ("GET", "/api/users/{}/sessions"),
    ("DELETE", "/api/users/{}/sessions"),
    ("GET", "/api/events/dlq/{}"),
    ("POST", "/api/events/webhooks/{}"),
    ("DELETE", "/api/sessions/{}"),
    ("GET", "/api/ratelimit/{}"),
];

/// What an HTTP server answers to a path that no client changes on its way.
async fn exactly(port: &str, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))
        .await
        .unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\ncontent-length: 0\r\nsec-fetch-site: same-origin\r\nauthorization: {}\r\n\r\n",
        bearer()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let whole = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), whole)
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer[9..12].parse().unwrap(), answer)
}

#[tokio::test]
async fn an_identifier_never_reaches_another_route_over_http_and_on_vercel() {
    let store = store();
    let plain = free_port().to_string();
    let mut vars = vec![
        ("PORT", plain.clone()),
        ("HOST", "127.0.0.1".to_owned()),
        ("SESSION_SECRETS", SECRET.to_owned()),
    ];
    let mut http = start(store.url(), &vars);
    http.address();
    let mut host = FakeVercel::listen();
    let vercel = free_port().to_string();
    vars[0] = ("VERCEL_DEV_PORT", vercel.clone());
    vars[1] = ("VERCEL_IPC_PATH", host.path());
    let _app = start(store.url(), &vars);
    host.message("server-started").await;
    for port in [&plain, &vercel] {
        for (method, path) in WITH_IDENTIFIERS {
            for (id, _) in SWALLOWED {
                let path = path.replace("{}", id);
                let (status, answer) = exactly(port, method, &path).await;
                assert!(
                    matches!(status, 400 | 404 | 405),
                    "{method} {path}: {answer}"
                );
                assert!(answer.contains("application/problem+json"), "{answer}");
            }
        }
    }
}

/// The same request as each kind of event of a stage, as its gateway hands the path over.
fn events_of(method: &str, encoded: &str, decoded: Option<&str>, extra: &Value) -> Vec<Value> {
    let stage = |mut extra: Value| {
        extra["requestContext"] = json!({ "stage": "prod" });
        extra
    };
    let mut events = vec![
        lambda::v2(method, encoded, "", extra),
        lambda::alb(method, encoded, &in_plural(extra)),
    ];
    for path in [Some(encoded), decoded].into_iter().flatten() {
        let staged = stage(extra.clone());
        events.push(lambda::v2(method, &format!("/prod{path}"), "", &staged));
        events.push(lambda::v1(method, path, extra));
    }
    events
}

#[tokio::test]
async fn an_identifier_never_reaches_another_route_on_lambda() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let _app = start(store.url(), &without_setting(&api));
    let mut login = encoded(r#"{"user":"u1"}"#);
    login["headers"]["sec-fetch-site"] = "same-origin".into();
    let answer = api
        .invoke_buffered(lambda::v1("POST", "/api/sessions", &login))
        .await;
    assert_eq!(answer["statusCode"], 201, "{answer}");
    let extra =
        json!({ "headers": { "authorization": bearer(), "sec-fetch-site": "same-origin" } });
    for (method, path) in WITH_IDENTIFIERS {
        for (id, decoded) in SWALLOWED {
            let as_sent = path.replace("{}", id);
            let decoded = decoded.map(|id| path.replace("{}", id));
            for event in events_of(method, &as_sent, decoded.as_deref(), &extra) {
                let answer = api.invoke_buffered(event.clone()).await;
                let status = answer["statusCode"].as_u64().unwrap();
                assert!(matches!(status, 400 | 404 | 405), "{event}: {answer}");
                assert!(
                    answer["body"]
                        .as_str()
                        .unwrap()
                        .contains("urn:restis:problem:"),
                    "{answer}"
                );
            }
        }
    }
    // Decoded, a `?` or `#` is a part of the identifier still.
    for id in ["u1?organisation=acme", "u1#", "u1?"] {
        let path = format!("/api/users/{id}/sessions");
        for event in [
            lambda::v1("GET", &path, &extra),
            lambda::v2("GET", &path, "", &extra),
        ] {
            let answer = api.invoke_buffered(event).await;
            assert_eq!(
                (&answer["statusCode"], &answer["body"]),
                (&json!(200), &json!("[]")),
                "{id}"
            );
        }
    }
    let event = lambda::v2("GET", "/api/users/u1/sessions", "", &extra);
    let answer = api.invoke_buffered(event).await;
    let sessions: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{answer}");
}

/// A store behind a gate: what counts analytics waits to be let through.
struct Gate {
    url: String,
    held: mpsc::UnboundedReceiver<()>,
    open: Arc<Semaphore>,
}

#[derive(Clone)]
struct Behind {
    store: String,
    /// Requests whose body holds this wait.
    marked: &'static str,
    held: mpsc::UnboundedSender<()>,
    open: Arc<Semaphore>,
}

impl Gate {
    async fn before(store: &str, marked: &'static str) -> Self {
        let (tell, held) = mpsc::unbounded_channel();
        let open = Arc::new(Semaphore::new(0));
        let behind = Behind {
            store: store.to_owned(),
            marked,
            held: tell,
            open: Arc::clone(&open),
        };
        let router = Router::new().fallback(any(pass)).with_state(behind);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, held, open }
    }

    async fn held(&mut self) {
        let held = tokio::time::timeout(Duration::from_secs(20), self.held.recv());
        held.await.unwrap().unwrap();
    }
}

async fn pass(
    State(to): State<Behind>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    if String::from_utf8_lossy(&body).contains(to.marked) {
        to.held.send(()).unwrap();
        to.open.acquire().await.unwrap().forget();
    }
    let mut request = http().post(format!("{}{uri}", to.store)).body(body);
    for name in ["authorization", "upstash-encoding", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let kind = answer.headers()["content-type"].clone();
    (
        status,
        [("content-type", kind)],
        answer.bytes().await.unwrap(),
    )
}

const ANALYTICS: &str = "ZINCRBY";

#[tokio::test]
async fn lambda_has_done_deferred_work_before_it_answers() {
    let store = store();
    let mut gate = Gate::before(store.url(), ANALYTICS).await;
    let mut api = lambda::FakeLambda::start().await;
    let _app = start(&gate.url, &on_lambda(&api));
    let event = lambda::v2("POST", "/api/ratelimit", "", &encoded(CHECK));
    let answer = api.invoke_buffered(event);
    tokio::pin!(answer);
    tokio::select! {
        () = gate.held() => {}
        early = &mut answer => panic!("answered with work left: {early}"),
    }
    gate.open.add_permits(1);
    assert_eq!(answer.await["statusCode"], 200);
}

#[tokio::test]
async fn vercel_is_told_of_the_end_after_deferred_work() {
    let store = store();
    let mut gate = Gate::before(store.url(), ANALYTICS).await;
    let mut host = FakeVercel::listen();
    let port = free_port().to_string();
    let vars = [
        ("VERCEL_IPC_PATH", host.path()),
        ("VERCEL_DEV_PORT", port.clone()),
        ("RATE_LIMIT_POLICIES", POLICIES.to_owned()),
    ];
    let _app = start(&gate.url, &vars);
    host.message("server-started").await;
    let answer = http()
        .post(format!("http://127.0.0.1:{port}/api/ratelimit"))
        .header("authorization", bearer())
        .header("content-type", "application/json")
        .header("x-vercel-internal-invocation-id", "inv-1")
        .header("x-vercel-internal-request-id", "7")
        .body(CHECK)
        .send()
        .await
        .unwrap();
    // The answer is there while the work waits.
    assert_eq!(answer.status(), 200);
    gate.held().await;
    {
        let end = host.message("end");
        tokio::pin!(end);
        assert!((&mut end).now_or_never().is_none(), "ended with work left");
        gate.open.add_permits(1);
        end.await;
    }
}

#[tokio::test]
async fn a_process_that_is_asked_to_stop_finishes_requests_and_deferred_work() {
    for marked in ["EVALSHA", ANALYTICS] {
        let store = store();
        let mut gate = Gate::before(store.url(), marked).await;
        let vars = [
            ("PORT", "0".to_owned()),
            ("HOST", "127.0.0.1".to_owned()),
            ("RATE_LIMIT_POLICIES", POLICIES.to_owned()),
        ];
        let mut app = start(&gate.url, &vars);
        let url = format!("http://{}/api/ratelimit", app.address());
        let answer = tokio::spawn(
            http()
                .post(url)
                .header("authorization", bearer())
                .header("content-type", "application/json")
                .body(CHECK)
                .send(),
        );
        gate.held().await;
        let open = Arc::clone(&gate.open);
        let ended = tokio::task::spawn_blocking(move || {
            app.ask_to_stop();
            open.add_permits(8);
            app.wait()
        });
        assert_eq!(answer.await.unwrap().unwrap().status(), 200, "{marked}");
        assert!(ended.await.unwrap().success(), "{marked}");
        let counted = command(&store, &json!(["KEYS", "*:events:*"])).await;
        assert_eq!(counted.as_array().unwrap().len(), 1, "{marked}: {counted}");
    }
}
