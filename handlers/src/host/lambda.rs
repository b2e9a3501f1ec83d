//! AWS Lambda: API Gateway v1 and v2, function URLs, load balancers.

use super::{HostError, lambda_event::readable};
use crate::client_ip::ClientIp;
use axum::{Router, response::Response};
use http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use lambda_http::{
    Adapter, Body, IntoResponse, Request, RequestExt as _, StreamAdapter, lambda_runtime,
    request::RequestContext, service_fn,
};
use restis::web::{client_ip, parse_ip};
use std::{convert::Infallible, fmt::Write as _, net::IpAddr, pin::Pin};
use tower::ServiceExt as _;

pub(super) async fn run(app: Router, streaming: bool) -> Result<(), HostError> {
    let service = service_fn(move |request: Request| answer(app.clone(), request));
    let result = if streaming {
        let service = StreamAdapter::from(service).map_request(readable);
        lambda_runtime::run(service).await
    } else {
        let service = Adapter::from(service.map_response(Buffered));
        lambda_runtime::run(service.map_request(readable)).await
    };
    result.map_err(HostError::Runtime)
}

/// An answer that is sent at once.
struct Buffered(Response);

impl IntoResponse for Buffered {
    fn into_response(self) -> Pin<Box<dyn Future<Output = http::Response<Body>> + Send>> {
        let (mut parts, body) = self.0.into_parts();
        Box::pin(async move {
            let body = match body.collect().await {
                Ok(collected) => as_event(&parts.headers, &collected.to_bytes()),
                Err(error) => {
                    tracing::error!(%error, "an answer broke off");
                    parts.status = StatusCode::BAD_GATEWAY;
                    parts.headers.clear();
                    Body::Empty
                }
            };
            http::Response::from_parts(parts, body)
        })
    }
}

/// Text as it is, everything else in base64: no byte is changed on the way.
///
/// The conversion of `lambda_http` decodes by the declared character set, which needs the tables
/// of all of them.
fn as_event(headers: &HeaderMap, bytes: &[u8]) -> Body {
    let encoded = headers.contains_key(header::CONTENT_ENCODING);
    match std::str::from_utf8(bytes) {
        _ if bytes.is_empty() => Body::Empty,
        Ok(text) if !encoded => Body::Text(text.to_owned()),
        _ => Body::Binary(bytes.to_vec()),
    }
}

/// No `AfterAnswer` extension: the process may freeze right after the answer, so deferred work comes first.
async fn answer(app: Router, request: Request) -> Result<Response, Infallible> {
    let ip = ClientIp(source_ip(&request));
    let uri = route_of(&request);
    let mut request = request.map(axum::body::Body::new);
    *request.uri_mut() = uri;
    request.extensions_mut().insert(ip);
    app.oneshot(request).await
}

/// The path and query of the route, without the gateway's stage.
///
/// `lambda_http` reads the path as a browser does: `/users/%2E/x` would be `/users/x`, and a decoded
/// `?` or `#` would end the path. Here every segment stays what it is.
fn route_of(request: &Request) -> Uri {
    let stage = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.as_deref(),
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.as_deref(),
        _ => None,
    };
    let path = request.raw_http_path();
    // Where the path has a `?`, the address cannot tell where its query begins.
    let query = match path.contains(['?', '#']) {
        true => request.query_string_parameters().to_query_string(),
        false => request.uri().query().unwrap_or_default().to_owned(),
    };
    let path = stage
        .and_then(|stage| without_stage(path, stage))
        .unwrap_or(path);
    let mut target = encoded(path);
    if !query.is_empty() {
        target.push('?');
        target.push_str(&query);
    }
    // What is no address, since it is too long, is no route.
    target.parse().unwrap_or_default()
}

/// The path where the gateway's stage stands before it; `None` where it does not.
fn without_stage<'a>(path: &'a str, stage: &str) -> Option<&'a str> {
    let rest = path.strip_prefix('/')?.strip_prefix(stage)?;
    // A domain of one's own has no stage: `/api` is ours, whatever the stage is called.
    let ours = stage == "api" && !rest.starts_with("/api/");
    (rest.starts_with('/') && !ours).then_some(rest)
}

/// A path as an address may hold it: HTTP APIs decode what the client encoded.
fn encoded(path: &str) -> String {
    /// What stands in a path as it is; `%` begins what is encoded already.
    const PLAIN: &[u8] = b"/%!$&'()*+,-.:;=@_~";
    let mut encoded = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        encoded.push('/');
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The address that AWS itself saw; a load balancer appends it to `X-Forwarded-For`.
fn source_ip(request: &Request) -> Option<IpAddr> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => parse_ip(context.http.source_ip.as_deref()?),
        RequestContext::ApiGatewayV1(context) => parse_ip(context.identity.source_ip.as_deref()?),
        RequestContext::Alb(_) => client_ip(request.headers(), None, 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_stage_is_no_part_of_the_path() {
        assert_eq!(
            without_stage("/prod/api/health", "prod"),
            Some("/api/health")
        );
        assert_eq!(without_stage("/api/api/health", "api"), Some("/api/health"));
        for (text, stage) in [
            ("/api/health", "prod"),
            ("/api/health", "$default"),
            ("/api/health", "api"),
            ("/production/api/health", "prod"),
            ("/prod", "prod"),
        ] {
            assert_eq!(without_stage(text, stage), None, "{text}");
        }
    }

    #[test]
    fn a_decoded_path_has_the_segments_that_it_had() {
        for (path, expected) in [
            ("/api/users/../epoch", "/api/users/../epoch"),
            ("/api/users/%2E/epoch", "/api/users/%2E/epoch"),
            ("/api/users/a?b#c/epoch", "/api/users/a%3Fb%23c/epoch"),
            (
                "/api/users/jö rg\\/epoch",
                "/api/users/j%C3%B6%20rg%5C/epoch",
            ),
            ("", "/"),
        ] {
            assert_eq!(encoded(path), expected);
            assert_eq!(encoded(path).parse::<Uri>().unwrap().path(), expected);
        }
    }

    #[test]
    fn no_byte_of_an_answer_is_changed() {
        let mut headers = HeaderMap::new();
        assert!(matches!(as_event(&headers, b""), Body::Empty));
        let text = "größer".as_bytes();
        assert!(matches!(as_event(&headers, text), Body::Text(t) if t.as_bytes() == text));
        assert!(matches!(as_event(&headers, b"\xff\xfe"), Body::Binary(b) if b == b"\xff\xfe"));
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(matches!(as_event(&headers, b"plain"), Body::Binary(_)));
    }
}
