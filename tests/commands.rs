//! Every documented command has a method that can send every documented option, and the
//! store accepts what each method sends.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use restis::{
    Args, Redis, Result,
    commands::{VectorMetric, VectorProfile, documented},
    prelude::*,
    transport::{BoxFuture, Exchange, Transport, TransportResponse, embedded::EmbeddedTransport},
};
use restis_engine::{Engine, Options};

#[path = "commands/calls.rs"]
mod calls;
#[path = "commands/options.rs"]
mod options;

#[derive(Debug)]
struct Recording {
    inner: EmbeddedTransport,
    sent: Sent,
}

/// Commands as text, one list of words each.
type Sent = Arc<Mutex<Vec<Vec<String>>>>;

impl Transport for Recording {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        let text = |arg: &[u8]| String::from_utf8_lossy(arg).into_owned();
        let sent = exchange
            .commands
            .iter()
            .map(|c| c.iter().map(text).collect());
        self.sent.lock().unwrap().extend(sent);
        self.inner.execute(exchange)
    }

    fn can_batch(&self, command: &Args) -> bool {
        self.inner.can_batch(command)
    }
}

/// Sends every call: each command and what the store answered.
async fn exchange() -> Vec<(Vec<String>, restis::Result<Reply>)> {
    let sent = Sent::default();
    let inner = EmbeddedTransport::new(Engine::new(Options::default()));
    let redis = Redis::with_transport(Recording {
        inner,
        sent: sent.clone(),
    });
    let mut pipeline = redis.pipeline();
    calls::queue(&mut pipeline);
    options::queue(&mut pipeline);
    let results: Vec<_> = pipeline.exec().await.unwrap().into_results().collect();
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    assert_eq!(results.len(), sent.len());
    sent.into_iter().zip(results).collect()
}

#[tokio::test]
async fn every_documented_command_has_a_method_whose_form_the_store_accepts() {
    let exchanged = exchange().await;
    for (command, result) in &exchanged {
        if let Err(error) = result {
            let text = error.server_message().unwrap_or_default().to_lowercase();
            let malformed = [
                "syntax",
                "wrong number",
                "not available",
                "unknown",
                "unsupported",
                "not an integer",
            ];
            assert!(
                !malformed.iter().any(|m| text.contains(m)),
                "{command:?}: {error:?}"
            );
        }
    }
    let called: BTreeSet<&str> = exchanged.iter().map(|(c, _)| &*c[0]).collect();
    let missing: Vec<_> = documented().filter(|name| !called.contains(name)).collect();
    assert!(missing.is_empty(), "no method sends {missing:?}");
    let unknown: Vec<_> = called
        .iter()
        .filter(|name| !documented().any(|d| d == **name))
        .collect();
    assert!(
        unknown.is_empty(),
        "without an entry in the properties table: {unknown:?}"
    );
}

/// One line of the documentation: `NAME SUB <parameter> [OPTION <value> | OTHER]`.
struct Form {
    head: Vec<&'static str>,
    words: BTreeSet<&'static str>,
    shortest: usize,
}

impl Form {
    fn parse(line: &'static str) -> Self {
        let tokens = tokens(line);
        let is_word =
            |t: &&&str| !t.starts_with('<') && !["[", "]", "(", ")", "|", "..."].contains(*t);
        Self {
            head: tokens.iter().take_while(is_word).copied().collect(),
            words: tokens.iter().filter(is_word).copied().collect(),
            shortest: shortest(&mut tokens.iter().copied()),
        }
    }

    fn is_of(&self, command: &[String]) -> bool {
        command.len() >= self.head.len() && self.head.iter().zip(command).all(|(a, b)| a == b)
    }
}

