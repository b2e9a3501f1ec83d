//! Any bytes in channels and messages, under load: each prompt reader gets all of them in order, a slow one is let go,
//! and other tenants are answered meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use base64_simd::STANDARD;
use restis_server::{Limits, Running, Server, Tenants};
use std::io::{BufRead as _, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::{
    Connection, Events, eventually,
    resp::{Resp, both_doors},
};

const MESSAGES: usize = 3_000;
const ACCEPT: (&str, &str) = ("accept", "text/event-stream");
const LOSSLESS: (&str, &str) = ("restis-stream-encoding", "base64");
const A: (&str, &str) = ("authorization", "Bearer A");

type Message = (Vec<u8>, Vec<u8>);

/// SplitMix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % most as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let byte = |_| u8::try_from(self.below(256)).unwrap();
        (0..count).map(byte).collect()
    }
}

fn channels(numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let mut channels: Vec<Vec<u8>> = [
        &b"a,b"[..],
        b"x\r\ny",
        b"data: z",
        b"\xff,\n",
        b" ",
        b"message,a",
        b"\0",
        b"%2C",
        b"a",
        b"event: a\n\n",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    channels.extend((1..10).map(|count| numbers.bytes(count)));
    channels
}

fn escaped(bytes: &[u8]) -> String {
    let each = bytes.iter();
    each.fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

/// A command of any bytes.
fn encoded(args: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend(format!("${}\r\n", arg.len()).bytes());
        out.extend_from_slice(arg);
        out.extend(b"\r\n");
    }
    out
}

/// The strings of the next array, numbers as they are written.
fn strings(resp: &mut Resp) -> Vec<Vec<u8>> {
    let mut line = String::new();
    resp.reader.read_line(&mut line).unwrap();
    let count: usize = line[1..].trim_end().parse().unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        let mut head = Vec::new();
        resp.reader.read_until(b'\n', &mut head).unwrap();
        let text = std::str::from_utf8(&head[1..]).unwrap().trim_end();
        if head[0] != b'$' {
            all.push(text.as_bytes().to_vec());
            continue;
        }
        let mut bytes = vec![0; text.parse::<usize>().unwrap() + 2];
        resp.reader.read_exact(&mut bytes).unwrap();
        bytes.truncate(bytes.len() - 2);
        all.push(bytes);
    }
    all
}

/// A subscriber by the Redis protocol.
fn by_resp(server: &Running, command: &[u8], names: &[Vec<u8>]) -> impl FnMut() -> Message + use<> {
    let mut resp = Resp::open(server, "A");
    let mut args = vec![command];
    args.extend(names.iter().map(Vec::as_slice));
    resp.write(&encoded(&args));
    for _ in names {
        assert_eq!(strings(&mut resp)[0], command.to_ascii_lowercase());
    }
    move || {
        let mut message = strings(&mut resp);
        let text = message.pop().unwrap();
        (message.pop().unwrap(), text)
    }
}

/// A subscriber by REST, in the form that loses nothing.
fn by_rest(server: &Running, route: &str, names: &[Vec<u8>]) -> impl FnMut() -> Message + use<> {
    let all = names.iter();
    let path = all.fold(String::new(), |path, name| path + "/" + &escaped(name));
    let headers = [A, ACCEPT, LOSSLESS];
    let mut events = Events::open(
        server.addr(),
        "GET",
        &format!("/{route}{path}"),
        &headers,
        b"",
    );
    let mut next = move || loop {
        let event = events.next().expect("the stream has ended");
        if let Some(data) = event.strip_prefix(b"data: ") {
            return String::from_utf8(data.to_vec()).unwrap();
        }
    };
    for _ in names {
        assert!(next().starts_with(route));
    }
    move || {
        let data = next();
        let mut parts = data
            .rsplit(',')
            .map(|part| STANDARD.decode_to_vec(part).unwrap());
        let text = parts.next().unwrap();
        (parts.next().unwrap(), text)
    }
}

#[test]
fn any_bytes_reach_every_prompt_reader_in_order_beside_slow_ones() {
    let mut tenants = Tenants::new();
    tenants.add("A", None);
    tenants.add("B", None);
    let mut limits = Limits::default();
    limits.stream_backlog_bytes = 1 << 20;
    let server = both_doors(Server::builder().tenants(tenants).limits(limits));
    let mut numbers = Numbers(15);
    let channels = channels(&mut numbers);
    let every = [b"*".to_vec()];
    let mut readers: Vec<Box<dyn FnMut() -> Message + Send>> = vec![
        Box::new(by_resp(&server, b"SUBSCRIBE", &channels)),
        Box::new(by_resp(&server, b"PSUBSCRIBE", &every)),
        Box::new(by_rest(&server, "subscribe", &channels)),
        Box::new(by_rest(&server, "psubscribe", &every)),
    ];
    // They read nothing after their beginning.
    let slow: Vec<_> = (0..3)
        .map(|_| {
            (
                by_resp(&server, b"PSUBSCRIBE", &every),
                by_rest(&server, "psubscribe", &every),
            )
        })
        .collect();
    let sent: Vec<Message> = (0..MESSAGES)
        .map(|_| {
            let count = [0, 1, 3, 20, 300][numbers.below(5)];
            (
                channels[numbers.below(channels.len())].clone(),
                numbers.bytes(count),
            )
        })
        .collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut connection = Connection::open(server.addr());
            let mut answered = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let headers = [("authorization", "Bearer B")];
                let answer = connection.request("GET", "/ping", &headers, b"");
                assert_eq!(answer.text(), r#"{"result":"PONG"}"#);
                answered += 1;
            }
            answered
        });
        let reading: Vec<_> = readers
            .iter_mut()
            .map(|next| scope.spawn(|| (0..MESSAGES).map(|_| next()).collect::<Vec<_>>()))
            .collect();
        let mut publisher = Resp::open(&server, "A");
        for some in sent.chunks(100) {
            for (channel, message) in some {
                publisher.write(&encoded(&[b"PUBLISH", channel, message]));
            }
            for _ in some {
                assert!(publisher.read().starts_with(':'));
            }
        }
        for read in reading {
            assert!(
                read.join().unwrap() == sent,
                "other bytes, or another order"
            );
        }
        done.store(true, Ordering::Relaxed);
        assert!(other.join().unwrap() > 0);
    });
    drop(readers);
    let mut publisher = Resp::open(&server, "A");
    let large = "x".repeat(200_000);
    eventually("the slow readers are gone", || {
        publisher.call(&["PUBLISH", "flood", &large]) == ":0"
    });
    drop(slow);
}
