//! Answers that are no replies, and requests without an answer, as errors.
use super::{Mode, head::Head};
use crate::protocol::{
    error::{Delivery, Error, ErrorKind},
    json_codec::Body,
    reply::{Reply, ServerError},
};

pub(super) fn gateway(head: &Head, why: &'static str) -> Error {
    Error::new(ErrorKind::Gateway, Delivery::MaybeExecuted, why).with_status(head.status.as_u16())
}

/// The error of a request that was answered as a whole by something other than replies.
pub(super) fn refusal(mode: Mode, head: &Head, body: Option<Body>) -> Error {
    let server = match body {
        Some(Body::One(Reply::Error(e))) => Some(e),
        _ => None,
    };
    let plain = |kind, delivery, why| match server.clone() {
        Some(e) => Error::from_server(e)
            .with_kind(kind)
            .with_delivery(delivery),
        None => Error::new(kind, delivery, why),
    };
    let error = match head.status.as_u16() {
        401 => plain(
            ErrorKind::Unauthorized,
            Delivery::Executed,
            "the server refuses the token",
        ),
        403 => plain(
            ErrorKind::NoPermission,
            Delivery::Executed,
            "the server forbids the request",
        ),
        413 => plain(
            ErrorKind::TooLarge,
            Delivery::NotSent,
            "the server refuses the size",
        ),
        429 => plain(
            ErrorKind::RateLimited,
            Delivery::NotSent,
            "too many requests",
        ),
        // With Retry-After a 503 is a refusal at the door, without it a failure somewhere.
        503 if head.retry_after.is_some() => {
            plain(ErrorKind::Gateway, Delivery::NotSent, "service unavailable")
        }
        500..=599 => plain(
            ErrorKind::Gateway,
            Delivery::MaybeExecuted,
            "no reply of the database",
        ),
        _ => match server {
            Some(e) => whole_request_error(mode, e),
            None => gateway(head, "no reply of the database"),
        },
    };
    error
        .with_status(head.status.as_u16())
        .with_retry_after(head.retry_after)
}

fn whole_request_error(mode: Mode, error: ServerError) -> Error {
    let error = Error::from_server(error);
    if mode == Mode::Transaction && error.kind() == ErrorKind::Server {
        error.with_kind(ErrorKind::Discarded)
    } else {
        error
    }
}

pub(super) fn too_large() -> Error {
    let why = "the reply exceeds the limit of this client";
    Error::new(ErrorKind::TooLarge, Delivery::MaybeExecuted, why)
}
