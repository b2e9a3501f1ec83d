//! The request target: endpoint or command path, query arguments, `_token`.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// What a request line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Endpoint<'t> {
    /// `/`: the command is the body.
    Body,
    /// `/pipeline`
    Pipeline,
    /// `/multi-exec`
    Transaction,
    /// `/subscribe/ch1/ch2`
    Subscribe(Vec<Cow<'t, [u8]>>),
    /// `/psubscribe/p1/p2`
    PSubscribe(Vec<Cow<'t, [u8]>>),
    /// `/monitor`
    Monitor,
    /// `/__restis/…`: what tests may do, where the server allows it.
    Control(&'t str),
    /// `/CMD/a1/a2`: the segments of a command.
    Path(Vec<Cow<'t, [u8]>>),
}

/// A parsed request target.
#[derive(Debug)]
pub(crate) struct Target<'t> {
    pub(crate) endpoint: Endpoint<'t>,
    /// Arguments of the query string, in order, without `_token`.
    pub(crate) query: Vec<Cow<'t, [u8]>>,
    /// The `_token` parameter.
    pub(crate) token: Option<Cow<'t, [u8]>>,
}

impl<'t> Target<'t> {
    /// Splits first and decodes each part afterwards: `%2F` never separates.
    pub(crate) fn parse(path: &'t str, query: Option<&'t str>) -> Self {
        let endpoint = endpoint(path);
        let mut target = Target {
            endpoint,
            query: Vec::new(),
            token: None,
        };
        for pair in query.unwrap_or_default().split('&') {
            target.pair(pair);
        }
        target
    }

    fn pair(&mut self, pair: &'t str) {
        if pair.is_empty() {
            return;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = form_decode(key);
        if key.as_ref() == b"_token" {
            self.token = Some(form_decode(value));
            return;
        }
        self.query.push(key);
        // URL builders write a bare `?NX` as `?NX=`.
        if !value.is_empty() {
            self.query.push(form_decode(value));
        }
    }
}

fn endpoint(path: &str) -> Endpoint<'_> {
    let path = path.trim_start_matches('/');
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Endpoint::Body;
    }
    let (name, rest) = match path.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let is = |endpoint: &str| name.eq_ignore_ascii_case(endpoint);
    if rest.is_none() {
        if is("pipeline") {
            return Endpoint::Pipeline;
        }
        if is("multi-exec") {
            return Endpoint::Transaction;
        }
        if is("monitor") {
            return Endpoint::Monitor;
        }
    }
    if let ("__restis", Some(rest)) = (name, rest) {
        return Endpoint::Control(rest);
    }
    let mut segments = rest.into_iter().flat_map(|rest| rest.split('/'));
    if is("subscribe") {
        return Endpoint::Subscribe(segments.map(decode).collect());
    }
    if is("psubscribe") {
        return Endpoint::PSubscribe(segments.map(decode).collect());
    }
    let mut args = vec![decode(name)];
    args.extend(segments.by_ref().map(decode));
    Endpoint::Path(args)
}

fn decode(part: &str) -> Cow<'_, [u8]> {
    percent_decode(part.as_bytes()).into()
}

/// Query strings are forms: `+` is a space.
fn form_decode(part: &str) -> Cow<'_, [u8]> {
    if part.contains('+') {
        let spaced = part.replace('+', " ");
        Cow::Owned(percent_decode(spaced.as_bytes()).collect())
    } else {
        decode(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Endpoint<'_> {
        Target::parse(path, None).endpoint
    }

    fn segments<'a>(args: &[&'a str]) -> Vec<Cow<'a, [u8]>> {
        args.iter()
            .map(|arg| Cow::Borrowed(arg.as_bytes()))
            .collect()
    }

    #[test]
    fn endpoints_tolerate_slashes() {
        assert_eq!(path("/"), Endpoint::Body);
        assert_eq!(path("//"), Endpoint::Body);
        for form in ["/pipeline", "//pipeline", "/pipeline/"] {
            assert_eq!(path(form), Endpoint::Pipeline);
        }
        assert_eq!(path("//multi-exec"), Endpoint::Transaction);
        assert_eq!(path("/monitor/"), Endpoint::Monitor);
    }

    #[test]
    fn segments_are_decoded_after_splitting() {
        let parsed = path("/set/a%2Fb/x%20y+z%ff");
        let expected: Vec<Cow<'_, [u8]>> = vec![
            Cow::Borrowed(b"set"),
            Cow::Borrowed(b"a/b"),
            Cow::Borrowed(b"x y+z\xff"),
        ];
        assert_eq!(parsed, Endpoint::Path(expected));
    }

    #[test]
    fn inner_empty_segments_are_empty_arguments() {
        assert_eq!(
            path("/set//v/"),
            Endpoint::Path(segments(&["set", "", "v"]))
        );
    }

    #[test]
    fn channels_follow_subscribe() {
        let expected = Endpoint::Subscribe(segments(&["a", "b c"]));
        assert_eq!(path("/subscribe/a/b%20c"), expected);
        assert_eq!(path("/psubscribe"), Endpoint::PSubscribe(Vec::new()));
    }

    #[test]
    fn query_arguments_keep_their_order() {
        let target = Target::parse("/set/k", Some("EX=100&NX&_token=t%2B&KEEPTTL=&a=b=c+d"));
        assert_eq!(
            target.query,
            segments(&["EX", "100", "NX", "KEEPTTL", "a", "b=c d"])
        );
        assert_eq!(target.token.as_deref(), Some(b"t+".as_slice()));
    }
}
