//! Between this server's replies and the Redis crate's values.

use bytes::Bytes;
use http::StatusCode;
use redis::{Cmd, ErrorKind, RedisError, ServerError, ServerErrorKind, Value};
use restis_engine::{Error, Reply};

use crate::texts::Failure;

pub(super) fn cmd(args: &[&[u8]]) -> Cmd {
    let size = args.iter().map(|arg| arg.len()).sum();
    let mut cmd = Cmd::with_capacity(args.len(), size);
    for arg in args {
        cmd.arg(*arg);
    }
    cmd
}

pub(super) fn reply(value: Value) -> Reply {
    match value {
        Value::Nil => Reply::Nil,
        Value::Int(n) => Reply::Int(n),
        Value::BulkString(bytes) => Reply::Bulk(Bytes::from(bytes)),
        Value::Okay => Reply::ok(),
        Value::SimpleString(text) => Reply::Simple(text.into()),
        Value::Array(items) | Value::Set(items) => Reply::array(items.into_iter().map(reply)),
        Value::Map(pairs) => Reply::array(
            pairs
                .into_iter()
                .flat_map(|(key, value)| [reply(key), reply(value)]),
        ),
        Value::ServerError(error) => Reply::Error(server_error(&error)),
        Value::Double(n) => Reply::double(n),
        Value::Boolean(yes) => Reply::bool(yes),
        Value::Attribute { data, .. } => reply(*data),
        Value::VerbatimString { text, .. } => Reply::bulk(text),
        // RESP3 alone has more kinds, and RESP2 is what is spoken.
        other => Reply::bulk(format!("{other:?}")),
    }
}

/// The error line as the server sent it.
pub(super) fn server_error(error: &ServerError) -> Error {
    match error.details() {
        Some(details) => Error::new(format!("{} {details}", error.code())),
        None => Error::new(error.code()),
    }
}

/// What a failed call means: an error reply of the server, or no answer from it.
pub(super) fn failure(error: RedisError) -> Result<Reply, Failure> {
    if error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot) {
        // The crate finds this out before it sends, in words of its own.
        let line = "CROSSSLOT Keys in request don't hash to the same slot";
        return Ok(Reply::Error(Error::new(line)));
    }
    match ServerError::try_from(error) {
        Ok(error) => Ok(Reply::Error(server_error(&error))),
        Err(error) => Err(no_answer(&error)),
    }
}

/// A connection could not be made.
pub(super) fn unreachable(error: &RedisError) -> Failure {
    tracing::warn!(kind = ?error.kind(), "the Redis cannot be reached");
    let line = match error.kind() {
        ErrorKind::AuthenticationFailed => {
            "ERR the Redis behind this server refuses its credentials"
        }
        _ => "ERR the Redis behind this server cannot be reached; nothing was executed",
    };
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, line)
}

/// A command was sent and its reply did not arrive.
pub(super) fn no_answer(error: &RedisError) -> Failure {
    tracing::warn!(kind = ?error.kind(), "the Redis did not answer");
    if error.kind() == ErrorKind::ClusterConnectionNotFound || error.is_connection_refusal() {
        return unreachable(error);
    }
    let line = if error.is_timeout() {
        "ERR the Redis behind this server did not answer in time; the command may have been executed"
    } else {
        "ERR the connection to the Redis behind this server broke; the command may have been executed"
    };
    Failure::new(StatusCode::BAD_GATEWAY, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(wire: &[u8]) -> Reply {
        redis::parse_redis_value(wire).map_or_else(|_| Reply::Nil, reply)
    }

    #[test]
    fn error_lines_survive() {
        for line in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "NOSCRIPT No matching script. Please use EVAL.",
            "ERR wrong number of arguments for 'get' command",
            "ERR",
            "MISCONF a  b",
        ] {
            let reply = parsed(format!("-{line}\r\n").as_bytes());
            assert_eq!(reply, Reply::Error(Error::new(line)));
        }
    }

    #[test]
    fn values_survive() {
        let reply = parsed(b"*4\r\n$2\r\n\xff\x00\r\n:-5\r\n+PONG\r\n-ERR x\r\n");
        let expected = Reply::Array(vec![
            Reply::bulk(b"\xff\x00"),
            Reply::Int(-5),
            Reply::simple("PONG"),
            Reply::Error(Error::new("ERR x")),
        ]);
        assert_eq!(reply, expected);
        assert_eq!(parsed(b"+OK\r\n"), Reply::ok());
    }
}
