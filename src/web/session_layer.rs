//! A [tower](https://docs.rs/tower-layer) layer: the session in the request, its cookie in the answer.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    Error, ErrorKind, Result,
    session::{CurrentSession, Loaded, SaveError, Sessions},
    web::{
        problem::{UNAVAILABLE, problem},
        service::{Answering, Around, Layered, sealed::Sealed},
    },
};

/// The problem that answers a request from another site.
const CROSS_SITE: &str = "send it from the site itself, with `X-CSRF-Token`, or name its origin in `SESSION_ALLOWED_ORIGINS`";

/// Work that may follow the answer.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
type Defer = dyn Fn(&http::Extensions, Work) + Send + Sync;

/// Gives every request its [`CurrentSession`].
///
/// Nothing is asked before a handler asks, unless told so: [`required`](Self::required) refuses
/// requests without a live session, [`eager`](Self::eager) loads beside the handler. A request from
/// another site that would change something is refused when it presents a session. Session
/// extensions are awaited before the answer, because a frozen function would lose them; hand them
/// to the platform with [`defer`](Self::defer) where it has a way.
///
/// ```
/// use restis::{session::Sessions, web::SessionLayer};
///
/// # fn layer(sessions: Sessions) {
/// // On a server that keeps running.
/// let layer = SessionLayer::new(sessions).defer(|_, work| drop(tokio::spawn(work)));
/// # let _ = layer;
/// # }
/// ```
#[derive(Clone)]
pub struct SessionLayer(Arc<Gate>);

#[derive(Clone)]
struct Gate {
    sessions: Sessions,
    required: bool,
    eager: bool,
    same_site: bool,
    defer: Option<Arc<Defer>>,
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("sessions", &self.0.sessions)
            .field("required", &self.0.required)
            .field("eager", &self.0.eager)
            .field("same_site", &self.0.same_site)
            .finish_non_exhaustive()
    }
}

impl SessionLayer {
    /// A layer over these sessions.
    pub fn new(sessions: Sessions) -> Self {
        Self(Arc::new(Gate {
            sessions,
            required: false,
            eager: false,
            same_site: true,
            defer: None,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Gate)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Refuses requests without a live session: 401, and 503 while the store does not answer.
    #[must_use]
    pub fn required(self) -> Self {
        self.with(|gate| gate.required = true)
    }

    /// Loads beside the handler, so that both ask the store in one request.
    #[must_use]
    pub fn eager(self) -> Self {
        self.with(|gate| gate.eager = true)
    }

    /// Leaves the check of other sites' requests to the service.
    #[must_use]
    pub fn allow_cross_site(self) -> Self {
        self.with(|gate| gate.same_site = false)
    }

    /// Hands over what may follow the answer, with the extensions of the request.
    #[must_use]
    pub fn defer(
        self,
        defer: impl Fn(&http::Extensions, Pin<Box<dyn Future<Output = ()> + Send>>)
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.with(|gate| gate.defer = Some(Arc::new(defer)))
    }

    /// The session of a request; sends nothing to the store yet.
    pub fn session(&self, request: &Parts) -> CurrentSession {
        CurrentSession::new(self.0.sessions.clone(), &request.headers)
    }

    /// Refuses a request from another site; `None` when it may go on. Sends nothing to the store.
    pub fn cross_site<B: From<String>>(
        &self,
        request: &Parts,
        session: &CurrentSession,
    ) -> Option<Response<B>> {
        let token = session.token().ok().filter(|_| self.0.same_site)?;
        let permitted = self
            .0
            .sessions
            .permits(&request.method, &request.headers, token);
        (!permitted).then(|| {
            let title = "The request comes from another site";
            let detail = ("detail", CROSS_SITE.into());
            problem(
                (StatusCode::FORBIDDEN, "csrf-failed", title),
                None,
                &[detail],
            )
        })
    }

    /// The refusal of a request that needs a live session and has none.
    pub fn refusal<B: From<String>>(&self, loaded: &Result<Loaded>) -> Option<Response<B>> {
        match loaded {
            _ if !self.0.required => None,
            Ok(Loaded::Live(_)) => None,
            Ok(Loaded::Absent(_)) => {
                let title = "There is no live session";
                let what = (StatusCode::UNAUTHORIZED, "session-missing", title);
                Some(problem(what, None, &[]))
            }
            Err(error) => Some(unavailable(error)),
        }
    }

    /// The extensions that handing over work needs; a copy only where there is a way to do that.
    pub(crate) fn for_deferral(&self, request: &Parts) -> http::Extensions {
        let copy = self.0.defer.as_ref().map(|_| request.extensions.clone());
        copy.unwrap_or_default()
    }

    /// Writes the queued changes and extends the session; what the answer becomes if that failed.
    pub(crate) async fn finish<B: From<String>>(
        &self,
        session: &CurrentSession,
        extensions: &http::Extensions,
        response: Response<B>,
    ) -> Response<B> {
        let touch = session.due().map(|mut due| {
            let sessions = self.0.sessions.clone();
            Box::pin(async move {
                if let Err(error) = sessions.touch(&mut due).await {
                    tracing::warn!(%error, "a session was not extended");
                }
            }) as Work
        });
        let saved = match (touch, &self.0.defer) {
            (Some(touch), None) => futures_util::future::join(session.save(), touch).await.0,
            (Some(touch), Some(defer)) => {
                defer(extensions, touch);
                session.save().await
            }
            (None, _) => session.save().await,
        };
        let mut response = match saved {
            Ok(()) => response,
            Err(error) => not_saved(&error),
        };
        session.write_headers(response.headers_mut());
        response
    }
}

/// The handler's answer would be a lie: what it changed is not there.
fn not_saved<B: From<String>>(error: &SaveError) -> Response<B> {
    match error {
        SaveError::Store(error) => unavailable(error),
        SaveError::Refused(why) => {
            tracing::warn!(?why, "the session took no changes");
            let title = "The session did not take the changes";
            problem(
                (StatusCode::CONFLICT, "session-not-changed", title),
                None,
                &[],
            )
        }
    }
}

fn unavailable<B: From<String>>(error: &Error) -> Response<B> {
    tracing::warn!(%error, "no session");
    if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge) {
        let what = (
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The service failed",
        );
        return problem(what, None, &[]);
    }
    let retry = error.retry_after().unwrap_or(Duration::from_secs(1));
    problem(UNAVAILABLE, Some(retry), &[])
}

impl<S> Layer<S> for SessionLayer {
    type Service = Layered<Self, S>;

    fn layer(&self, inner: S) -> Layered<Self, S> {
        Layered::new(self, inner)
    }
}

impl Sealed for SessionLayer {}

impl Around for SessionLayer {
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
            let session = self.session(&parts);
            if let Some(refusal) = self.cross_site(&parts, &session) {
                return Ok(refusal);
            }
            let mut loads = self.0.eager && session.token().is_ok();
            if self.0.required {
                loads = false;
                let loaded = session.loaded().await;
                if let Some(mut refusal) = self.refusal(&loaded) {
                    session.write_headers(refusal.headers_mut());
                    return Ok(refusal);
                }
            }
            parts.extensions.insert(session.clone());
            let extensions = self.for_deferral(&parts);
            let answering = inner.call(Request::from_parts(parts, body));
            let response = if loads {
                // An error shows where the handler asks.
                let loading = session.loaded();
                futures_util::future::join(answering, loading).await.0?
            } else {
                answering.await?
            };
            Ok(self.finish(&session, &extensions, response).await)
        })
    }
}
