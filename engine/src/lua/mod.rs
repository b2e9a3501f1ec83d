//! Lua 5.1 as Redis offers it to scripts and functions.
//!
//! One interpreter a database, made with the first script. Scripts see a protected environment:
//! nothing of the host, nothing of other scripts, bounded memory and time.

mod bit;
mod cjson;
mod cmsgpack;
mod convert;
mod error;
mod format;
mod frame;
mod native;
mod random;
mod structs;
mod vm;

pub(crate) use frame::{Declared, Mode};
pub(crate) use vm::{Compiled, LoadedFunction, Vm};

use sha1::{Digest, Sha1};

/// The refusal of a name of a library or function.
pub(crate) const BAD_NAME: &str = "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// Whether this may be the name of a library or function.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The SHA-1 of a text.
pub(crate) fn sha1(text: &[u8]) -> [u8; 20] {
    Sha1::digest(text).into()
}

/// The SHA-1 of a text in hexadecimal digits.
pub(crate) fn sha1_hex(text: &[u8]) -> String {
    hex(&sha1(text))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| {
            [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]
        })
        .map(char::from)
        .collect()
}
