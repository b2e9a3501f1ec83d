//! One layer for rate limit, session and reads: together they are one request to the store.
//!
//! Separate layers ask one after the other. A [`RequestGuard`] asks for all of it at once, and the client
//! sends what is asked at once in one HTTP request. The service runs only when the limit and the
//! session let it; what was read for a request that is refused is thrown away.
//!
//! ```
//! use restis::{
//!     Redis, commands::StringCommands as _,
//!     web::{Prefetched, RateLimitLayer, RequestGuard, SessionLayer},
//! };
//!
//! # fn guard(redis: Redis, limit: RateLimitLayer, sessions: SessionLayer) {
//! let guard = RequestGuard::new()
//!     .limit(limit)
//!     .session(sessions.required())
//!     .read(move |_| {
//!         let redis = redis.clone();
//!         async move { redis.get::<String>("notice").await }
//!     });
//! // A handler takes `Prefetched<restis::Result<Option<String>>>`, `Session` and `Decision`.
//! # let _ = guard;
//! # }
//! ```

use std::{fmt, pin::Pin, sync::Arc};

use futures_util::future::try_join3;
use http::{Extensions, Response, request::Parts};
use tower_layer::Layer;

use crate::{
    ratelimit::Decision,
    session::CurrentSession,
    web::{
        RateLimitLayer, SessionLayer, Subject,
        service::{Layered, sealed::Steps},
    },
};

type Insert = Box<dyn FnOnce(&mut Extensions) + Send>;
type Read = dyn Fn(&Parts) -> Pin<Box<dyn Future<Output = Insert> + Send>> + Send + Sync;

/// What the guard read for the handler, in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefetched<T>(pub T);

/// Limits, loads the session and reads ahead, in one request to the store.
///
/// In the request's extensions the service finds the [`Decision`], the [`CurrentSession`], loaded,
/// and [`Prefetched`]. Refusals are those of [`RateLimitLayer`] and [`SessionLayer`]. Without a
/// request to the store are refused: an identifier that is known to be blocked, a request that
/// needs a session and has no cookie, and one from another site.
#[derive(Clone, Default)]
pub struct RequestGuard(Arc<Checks>);

#[derive(Clone, Default)]
struct Checks {
    limit: Option<RateLimitLayer>,
    session: Option<SessionLayer>,
    read: Option<Arc<Read>>,
}

impl fmt::Debug for RequestGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestGuard")
            .field("limit", &self.0.limit)
            .field("session", &self.0.session)
            .field("read", &self.0.read.is_some())
            .finish()
    }
}

impl RequestGuard {
    /// A guard that lets everything through.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this limit.
    #[must_use]
    pub fn limit(mut self, layer: RateLimitLayer) -> Self {
        Arc::make_mut(&mut self.0).limit = Some(layer);
        self
    }

    /// Loads the session; a [`required`](SessionLayer::required) one refuses requests without it.
    #[must_use]
    pub fn session(mut self, layer: SessionLayer) -> Self {
        Arc::make_mut(&mut self.0).session = Some(layer);
        self
    }

    /// Reads for the handler, from what the request alone tells; the result becomes [`Prefetched`].
    ///
    /// It begins before anybody knows whether the request may go on, so it must not change
    /// anything. It is dropped when the request is refused.
    #[must_use]
    pub fn read<T, F>(mut self, read: impl Fn(&Parts) -> F + Send + Sync + 'static) -> Self
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        Arc::make_mut(&mut self.0).read = Some(Arc::new(move |request: &Parts| {
            let reading = read(request);
            Box::pin(async move {
                let value = Prefetched(reading.await);
                Box::new(move |extensions: &mut Extensions| {
                    extensions.insert(value);
                }) as Insert
            })
        }));
        self
    }

    /// Asks for everything at once, or says why the request may not go on.
    async fn ask<B: From<String>>(&self, request: &Parts) -> Result<Asked, Response<B>> {
        let checks = &*self.0;
        let session = checks.session.as_ref().map(|layer| layer.session(request));
        if let (Some(layer), Some(session)) = (&checks.session, &session) {
            if let Some(refusal) = layer.cross_site(request, session) {
                return Err(refusal);
            }
            if session.token().is_err() {
                // Nothing is asked without a token.
                layer.pass(session).await?;
            }
        }
        let limit = checks.limit.as_ref();
        let subject = limit.and_then(|layer| layer.subject(request));
        // In this order: a refusal that needs no request ends it before the others are asked.
        let (decision, (), insert) = try_join3(
            async {
                match (limit, &subject) {
                    (Some(layer), Some(subject)) => layer.pass(subject).await.map(Some),
                    _ => Ok(None),
                }
            },
            async {
                match (&checks.session, &session) {
                    (Some(layer), Some(session)) => layer.pass(session).await,
                    _ => Ok(()),
                }
            },
            async {
                match &checks.read {
                    Some(read) => Ok(Some(read(request).await)),
                    None => Ok(None),
                }
            },
        )
        .await?;
        Ok(Asked {
            decision: subject.zip(decision),
            session,
            insert,
        })
    }
}

/// What was asked for a request that may go on.
struct Asked {
    decision: Option<(Subject, Decision)>,
    session: Option<CurrentSession>,
    insert: Option<Insert>,
}

/// What is known of a request that may go on.
#[derive(Debug)]
pub struct Passed {
    decision: Option<(Subject, Decision)>,
    /// With what handing over work needs.
    session: Option<(CurrentSession, Extensions)>,
}

impl<S> Layer<S> for RequestGuard {
    type Service = Layered<Self, S>;

    fn layer(&self, inner: S) -> Layered<Self, S> {
        Layered::new(self, inner)
    }
}

impl Steps for RequestGuard {
    type Passed = Passed;

    async fn before<C: From<String> + Send>(
        &self,
        request: &mut Parts,
    ) -> Result<Passed, Response<C>> {
        let asked = self.ask(request).await?;
        if let Some((_, decision)) = &asked.decision {
            request.extensions.insert(decision.clone());
        }
        if let Some(session) = &asked.session {
            request.extensions.insert(session.clone());
        }
        if let Some(insert) = asked.insert {
            insert(&mut request.extensions);
        }
        let layer = self.0.session.as_ref();
        let extensions = layer.map(|layer| layer.for_deferral(request));
        Ok(Passed {
            decision: asked.decision,
            session: asked.session.zip(extensions),
        })
    }

    async fn beside(&self, passed: &Passed) {
        if let Some(layer) = &self.0.limit {
            layer.beside(&passed.decision).await;
        }
    }

    async fn after<C: From<String> + Send>(
        &self,
        passed: Passed,
        mut response: Response<C>,
    ) -> Response<C> {
        if let Some(layer) = &self.0.limit {
            response = layer.after(passed.decision, response).await;
        }
        if let (Some(layer), Some((session, extensions))) = (&self.0.session, &passed.session) {
            response = layer.finish(session, extensions, response).await;
        }
        response
    }
}

#[cfg(feature = "axum")]
mod extract {
    use super::Prefetched;
    use crate::web::Refusal;
    use axum_core::{extract::FromRequestParts, response::Response};
    use http::request::Parts;

    /// What the guard read; 500 without a guard, or behind one that reads something else.
    impl<T: Clone + Send + Sync + 'static, S: Sync> FromRequestParts<S> for Prefetched<T> {
        type Rejection = Response;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
            parts.extensions.get::<Self>().cloned().ok_or_else(|| {
                let wanted = std::any::type_name::<T>();
                tracing::error!(wanted, "no guard read what a handler wants");
                Refusal::internal().into_response()
            })
        }
    }
}
