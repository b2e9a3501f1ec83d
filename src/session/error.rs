//! The errors of this module, in the crate's one error type.

use crate::{Delivery, Error, ErrorKind};
use std::borrow::Cow;

pub(crate) fn invalid(detail: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, Delivery::NotSent, detail)
}

pub(crate) fn too_large(detail: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::TooLarge, Delivery::NotSent, detail)
}

pub(crate) fn decode(detail: &'static str) -> Error {
    Error::new(ErrorKind::Decode, Delivery::Executed, detail)
}

pub(crate) fn config(problems: &[String]) -> Error {
    Error::new(
        ErrorKind::Config,
        Delivery::NotSent,
        format!("session configuration: {}", problems.join("; ")),
    )
}
