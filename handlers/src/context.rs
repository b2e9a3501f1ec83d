//! What wraps every route: ids, limits, CORS, client address, deferred work, problem answers.

#[cfg(feature = "otel")]
use crate::telemetry;
use crate::{
    AppState, Host,
    client_ip::{self, ClientIp},
    deferred, host,
    problem::Problem,
    signed,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequestParts, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body::{Frame, SizeHint};
use restis::transport::time::timeout;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Browsers ask again after this.
const PREFLIGHT: Duration = Duration::from_secs(3600);

/// The request's id: the caller's if it is well formed, else a new one.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// The most bytes of a request's body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// The request's W3C trace context, if the caller sent a valid one.
///
/// Source: <https://www.w3.org/TR/trace-context/>.
#[derive(Debug, Clone)]
pub struct TraceParent(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for TraceParent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = parts
            .headers
            .get(&TRACEPARENT)
            .and_then(|v| v.to_str().ok());
        Ok(Self(value.filter(|v| is_traceparent(v)).map(str::to_owned)))
    }
}

fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], [version, trace, span, flags]
        if hex(version, 2) && version != "ff" && hex(trace, 32) && !zero(trace) && hex(span, 16) && !zero(span) && hex(flags, 2))
}

/// Wraps the router; the first layer named is the innermost.
pub(crate) fn wrap(router: Router, state: &AppState) -> Router {
    let router = router
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The method is not allowed here",
            )
        })
        .layer(DefaultBodyLimit::max(state.config().max_body_bytes))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            signed::verify,
        ))
        .layer(middleware::from_fn(refuse_encodings))
        .layer(middleware::from_fn(refuse_announced))
        .layer(middleware::from_fn(refuse_repeats))
        .layer(middleware::from_fn(deferred::finish))
        .layer(middleware::from_fn_with_state(state.clone(), limit_time));
    #[cfg(feature = "otel")]
    let router = router.layer(middleware::from_fn_with_state(
        state.clone(),
        telemetry::observe,
    ));
    let router = router.layer(middleware::from_fn_with_state(state.clone(), identify));
    if state.config().cors_origins.is_empty() {
        return router;
    }
    router.layer(cors(state.config().cors_origins.clone()))
}

fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PATCH,
            Method::PUT,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            // Polyfills of `EventSource` send it.
            header::CACHE_CONTROL,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("x-correlation-id"),
            HeaderName::from_static("x-csrf-token"),
            REQUEST_ID.clone(),
            TRACEPARENT.clone(),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            HeaderName::from_static("events-cursor"),
            HeaderName::from_static("events-unreadable"),
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
            HeaderName::from_static("x-ratelimit-limit"),
            HeaderName::from_static("x-ratelimit-remaining"),
            HeaderName::from_static("x-ratelimit-reset"),
            REQUEST_ID.clone(),
        ])
        .max_age(PREFLIGHT)
}

async fn identify(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let given = headers
        .get(&REQUEST_ID)
        .filter(|v| is_request_id(v))
        .cloned();
    let id = RequestId(given.unwrap_or_else(new_request_id));
    let trace = headers
        .get(&TRACEPARENT)
        .filter(|v| v.to_str().is_ok_and(is_traceparent))
        .cloned();
    // The Lambda adapter has set it from the event already.
    if request.extensions().get::<ClientIp>().is_none() {
        let ip = match state.host() {
            Host::Vercel => client_ip::from_vercel(headers),
            Host::Worker => {
                client_ip::from_header(headers, state.config().client_ip_header.as_ref())
            }
            _ => {
                let peer = host::peer(request.extensions());
                client_ip::from_peer(headers, peer, state.config().trusted_proxies)
            }
        };
        request.extensions_mut().insert(ip);
    }
    request.extensions_mut().insert(id.clone());
    request
        .extensions_mut()
        .insert(BodyLimit(state.config().max_body_bytes));
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID.clone(), id.0);
    if let Some(trace) = trace {
        response.headers_mut().insert(TRACEPARENT.clone(), trace);
    }
    response
}

fn is_request_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=128).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

fn new_request_id() -> HeaderValue {
    let mut bytes = [0; 16];
    // An id is for correlation only: without randomness zeros do.
    let _ = getrandom::fill(&mut bytes);
    HeaderValue::try_from(format!("{:032x}", u128::from_be_bytes(bytes)))
        .unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// Headers that say who asks, or what is asked, in one value.
const SINGLE: [&str; 9] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "origin",
    "sec-fetch-site",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-csrf-token",
];

/// Refuses a header of one value that comes twice: a proxy may have checked the other one.
async fn refuse_repeats(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let repeated = headers.keys().find(|name| {
        let single = SINGLE.contains(&name.as_str()) || name.as_str().starts_with("ce-");
        single && headers.get_all(*name).iter().nth(1).is_some()
    });
    match repeated {
        Some(name) => Problem::invalid(format!("`{name}` is there more than once")).into_response(),
        None => next.run(request).await,
    }
}

/// Bodies are taken as they are: one that is compressed is refused before it is read.
async fn refuse_encodings(request: Request, next: Next) -> Response {
    let codings = request.headers().get_all(header::CONTENT_ENCODING);
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if codings.iter().all(plain) {
        return next.run(request).await;
    }
    let problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body's type is not supported",
    );
    let mut response = problem
        .detail("send the body without `Content-Encoding`")
        .into_response();
    let identity = HeaderValue::from_static("identity");
    response
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, identity);
    response
}

/// A body that is announced as too large is refused before it comes, or does not.
async fn refuse_announced(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let limit = request.extensions().get().copied();
    match (length, limit) {
        (Some(length), Some(BodyLimit(most))) if length > most as u64 => {
            let mut response = Problem::body_too_large(most).into_response();
            // The body would be read as the next request.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            response
        }
        _ => next.run(request).await,
    }
}

/// The answer's head is due within the time limit; a stream's body is not limited here.
async fn limit_time(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let waits = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| {
        Body::new(Awaited {
            body,
            waits: waits.clone(),
        })
    });
    match timeout(state.config().request_timeout, next.run(request)).await {
        Some(response) => response,
        None if waits.load(Ordering::Relaxed) => {
            let problem = Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "request-timeout",
                "The request did not arrive in time",
            );
            let mut response = problem
                .detail("the rest of the body is missing: nothing was done")
                .into_response();
            // What may still arrive belongs to no request.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            response
        }
        None => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "The answer took too long",
        )
        .detail("what was asked for may or may not have happened")
        .into_response(),
    }
}

/// A request's body that tells whether somebody waits for more of it.
struct Awaited {
    body: Body,
    waits: Arc<AtomicBool>,
}

impl http_body::Body for Awaited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.waits.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_traceparent_is_taken() {
        assert!(is_traceparent(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
