//! Whole responses, cached by the sentences of RFC 9111.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::{Body, to_bytes};
use futures_util::future::join_all;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use restis::{
    Redis,
    cache::{Cache, CacheConfig, Tag},
    testing::ManualClock,
    web::{CacheLayer, CachedService},
};
use restis_engine::{Clock as EngineClock, Engine, Options};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tower::{Layer as _, Service, ServiceExt as _};

/// 2026-01-01T12:00:00Z.
const NOON: u64 = 1_767_268_800_000;

type Answers = Arc<Mutex<dyn FnMut(Request<Body>) -> Response<Body> + Send>>;

/// A service that answers by a function and counts.
#[derive(Clone)]
struct Origin(Answers, Arc<AtomicU64>);

impl Service<Request<Body>> for Origin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.1.fetch_add(1, Ordering::SeqCst);
        ready(Ok((self.0.lock().unwrap())(request)))
    }
}

struct World {
    service: CachedService<Origin>,
    layer: CacheLayer,
    cache: Cache,
    clock: ManualClock,
    millis: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
}

type Answered = (StatusCode, HeaderMap, String);

impl World {
    fn new(answer: impl FnMut(Request<Body>) -> Response<Body> + Send + 'static) -> Self {
        Self::with(|layer| layer, answer)
    }

