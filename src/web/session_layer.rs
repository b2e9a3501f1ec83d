//! A [tower](https://docs.rs/tower-layer) layer: the session in the request, its cookie in the answer.

use std::{fmt, pin::Pin, sync::Arc};

use http::{Response, StatusCode, request::Parts};
use tower_layer::Layer;

use crate::{
    Error, Result,
    session::{CurrentSession, Loaded, SaveError, Sessions},
    web::{
        problem::Refusal,
        service::{Layered, sealed::Steps},
    },
};

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
pub struct SessionLayer(Arc<Settings>);

#[derive(Clone)]
struct Settings {
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
        Self(Arc::new(Settings {
            sessions,
            required: false,
            eager: false,
            same_site: true,
            defer: None,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Refuses requests without a live session: 401, and 503 while the store does not answer.
    #[must_use]
    pub fn required(self) -> Self {
        self.with(|settings| settings.required = true)
    }

    /// Loads beside the handler, so that both ask the store in one request.
    #[must_use]
    pub fn eager(self) -> Self {
        self.with(|settings| settings.eager = true)
    }

    /// Leaves the check of other sites' requests to the service.
    #[must_use]
    pub fn allow_cross_site(self) -> Self {
        self.with(|settings| settings.same_site = false)
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
        self.with(|settings| settings.defer = Some(Arc::new(defer)))
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
        (!permitted).then(|| Refusal::cross_site().into_response())
    }

    /// The refusal of a request that needs a live session and has none.
    pub fn refusal<B: From<String>>(&self, loaded: &Result<Loaded>) -> Option<Response<B>> {
        match loaded {
            _ if !self.0.required => None,
            Ok(Loaded::Live(_)) => None,
            Ok(Loaded::Absent(_)) => Some(Refusal::session_missing().into_response()),
            Err(error) => Some(failed(error)),
        }
    }

    /// Loads the session, or makes the answer of a request that may not go on.
    pub(crate) async fn pass<B: From<String>>(
        &self,
        session: &CurrentSession,
    ) -> std::result::Result<(), Response<B>> {
        let loaded = session.loaded().await;
        match self.refusal(&loaded) {
            None => Ok(()),
            Some(mut refusal) => {
                session.write_headers(refusal.headers_mut());
                Err(refusal)
            }
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
        SaveError::Store(error) => failed(error),
        SaveError::Refused(why) => {
            tracing::warn!(?why, "the session took no changes");
            let title = "The session did not take the changes";
            Refusal::new(StatusCode::CONFLICT, "session-not-changed", title).into_response()
        }
    }
}

fn failed<B: From<String>>(error: &Error) -> Response<B> {
    let refusal = Refusal::of_error(error);
    // What the service writes into a session is no fault of its caller.
    if refusal.status().is_client_error() {
        tracing::error!(%error, "a session was not read or written");
        return Refusal::internal().into_response();
    }
    refusal.into_response()
}

impl<S> Layer<S> for SessionLayer {
    type Service = Layered<Self, S>;

    fn layer(&self, inner: S) -> Layered<Self, S> {
        Layered::new(self, inner)
    }
}

/// The session of a request that may go on.
#[derive(Debug)]
pub struct Loading {
    session: CurrentSession,
    /// What handing over work needs.
    extensions: http::Extensions,
    /// Whether it is loaded beside the handler.
    loads: bool,
}

impl Steps for SessionLayer {
    type Passed = Loading;

    async fn before<C: From<String> + Send>(
        &self,
        request: &mut Parts,
    ) -> std::result::Result<Loading, Response<C>> {
        let session = self.session(request);
        if let Some(refusal) = self.cross_site(request, &session) {
            return Err(refusal);
        }
        if self.0.required {
            self.pass(&session).await?;
        }
        request.extensions.insert(session.clone());
        Ok(Loading {
            loads: self.0.eager && !self.0.required && session.token().is_ok(),
            extensions: self.for_deferral(request),
            session,
        })
    }

    /// An error shows where the handler asks.
    async fn beside(&self, passed: &Loading) {
        if passed.loads {
            let _ = passed.session.loaded().await;
        }
    }

    async fn after<C: From<String> + Send>(
        &self,
        passed: Loading,
        response: Response<C>,
    ) -> Response<C> {
        self.finish(&passed.session, &passed.extensions, response)
            .await
    }
}
