//! Every route while its store fails: what it answers, and that it answers in time.

use super::{
    HERE, World, body,
    kinds::{Kind, Verdict, expected},
    request,
    table::{Access, ROUTES, Route},
};
use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt as _;
use restis::Redis;
use restis_handlers::{Config, problem::TYPES};
use serde_json::Value;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};

/// `REQUEST_TIMEOUT` of the functions: nothing is answered later.
const ANSWER: Duration = Duration::from_secs(5);

/// How the store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody listens.
    Away,
    /// Connections are taken and never answered.
    Silent,
    /// An answer that is not one.
    Garbage,
    /// The page of a proxy that has lost its server.
    Gateway,
    /// The service's token is not accepted.
    Refused,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::Away,
        Self::Silent,
        Self::Garbage,
        Self::Gateway,
        Self::Refused,
    ];

    fn answer(self) -> Option<&'static str> {
        match self {
            Self::Away | Self::Silent => None,
            Self::Garbage => Some(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"result\"",
            ),
            Self::Gateway => Some(
                "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
            ),
            Self::Refused => Some(
                "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 24\r\n\r\n{\"error\":\"Unauthorized\"}",
            ),
        }
    }

    /// A client of a store that fails like this.
    pub(super) fn store(self) -> Redis {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        if self == Self::Away {
            // Held, so that nobody else gets the address and listens.
            tokio::spawn(async move {
                let _held = socket;
                std::future::pending::<()>().await;
            });
        } else {
            let listener = socket.listen(1024).unwrap();
            let answer = self.answer();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let (mut bytes, mut part) = (Vec::new(), vec![0; 64 * 1024]);
                        while let Ok(n @ 1..) = stream.read(&mut part).await {
                            bytes.extend_from_slice(&part[..n]);
                            // A whole request, so that nothing is answered twice.
                            if let (Some(answer), true) = (answer, is_whole(&bytes)) {
                                bytes.clear();
                                let _ = stream.write_all(answer.as_bytes()).await;
                            }
                        }
                    });
                }
            });
        }
        // Silence lasts until here; the other faults are told at once.
        let call = Duration::from_millis(if self == Self::Silent { 500 } else { 4000 });
        let builder = Redis::builder(&url, "TOKEN").timeout(call);
        builder.connect_timeout(call).build().unwrap()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}

/// Routes that have something to say without their store.
fn needs_no_store(route: &Route) -> bool {
    let own = [
        "/api/openapi.json",
        "/api/metrics",
        "/api/metrics/alerts",
        "/api/events/grants",
        // It tells that nobody answers.
        "/api/cache/metrics",
        "/cache/redis/metrics",
        // It stays open and tells of the outage.
        "/api/events/stream",
        // No endpoint is configured.
        "/api/events/work",
    ];
    own.contains(&route.path)
}

/// The request of a caller who gets through.
pub(super) async fn rightful(healthy: &World, route: &Route) -> Option<Request<Body>> {
    let kind = match route.access {
        Access::Browser | Access::BrowserOrNone => Kind::Cookie,
        _ => Kind::Root,
    };
    if expected(route, kind) != Verdict::Passes {
        return None;
    }
    let request = kind.credentials(healthy, request(route, Some(HERE))).await;
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let body = body(route, Some(HERE)).map_or_else(Body::empty, Body::from);
    Some(request.body(body).unwrap())
}

/// The functions over a store that fails.
fn over(fault: Fault) -> World {
    let config = Config {
        request_timeout: ANSWER,
        ..Config::default()
    };
    World::over(fault.store(), config)
}

async fn check(
    world: World,
    request: Request<Body>,
    document: &Value,
    route: &Route,
    fault: Fault,
) {
    let name = format!("{fault:?}: {} {} {}", route.method, route.path, route.when);
    let answer = tokio::time::timeout(ANSWER * 2, world.send(request)).await;
    let (head, answer) = answer
        .unwrap_or_else(|_| panic!("{name} hangs"))
        .into_parts();
    let status = head.status.as_u16();
    if needs_no_store(route) {
        assert!(head.status.is_success(), "{name}: {status}");
        return;
    }
    let text = answer.collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&text).unwrap();
    // Health describes itself instead of being a problem.
    if route.path.ends_with("/health") {
        assert_eq!(
            (status, &answer["status"]),
            (503, &"unavailable".into()),
            "{name}"
        );
        return;
    }
    let code = answer["code"].as_str().unwrap_or_default();
    let registered = TYPES.iter().find(|t| t.code == code);
    let registered = registered.unwrap_or_else(|| panic!("{name}: {status} {answer}"));
    assert_eq!(registered.status, head.status, "{name}");
    let wanted: &[&str] = match fault {
        Fault::Refused => &["store-refused"],
        Fault::Away => &["store-unavailable"],
        // What was sent may have been done.
        Fault::Silent | Fault::Garbage | Fault::Gateway => {
            &["store-unavailable", "outcome-unknown"]
        }
    };
    assert!(wanted.contains(&code), "{name}: {status} {answer}");
    assert!(head.headers.contains_key(header::RETRY_AFTER), "{name}");
    let described = &document["paths"][route.path][route.method.to_lowercase()]["responses"];
    assert!(
        described.get(status.to_string()).is_some(),
        "{name}: {status} is not described"
    );
    for secret in ["TOKEN", "ROOT", "127.0.0.1"] {
        assert!(!answer.to_string().contains(secret), "{name}: {answer}");
    }
}

#[tokio::test]
async fn every_route_answers_in_time_and_says_why_while_the_store_fails() {
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    let healthy = World::new().await;
    let mut checks = Vec::new();
    for fault in Fault::ALL {
        for route in ROUTES {
            if let Some(request) = rightful(&healthy, route).await {
                checks.push(check(over(fault), request, &document, route, fault));
            }
        }
    }
    // Made before the first one starts: making them takes longer than a call may.
    futures_util::future::join_all(checks).await;
}
