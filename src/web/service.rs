//! The service behind which the layers put another one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

/// A service behind a layer of this crate.
#[derive(Debug, Clone)]
pub struct Layered<L, S> {
    layer: L,
    inner: S,
}

/// An answer on its way.
pub type Answering<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// What a layer does with a request and the service that waits for it; for the layers of this crate.
pub trait Around: sealed::Sealed + Clone + Send + Sync + 'static {
    /// Answers in the service's place, or calls it.
    #[doc(hidden)]
    fn around<S, B, C>(self, inner: S, request: Request<B>) -> Answering<Response<C>, S::Error>
    where
        S: Service<Request<B>, Response = Response<C>> + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Send + 'static,
        C: From<String> + Send;
}

pub(crate) mod sealed {
    /// Only this crate's layers are around services.
    pub trait Sealed {}
}

impl<L: Around, S> Layered<L, S> {
    pub(crate) fn new(layer: &L, inner: S) -> Self {
        Self {
            layer: layer.clone(),
            inner,
        }
    }
}

impl<L, S, B, C> Service<Request<B>> for Layered<L, S>
where
    L: Around,
    S: Service<Request<B>, Response = Response<C>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    C: From<String> + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answering<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is used; the clone has to become so.
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        self.layer.clone().around(ready, request)
    }
}
