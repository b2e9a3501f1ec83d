//! An axum application of one's own: restis' rate limit routes mounted beside own routes behind a gate.
//!
//! ```sh
//! export RESTIS_SERVICE_TOKEN=a-token-of-16-characters
//! cargo run -p restis-handlers --example axum_app
//! curl -i -c cookies http://127.0.0.1:3000/login -H 'content-type: application/json' -d '{"user":"ada"}'
//! curl -i -b cookies http://127.0.0.1:3000/me
//! curl -i http://127.0.0.1:3000/api/ratelimit -H "authorization: Bearer $RESTIS_SERVICE_TOKEN" \
//!   -H 'content-type: application/json' -d '{"identifier":"ada"}'
//! ```
//!
//! Without a database in the environment it works on a store in the process.
#![expect(clippy::print_stdout, reason = "a program may talk")]

use std::{error::Error, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::ConnectInfo,
    http::{StatusCode, request::Parts},
    routing::{get, post},
};
use restis::{
    Redis,
    commands::StringCommands as _,
    ratelimit::{Limit, RateLimiter},
    session::{
        CookieConfig, CurrentSession, NewSession, Secrets, Session, SessionConfig, Sessions,
    },
    web::{Prefetched, RateLimitLayer, RequestGuard, SessionLayer, Subject, client_ip},
};
use restis_handlers::{AppState, Config, Group, mount, serve};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(&Redis::from_env()?)?;
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    Ok(serve(listener, app, stop).await?)
}

fn app(redis: &Redis) -> Result<Router, Box<dyn Error>> {
    let limit = Limit::sliding_window(100, Duration::from_secs(60))?;
    let limiter = RateLimiter::builder(redis.clone(), limit).build();
    let limit = RateLimitLayer::new(limiter, by_address).policy("pages");
    let sessions = Sessions::new(redis.clone(), session_config()?)?;
    let session = SessionLayer::new(sessions);

    // Limit, session and notice: one request to the store for each page.
    let store = redis.clone();
    let members = RequestGuard::new()
        .limit(limit.clone())
        .session(session.clone().required())
        .read(move |_| {
            let store = store.clone();
            async move { store.get::<String>("notice").await }
        });
    let everyone = RequestGuard::new().limit(limit).session(session);

    let state = AppState::builder(redis.clone())
        .config(Config::from_env()?)
        .build()?;
    Ok(Router::new()
        .route("/me", get(me))
        .layer(members)
        .merge(
            Router::new()
                .route("/login", post(login))
                .route("/logout", post(logout))
                .layer(everyone),
        )
        .merge(mount(state, &[Group::RateLimit])))
}

/// The peer's address; behind a proxy give `client_ip` the number of proxies that append to `X-Forwarded-For`.
fn by_address(request: &Parts) -> Option<Subject> {
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    Some(Subject::from_ip(client_ip(&request.headers, peer, 0)))
}

/// From the environment in production; for a trial secrets that end with the process, over plain HTTP.
fn session_config() -> Result<SessionConfig, Box<dyn Error>> {
    if std::env::var_os("SESSION_SECRETS").is_some() {
        return Ok(SessionConfig::from_env()?);
    }
    Ok(SessionConfig::new(Secrets::random()?).cookie(CookieConfig::insecure()))
}

type Notice = Prefetched<restis::Result<Option<String>>>;

async fn me(session: Session, Prefetched(notice): Notice) -> Json<Value> {
    // A notice that cannot be read is no reason to refuse the page.
    Json(json!({ "user": session.user(), "notice": notice.ok().flatten() }))
}

async fn login(session: CurrentSession, Json(body): Json<Value>) -> Result<StatusCode, StatusCode> {
    // Here the application checks a password, a passkey or an identity provider's answer.
    let user = body["user"].as_str().ok_or(StatusCode::BAD_REQUEST)?;
    match session.sign_in(NewSession::user(user)).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn logout(session: CurrentSession) -> StatusCode {
    match session.sign_out().await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