    fn with(
        change: impl FnOnce(CacheLayer) -> CacheLayer,
        answer: impl FnMut(Request<Body>) -> Response<Body> + Send + 'static,
    ) -> Self {
        let millis = Arc::new(AtomicU64::new(NOON));
        let mut options = Options::default();
        options.clock = EngineClock::manual(Arc::clone(&millis));
        let clock = ManualClock::new(NOON);
        let mut config = CacheConfig::new();
        config.early_refresh = 0.0;
        let cache = Cache::builder(Redis::embedded(Engine::new(options)), config);
        let cache = cache.clock(clock.clone()).build().unwrap();
        let layer = change(CacheLayer::new(cache.clone()));
        let calls = Arc::new(AtomicU64::new(0));
        let service = layer.layer(Origin(Arc::new(Mutex::new(answer)), Arc::clone(&calls)));
        Self {
            service,
            layer,
            cache,
            clock,
            millis,
            calls,
        }
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.millis.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    async fn send(&self, method: Method, uri: &str, headers: &[(&str, &str)]) -> Answered {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.service.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (
            head.status,
            head.headers,
            String::from_utf8_lossy(&body).into_owned(),
        )
    }

    async fn get(&self, uri: &str, headers: &[(&str, &str)]) -> Answered {
        self.send(Method::GET, uri, headers).await
    }

    fn calls(&self) -> u64 {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}

/// Whether the second of two equal requests is answered from the store.
async fn is_reused(
    request: &[(&str, &str)],
    status: u16,
    headers: &'static [(&str, &str)],
) -> bool {
    let world = World::new(move |_| response(status, headers, "body"));
    for _ in 0..2 {
        let (answered, _, body) = world.get("/r", request).await;
        assert_eq!((answered.as_u16(), &*body), (status, "body"));
    }
    world.calls() == 1
}

#[tokio::test]
async fn a_response_is_stored_when_the_rfc_allows_it_and_it_says_for_how_long() {
    let token = [("authorization", "Bearer x")];
    let cookie = [("cookie", "a=b")];
    for (stored, request, status, headers) in [
        // 4.2.1: the freshness lifetime, explicit only; nothing is guessed from `Last-Modified`.
        (true, &[][..], 200, &[("cache-control", "max-age=60")][..]),
        (true, &[], 200, &[("cache-control", "s-maxage=60")]),
        (
            true,
            &[],
            200,
            &[("cache-control", "s-maxage=60, max-age=0")],
        ),
        (
            false,
            &[],
            200,
            &[("cache-control", "s-maxage=0, max-age=60")],
        ),
        (
            true,
            &[],
            200,
            &[
                ("date", "Thu, 01 Jan 2026 12:00:00 GMT"),
                ("expires", "Thu, 01 Jan 2026 12:01:00 GMT"),
            ],
        ),
        // 5.3: "a cache recipient MUST interpret invalid date formats, especially the value "0", as
        // representing a time in the past"; 5.3: "If a response includes a Cache-Control header
        // field with the max-age directive, a recipient MUST ignore the Expires header field."
        (false, &[], 200, &[("expires", "0")]),
        (
            true,
            &[],
            200,
            &[("expires", "0"), ("cache-control", "max-age=60")],
        ),
        (false, &[], 200, &[]),
        (false, &[], 200, &[("cache-control", "public")]),
        (
            false,
            &[],
            200,
            &[("last-modified", "Thu, 01 Jan 2020 12:00:00 GMT")],
        ),
        (false, &[], 200, &[("cache-control", "max-age=soon")]),
        // 4.2.3: what is old already.
        (
            true,
            &[],
            200,
            &[("cache-control", "max-age=60"), ("age", "59")],
        ),
        (
            false,
            &[],
            200,
            &[("cache-control", "max-age=60"), ("age", "60")],
        ),
        // 5.2.2: directives of the response.
        (
            false,
            &[],
            200,
            &[("cache-control", "max-age=60, no-store")],
        ),
        (
            false,
            &[],
            200,
            &[
                ("cache-control", "max-age=60"),
                ("cache-control", "no-store"),
            ],
        ),
        (
            false,
            &[],
            200,
            &[("cache-control", "max-age=60, no-cache")],
        ),
        (false, &[], 200, &[("cache-control", "max-age=60, PRIVATE")]),
        (
            false,
            &[],
            200,
            &[("cache-control", "max-age=60, private=\"x-user\"")],
        ),
        // 3: only statuses that are understood.
        (true, &[], 404, &[("cache-control", "max-age=60")]),
        (
            true,
            &[],
            301,
            &[("cache-control", "max-age=60"), ("location", "/x")],
        ),
        (false, &[], 201, &[("cache-control", "max-age=60")]),
        (false, &[], 299, &[("cache-control", "max-age=60")]),
        (false, &[], 500, &[("cache-control", "max-age=60")]),
        (false, &[], 400, &[("cache-control", "max-age=60")]),
        // 3.5: "A shared cache MUST NOT use a cached response to a request with an Authorization
        // header field to satisfy any subsequent request unless the response contains" one of these.
        (false, &token, 200, &[("cache-control", "max-age=60")]),
        (
            true,
            &token,
            200,
            &[("cache-control", "max-age=60, public")],
        ),
        (true, &token, 200, &[("cache-control", "s-maxage=60")]),
        (
            true,
            &token,
            200,
            &[("cache-control", "max-age=60, must-revalidate")],
        ),
        // Cookies are credentials as well.
        (false, &cookie, 200, &[("cache-control", "max-age=60")]),
        (
            true,
            &cookie,
            200,
            &[("cache-control", "max-age=60, public")],
        ),
        // 7.3: what sets a cookie names somebody.
        (
            false,
            &[],
            200,
            &[
                ("cache-control", "max-age=60, public"),
                ("set-cookie", "a=b"),
            ],
        ),
        // 4.1: "A stored response with a Vary header field value containing a member "*" always
        // fails to match."
        (
            false,
            &[],
            200,
            &[("cache-control", "max-age=60"), ("vary", "accept, *")],
        ),
        // 5.2.1.5: "no-store" of the request.
        (
            false,
            &[("cache-control", "no-store")],
            200,
            &[("cache-control", "max-age=60")],
        ),
        (
            false,
            &[("range", "bytes=0-1")],
            200,
            &[("cache-control", "max-age=60")],
        ),
    ] {
        assert_eq!(
            is_reused(request, status, headers).await,
            stored,
            "{request:?} {status} {headers:?}"
        );
    }
}

#[tokio::test]
async fn a_stored_response_tells_its_age_and_ends() {
    let world = World::new(|_| {
        response(
            200,
            &[
                ("cache-control", "max-age=60"),
                ("age", "10"),
                ("x-a", "1"),
                ("connection", "x-hop"),
                ("x-hop", "1"),
            ],
            "body",
        )
    });
    let (_, first, _) = world.get("/r?a=1", &[]).await;
    assert_eq!(first["cache-status"], "restis; fwd=uri-miss; stored");
    world.advance(20);
    let (status, headers, body) = world.get("/r?a=1", &[]).await;
    assert_eq!((status, &*body), (StatusCode::OK, "body"));
    // RFC 9111, 5.1, and what is of a connection alone is not stored (3.1).
    assert_eq!([&headers["age"], &headers["x-a"]], ["30", "1"]);
    assert_eq!(headers["cache-status"], "restis; hit; ttl=30");
    assert_eq!(headers["date"], "Thu, 01 Jan 2026 12:00:00 GMT");
    assert!(!headers.contains_key("x-hop") && !headers.contains_key("connection"));
    world.advance(29);
    world.get("/r?a=1", &[]).await;
    assert_eq!(world.calls(), 1);
    world.advance(1);
    world.get("/r?a=1", &[]).await;
    world.get("/r?a=2", &[]).await;
    world.get("/r", &[("host", "other.example")]).await;
    world.get("/r?a=1", &[("host", "other.example")]).await;
    assert_eq!(world.calls(), 4);
}

#[tokio::test]
async fn requests_ask_for_what_they_want() {
    let world = World::new(|_| response(200, &[("cache-control", "max-age=60")], "body"));
    let ask = async |directives: &str| world.get("/r", &[("cache-control", directives)]).await;
    // 5.2.1.7: "either respond using a stored response consistent with the other constraints of the
    // request or respond with a 504 (Gateway Timeout) status code."
    assert_eq!(ask("only-if-cached").await.0, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(world.calls(), 0);
    world.get("/r", &[]).await;
    world.advance(20);
    assert_eq!(ask("only-if-cached").await.0, StatusCode::OK);
    assert_eq!(
        ask("only-if-cached, max-age=10").await.0,
        StatusCode::GATEWAY_TIMEOUT
    );
    assert_eq!(ask("max-age=20, min-fresh=40").await.1["age"], "20");
    assert_eq!(world.calls(), 1);
    // Each of these brings a new response, which is stored.
    for directives in ["no-cache", "max-age=0", "max-age=19", "min-fresh=41"] {
        world.get("/r", &[]).await;
        world.calls();
        assert!(!ask(directives).await.1.contains_key("age"), "{directives}");
        assert_eq!(world.calls(), 1, "{directives}");
        assert_eq!(world.get("/r", &[]).await.1["age"], "0");
        world.advance(20);
    }
    world.calls();
    // 5.4: `Pragma: no-cache` where there is no `Cache-Control`.
    world.get("/r", &[("pragma", "no-cache")]).await;
    assert_eq!(world.calls(), 1);
    world
        .get(
            "/r",
            &[("pragma", "no-cache"), ("cache-control", "max-age=60")],
        )
        .await;
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn headers_in_vary_select_among_responses() {
    // 4.1: "the cache MUST NOT use that stored response without revalidation unless all the
    // presented request header fields nominated by that Vary field value match those fields in the
    // original request".
    let world = World::new(|request| {
        let language = request.headers().get("accept-language");
        let language = language.map_or("none", |value| value.to_str().unwrap());
        let headers = [("cache-control", "max-age=60"), ("vary", "Accept-Language")];
        response(200, &headers, language)
    });
    let read = async |headers: &[(&str, &str)]| world.get("/r", headers).await.2;
    let (de, fr) = ([("accept-language", "de")], [("accept-language", "fr")]);
    for _ in 0..2 {
        assert_eq!(read(&de).await, "de");
        assert_eq!(read(&fr).await, "fr");
        assert_eq!(read(&[]).await, "none");
    }
    world.calls();
    for _ in 0..2 {
        assert_eq!(read(&de).await, "de");
        assert_eq!(read(&fr).await, "fr");
        assert_eq!(read(&[]).await, "none");
        assert_eq!(
            world
                .get("/r", &[("accept-language", "de"), ("x", "y")])
                .await
                .2,
            "de"
        );
    }
    assert_eq!(world.calls(), 0);
    // Two lines are not one other line.
    let two = [("accept-language", "d"), ("accept-language", "e")];
    assert_eq!(read(&two).await, "d");
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn a_response_that_depends_on_more_than_before_is_not_given_to_others() {
    let mut n = 0;
    let world = World::new(move |request| {
        n += 1;
        let vary = if n < 3 { "accept" } else { "accept, x-plan" };
        let plan = request
            .headers()
            .get("x-plan")
            .map_or("", |value| value.to_str().unwrap());
        response(
            200,
            &[("cache-control", "max-age=60"), ("vary", vary)],
            plan,
        )
    });
    for plan in ["a", "a", "a", "b", "a", "b", "c", "a", "b"] {
        let headers = [("accept", plan), ("x-plan", plan)];
        assert_eq!(world.get("/r", &headers).await.2, plan);
    }
    for accept in ["1", "2", "1"] {
        for plan in ["a", "b", "a"] {
            let headers = [("accept", accept), ("x-plan", plan)];
            assert_eq!(world.get("/r", &headers).await.2, plan);
        }
    }
    world.advance(11);
    for plan in ["a", "b", "a", "b"] {
        assert_eq!(
            world
                .get("/r", &[("accept", "a"), ("x-plan", plan)])
                .await
                .2,
            plan
        );
    }
    world.calls();
    assert_eq!(
        world.get("/r", &[("accept", "a"), ("x-plan", "a")]).await.2,
        "a"
    );
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn conditions_are_answered_from_the_store() {
    let headers = [
        ("cache-control", "max-age=60"),
        ("etag", "\"v1\""),
        ("last-modified", "Thu, 01 Jan 2026 10:00:00 GMT"),
        ("content-type", "text/plain"),
    ];
    let world = World::new(move |request| {
        // RFC 9111, 4.3: the stored response is whole.
        assert!(!request.headers().contains_key(header::IF_NONE_MATCH));
        assert!(!request.headers().contains_key(header::IF_MODIFIED_SINCE));
        response(200, &headers, "body")
    });
    for (condition, value, status) in [
        ("if-none-match", "\"v1\"", 304),
        ("if-none-match", "W/\"v1\"", 304),
        ("if-none-match", "\"v0\", \"v1\"", 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"v2\"", 200),
        ("if-modified-since", "Thu, 01 Jan 2026 10:00:00 GMT", 304),
        ("if-modified-since", "Thu, 01 Jan 2026 09:59:59 GMT", 200),
        ("if-modified-since", "yesterday", 200),
    ] {
        let (answered, headers, body) = world.get("/r", &[(condition, value)]).await;
        assert_eq!(answered, status, "{condition}: {value}");
        assert_eq!(body, if status == 304 { "" } else { "body" });
        assert_eq!(headers["etag"], "\"v1\"");
        assert_eq!(headers.contains_key("content-type"), status == 200);
    }
    // RFC 9110, 13.1.3: "A recipient MUST ignore If-Modified-Since if the request contains an
    // If-None-Match header field".
    let both = [
        ("if-none-match", "\"v2\""),
        ("if-modified-since", "Thu, 01 Jan 2026 10:00:00 GMT"),
    ];
    assert_eq!(world.get("/r", &both).await.0, StatusCode::OK);
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn head_is_answered_by_what_get_stored() {
    let world = World::new(|request| {
        let body = if request.method() == Method::HEAD {
            ""
        } else {
            "body"
        };
        response(200, &[("cache-control", "max-age=60")], body)
    });
    let (status, headers, _) = world.send(Method::HEAD, "/r", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!headers.contains_key("age"));
    assert_eq!(world.get("/r", &[]).await.2, "body");
    assert_eq!(world.calls(), 2);
    let (status, headers, body) = world.send(Method::HEAD, "/r", &[]).await;
    assert_eq!((status, &*body), (StatusCode::OK, ""));
    assert_eq!([&headers["age"], &headers["content-length"]], ["0", "4"]);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_change_invalidates_what_is_stored_for_its_uri() {
    // 4.4: "A cache MUST invalidate the target URI when it receives a non-error status code in
    // response to an unsafe request method".
    for (method, status, invalidates) in [
        (Method::POST, 200, true),
        (Method::PUT, 204, true),
        (Method::PATCH, 303, true),
        (Method::DELETE, 204, true),
        (Method::DELETE, 404, false),
        (Method::POST, 500, false),
        (Method::OPTIONS, 200, false),
    ] {
        let world = World::with(
            |layer| {
                layer.owner(|request| Some(request.headers.get("user")?.to_str().ok()?.to_owned()))
            },
            move |request| match *request.method() {
                Method::GET => response(
                    200,
                    &[("cache-control", "max-age=60"), ("vary", "accept")],
                    "body",
                ),
                _ => response(status, &[], ""),
            },
        );
        let read = async || {
            for headers in [&[][..], &[("accept", "a")], &[("user", "u")]] {
                world.get("/r", headers).await;
                world.get("/r", headers).await;
                world.get("/other", headers).await;
                world.get("/other", headers).await;
            }
            world.calls()
        };
        read().await;
        assert_eq!(read().await, 0);
        world.send(method.clone(), "/r", &[]).await;
        world.calls();
        assert_eq!(read().await > 0, invalidates, "{method} {status}");
    }
}

#[tokio::test]
async fn a_stale_response_is_served_by_its_directives_alone() {
    for (directives, after, status, body) in [
        // RFC 5861, 4, and without a load that is deferred the reader waits for the new one.
        ("max-age=10, stale-if-error=20", 29, 200, "old"),
        ("max-age=10, stale-if-error=20", 30, 503, "down"),
        ("max-age=10", 11, 503, "down"),
        ("max-age=10, stale-while-revalidate=20", 29, 200, "old"),
        ("max-age=10, stale-while-revalidate=20", 30, 503, "down"),
        // RFC 9111, 4.2.4: "A cache MUST NOT generate a stale response if it is prohibited by an
        // explicit in-protocol directive (e.g., by a no-cache response directive, a must-revalidate
        // response directive, or an applicable s-maxage or proxy-revalidate response directive".
        (
            "max-age=10, stale-if-error=20, must-revalidate",
            11,
            503,
            "down",
        ),
        (
            "max-age=10, stale-if-error=20, proxy-revalidate",
            11,
            503,
            "down",
        ),
        ("s-maxage=10, stale-if-error=20", 11, 503, "down"),
    ] {
        let mut n = 0;
        let world = World::new(move |_| {
            n += 1;
            match n {
                1 => response(200, &[("cache-control", directives)], "old"),
                _ => response(503, &[("retry-after", "1")], "down"),
            }
        });
        world.get("/r", &[]).await;
        world.advance(after);
        let (answered, headers, text) = world.get("/r", &[]).await;
        assert_eq!(
            (answered.as_u16(), &*text),
            (status, body),
            "{directives} {after}"
        );
        if status == 200 {
            let ttl = format!("restis; hit; ttl=-{}", after - 10);
            assert_eq!(headers["cache-status"], ttl);
        }
    }
}

#[tokio::test]
async fn what_belongs_to_a_user_is_stored_for_it_alone() {
    let owner = |request: &http::request::Parts| {
        Some(request.headers.get("cookie")?.to_str().ok()?.to_owned())
    };
    let world = World::with(
        |layer| layer.owner(owner),
        |request| {
            let user = request
                .headers()
                .get("cookie")
                .map_or("nobody", |value| value.to_str().unwrap());
            response(200, &[("cache-control", "private, max-age=60")], user)
        },
    );
    for _ in 0..2 {
        for user in ["ann", "bob", "", "with credentials", "of ann"] {
            assert_eq!(world.get("/r", &[("cookie", user)]).await.2, user);
        }
    }
    assert_eq!(world.calls(), 5);
    // Without an owner `private` is not stored.
    assert_eq!(world.get("/r", &[]).await.2, "nobody");
    assert_eq!(world.get("/r", &[]).await.2, "nobody");
    assert_eq!(world.calls(), 2);
}

#[tokio::test]
async fn a_response_with_credentials_never_answers_without_them_nor_the_other_way_round() {
    let world = World::new(|request| {
        let who = if request.headers().contains_key("authorization") {
            "known"
        } else {
            "public"
        };
        response(200, &[("cache-control", "max-age=60")], who)
    });
    for _ in 0..3 {
        assert_eq!(world.get("/r", &[]).await.2, "public");
        assert_eq!(
            world.get("/r", &[("authorization", "Bearer x")]).await.2,
            "known"
        );
    }
    assert_eq!(world.calls(), 4);
}

#[tokio::test]
async fn tags_and_uris_are_invalidated_by_the_application() {
    const DAY: Tag<(String,)> = Tag::new("day:{day}");
    let world = World::with(
        |layer| layer.tags(|request| vec![DAY.of((request.uri.path(),))]),
        |_| response(200, &[("cache-control", "max-age=60")], "body"),
    );
    let read = async || {
        for uri in [
            "https://a.example/1",
            "https://a.example/2",
            "https://b.example/1",
        ] {
            world.get(uri, &[]).await;
        }
        world.calls()
    };
    assert_eq!((read().await, read().await), (3, 0));
    world.cache.remove_tag(&DAY.of(("/1",))).await.unwrap();
    assert_eq!((read().await, read().await), (2, 0));
    world
        .layer
        .remove(&"https://A.example/2".parse().unwrap())
        .await
        .unwrap();
    assert_eq!((read().await, read().await), (1, 0));
    world.layer.clear().await.unwrap();
    assert_eq!((read().await, read().await), (3, 0));
}

#[tokio::test]
async fn callers_of_one_moment_share_what_may_be_stored() {
    let world = World::new(|_| response(200, &[("cache-control", "max-age=60")], "body"));
    let all = join_all((0..100).map(|_| world.get("/r", &[]))).await;
    assert!(
        all.iter()
            .all(|(status, _, body)| *status == 200 && body == "body")
    );
    assert_eq!(world.calls(), 1);
    let collapsed = all
        .iter()
        .filter(|(_, headers, _)| headers["cache-status"] == "restis; fwd=uri-miss; collapsed");
    assert_eq!(collapsed.count(), 99);
    // RFC 9111, 4: what may not be stored satisfies its own request alone.
    let mut n = 0;
    let world = World::new(move |_| {
        n += 1;
        response(200, &[("cache-control", "no-store")], &n.to_string())
    });
    let all = join_all((0..100).map(|_| world.get("/r", &[]))).await;
    let mut bodies: Vec<_> = all.into_iter().map(|(_, _, body)| body).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 100);
}

#[tokio::test]
async fn bodies_that_are_long_unknown_or_binary() {
    let long = "x".repeat(1001);
    let world = World::with(
        |layer| layer.max_body_bytes(1000),
        move |request| {
            let body = match request.uri().path() {
                "/long" => Body::from(long.clone()),
                "/stream" => {
                    Body::from_stream(futures_util::stream::iter([Ok::<_, Infallible>("stream")]))
                }
                _ => Body::from(vec![0, 159, 146, 150]),
            };
            Response::builder()
                .header("cache-control", "max-age=60")
                .body(body)
                .unwrap()
        },
    );
    for (uri, calls, length) in [("/long", 2, 1001), ("/stream", 2, 6)] {
        for _ in 0..2 {
            assert_eq!(world.get(uri, &[]).await.2.len(), length);
        }
        assert_eq!(world.calls(), calls, "{uri}");
    }
    for _ in 0..2 {
        let request = Request::get("/binary").body(Body::empty()).unwrap();
        let response = world.service.clone().oneshot(request).await.unwrap();
        let body = to_bytes(response.into_body(), 10).await.unwrap();
        assert_eq!(body, &[0, 159, 146, 150][..]);
    }
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn while_the_store_is_away_the_service_answers() {
    let redis = Redis::builder("http://127.0.0.1:1", "TOKEN")
        .max_retries(0)
        .build()
        .unwrap();
    let layer = CacheLayer::new(Cache::new(redis).unwrap());
    let calls = Arc::new(AtomicU64::new(0));
    let answer = |_| response(200, &[("cache-control", "max-age=60")], "body");
    let mut service = layer.layer(Origin(Arc::new(Mutex::new(answer)), Arc::clone(&calls)));
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let request = Request::builder()
            .method(method)
            .uri("/r")
            .body(Body::empty())
            .unwrap();
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}
