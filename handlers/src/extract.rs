//! Extractors whose refusals are problem documents.

use crate::{context::BodyLimit, problem::Problem};
use axum::extract::{
    FromRequest, FromRequestParts, Json, Path, Query, Request, rejection::JsonRejection,
};
use http::{HeaderMap, HeaderName, StatusCode, request::Parts};
use restis::identity::is_path_segment;
use serde::de::DeserializeOwned;

/// Names a request that may be sent again: it is done once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

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
pub struct ApiPath<T = String>(pub T);

impl<S: Send + Sync> FromRequestParts<S> for ApiPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| no_text())?;
        path_segment(&id)?;
        Ok(Self(id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ApiPath<(String, String)> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(ids) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| no_text())?;
        path_segment(&ids.0)?;
        path_segment(&ids.1)?;
        Ok(Self(ids))
    }
}

fn no_text() -> Problem {
    Problem::invalid("an identifier in the path is percent-encoded UTF-8")
}

fn path_segment(id: &str) -> Result<(), Problem> {
    if is_path_segment(id) {
        return Ok(());
    }
    Err(Problem::invalid(
        "an identifier in the path is not empty, `.` or `..`, also percent-encoded",
    ))
}

/// The `Idempotency-Key`: a structured string, or its text without quotes.
///
/// Source: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/> and RFC 8941, 4.2.5.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| Problem::invalid("`Idempotency-Key` is not text"))?
        .trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or_else(|| {
            Problem::invalid("`Idempotency-Key` begins with a quote, but is no quoted string")
        })?,
        // Gateways join two lines so.
        None if text.contains(',') => {
            return Err(Problem::invalid(
                "`Idempotency-Key` is one key: write one with a comma in quotes",
            ));
        }
        None => text.to_owned(),
    };
    if (1..=256).contains(&key.len()) {
        Ok(Some(key))
    } else {
        Err(Problem::invalid("`Idempotency-Key` has 1 to 256 bytes"))
    }
}

/// The text of a structured string, after its first quote.
fn unquoted(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(text),
            '\\' => text.push(rest.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => text.push(c),
        }
    }
}

/// A text as [`idempotency_key`] reads it, whatever it begins with.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
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
