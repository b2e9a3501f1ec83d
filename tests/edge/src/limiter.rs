//! GET, SET and a rate limit on WebAssembly.
#![cfg(target_family = "wasm")]

use std::time::Duration;

use restis::{
    prelude::*,
    ratelimit::{Limit, RateLimiter},
};
use wasm_bindgen::prelude::*;

/// A client and a limiter of one database.
#[wasm_bindgen]
pub struct Small {
    redis: Redis,
    limiter: RateLimiter,
}

fn told(error: restis::Error) -> JsValue {
    JsValue::from_str(&error.to_string())
}

#[wasm_bindgen]
impl Small {
    /// Of a REST URL and its token: so many requests in so many seconds.
    #[wasm_bindgen(constructor)]
    pub fn new(url: &str, token: &str, requests: u32, seconds: u32) -> Result<Small, JsValue> {
        let redis = Redis::builder(url, token).build().map_err(told)?;
        let window = Duration::from_secs(seconds.into());
        let limit = Limit::sliding_window(requests.into(), window).map_err(told)?;
        let limiter = RateLimiter::builder(redis.clone(), limit).build();
        Ok(Self { redis, limiter })
    }

    /// `GET`.
    pub async fn get(&self, key: String) -> Result<Option<String>, JsValue> {
        self.redis.get(&key).await.map_err(told)
    }

    /// `SET`.
    pub async fn set(&self, key: String, value: String) -> Result<(), JsValue> {
        self.redis.set(&key, &value).await.map_err(told)
    }

    /// Whether a request of an identifier is allowed.
    pub async fn limit(&self, identifier: String) -> Result<bool, JsValue> {
        let decision = self.limiter.limit(&identifier).await;
        decision.map(|decision| decision.is_allowed()).map_err(told)
    }
}
