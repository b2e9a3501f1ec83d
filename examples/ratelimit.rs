//! Limits a caller to three requests in ten seconds.
//!
//! `cargo run -p restis-examples --example ratelimit`, as in `quickstart.rs`.

use restis::{
    Redis,
    ratelimit::{Limit, RateLimiter},
};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> restis::Result<()> {
    let redis = Redis::from_env()?;
    let limit = Limit::token_bucket(3, Duration::from_secs(10), 3)?;
    let limiter = RateLimiter::builder(redis, limit).prefix("example").build();
    limiter.reset("203.0.113.9").await?;
    for request in 1..=4 {
        let decision = limiter.limit("203.0.113.9").await?;
        if decision.is_allowed() {
            println!("request {request}: allowed, {} left", decision.remaining());
        } else {
            let wait = decision.retry_after().unwrap_or_default();
            println!(
                "request {request}: refused, again in {} s",
                wait.as_secs() + 1
            );
        }
    }
    Ok(())
}
