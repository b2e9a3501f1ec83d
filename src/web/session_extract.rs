//! axum extractors.

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::{
    Error,
    session::{CurrentSession, Session},
    web::Refusal,
};

/// Why a handler did not get its session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SessionRejection {
    /// There is no live session: 401.
    Missing,
    /// The store does not answer: 503.
    Unavailable(Error),
    /// The router has no [`SessionLayer`](crate::web::SessionLayer): 500.
    NoLayer,
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        let refusal = match self {
            Self::Missing => Refusal::session_missing(),
            Self::Unavailable(error) => Refusal::of_error(&error),
            Self::NoLayer => {
                tracing::error!("a handler wants a session, but its router has no SessionLayer");
                Refusal::internal()
            }
        };
        refusal.into_response()
    }
}

/// The session of the request, not yet loaded.
impl<S: Sync> FromRequestParts<S> for CurrentSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        let current = parts.extensions.get::<Self>().cloned();
        current.ok_or(SessionRejection::NoLayer)
    }
}

/// The live session; a request without one is answered 401.
impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionRejection> {
        let session =
            <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        session.ok_or(SessionRejection::Missing)
    }
}

/// The live session, if there is one.
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, SessionRejection> {
        let current =
            <CurrentSession as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        current.load().await.map_err(SessionRejection::Unavailable)
    }
}
