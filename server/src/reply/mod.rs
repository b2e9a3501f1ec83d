//! From replies to the bytes of a response body.

mod json;
mod list;
pub(crate) mod resp2;

pub(crate) use list::List;

use bytes::BytesMut;
use restis_engine::Reply;

/// What a JSON envelope adds to a string: `{"result":""}`.
const ENVELOPE: u64 = 13;

/// The bytes of a reply's data: as plain JSON has them, before escapes and base64.
///
/// Limits count these, so that what fits does not depend on the format of the answer.
pub(crate) fn data_size(reply: &Reply) -> u64 {
    let string = |length: usize| length as u64 + 2;
    match reply {
        Reply::Nil | Reply::NilArray => 4,
        Reply::Int(n) => itoa::Buffer::new().format(*n).len() as u64,
        Reply::Bulk(bytes) => string(bytes.len()),
        Reply::Simple(text) => string(text.len()),
        Reply::Error(error) => string(error.message().len()),
        Reply::Array(items) => {
            let inner: u64 = items.iter().map(data_size).sum();
            inner + items.len().max(1) as u64 + 1
        }
    }
}

/// The bytes of a whole answer with this one reply.
pub(crate) fn answer_size(reply: &Reply) -> u64 {
    data_size(reply) + ENVELOPE - 2
}

/// How a client wants its replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON; bytes that are not UTF-8 become U+FFFD.
    Json,
    /// JSON with base64 strings: lossless.
    Base64,
    /// Raw RESP2.
    Resp2,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::Base64 => "application/json",
            Self::Resp2 => "application/octet-stream",
        }
    }

    /// Appends one reply: a JSON envelope, or a RESP2 value.
    pub(crate) fn reply(self, out: &mut BytesMut, reply: &Reply) {
        match self {
            Self::Json => json::envelope::<json::Plain>(out, reply),
            Self::Base64 => json::envelope::<json::Base64>(out, reply),
            Self::Resp2 => resp2::value(out, reply),
        }
    }

    /// Appends an error line in place of a reply.
    pub(crate) fn error(self, out: &mut BytesMut, line: &str) {
        match self {
            Self::Json | Self::Base64 => json::error(out, line),
            Self::Resp2 => resp2::error(out, line),
        }
    }

    /// Opens a list of replies.
    pub(crate) fn open(self, out: &mut BytesMut) {
        if self != Self::Resp2 {
            out.extend_from_slice(b"[");
        }
    }

    /// Separates two replies of a list.
    pub(crate) fn separate(self, out: &mut BytesMut) {
        if self != Self::Resp2 {
            out.extend_from_slice(b",");
        }
    }

    /// Closes a list of replies.
    pub(crate) fn close(self, out: &mut BytesMut) {
        if self != Self::Resp2 {
            out.extend_from_slice(b"]");
        }
    }
}
