//! Error lines and statuses of the protocol.

use std::borrow::Cow;

use http::StatusCode;

pub(crate) const UNAUTHORIZED: &str = "WRONGPASS invalid or missing auth token. See https://docs.upstash.com/redis/troubleshooting/http_unauthorized for details.";
pub(crate) const BAD_COMMAND: &str = "ERR failed to parse command";
pub(crate) const BAD_PIPELINE: &str = "ERR failed to parse pipeline request";
pub(crate) const EMPTY_PIPELINE: &str = "ERR empty pipeline request";
pub(crate) const BAD_FORMAT: &str =
    "ERR unsupported Upstash-Response-Format, expected json or resp2";
pub(crate) const BAD_ENCODING: &str = "ERR unsupported Upstash-Encoding, expected base64";
pub(crate) const NOT_LOADED: &str =
    "ERR this database could not be loaded and is closed; the log of the server says why";
pub(crate) const NOT_APART: &str = "ERR this database is not apart from others on its Redis and is closed; the log of the server says why";
pub(crate) const BAD_STREAM_ENCODING: &str =
    "ERR unsupported restis-stream-encoding, expected base64";
pub(crate) const RESP2_WITH_BASE64: &str =
    "ERR Upstash-Encoding cannot be combined with the resp2 response format";
pub(crate) const BAD_METHOD: &str = "ERR method not allowed, expected GET, HEAD, POST or PUT";
pub(crate) const BODY_TIMEOUT: &str = "ERR request body was not received in time";
pub(crate) const BODY_BROKEN: &str = "ERR request body could not be read";
pub(crate) const INTERNAL: &str =
    "ERR internal error of the server; the command may have been executed";
pub(crate) const IN_FLIGHT: &str =
    "ERR too many bytes of requests in flight for this database; nothing was executed, try again";
pub(crate) const ANSWERS_IN_FLIGHT: &str = "ERR too many bytes of answers for this database are not read yet; the command was executed, its reply is lost";
pub(crate) const STOPPING: &str = "ERR server is shutting down";
pub(crate) const TOO_MANY_STREAMS: &str = "ERR too many subscriptions on this server";

/// A request that ends without a reply of the database.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) line: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, line: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            line: line.into(),
        }
    }

    pub(crate) fn bad_request(line: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, line)
    }
}

/// A command that needs a connection of its own.
pub(crate) fn not_over_rest(command: &str) -> String {
    format!("ERR Command \"{command}\" is not allowed in REST or it has a special context path")
}

/// A command that this service does not have.
pub(crate) fn not_available(command: &str) -> String {
    format!(
        "ERR Command is not available: '{command}'. See https://upstash.com/docs/redis/overall/rediscompatibility for details"
    )
}

/// A request or a response above the limit.
pub(crate) fn too_large(limit: usize, actual: u64) -> String {
    format!(
        "ERR max request size exceeded. Limit: {limit} bytes, Actual: {actual} bytes. See https://upstash.com/docs/redis/troubleshooting/max_request_size_exceeded for details"
    )
}

/// A reply of a pipeline or transaction that does not fit; the command was executed.
pub(crate) fn reply_too_large(limit: u64, actual: u64) -> String {
    let line = too_large(usize::try_from(limit).unwrap_or(usize::MAX), actual);
    format!("{line} The command was executed; its reply does not fit the response.")
}

/// More commands than one request may carry.
pub(crate) fn too_many_commands(limit: usize, actual: usize) -> String {
    format!("ERR max pipeline size exceeded. Limit: {limit} commands, Actual: {actual} commands")
}

/// A command the token's user may not run.
pub(crate) fn no_permission(command: &[u8]) -> String {
    let name = String::from_utf8_lossy(command).to_ascii_lowercase();
    format!("NOPERM this user has no permissions to run the '{name}' command or its subcommand")
}
