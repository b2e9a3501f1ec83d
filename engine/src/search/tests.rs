#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use crate::engine::Engine;
use crate::reply::Reply;

const WORDS: [&str; 8] = [
    "red", "green", "blue", "dark", "light", "warm", "cold", "grey",
];

#[derive(Debug, Clone)]
enum Step {
    Set(u8, Vec<usize>, u8),
    Delete(u8),
    Query,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..12, prop::collection::vec(0..WORDS.len(), 0..5), any::<u8>()).prop_map(|(k, w, n)| Step::Set(k, w, n)),
        1 => (0u8..12).prop_map(Step::Delete),
        1 => Just(Step::Query),
    ]
}

fn count(engine: &Engine, filter: &str) -> usize {
    match engine.call(&["SEARCH.COUNT", "i", filter]) {
        Reply::Int(n) => usize::try_from(n).unwrap(),
        other => panic!("{filter}: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written, an index finds what a look at every document would find.
    #[test]
    fn an_index_agrees_with_its_documents(steps in prop::collection::vec(step(), 1..60)) {
        let engine = Engine::default();
        engine.call(&["SEARCH.CREATE", "i", "ON", "HASH", "PREFIX", "1", "k", "SCHEMA", "t", "TEXT", "n", "U64", "FAST"]);
        let mut model: std::collections::BTreeMap<u8, (Vec<usize>, u8)> = std::collections::BTreeMap::new();
        for step in steps.iter().chain([&Step::Query]) {
            match step {
                Step::Set(key, words, n) => {
                    let text: Vec<&str> = words.iter().map(|&word| WORDS[word]).collect();
                    engine.call(&["HSET", &format!("k{key}"), "t", &text.join(" "), "n", &n.to_string()]);
                    model.insert(*key, (words.clone(), *n));
                }
                Step::Delete(key) => {
                    engine.call(&["DEL", &format!("k{key}")]);
                    model.remove(key);
                }
                Step::Query => {
                    prop_assert_eq!(count(&engine, "{}"), model.len());
                    for (at, word) in WORDS.iter().enumerate() {
                        let holders = model.values().filter(|(words, _)| words.contains(&at)).count();
                        prop_assert_eq!(count(&engine, &format!(r#"{{"t":{{"$eq":"{word}"}}}}"#)), holders);
                    }
                    let phrase = model.values().filter(|(words, _)| words.windows(2).any(|pair| pair == [0, 1])).count();
                    prop_assert_eq!(count(&engine, r#"{"t":{"$eq":"red green"}}"#), phrase);
                    let middle = model.values().filter(|(_, n)| (50..200).contains(n)).count();
                    prop_assert_eq!(count(&engine, r#"{"n":{"$gte":50,"$lt":200}}"#), middle);
                    let both = model.values().filter(|(words, n)| words.contains(&2) && *n > 99).count();
                    prop_assert_eq!(count(&engine, r#"{"t":{"$eq":"blue"},"n":{"$gt":99}}"#), both);
                }
            }
        }
    }

    #[test]
    fn no_filter_panics(filter in r#"[{}\[\]":,$a-z0-9. ]{0,40}"#, operator in "(eq|in|gt|phrase|fuzzy|regex|smart|contains|ne)", value in r#"("[a-z.*(\[ ]{0,8}"|[0-9.]{1,4}|\[\]|\{\}|null)"#) {
        let engine = Engine::default();
        engine.call(&["SEARCH.CREATE", "i", "ON", "HASH", "PREFIX", "1", "k", "SCHEMA", "t", "TEXT", "n", "U64", "FAST"]);
        engine.call(&["HSET", "k1", "t", "a b c", "n", "5"]);
        engine.call(&["SEARCH.QUERY", "i", &filter]);
        for field in ["t", "n"] {
            engine.call(&["SEARCH.QUERY", "i", &format!(r#"{{"{field}":{{"${operator}":{value}}}}}"#)]);
        }
        engine.call(&["SEARCH.AGGREGATE", "i", "{}", &format!(r#"{{"a":{{"$histogram":{{"field":"n","interval":{value}}}}}}}"#)]);
        engine.call(&["SEARCH.AGGREGATE", "i", "{}", &filter]);
    }
}
