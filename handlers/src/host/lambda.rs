//! AWS Lambda: API Gateway v1 and v2, function URLs, load balancers.

use super::HostError;
use crate::client_ip::ClientIp;
use axum::{Router, response::Response};
use http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use lambda_http::{
    Body, IntoResponse, Request, RequestExt as _, request::RequestContext, service_fn,
};
use restis::web::{client_ip, parse_ip};
use std::{convert::Infallible, net::IpAddr, pin::Pin};
use tower::ServiceExt as _;

pub(super) async fn run(app: Router, streaming: bool) -> Result<(), HostError> {
    let service = service_fn(move |request: Request| answer(app.clone(), request));
    let result = if streaming {
        lambda_http::run_with_streaming_response(service).await
    } else {
        lambda_http::run(service.map_response(Buffered)).await
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
    let stage = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.as_deref(),
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.as_deref(),
        _ => None,
    };
    let uri = stage.and_then(|stage| without_stage(request.uri(), stage));
    let mut request = request.map(axum::body::Body::new);
    if let Some(uri) = uri {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(ip);
    app.oneshot(request).await
}

/// The address of the route where the gateway's stage stands before it; `None` where it does not.
fn without_stage(uri: &Uri, stage: &str) -> Option<Uri> {
    let target = uri.path_and_query()?.as_str();
    let rest = target.strip_prefix('/')?.strip_prefix(stage)?;
    // A domain of one's own has no stage: `/api` is ours, whatever the stage is called.
    if !rest.starts_with('/') || (stage == "api" && !rest.starts_with("/api/")) {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest.parse().ok()?);
    Uri::from_parts(parts).ok()
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
        let path = |text: &str, stage: &str| {
            let uri: Uri = format!("https://api.example{text}").parse().unwrap();
            without_stage(&uri, stage).map(|uri| uri.path_and_query().unwrap().to_string())
        };
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(
            path("/prod/api/health?a=%2F&a=2", "prod"),
            found("/api/health?a=%2F&a=2")
        );
        assert_eq!(path("/api/api/health", "api"), found("/api/health"));
        for (text, stage) in [
            ("/api/health", "prod"),
            ("/api/health", "$default"),
            ("/api/health", "api"),
            ("/production/api/health", "prod"),
            ("/prod", "prod"),
        ] {
            assert_eq!(path(text, stage), None, "{text}");
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
