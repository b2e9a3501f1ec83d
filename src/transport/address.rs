//! Addresses that come from outside.
use url::Url;

/// A URL whose host stands as it is: in ASCII, never percent-encoded.
///
/// Other letters come in Punycode, so that what is shown, checked and connected to is one and
/// the same; a host that had to be decoded or mapped first would need tables of Unicode, which
/// are left out of the functions. Path and query may hold any text.
pub(crate) fn parse(text: &str) -> Option<Url> {
    // What the parser leaves out at both ends.
    let text = text.trim_matches(|c| c <= ' ');
    let (scheme, rest) = text.split_once(':')?;
    let authority = authority(scheme, rest);
    let host = authority.rsplit('@').next()?;
    let slashes = |c| matches!(c, '/' | '\\' | '\t' | '\n' | '\r');
    let lead = rest.split(|c| !slashes(c)).next()?;
    // Tabs and line breaks would be left out as well.
    let graphic = |part: &str| part.bytes().all(|b| b.is_ascii_graphic());
    let stands = [scheme, lead, authority].into_iter().all(graphic);
    if host.contains('%') || !stands {
        return None;
    }
    Url::parse(text).ok()
}

/// User, host and port as the [URL standard](https://url.spec.whatwg.org/#url-parsing) finds
/// them; empty where there are none.
fn authority<'t>(scheme: &str, rest: &'t str) -> &'t str {
    let web = ["http", "https", "ws", "wss", "ftp"];
    let is = |name: &&str| scheme.eq_ignore_ascii_case(name);
    let slashes: &[char] = match is(&"file") || web.iter().any(is) {
        true => &['/', '\\'],
        false => &['/'],
    };
    let start = if web.iter().any(is) {
        rest.trim_start_matches(slashes)
    } else {
        let after = |text: &'t str| text.strip_prefix(slashes);
        after(rest).and_then(after).unwrap_or_default()
    };
    let end = |c| slashes.contains(&c) || matches!(c, '?' | '#');
    start.split(end).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_url_or_none(text in "(https?|ws|file|redis)?:?[/\\\\]{0,3}[a-zA%4146:@\\[\\]/\\\\?# \t\n\u{e9}\u{4e00}\u{ad}]{0,12}") {
            if let Some(url) = parse(&text) {
                prop_assert!(url.host_str().is_none_or(str::is_ascii));
            }
        }
    }

    #[test]
    fn a_host_is_ascii_as_it_stands() {
        for good in [
            "https://example.upstash.io",
            "http://127.0.0.1:8079/a%20b?c=%E4%B8%80",
            "http://[::1]:8079",
            "https://xn--4gq.example/",
            "rediss://default:p%40ss@example.upstash.io:6379",
            "https://x.example/liste-é.txt",
            "https://x.example/a b?c=d e#f é",
            "https://x.example?é",
            " \thttps://x.example/\n",
            "https:\\\\x.example\\é",
            "HTTPS:x.example/%",
            "redis://x.example#\\é",
            "file:///liste-é",
            "mailto:é%",
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
            "ht\ntps://a/",
            "https:/\n/A一/",
            "https:A一",
            "https:///A一/",
            "https:\\A一\\",
            "https://a\t.example/",
            "https://a\u{a0}.example/",
            "https://é@a.example/",
            "https://a.example@%41一",
            "redis://A一\\/",
            "redis://a.example\\é",
            "file://A一/",
            "file:/\n/A一/",
            "redis:\t//A一/",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
