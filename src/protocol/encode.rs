//! Request bodies: commands as JSON arrays of strings, or as path and raw body.
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::protocol::{
    command::Args,
    error::{Error, Result},
};

/// Longest path of a command that cannot be written as JSON.
const MAX_PATH_BYTES: usize = 16 * 1024;

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `["SET","k","v"]`; false when an argument is not UTF-8.
pub(crate) fn command(args: &Args, out: &mut Vec<u8>) -> bool {
    // Nearly every command is copied as it is: one look at all of its bytes tells.
    let plain = args.all().iter().fold(true, |all, b| all & is_plain(*b));
    if !plain && !args.is_utf8() {
        return false;
    }
    out.reserve(args.bytes() + 3 * args.len() + 2);
    debug_assert!(!args.is_empty(), "a command has a name");
    let mut before = &b"[\""[..];
    for arg in args.iter() {
        out.extend_from_slice(before);
        if plain {
            out.extend_from_slice(arg);
        } else {
            escaped(arg, out);
        }
        before = b"\",\"";
    }
    out.extend_from_slice(b"\"]");
    true
}

/// Whether a byte stands for itself in a JSON string, whatever comes before and after it.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches many bytes are looked at in one step"
)]
fn is_plain(b: u8) -> bool {
    (b' '..0x80).contains(&b) & (b != b'"') & (b != b'\\')
}

/// `[[…],[…]]`; false when an argument is not UTF-8.
pub(crate) fn commands(all: &[Args], out: &mut Vec<u8>) -> bool {
    out.reserve(
        all.iter()
            .map(|a| a.bytes() + 3 * a.len() + 3)
            .sum::<usize>()
            + 2,
    );
    out.push(b'[');
    for (i, args) in all.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if !command(args, out) {
            return false;
        }
    }
    out.push(b']');
    true
}

/// UTF-8 with what JSON does not allow escaped.
fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(b >> 4)]);
                out.push(HEX[usize::from(b & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// `CMD/a1/a2` and an argument as raw body: the only form that carries any bytes.
///
/// The last argument is the body, or the longest one when the others are too much for a path; what
/// follows it is then the query, whose names and values the server appends in order
/// (<https://upstash.com/docs/redis/features/restapi>).
pub(crate) fn path_and_body(args: &Args) -> Result<(String, Vec<u8>)> {
    let last = args.len().saturating_sub(1);
    let longest = (1..args.len()).max_by_key(|i| args.get(*i).map_or(0, <[u8]>::len));
    let body = match path_around(args, last) {
        Err(error) if error.kind() == crate::ErrorKind::TooLarge => longest.unwrap_or(last),
        other => return other,
    };
    path_around(args, body)
}

fn path_around(args: &Args, body: usize) -> Result<(String, Vec<u8>)> {
    let mut path = String::new();
    for (i, arg) in args.iter().enumerate() {
        // URL parsers remove dot segments, percent-encoded or not, and servers may
        // collapse empty ones.
        if i < body && matches!(arg, b"" | b"." | b"..") {
            return Err(Error::invalid_input(format!(
                "argument {i} is empty or dots, which a command with bytes that are not UTF-8 cannot carry"
            )));
        }
        let after = i.wrapping_sub(body + 1);
        match i {
            0 => {}
            i if i < body => path.push('/'),
            i if i == body => continue,
            _ if arg == b"_token" || arg.is_empty() => {
                return Err(Error::invalid_input(format!(
                    "argument {i} cannot follow a long one that is not UTF-8"
                )));
            }
            _ if after == 0 => path.push('?'),
            _ if after % 2 == 1 => path.push('='),
            _ => path.push('&'),
        }
        path.extend(percent_encode(arg, SEGMENT));
        if path.len() > MAX_PATH_BYTES {
            return Err(Error::invalid_input(
                "all arguments but one exceed 16 KiB in a command with bytes that are not UTF-8",
            )
            .with_kind(crate::ErrorKind::TooLarge));
        }
    }
    Ok((path, args.get(body).unwrap_or_default().to_vec()))
}

/// `subscribe/a/b`: a command and its names as path segments.
pub(crate) fn path(command: &str, names: &[String]) -> Result<String> {
    let mut path = command.to_owned();
    for name in names {
        if matches!(name.as_str(), "" | "." | "..") {
            return Err(Error::invalid_input(
                "a channel must not be empty, a dot or two dots",
            ));
        }
        path.push('/');
        path.extend(percent_encode(name.as_bytes(), SEGMENT));
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(Error::invalid_input("channel names exceed 16 KiB"));
    }
    Ok(path)
}
