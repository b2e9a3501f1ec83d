//! AWS Lambda: API Gateway v1 and v2, function URLs, load balancers.

use super::HostError;
use crate::client_ip::ClientIp;
use axum::{Router, body::Body, response::Response};
use lambda_http::{Request, RequestExt as _, request::RequestContext, service_fn};
use restis::ratelimit::{client_ip, parse_ip};
use std::{convert::Infallible, net::IpAddr};
use tower::ServiceExt as _;

pub(super) async fn run(app: Router, streaming: bool) -> Result<(), HostError> {
    let service = service_fn(move |request: Request| answer(app.clone(), request));
    let result = if streaming {
        lambda_http::run_with_streaming_response(service).await
    } else {
        lambda_http::run(service).await
    };
    result.map_err(HostError::Runtime)
}

/// No `AfterAnswer` extension: the process may freeze right after the answer, so deferred work comes first.
async fn answer(app: Router, request: Request) -> Result<Response, Infallible> {
    let ip = ClientIp(source_ip(&request));
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ip);
    app.oneshot(request).await
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
