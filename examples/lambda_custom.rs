//! An AWS Lambda function of one's own behind restis' tower layers, without axum and without the ready-made routes.
//!
//! ```sh
//! cargo lambda watch --package restis-handlers --example lambda_custom
//! curl -i http://localhost:9000/lambda-url/lambda_custom
//! ```
//!
//! `UPSTASH_REDIS_REST_URL` and `UPSTASH_REDIS_REST_TOKEN` name the store.

use std::{net::IpAddr, time::Duration};

use lambda_http::{
    Body, Error, Request, Response, http::request::Parts, request::RequestContext, run, service_fn,
    tower::Layer as _,
};
use restis::{
    Redis,
    commands::StringCommands as _,
    ratelimit::{Limit, RateLimiter},
    web::{Prefetched, RateLimitLayer, RequestGuard, Subject},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let redis = Redis::from_env()?;
    let limit = Limit::fixed_window(2, Duration::from_secs(3600))?;
    let limiter = RateLimiter::builder(redis.clone(), limit).build();
    // The decision and the read are one request to the store.
    let gate = RequestGuard::new()
        .limit(RateLimitLayer::new(limiter, by_address))
        .read(move |_| {
            let redis = redis.clone();
            async move { redis.get::<String>("greeting").await }
        });
    run(gate.layer(service_fn(hello))).await
}

/// The address that API Gateway or the function URL saw.
fn by_address(request: &Parts) -> Option<Subject> {
    let ip: Option<IpAddr> = match request.extensions.get::<RequestContext>()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref()?.parse().ok(),
        RequestContext::ApiGatewayV1(context) => {
            context.identity.source_ip.as_deref()?.parse().ok()
        }
        _ => None,
    };
    Some(Subject::from_ip(ip))
}

async fn hello(request: Request) -> Result<Response<Body>, Error> {
    let read = request
        .extensions()
        .get::<Prefetched<restis::Result<Option<String>>>>();
    let greeting = match read {
        Some(Prefetched(Ok(Some(greeting)))) => greeting.as_str(),
        _ => "hello",
    };
    Ok(Response::new(greeting.into()))
}
