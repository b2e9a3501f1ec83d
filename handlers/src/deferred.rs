//! Work that may follow the answer, finished before the platform freezes.
//!
//! A route puts touches, analytics and counters into [`Deferred`]; the host decides when they
//! run: before the answer on AWS Lambda (the process freezes right after it), after the answer
//! under the `wait_until` of Vercel and workers, or as a tracked task on a plain server.

use axum::{extract::FromRequestParts, extract::Request, middleware::Next, response::Response};
use http::request::Parts;
use restis::transport::time::timeout;
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Deferred work may not outlive this.
const LIMIT: Duration = Duration::from_secs(5);

/// Collects the deferred work of one request.
#[derive(Clone, Default)]
pub struct Deferred(Arc<Mutex<Vec<Work>>>);

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deferred")
    }
}

impl Deferred {
    /// Adds work; it runs once the route has answered.
    pub fn push(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::pin(work));
    }

    fn take(&self) -> Option<Work> {
        let works = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if works.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            if timeout(LIMIT, all(works)).await.is_none() {
                tracing::warn!("deferred work was given up after {LIMIT:?}");
            }
        }))
    }
}

/// All at once: the client merges their commands into one request.
#[cfg(not(target_family = "wasm"))]
async fn all(works: Vec<Work>) {
    let mut set = tokio::task::JoinSet::new();
    for work in works {
        set.spawn(work);
    }
    while set.join_next().await.is_some() {}
}

/// All at once, in the event that they belong to.
#[cfg(target_family = "wasm")]
async fn all(works: Vec<Work>) {
    futures_util::future::join_all(works).await;
}

impl<S: Sync> FromRequestParts<S> for Deferred {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get_or_insert_default::<Self>().clone())
    }
}

/// How a host finishes deferred work after the answer; absent, it finishes before the answer.
#[derive(Clone)]
pub(crate) struct AfterAnswer(pub(crate) Arc<dyn Fn(Work) + Send + Sync>);

/// Runs the route, then its deferred work as the host wants it.
pub(crate) async fn finish(mut request: Request, next: Next) -> Response {
    let deferred = Deferred::default();
    let after = request.extensions().get::<AfterAnswer>().cloned();
    request.extensions_mut().insert(deferred.clone());
    let response = next.run(request).await;
    if let Some(work) = deferred.take() {
        match after {
            Some(AfterAnswer(run)) => run(work),
            None => work.await,
        }
    }
    response
}
