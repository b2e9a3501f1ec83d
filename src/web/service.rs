//! The service that a layer of this crate makes of another one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::join;
use http::{Request, Response, request::Parts};
use tower_service::Service;

/// A service behind a layer of this crate.
#[derive(Debug, Clone)]
pub struct Layered<L, S> {
    layer: L,
    inner: S,
}

/// The future of an answer.
pub type ResponseFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

pub(crate) mod sealed {
    use super::{Parts, Response};

    /// What a layer does before, beside and after the service.
    pub trait Steps: Clone + Send + Sync + 'static {
        /// What is known of a request that may go on.
        type Passed: Send + Sync;

        /// Lets a request go on, or answers in the service's place.
        fn before<C: From<String> + Send>(
            &self,
            request: &mut Parts,
        ) -> impl Future<Output = Result<Self::Passed, Response<C>>> + Send;

        /// Runs while the service answers, so that both ask the store in one request.
        fn beside(&self, passed: &Self::Passed) -> impl Future<Output = ()> + Send;

        /// Completes the service's answer.
        fn after<C: From<String> + Send>(
            &self,
            passed: Self::Passed,
            response: Response<C>,
        ) -> impl Future<Output = Response<C>> + Send;
    }
}
use sealed::Steps;

impl<L: Steps, S> Layered<L, S> {
    pub(crate) fn new(layer: &L, inner: S) -> Self {
        Self {
            layer: layer.clone(),
            inner,
        }
    }
}

impl<L, S, B, C> Service<Request<B>> for Layered<L, S>
where
    L: Steps,
    S: Service<Request<B>, Response = Response<C>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    C: From<String> + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is used; the clone has to become so.
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let passed = match layer.before(&mut parts).await {
                Ok(passed) => passed,
                Err(refusal) => return Ok(refusal),
            };
            let answering = ready.call(Request::from_parts(parts, body));
            let response = join(answering, layer.beside(&passed)).await.0?;
            Ok(layer.after(passed, response).await)
        })
    }
}
