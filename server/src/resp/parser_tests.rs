#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::parser::{Bounds, Command, Malformed, Parser};

const BOUNDS: Bounds = Bounds {
    bulk: 512 << 20,
    elements: 1 << 20,
    inline: 64 << 10,
    command: 1 << 30,
};

/// Everything that pieces of input hold, and why they end.
fn parse(pieces: &[&[u8]], bounds: &Bounds) -> (Vec<Command>, Option<Malformed>) {
    let mut parser = Parser::default();
    let mut input = BytesMut::new();
    let mut commands = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match parser.next(&mut input, bounds) {
                Ok(Some(command)) => commands.push(command),
                Ok(None) => break,
                Err(malformed) => return (commands, Some(malformed)),
            }
        }
    }
    (commands, None)
}

fn words(list: &[&str]) -> Command {
    list.iter()
        .map(|word| Bytes::copy_from_slice(word.as_bytes()))
        .collect()
}

#[test]
fn a_stream_is_the_same_split_at_every_byte() {
    let stream = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING hello\r\n\r\n*0\r\n*-1\r\n\
        *3\r\n$3\r\nSET\r\n$2\r\n\r\n\r\n$0\r\n\r\nECHO \"a\\x00\\n b\" 'it\\'s'\n";
    let expected = vec![
        words(&["GET", "k"]),
        words(&["PING", "hello"]),
        words(&["SET", "\r\n", ""]),
        words(&["ECHO", "a\0\n b", "it's"]),
    ];
    for at in 0..=stream.len() {
        let (first, second) = stream.split_at(at);
        let got = parse(&[first, second], &BOUNDS);
        assert_eq!(got, (expected.clone(), None), "split at {at}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(parse(&bytes, &BOUNDS), (expected, None));
}

/// The texts are those of Redis 7 and 8 (`networking.c`).
#[test]
fn what_is_no_request_says_why() {
    for (input, text) in [
        (&b"*x\r\n"[..], "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*9223372036854775808\r\n", "invalid multibulk length"),
        (b"*1\r\n*1\r\n$1\r\na\r\n", "expected '$', got '*'"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$ 1\r\n", "invalid bulk length"),
        (b"SET \"a\r\n", "unbalanced quotes in request"),
        (b"SET \"a\"b\r\n", "unbalanced quotes in request"),
    ] {
        let (commands, malformed) = parse(&[input], &BOUNDS);
        assert_eq!(commands, Vec::<Command>::new());
        let line = malformed.unwrap().to_string();
        assert_eq!(line, format!("ERR Protocol error: {text}"));
    }
}

#[test]
fn lines_without_an_end_are_refused() {
    let endless = vec![b'a'; (64 << 10) + 1];
    assert_eq!(parse(&[&endless], &BOUNDS).1, Some(Malformed::Inline));
    let mut endless = vec![b'1'; (64 << 10) + 1];
    endless[0] = b'*';
    let expected = Some(Malformed::HeaderLength("mbulk"));
    assert_eq!(parse(&[&endless], &BOUNDS).1, expected);
    let endless = [b"*1\r\n$".as_slice(), &vec![b'1'; (64 << 10) + 1]].concat();
    let expected = Some(Malformed::HeaderLength("bulk"));
    assert_eq!(parse(&[&endless], &BOUNDS).1, expected);
}

#[test]
fn strangers_get_little() {
    let bounds = Bounds::STRANGER;
    let of = |input: &[u8]| parse(&[input], &bounds).1;
    assert_eq!(of(b"*11\r\n"), Some(Malformed::StrangerElements));
    assert_eq!(of(b"*1\r\n$16385\r\n"), Some(Malformed::StrangerBulk));
    assert_eq!(of(b"*3\r\n$4\r\nAUTH\r\n$1\r\na\r\n$1\r\nb\r\n"), None);
}

#[test]
fn a_command_of_many_large_arguments_is_refused_by_its_lengths() {
    let bounds = Bounds {
        command: 10,
        ..BOUNDS
    };
    let (_, malformed) = parse(&[b"*2\r\n$6\r\nabcdef\r\n$5\r\n"], &bounds);
    assert_eq!(malformed, Some(Malformed::Command));
}

#[test]
fn announced_lengths_reserve_nothing() {
    let mut parser = Parser::default();
    let mut input = BytesMut::from(&b"*1048576\r\n$536870912\r\nabc"[..]);
    assert_eq!(parser.next(&mut input, &BOUNDS), Ok(None));
    assert!(input.capacity() < 1 << 10);
}

fn encoded(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    for args in commands {
        out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            out.extend_from_slice(arg);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

proptest! {
    #[test]
    fn any_commands_come_back_however_they_are_cut(
        commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8), 0..6),
        cuts in prop::collection::vec(1_usize..30, 1..40),
    ) {
        let bytes = encoded(&commands);
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let (got, malformed) = parse(&pieces, &BOUNDS);
        prop_assert_eq!(malformed, None);
        let got: Vec<Vec<Vec<u8>>> = got.iter().map(|args| args.iter().map(|arg| arg.to_vec()).collect()).collect();
        prop_assert_eq!(got, commands);
    }

    #[test]
    fn no_bytes_make_it_panic_or_stall(bytes in prop::collection::vec(prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'"'), any::<u8>()], 0..300)) {
        let whole = parse(&[&bytes], &BOUNDS);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(parse(&single, &BOUNDS), whole);
    }
}
