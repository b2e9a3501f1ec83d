//! Lua scripts with the flag `allow-key-locking`, which no Redis knows.
//!
//! The flag is taken out before a script is passed on. Clients go on using the SHA1 of
//! the text they wrote, so that it is mapped to that of the text the Redis has.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha1::{Digest as _, Sha1};

const FLAG: &str = "allow-key-locking";
/// Scripts remembered; a client whose script is forgotten gets NOSCRIPT and sends it again.
const REMEMBERED: usize = 10_000;

/// SHA1s of scripts as clients know them, and as the Redis does.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    known: Mutex<HashMap<String, String>>,
}

/// A script without the flag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stripped {
    pub(super) body: Vec<u8>,
    /// SHA1 of the text as the client wrote it.
    pub(super) original: String,
}

impl Scripts {
    /// The script without the flag, remembered; `None` if it does not have the flag.
    pub(super) fn strip(&self, script: &[u8]) -> Option<Stripped> {
        let body = strip(script)?;
        let original = sha1_hex(script);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(original.clone(), sha1_hex(&body));
        Some(Stripped { body, original })
    }

    /// The SHA1 that the Redis has for the one a client knows.
    pub(super) fn translate(&self, sha: &[u8]) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return None;
        }
        let sha = std::str::from_utf8(sha).ok()?.to_ascii_lowercase();
        known.get(&sha).cloned()
    }
}

/// Takes the flag out of the first line; without other flags the line stays empty.
fn strip(script: &[u8]) -> Option<Vec<u8>> {
    if !script.starts_with(b"#!lua") {
        return None;
    }
    let end = memchr::memchr(b'\n', script).unwrap_or(script.len());
    let line = std::str::from_utf8(&script[..end]).ok()?;
    let mut found = false;
    let mut words = Vec::new();
    for word in line.split_ascii_whitespace() {
        let Some(flags) = word.strip_prefix("flags=") else {
            words.push(word.to_owned());
            continue;
        };
        let mut kept: Vec<&str> = flags.split(',').collect();
        let before = kept.len();
        kept.retain(|flag| *flag != FLAG);
        found |= kept.len() < before;
        if !kept.is_empty() {
            words.push(format!("flags={}", kept.join(",")));
        }
    }
    if !found {
        return None;
    }
    // A bare `#!lua` would change how the script is treated: no line is nearer to the original.
    let line = if words.len() == 1 {
        String::new()
    } else {
        words.join(" ")
    };
    let mut body = line.into_bytes();
    body.extend_from_slice(&script[end..]);
    Some(body)
}

fn sha1_hex(text: &[u8]) -> String {
    hex::encode(Sha1::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_flag_goes() {
        let strip = |text: &str| {
            strip(text.as_bytes()).map(|body| String::from_utf8_lossy(&body).into_owned())
        };
        assert_eq!(
            strip("#!lua flags=allow-key-locking\nreturn 1"),
            Some("\nreturn 1".into())
        );
        assert_eq!(
            strip("#!lua flags=no-writes,allow-key-locking\nreturn 1"),
            Some("#!lua flags=no-writes\nreturn 1".into())
        );
        assert_eq!(
            strip("#!lua name=x flags=allow-key-locking\nreturn 1"),
            Some("#!lua name=x\nreturn 1".into())
        );
        for other in [
            "return 1",
            "#!lua flags=no-writes\nreturn 1",
            "#!lua\nreturn 1",
        ] {
            assert_eq!(strip(other), None);
        }
    }

    #[test]
    fn the_original_sha_stays_valid() {
        let scripts = Scripts::default();
        let original = b"#!lua flags=allow-key-locking\nreturn 1";
        assert_eq!(scripts.translate(sha1_hex(original).as_bytes()), None);
        let stripped = scripts.strip(original);
        assert!(stripped.is_some_and(|stripped| stripped.original == sha1_hex(original)));
        let upper = sha1_hex(original).to_ascii_uppercase();
        assert_eq!(
            scripts.translate(upper.as_bytes()),
            Some(sha1_hex(b"\nreturn 1"))
        );
    }
}
