//! What an error of the client means, and what to do about it.

use std::error::Error as _;
use std::io;

use restis::{Error, ErrorKind};

use super::report::{Class, Outcome};

/// A failed check with its remedy.
pub(super) fn outcome(error: &Error) -> Outcome {
    let (class, remedy) = remedy(error);
    Outcome::failed(error.to_string(), remedy).class(class)
}

fn remedy(error: &Error) -> (Class, &'static str) {
    match error.kind() {
        ErrorKind::Connect => (Class::Unreachable, connect(error)),
        ErrorKind::Timeout => (
            Class::Unreachable,
            "the server took the connection and did not answer in time: look at its load, at a \
             proxy in between, and at REDIS_COMMAND_TIMEOUT",
        ),
        ErrorKind::Interrupted => (
            Class::Unreachable,
            "the connection broke: is this the port of the REST API, and http or https as it \
             expects?",
        ),
        ErrorKind::Gateway | ErrorKind::Protocol => (
            Class::Unreachable,
            "something else than the REST API answers: use the REST address of the database \
             (https://NAME.upstash.io, or that of `restis serve`)",
        ),
        ErrorKind::Unauthorized => (
            Class::Refused,
            "set UPSTASH_REDIS_REST_TOKEN to the REST token of this database; it is not the \
             password, and a token that was reset is refused",
        ),
        ErrorKind::NoPermission => (
            Class::Refused,
            "the token may not do this: it is a read-only one, or its user lacks the command or \
             key; the functions need the standard token",
        ),
        ErrorKind::ReadOnly => (
            Class::Refused,
            "the database takes no writes now: it is a replica, or one that fails over; point to \
             the primary",
        ),
        ErrorKind::RateLimited => (
            Class::Limited,
            "too many requests: send fewer (await commands together, use pipelines), or raise the \
             plan's limit",
        ),
        ErrorKind::Quota => (
            Class::Limited,
            "the plan's limit of requests or data is used up: raise the plan, or wait until the \
             limit begins anew",
        ),
        ErrorKind::TooLarge => (
            Class::Limited,
            "a request or record is larger than the plan allows: split it",
        ),
        _ => server(error),
    }
}

/// Why there is no connection.
fn connect(error: &Error) -> &'static str {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return io_remedy(error);
        }
        source = cause.source();
    }
    "check name, port and certificate of the address"
}

/// The remedy of a connection that was not made.
pub(super) fn io_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: is the server started, and is this its port? \
             (`restis serve` prints its address)"
        }
        io::ErrorKind::TimedOut => {
            "nothing answers: a firewall, a security group or an IP allow list drops the packets, \
             or the address is of another network (VPC)"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no way to this network: check the route, VPN or VPC"
        }
        _ => "check the address and the network",
    }
}

/// What an error reply asks for.
fn server(error: &Error) -> (Class, &'static str) {
    let text = error.server_message().unwrap_or_default();
    let code = error.code().unwrap_or_default();
    if code == "OOM" {
        (
            Class::Limited,
            "the memory is used up: give every key a TTL, look for the largest with \
             `restis keys --big`, or scale up",
        )
    } else if text.contains("max number of clients") {
        (
            Class::Limited,
            "too many connections: share clients, close what is idle, raise maxclients",
        )
    } else if code == "LOADING" {
        (
            Class::Other,
            "the database still loads its data: try again when it is done",
        )
    } else if code == "MISCONF" {
        (
            Class::Other,
            "the database cannot save to its disk and therefore refuses writes: look at its log",
        )
    } else if text.contains("unknown command") || text.contains("not available") {
        (
            Class::Other,
            "the database lacks this command: another version, or one that the provider leaves out",
        )
    } else {
        (Class::Other, "look at the message of the server")
    }
}
