//! Every parser of answers against arbitrary bytes, hurt answers and arbitrary cuts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{Frame, Listen};
use crate::protocol::{json_codec, reply::Reply, resp, sse};

/// A value as a server may answer it: no object and no `OK`, which have meanings of their own.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 60, 6, |inner| vec(inner, 0..6).prop_map(Value::from))
        .prop_filter("a status", |v| v != "OK")
}

fn reply(value: &Value) -> Reply {
    match value {
        Value::Null => Reply::Nil,
        Value::Array(items) => Reply::Array(items.iter().map(reply).collect()),
        Value::String(text) => Reply::Bulk(text.clone().into()),
        number => Reply::Int(number.as_i64().unwrap()),
    }
}

fn as_resp(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Int(n) => out.extend(format!(":{n}\r\n").bytes()),
        Reply::Bulk(bytes) => {
            out.extend(format!("${}\r\n", bytes.len()).bytes());
            out.extend(&bytes[..]);
            out.extend(b"\r\n");
        }
        Reply::Array(items) => {
            out.extend(format!("*{}\r\n", items.len()).bytes());
            for item in items {
                as_resp(item, out);
            }
        }
        _ => out.extend(b"$-1\r\n"),
    }
}

/// A sound text with one byte changed, dropped or put in.
fn hurt(mut text: Vec<u8>, at: prop::sample::Index, how: u8, byte: u8) -> Vec<u8> {
    let at = at.index(text.len() + 1);
    match how % 3 {
        0 if at < text.len() => text[at] = byte,
        1 if at < text.len() => drop(text.remove(at)),
        _ => text.insert(at, byte),
    }
    text
}

fn frames(what: Listen, pieces: &[&[u8]]) -> Vec<Frame> {
    let mut parser = sse::Parser::new(what, sse::StreamEncoding::Plain);
    let mut frames = Vec::new();
    for piece in pieces {
        parser.feed(piece).unwrap();
        frames.extend(std::iter::from_fn(|| parser.next()));
    }
    frames
}

proptest! {
    #[test]
    fn json_reads_what_another_writer_wrote(values in vec(value(), 0..8)) {
        let expected: Vec<_> = values.iter().map(reply).collect();
        let body: Vec<_> = values.into_iter().map(|v| json!({"result": v})).collect();
        for text in [serde_json::to_vec(&body).unwrap(), serde_json::to_vec_pretty(&body).unwrap()] {
            match json_codec::parse(&text, false, 8) {
                Ok(json_codec::Body::Many(replies)) => prop_assert_eq!(&replies, &expected),
                Ok(json_codec::Body::One(_)) => prop_assert!(false, "one reply"),
                Err(why) => prop_assert!(false, "{}", why),
            }
        }
    }

    #[test]
    fn hurt_json_is_read_or_refused(value in value(), at: prop::sample::Index, how: u8, byte: u8, base64: bool) {
        let text = serde_json::to_vec(&json!({"result": value})).unwrap();
        let _ = json_codec::parse(&hurt(text, at, how, byte), base64, 1);
    }

    #[test]
    fn json_of_any_bytes_is_read_or_refused(text in vec(any::<u8>(), 0..200), base64: bool) {
        let _ = json_codec::parse(&text, base64, usize::MAX);
    }

    #[test]
    fn json_of_its_own_letters_is_read_or_refused(text in r#"(\{|\}|\[|\]|"|:|,|\\|u|d8|result|error|null|true|-|[0-9]|e|\.| ){0,60}"#, base64: bool) {
        let _ = json_codec::parse(text.as_bytes(), base64, 1);
    }

    #[test]
    fn resp_reads_what_was_written(values in vec(value(), 0..8)) {
        let expected: Vec<_> = values.iter().map(reply).collect();
        let mut text = Vec::new();
        for item in &expected {
            as_resp(item, &mut text);
        }
        prop_assert_eq!(resp::parse(&text.into(), 8), Ok(expected));
    }

    #[test]
    fn hurt_resp_is_read_or_refused(value in value(), at: prop::sample::Index, how: u8, byte: u8) {
        let mut text = Vec::new();
        as_resp(&reply(&value), &mut text);
        let _ = resp::parse(&hurt(text, at, how, byte).into(), 1);
    }

    #[test]
    fn resp_of_its_own_letters_is_read_or_refused(text in r"([*$:+\-]|[0-9]|\r\n|\r|\n|[a-z]|9223372036854775807){0,60}") {
        let _ = resp::parse(&Bytes::from(text), usize::MAX);
    }

    #[test]
    fn events_do_not_depend_on_the_cuts(
        lines in vec(prop_oneof![
            Just("\n".to_owned()),
            r"data: ?(message|pmessage|subscribe|psubscribe|x),(a|a,b|u\*)?,[ -~]{0,20}\r?\n\r?\n",
            r"(data|event|:)?:? ?[ -~]{0,20}\r?\n",
        ], 0..20),
        noise in vec(any::<u8>(), 0..40),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        kind in 0..3,
    ) {
        let names = vec!["a".to_owned(), "a,b".to_owned(), "u*".to_owned()];
        let what = match kind {
            0 => Listen::Channels(names),
            1 => Listen::Patterns(names),
            _ => Listen::Monitor,
        };
        let mut text = lines.concat().into_bytes();
        text.extend(noise);
        let mut cuts: Vec<_> = cuts.iter().map(|at| at.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        prop_assert_eq!(frames(what.clone(), &pieces), frames(what, &[&text]));
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = 100_000;
    let text = format!(r#"{{"result":{}"#, "[".repeat(deep));
    assert!(json_codec::parse(text.as_bytes(), false, 1).is_err());
    let text = format!(r#"{{"result":{}"#, r#"{"a":"#.repeat(deep));
    assert!(json_codec::parse(text.as_bytes(), false, 1).is_err());
    assert!(resp::parse(&"*1\r\n".repeat(deep).into(), 1).is_err());
}

#[test]
fn a_length_reserves_no_more_than_the_body_can_hold() {
    for text in [
        "*1000000000\r\n:1\r\n",
        "$9223372036854775807\r\nx\r\n",
        "*-2\r\n",
    ] {
        assert!(resp::parse(&text.into(), 1).is_err(), "{text}");
    }
}
