//! Extractors whose refusals are problem documents.

use crate::{context::BodyLimit, problem::Problem};
use axum::extract::{
    FromRequest, FromRequestParts, Json, Path, Query, Request, rejection::JsonRejection,
};
use http::{StatusCode, request::Parts};
use restis::identity::is_path_segment;
use serde::de::DeserializeOwned;

/// A JSON body.
#[derive(Debug, Clone, Copy)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limit = request.extensions().get().copied();
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(json_problem(&rejection, limit)),
        }
    }
}

fn json_problem(rejection: &JsonRejection, limit: Option<BodyLimit>) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => match limit {
            Some(BodyLimit(bytes)) => Problem::body_too_large(bytes),
            None => Problem::too_large(),
        },
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body's type is not supported",
        )
        .detail("send `Content-Type: application/json`"),
        _ => Problem::invalid(rejection.body_text()),
    }
}

/// The query string.
#[derive(Debug, Clone, Copy)]
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::invalid(query_fault(&rejection.body_text()))),
        }
    }
}

/// What is wrong with a query; a list is one parameter.
fn query_fault(text: &str) -> String {
    let repeated = text.split_once("duplicate field `");
    match repeated.and_then(|(_, rest)| rest.split_once('`')) {
        Some(("type", _)) => "`type` is there twice: separate types by commas".into(),
        Some((name, _)) => format!("`{name}` is there twice"),
        None => text.to_owned(),
    }
}

/// The identifier in the path; never one that a proxy or a client could make another path of.
#[derive(Debug, Clone)]
pub struct ApiPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for ApiPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        match path {
            Ok(Path(id)) if is_path_segment(&id) => Ok(Self(id)),
            Ok(_) => Err(Problem::invalid(
                "an identifier in the path is not empty, `.` or `..`, also percent-encoded",
            )),
            Err(_) => Err(Problem::invalid(
                "an identifier in the path is percent-encoded UTF-8",
            )),
        }
    }
}

/// Refuses a member that is longer than documented, in characters.
pub(crate) fn at_most(name: &str, text: Option<&str>, most: usize) -> Result<(), Problem> {
    match text {
        // No text has more characters than bytes.
        Some(text) if text.len() > most && text.chars().count() > most => Err(Problem::invalid(
            format!("`{name}` has at most {most} characters"),
        )),
        _ => Ok(()),
    }
}

/// Refuses what is no name of an organisation.
pub(crate) fn organisation(name: Option<&str>) -> Result<(), Problem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    match name {
        Some(name) if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) => Err(
            Problem::invalid("`organisation` has 1 to 64 letters, digits, `-` and `_`"),
        ),
        _ => Ok(()),
    }
}
