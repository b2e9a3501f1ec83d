//! Addresses that come from outside.
use url::Url;

/// A URL as [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2) writes it, in ASCII.
///
/// A host is taken as it stands: other letters come in Punycode, never percent-encoded, so that
/// what is shown, checked and connected to is one and the same.
pub(crate) fn parse(text: &str) -> Option<Url> {
    let (_, rest) = text.split_once(':')?;
    let authority = rest
        .trim_start_matches(['/', '\\'])
        .split(['/', '\\', '?', '#'])
        .next()?;
    let host = authority.rsplit('@').next()?;
    if host.contains('%') || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    Url::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_ascii_as_it_stands() {
        for good in [
            "https://example.upstash.io",
            "http://127.0.0.1:8079/a%20b?c=%E4%B8%80",
            "http://[::1]:8079",
            "https://xn--4gq.example/",
            "rediss://default:p%40ss@example.upstash.io:6379",
        ] {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "example.upstash.io",
            "https://",
            "https://A一/",
            "https://%41一/",
            "https://%41%E4%B8%80/",
            "https:\\\\user@%41.example\\",
            "https://a b/",
            "https://a/\u{e9}",
            "ht\ntps://a/",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
