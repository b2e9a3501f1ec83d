//! Who may call the console: hosts, origins, the one-time token, sessions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::Router;
use axum::body::Body;
use http::header::SET_COOKIE;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use restis_console::{Console, Database};
use restis_server::{Running, Server};
use tower::ServiceExt as _;

const TOKEN: &str = "TOKEN";

struct Fixture {
    router: Router,
    link: String,
    _server: Running,
}

fn fixture() -> Fixture {
    let server = Server::builder()
        .token(TOKEN)
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap();
    let console = Console::new(server.connector())
        .unwrap()
        .database(Database::new("db0", TOKEN))
        .rest_url(server.url())
        .host("console.example");
    let link = console.fragment().split_once('=').unwrap().1.to_owned();
    Fixture {
        router: console.router(),
        link,
        _server: server,
    }
}

struct Answer {
    status: StatusCode,
    cookie: Option<String>,
    body: String,
}

impl Fixture {
    /// Sends a request with these headers; `host` and `x-restis-console` are right unless given.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in [("host", "127.0.0.1:8070"), ("x-restis-console", "1")] {
            if !headers.iter().any(|(given, _)| *given == name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let cookie = response.headers().get(SET_COOKIE);
        let cookie = cookie.map(|value| value.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            cookie,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    async fn unlock(&self, token: &str, host: &str) -> Answer {
        let headers = [("content-type", "application/json"), ("host", host)];
        let body = format!(r#"{{"token":"{token}"}}"#);
        self.send(Method::POST, "/console/api/session", &headers, &body)
            .await
    }

    async fn session(&self) -> String {
        let opened = self.unlock(TOKEN, "127.0.0.1:8070").await;
        opened.cookie.unwrap().split(';').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_link_opens_once_and_its_cookie_stays() {
    let console = fixture();
    let opened = console.unlock(&console.link, "localhost:3030").await;
    assert_eq!(opened.status, StatusCode::NO_CONTENT);
    let cookie = opened.cookie.unwrap();
    assert!(cookie.starts_with("restis_console_3030="), "{cookie}");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert_eq!(
        console.unlock(&console.link, "localhost:3030").await.status,
        StatusCode::UNAUTHORIZED
    );
    let pair = cookie.split(';').next().unwrap();
    for _ in 0..2 {
        let headers = [("cookie", pair), ("host", "localhost:3030")];
        let shown = console
            .send(Method::GET, "/console/api/session", &headers, "")
            .await;
        assert_eq!(shown.status, StatusCode::OK);
        assert!(shown.body.contains(TOKEN));
    }
    // The same cookie sent to another port of the machine opens nothing there.
    let headers = [("cookie", pair), ("host", "localhost:3031")];
    let other = console
        .send(Method::GET, "/console/api/session", &headers, "")
        .await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nothing_is_open_without_a_session() {
    let console = fixture();
    let right = console.session().await;
    let (name, value) = right.split_once('=').unwrap();
    let wrong = [
        String::new(),
        name.to_owned(),
        format!("{name}="),
        format!("{name}={}", &value[1..]),
        format!("{name}={value}x"),
        format!("other={value}"),
    ];
    for cookie in &wrong {
        for (method, path) in [
            (Method::GET, "/console/api/session"),
            (Method::GET, "/console/api/monitor/db0"),
            (Method::GET, "/console/api/slow-log/db0"),
            (Method::GET, "/console/api/store/db0/get/k"),
            (Method::POST, "/console/api/store/db0/set/k/v"),
            (Method::POST, "/console/api/store/db0/pipeline"),
        ] {
            let answer = console.send(method, path, &[("cookie", cookie)], "").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{cookie} {path}");
            assert!(!answer.body.contains(TOKEN));
        }
    }
    for token in ["", "token", "TOKENX", "\\u0000"] {
        assert_eq!(
            console.unlock(token, "127.0.0.1").await.status,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn other_sites_and_other_names_reach_nothing() {
    let console = fixture();
    let cookie = console.session().await;
    let refused: &[(&str, &str)] = &[
        ("host", "evil.example"),
        ("host", "evil.example:8070"),
        ("host", "127.0.0.1.evil.example"),
        ("host", "localhost.evil.example"),
        ("host", ""),
        ("origin", "https://evil.example"),
        ("origin", "http://localhost:8070"),
        ("origin", "http://127.0.0.1:5173"),
        ("origin", "null"),
        ("x-restis-console", ""),
    ];
    for header in refused {
        let headers = [("cookie", cookie.as_str()), *header];
        let path = "/console/api/store/db0/set/k/v";
        let answer = console.send(Method::POST, path, &headers, "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{header:?}");
    }
    let headers = [("cookie", cookie.as_str())];
    let read = console
        .send(Method::GET, "/console/api/store/db0/get/k", &headers, "")
        .await;
    assert_eq!(read.body, r#"{"result":null}"#);
    for host in [
        "127.0.0.1:8070",
        "[::1]:8070",
        "localhost:8070",
        "console.example",
        "10.0.0.7:8070",
    ] {
        let page = console.send(Method::GET, "/", &[("host", host)], "").await;
        assert_eq!(page.status, StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn requests_reach_the_store_byte_for_byte() {
    let console = fixture();
    let cookie = console.session().await;
    let headers = [("cookie", cookie.as_str()), ("upstash-encoding", "base64")];
    // A key of `/`, 0xFF and `..`, which no router may read as a path.
    let set = "/console/api/store/db0/set/%2F%FF..%2F..%2F%3F/v";
    assert_eq!(
        console.send(Method::POST, set, &headers, "").await.body,
        r#"{"result":"OK"}"#
    );
    let keys = console
        .send(
            Method::POST,
            "/console/api/store/db0",
            &headers,
            r#"["KEYS","*"]"#,
        )
        .await;
    assert_eq!(keys.body, r#"{"result":["L/8uLi8uLi8/"]}"#);
    let other = console
        .send(Method::GET, "/console/api/store/db1/get/k", &headers, "")
        .await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}
