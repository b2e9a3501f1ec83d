//! From replies to the bytes of a response body.

mod json;
mod resp;

use bytes::BytesMut;
use restis_engine::Reply;

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
            Self::Resp2 => resp::value(out, reply),
        }
    }

    /// Appends an error line in place of a reply.
    pub(crate) fn error(self, out: &mut BytesMut, line: &str) {
        match self {
            Self::Json | Self::Base64 => json::error(out, line),
            Self::Resp2 => resp::error(out, line),
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