fn tokens(line: &'static str) -> Vec<&'static str> {
    let mut tokens = Vec::new();
    for mut word in line.split_whitespace() {
        while let Some(open) = word.get(..1).filter(|c| ["[", "("].contains(c)) {
            tokens.push(open);
            word = &word[1..];
        }
        let end = word.trim_end_matches([']', ')']).len();
        tokens.extend(Some(&word[..end]).filter(|w| !w.is_empty()));
        tokens.extend(word[end..].split_inclusive([']', ')']));
    }
    tokens
}

/// How many arguments the shortest form has, up to the bracket that ends this part.
fn shortest(tokens: &mut dyn Iterator<Item = &'static str>) -> usize {
    let (mut best, mut length) = (usize::MAX, 0);
    while let Some(token) = tokens.next() {
        match token {
            "[" => drop(shortest(tokens)),
            "(" => length += shortest(tokens),
            "|" => best = best.min(std::mem::take(&mut length)),
            "]" | ")" => break,
            "..." => {}
            _ => length += 1,
        }
    }
    best.min(length)
}

/// Forms that only repeat what the server does by itself: their methods always send it.
const ALWAYS_LONGER: [&str; 8] = [
    "GEODIST", "LMPOP", "XACKDEL", "XDELEX", "XTRIM", "ZMPOP", "ZPOPMAX", "ZPOPMIN",
];

/// Lengths that differ from the shortest by parameters that no word announces.
const LENGTHS: &[(&str, usize)] = &[
    ("ACL CAT", 3),
    ("ACL GENPASS", 3),
    ("ACL GENTOKEN", 4),
    ("ACL LOG", 3),
    ("BITPOS", 4),
    ("HRANDFIELD", 3),
    ("INFO", 2),
    ("JSON.ARRINDEX", 6),
    ("JSON.ARRLEN", 3),
    ("JSON.ARRPOP", 3),
    ("JSON.ARRPOP", 4),
    ("JSON.CLEAR", 3),
    ("JSON.DEBUG MEMORY", 4),
    ("JSON.DEL", 3),
    ("JSON.FORGET", 3),
    ("JSON.GET", 3),
    ("JSON.OBJKEYS", 3),
    ("JSON.OBJLEN", 3),
    ("JSON.RESP", 3),
    ("JSON.STRLEN", 3),
    ("JSON.TYPE", 3),
    ("LPOP", 3),
    ("PING", 2),
    ("PUBSUB CHANNELS", 3),
    ("RPOP", 3),
    ("SPOP", 3),
    ("SRANDMEMBER", 3),
    ("XADD", 6),
    ("XPENDING", 6),
    ("XPENDING", 9),
    ("ZPOPMAX", 3),
    ("ZPOPMIN", 3),
    ("ZRANDMEMBER", 3),
];

#[tokio::test]
async fn every_documented_option_can_be_sent() {
    let exchanged = exchange().await;
    let mut missing = Vec::new();
    let mut known = BTreeSet::new();
    for line in include_str!("commands/syntax.txt").lines() {
        let form = Form::parse(line);
        let head = form.head.join(" ");
        let sent = || exchanged.iter().filter(|(c, _)| form.is_of(c));
        for word in &form.words {
            if !sent().any(|(c, _)| c.iter().any(|arg| arg == word)) {
                missing.push(format!("{head}: {word}"));
            }
        }
        let more = LENGTHS.iter().filter(|(name, _)| *name == head);
        let short = (!ALWAYS_LONGER.contains(&&*head)).then_some(form.shortest);
        for length in more.map(|(_, length)| *length).chain(short) {
            if !form.head[0].starts_with("SEARCH.") && !sent().any(|(c, _)| c.len() == length) {
                missing.push(format!("{head} with {length} arguments"));
            }
        }
        known.insert(form.head[0]);
    }
    assert!(missing.is_empty(), "no method sends {missing:#?}");
    let grown = |name: &&str| name.starts_with("AR") || name.starts_with("VECTOR.");
    let unlisted: Vec<_> = documented()
        .filter(|n| !known.contains(n) && !grown(n))
        .collect();
    assert!(
        unlisted.is_empty(),
        "without a line in syntax.txt: {unlisted:?}"
    );
}

#[tokio::test]
async fn vectors_and_arrays_lose_nothing() {
    let redis = Redis::with_transport(EmbeddedTransport::new(Engine::new(Options::default())));
    let vector = [0.1, -2.5, f32::MIN_POSITIVE];
    assert!(
        redis
            .vector_create("v", 3, VectorMetric::Dot)
            .await
            .unwrap()
    );
    let again = redis.vector_create_if_missing("v", 3, VectorMetric::Dot);
    assert!(!again.await.unwrap());
    assert!(redis.vector_add("v", "a", &vector).await.unwrap());
    assert!(!redis.vector_add("v", "a", &vector).await.unwrap());
    let stored = redis.vector_get("v", "a").await.unwrap();
    assert_eq!(stored.as_deref(), Some(&vector[..]));
    assert_eq!(redis.vector_get("v", "b").await.unwrap(), None);
    let near = redis.vector_query("v", &[0.0, -0.25, 0.0], 5, VectorProfile::default());
    let near = near.await.unwrap();
    assert_eq!((near.len(), &*near[0].id, near[0].score), (1, "a", 0.8125));
    assert!(redis.vector_info("none").await.unwrap().is_none());

    let last = u64::MAX - 1;
    assert_eq!(redis.arset("a", last, ["x"]).await.unwrap(), 1);
    let found = redis.arscan::<String>("a", last, 0, 9).await.unwrap();
    assert_eq!(found, [(last, "x".to_owned())]);
    assert!(redis.arseek("a", last).await.unwrap());
    assert_eq!(redis.arinsert("a", ["y"]).await.unwrap(), last);
    assert_eq!(redis.arnext("a").await.unwrap(), None);
    let holes = redis.armget::<String>("a", [0, last]).await.unwrap();
    assert_eq!(holes, [None, Some("y".to_owned())]);
}

#[tokio::test]
async fn a_json_path_gives_one_result_or_one_for_each_match() {
    let redis = Redis::with_transport(EmbeddedTransport::new(Engine::new(Options::default())));
    let document = r#"{"n":9007199254740993,"o":{"a":1,"b":2},"l":[1,2,1]}"#;
    redis.json_set("j", "$", document).await.unwrap();
    let keys = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
    let legacy = redis.json_objkeys("j", ".o").await.unwrap();
    assert_eq!(*legacy, [keys(&["a", "b"])]);
    let each = redis.json_objkeys("j", "$.*").await.unwrap();
    assert_eq!(*each, [None, keys(&["a", "b"]), None]);
    let whole = redis.json_objkeys("j", None).await.unwrap();
    assert_eq!(*whole, [keys(&["n", "o", "l"])]);
    assert!(redis.json_objkeys("none", None).await.unwrap().is_empty());
    assert_eq!(*redis.json_objlen("j", None).await.unwrap(), [Some(3)]);
    let text: String = redis.json_numincrby("j", "$.n", 2).await.unwrap();
    assert_eq!(text, "[9007199254740995]", "beyond what an f64 can hold");
    let first = redis.json_arrindex("j", "$.l", 1).await.unwrap();
    let later = redis.json_arrindex_range("j", "$.l", 1, (1, 0)).await;
    assert_eq!((first[0], later.unwrap()[0]), (Some(0), Some(2)));
    let popped = redis.json_arrpop_at::<i64>("j", "$.l", 0).await.unwrap();
    assert_eq!(*popped, [Some(1)]);
    assert_eq!(redis.json_del("j", None).await.unwrap(), 1);
}

#[tokio::test]
async fn a_scan_with_types_goes_through_every_page() {
    let redis = Redis::with_transport(EmbeddedTransport::new(Engine::new(Options::default())));
    let strings = (0..300).map(|n| (format!("s{n}"), "1"));
    redis.mset(strings).await.unwrap();
    redis.rpush("list", ["1"]).await.unwrap();
    let options = ScanOptions::new().count(20);
    let all = redis.scan_withtype_iter::<String>(options).all().await;
    let all: std::collections::BTreeMap<_, _> = all.unwrap().into_iter().collect();
    assert_eq!(all.len(), 301);
    assert_eq!((&*all["s299"], &*all["list"]), ("string", "list"));
}
