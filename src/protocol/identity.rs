//! Composite identities: one text of several parts that no other parts make.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::{borrow::Cow, fmt::Write as _, iter};

/// What a part may not contain: the separator, the escape, patterns, hash tags, and `#`, which marks
/// what is no part.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'#')
    .add(b'%')
    .add(b'*')
    .add(b':')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'{')
    .add(b'}');

/// Joins parts into one text; different lists of parts give different texts.
///
/// Each part is percent-encoded, the empty one is `%`, and `:` stands between them. Everything but
/// control characters, blanks, `#%*:?[\]^{}` and what is not ASCII stays as it is, so that keys
/// can be read. No parts give an empty text.
///
/// ```
/// use restis::identity::join;
///
/// assert_eq!(join(["acme", "user 1"]), "acme:user%201");
/// assert_ne!(join(["a:b", "c"]), join(["a", "b:c"]));
/// assert_ne!(join(["", "a"]), join(["a"]));
/// ```
pub fn join<P: AsRef<str>>(parts: impl IntoIterator<Item = P>) -> String {
    let mut joined = String::new();
    let separators = iter::once("").chain(iter::repeat(":"));
    for (part, separator) in parts.into_iter().zip(separators) {
        joined.push_str(separator);
        match part.as_ref() {
            "" => joined.push('%'),
            // Writing to a `String` does not fail.
            part => drop(write!(joined, "{}", utf8_percent_encode(part, RESERVED))),
        }
    }
    joined
}

/// How often what stands between a caller and a route may decode a path.
const DECODINGS: usize = 4;

/// Whether a text can be one segment of a path: it stays one however often the path is decoded.
///
/// Clients and proxies take `.` and `..`, also encoded, for the directory itself and the one above, so
/// that `/users/../sessions` becomes `/sessions`. A text with such a part, and one of nothing but
/// separators, names nothing.
///
/// ```
/// use restis::identity::is_path_segment;
///
/// assert!(is_path_segment("u1.example") && is_path_segment("github/42"));
/// assert!(!is_path_segment("..") && !is_path_segment("%2E") && !is_path_segment("u1/../u2"));
/// ```
pub fn is_path_segment(text: &str) -> bool {
    let invisible = |c: char| c.is_control() || c == ' ';
    let mut text = Cow::Borrowed(text);
    for _ in 0..DECODINGS {
        let mut parts = text
            .split(['/', '\\'])
            .map(|part| part.trim_matches(invisible));
        let is_empty = parts.clone().all(str::is_empty);
        if is_empty || parts.any(|part| matches!(part, "." | "..")) {
            return false;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return true;
        }
        text = Cow::Owned(decoded);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parts that are near each other: separators, escapes, and what escapes look like.
    fn part() -> impl Strategy<Value = String> {
        "[a:/%#3A{} é\n]{0,4}"
    }

    fn parts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(part(), 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn different_parts_never_make_one_identity(a in parts(), b in parts()) {
            prop_assert_eq!(a == b, join(&a) == join(&b));
        }

        #[test]
        fn the_same_text_cut_in_two_ways_makes_two_identities(
            text in "[a:/% ]{1,6}", first in 0..6_usize, second in 0..6_usize,
        ) {
            let cut = |at: usize| text.split_at(at.min(text.len()));
            let ((a, b), (c, d)) = (cut(first), cut(second));
            prop_assert_eq!((a, b) == (c, d), join([a, b]) == join([c, d]));
        }

        #[test]
        fn an_identity_holds_no_pattern_hash_tag_or_control_character(parts in parts()) {
            let joined = join(&parts);
            let plain = |b: u8| b.is_ascii_graphic() && !b"#*?[]\\^{}".contains(&b);
            prop_assert!(joined.bytes().all(plain));
            prop_assert_eq!(joined.split(':').filter(|_| !parts.is_empty()).count(), parts.len());
        }
    }

    #[test]
    fn what_a_path_swallows_is_no_segment() {
        for text in [
            "",
            ".",
            "..",
            "/",
            "//",
            " ",
            "%2E",
            "%2e%2E",
            "%252e",
            "%25252e",
            ".%2e",
            "a/..",
            "..\\a",
            "a%2F..%2Fb",
            "%2F",
            "\t.",
        ] {
            assert!(!is_path_segment(text), "{text:?}");
        }
        for text in [
            "a",
            "...",
            ".a",
            "a.",
            "a/b",
            "https://issuer/u1",
            "100%",
            "%zz",
            "é",
            "a b",
        ] {
            assert!(is_path_segment(text), "{text:?}");
        }
    }

    #[test]
    fn ordinary_parts_stay_readable() {
        assert_eq!(join(["acme", "u1@example.com"]), "acme:u1@example.com");
        assert_eq!(join(["/billing", "é"]), "/billing:%C3%A9");
        assert_eq!(join([""]), "%");
        assert_eq!(join([] as [&str; 0]), "");
    }
}
