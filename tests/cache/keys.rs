//! Keys: no parameter reaches another key.
use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const SHAPES: [Keyspace<(String, String), u8>; 6] = [
    Keyspace::new("a:{x}:{y}"),
    Keyspace::new("a:{x}:{y}").slot("y"),
    Keyspace::new("a:b:{x}:{y}"),
    Keyspace::new("a:{x}:b:{y}"),
    Keyspace::new("a:{x}:{y}:b"),
    Keyspace::new("b:{x}:{y}"),
];
const SHORT: [Keyspace<(String,), u8>; 4] = [
    Keyspace::free(),
    Keyspace::new("a:{x}"),
    Keyspace::new("a:b:{x}"),
    Keyspace::new("a:{x}:b"),
];

/// Texts that are near each other: separators, escapes, literal parts, what digests look like.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab:{}%#3A*é\n]{0,4}",
        Just("b".to_owned()),
        "a{199,202}",
        "#sha256.[0-9a-f]{64}"
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn different_keyspaces_or_parameters_never_make_one_name(
        all in proptest::collection::vec((0..SHAPES.len() + SHORT.len(), part(), part()), 2..12),
    ) {
        let mut names = HashMap::new();
        for (shape, x, y) in all {
            let (name, of) = if let Some(keys) = SHAPES.get(shape) {
                (keys.key((&*x, &*y)).name().to_owned(), (shape, x, y))
            } else {
                let keys = SHORT[shape - SHAPES.len()];
                (keys.key((&*x,)).name().to_owned(), (shape, x, String::new()))
            };
            prop_assert!(!name.contains(['*', '\n', '?', '[']), "{name}");
            let before = names.insert(name, of.clone());
            prop_assert!(before.is_none() || before.as_ref() == Some(&of), "{before:?} {of:?}");
        }
    }
}

#[test]
fn keys_are_readable_and_their_first_parameter_names_the_slot() {
    for (name, expected) in [
        (
            report("acme", "p 1").name(),
            "reports:{acme}:p%201:2026-01-31",
        ),
        (report("", "a:b").name(), "reports:{%}:a%3Ab:2026-01-31"),
        (SHAPES[1].key(("1", "2")).name(), "a:1:{2}"),
        (SHAPES[3].key(("1", "2")).name(), "a:{1}:#b:2"),
        (SHORT[0].key(("user:7",)).name(), "{user%3A7}"),
    ] {
        assert_eq!(name, expected);
    }
}

#[tokio::test]
async fn a_tenant_reads_and_invalidates_its_own_keys_alone() {
    for world in World::all() {
        let cache = world.cache();
        let names = ["acme", "acme:p", "acme}", "{acme", "ac*", ""];
        for name in names {
            cache
                .put(&report(name, "p"), &name.to_owned())
                .await
                .unwrap();
        }
        for name in names {
            let found = cache.get(&report(name, "p")).await.unwrap();
            assert_eq!(value(found).as_deref(), Some(name));
        }
        cache.remove_tag(&ORGANISATION.of(("ac*",))).await.unwrap();
        let left = names.map(|name| report(name, "p"));
        let left = cache.get_many(&left).await.unwrap();
        let left: Vec<_> = left.into_iter().filter_map(value).collect();
        assert_eq!(left, ["acme", "acme:p", "acme}", "{acme", ""]);
    }
}
