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

use futures_util::future::{join, try_join3};
use http::{Extensions, Request, Response, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    ratelimit::Decision,
    session::CurrentSession,
    web::{
        RateLimitLayer, SessionLayer, Subject,
        service::{Answering, Around, Layered, sealed::Sealed},
    },
};

type Insert = Box<dyn FnOnce(&mut Extensions) + Send>;
type Read = dyn Fn(&Parts) -> Pin<Box<dyn Future<Output = Insert> + Send>> + Send + Sync;

/// What the gate read for the handler, in the request's extensions.
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
    /// A gate that lets everything through.
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
    async fn pass<B: From<String>>(&self, request: &Parts) -> Result<Passed, Response<B>> {
        let checks = &*self.0;
        let session = checks.session.as_ref().map(|layer| layer.session(request));
        if let (Some(layer), Some(session)) = (&checks.session, &session) {
            if let Some(refusal) = layer.cross_site(request, session) {
                return Err(refusal);
            }
            if session.token().is_err() {
                // Nothing is asked without a token.
                known(layer, session).await?;
            }
        }
        let limit = checks.limit.as_ref();
        let subject = limit.and_then(|layer| layer.subject(request));
        // In this order: a refusal that needs no request ends it before the others are asked.
        let (decision, (), insert) = try_join3(
            async {
                match (limit, &subject) {
                    (Some(layer), Some(subject)) => decided(layer, subject).await.map(Some),
                    _ => Ok(None),
                }
            },
            async {
                match (&checks.session, &session) {
                    (Some(layer), Some(session)) => known(layer, session).await,
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
        Ok(Passed {
            decision: subject.zip(decision),
            session,
            insert,
        })
    }
}

/// What is known of a request that may go on.
struct Passed {
    decision: Option<(Subject, Decision)>,
    session: Option<CurrentSession>,
    insert: Option<Insert>,
}

async fn decided<B: From<String>>(
    layer: &RateLimitLayer,
    subject: &Subject,
) -> Result<Decision, Response<B>> {
    let decision = layer.decide(subject).await;
    let decision = decision.map_err(|error| layer.failure(&error))?;
    match layer.refusal(&decision) {
        None => Ok(decision),
        Some(refusal) => {
            layer.record(subject, &decision).await;
            Err(refusal)
        }
    }
}

async fn known<B: From<String>>(
    layer: &SessionLayer,
    session: &CurrentSession,
) -> Result<(), Response<B>> {
    let loaded = session.loaded().await;
    match layer.refusal(&loaded) {
        None => Ok(()),
        Some(mut refusal) => {
            session.write_headers(refusal.headers_mut());
            Err(refusal)
        }
    }
}

impl<S> Layer<S> for RequestGuard {
    type Service = Layered<Self, S>;

    fn layer(&self, inner: S) -> Layered<Self, S> {
        Layered::new(self, inner)
    }
}

impl Sealed for RequestGuard {}

impl Around for RequestGuard {
    fn around<S, B, C>(self, mut inner: S, request: Request<B>) -> Answering<Response<C>, S::Error>
    where
        S: Service<Request<B>, Response = Response<C>> + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Send + 'static,
        C: From<String> + Send,
    {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let passed = match self.pass(&parts).await {
                Ok(passed) => passed,
                Err(refusal) => return Ok(refusal),
            };
            if let Some((_, decision)) = &passed.decision {
                parts.extensions.insert(decision.clone());
            }
            if let Some(session) = &passed.session {
                parts.extensions.insert(session.clone());
            }
            if let Some(insert) = passed.insert {
                insert(&mut parts.extensions);
            }
            let checks = &*self.0;
            let for_deferral = checks
                .session
                .as_ref()
                .map(|layer| layer.for_deferral(&parts));
            // Analytics travel with what the handler asks of the store.
            let recording = async {
                if let (Some(layer), Some((subject, decision))) = (&checks.limit, &passed.decision)
                {
                    layer.record(subject, decision).await;
                }
            };
            let answering = inner.call(Request::from_parts(parts, body));
            let mut response = join(answering, recording).await.0?;
            if let (Some(layer), Some((_, decision))) = (&checks.limit, &passed.decision) {
                layer.write_headers(decision, response.headers_mut());
            }
            if let (Some(layer), Some(session), Some(extensions)) =
                (&checks.session, &passed.session, &for_deferral)
            {
                response = layer.finish(session, extensions, response).await;
            }
            Ok(response)
        })
    }
}

#[cfg(feature = "axum")]
mod extract {
    use super::Prefetched;
    use crate::web::problem::problem;
    use axum_core::{body::Body, extract::FromRequestParts, response::Response};
    use http::{StatusCode, request::Parts};

    /// What the gate read; answered 500 behind no gate, or one that reads something else.
    impl<T: Clone + Send + Sync + 'static, S: Sync> FromRequestParts<S> for Prefetched<T> {
        type Rejection = Response;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
            parts.extensions.get::<Self>().cloned().ok_or_else(|| {
                let wanted = std::any::type_name::<T>();
                tracing::error!(wanted, "no gate read what a handler wants");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let what = (status, "internal", "The service failed");
                problem::<String>(what, None, &[]).map(Body::from)
            })
        }
    }
}
