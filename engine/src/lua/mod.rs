//! Lua 5.1 as Redis offers it to scripts and functions.
//!
//! One interpreter a database, made with the first script. Scripts see a protected environment:
//! nothing of the host, nothing of other scripts, bounded memory and time.
//!
//! # Why Lua 5.1 with a library of our own
//!
//! Scripts are hostile until shown otherwise, and Lua 5.1 was not made for that; Luau was. But what
//! scripts of Redis see is Lua 5.1: `0.1 + 0.2 .. ""` is `0.3`, and error texts name the variable.
//! Luau answers otherwise in both, inside its interpreter, where no library of ours reaches. So the
//! interpreter stays, and what it lacks is around it:
//!
//! - Every library function that could run long, take memory unseen, or trust a number is replaced
//!   or guarded: in `sandbox.lua` where that is enough, else in Rust ([`strings`], [`pattern`],
//!   [`compile`], [`cjson`], [`cmsgpack`], [`structs`], [`bit`]).
//! - What is left of the interpreter's C code is its core. It has the one repair of it that was
//!   published since 5.1.5 (CVE-2014-5461); the faults that Redis repaired in the compiler need
//!   bytecode, garbage collected meanwhile, or two gigabytes of source: [`compile`] allows none.
//! - Libraries are shared by all scripts of a database, so that a call costs microseconds; scripts
//!   get an empty table in front of each, and no function that hands out or writes what is behind.
//! - A hook looks at the clock; native loops do so themselves; memory counts before it is taken
//!   ([`bounds`]).

mod args;
mod bit;
mod bounds;
mod cjson;
mod cmsgpack;
mod compile;
mod convert;
mod error;
mod format;
mod frame;
mod native;
mod pattern;
mod random;
mod shape;
mod strings;
mod structs;
mod vm;

pub(crate) use frame::{Declared, Host, Lender, Mode};
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
    hex::encode(sha1(text))
}
