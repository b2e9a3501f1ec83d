//! `Cache-Control` of requests and responses.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc9111#section-5.2>.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

/// Larger numbers count as this one (RFC 9111, 1.2.2).
const MAX_SECONDS: u64 = 1 << 31;

/// The directives of a message, in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Directives(Vec<(String, Option<String>)>);

impl Directives {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut all = Vec::new();
        for part in list(headers, &header::CACHE_CONTROL) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(unquoted(value.trim()))),
                None => (part.as_str(), None),
            };
            all.push((name.trim().to_ascii_lowercase(), value));
        }
        Self(all)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(of, _)| of == name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The shortest time of a directive; one that cannot be read is none at all: nothing is fresh.
    pub(super) fn seconds(&self, name: &str) -> Option<Duration> {
        let values = self.0.iter().filter(|(of, _)| of == name);
        let times = values.map(|(_, value)| {
            let seconds = value.as_deref().and_then(delta_seconds).unwrap_or(0);
            Duration::from_secs(seconds)
        });
        times.min()
    }
}

pub(super) fn delta_seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| {
        text.parse()
            .map_or(MAX_SECONDS, |n: u64| n.min(MAX_SECONDS))
    })
}

fn unquoted(text: &str) -> String {
    match text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        Some(inner) => inner.replace('\\', ""),
        None => text.to_owned(),
    }
}

/// The members of a header that is a list; commas in quotes separate nothing.
pub(super) fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let mut members = Vec::new();
    for value in headers.get_all(name) {
        let Ok(text) = value.to_str() else {
            continue;
        };
        let (mut quoted, mut escaped, mut member) = (false, false, String::new());
        for c in text.chars() {
            match c {
                ',' if !quoted => members.push(std::mem::take(&mut member)),
                c => {
                    if c == '"' && !escaped {
                        quoted = !quoted;
                    }
                    escaped = quoted && c == '\\' && !escaped;
                    member.push(c);
                }
            }
        }
        members.push(member);
    }
    let trimmed = members.iter().map(|member| member.trim().to_owned());
    trimmed.filter(|member| !member.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use http::HeaderValue;

    fn of(values: &[&'static str]) -> Directives {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
        }
        Directives::of(&headers)
    }

    #[test]
    fn directives_are_read_whatever_their_case_their_quotes_and_their_lines() {
        let all = of(&[
            "Max-Age=60 , PRIVATE=\"set-cookie, x\"",
            "no-transform,, s-maxage=\"5\"",
        ]);
        assert_eq!(all.seconds("max-age"), Some(Duration::from_secs(60)));
        assert_eq!(all.seconds("s-maxage"), Some(Duration::from_secs(5)));
        assert!(all.has("private") && all.has("no-transform"));
        assert!(!all.has("x") && !all.has("set-cookie"));
        assert!(of(&[]).is_empty());
    }

    #[test]
    fn a_time_that_is_none_or_repeated_is_the_shortest() {
        for (values, seconds) in [
            (&["max-age=9, max-age=3"][..], 3),
            (&["max-age=soon"][..], 0),
            (&["max-age"][..], 0),
            (&["max-age=-1"][..], 0),
            (&["max-age=1.5"][..], 0),
            (&["max-age=99999999999999999999999"][..], MAX_SECONDS),
        ] {
            let time = of(values).seconds("max-age");
            assert_eq!(time, Some(Duration::from_secs(seconds)), "{values:?}");
        }
    }
}
