#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::eval::TooComplex;
use super::*;

fn doc(text: &str) -> Json {
    Json::new(parse(text.as_bytes()).unwrap())
}

fn path(text: &str) -> Path {
    Path::parse(text.as_bytes()).unwrap()
}

fn find(text: &str, expression: &str) -> String {
    let doc = doc(text);
    let mut out = Vec::new();
    Format::default().write_array(&doc.find(&path(expression)).unwrap(), 0, &mut out);
    String::from_utf8(out).unwrap()
}

fn text(doc: &Json) -> String {
    String::from_utf8(doc.root().to_text()).unwrap()
}

const STORE: &str = r#"{"books":[{"t":"a","p":8.95,"n":1},{"t":"b","p":12.99,"s":true},{"t":"c","p":8}],"max":10,"o":{"x":1,"y":[1,2,3]}}"#;

#[test]
fn text_survives_with_order_and_exact_numbers() {
    for same in [
        r#"{"b":1,"a":[1.0,2.5,-3,18446744073709551615,9223372036854775807],"z":null,"":true}"#,
        r#""\"\\\n\r\t\b\f\u0001\u001fé€😀""#,
        "1e100",
        "0.1",
        "[]",
        "{}",
    ] {
        assert_eq!(text(&doc(same)), same);
    }
    assert_eq!(text(&doc(" [ 1 , {\"a\" : 2.50 } ] ")), r#"[1,{"a":2.5}]"#);
    assert!(parse(b"{\"a\":1,}").is_err());
    assert!(parse(b"\"\xff\"").is_err());
    assert!(
        parse("[".repeat(500).as_bytes()).is_err(),
        "depth is bounded"
    );
}

#[test]
fn selectors_select() {
    for (expression, wanted) in [
        ("$.max", "[10]"),
        ("$.books[0].t", r#"["a"]"#),
        ("$.books[-1].t", r#"["c"]"#),
        ("$.books[5].t", "[]"),
        ("$['books'][\"0\"]", "[]"),
        ("$.books[*].t", r#"["a","b","c"]"#),
        ("$.books[0,2].t", r#"["a","c"]"#),
        ("$.o['y','x']", "[[1,2,3],1]"),
        ("$.o.y[0:2]", "[1,2]"),
        ("$.o.y[-2:]", "[2,3]"),
        ("$.o.y[::2]", "[1,3]"),
        ("$.o.y[::-1]", "[3,2,1]"),
        ("$.o.y[5:1:-1]", "[3]"),
        ("$.o.y[0:0]", "[]"),
        ("$.o.*", "[1,[1,2,3]]"),
        ("$..t", r#"["a","b","c"]"#),
        ("$..[0].t", r#"["a"]"#),
        ("$", STORE),
    ] {
        let wanted = if expression == "$" {
            format!("[{wanted}]")
        } else {
            wanted.to_owned()
        };
        assert_eq!(find(STORE, expression), wanted, "{expression}");
    }
}

#[test]
fn the_deepest_match_comes_first() {
    assert_eq!(
        find(r#"{"a":2,"b":3,"nested":{"a":4,"b":null}}"#, "$..b"),
        "[null,3]"
    );
    assert_eq!(
        find(r#"{"a":{"a":{"a":1}}}"#, "$..a"),
        r#"[1,{"a":1},{"a":{"a":1}}]"#
    );
}

#[test]
fn filters_filter() {
    for (expression, wanted) in [
        ("$.books[?(@.p<10)].t", r#"["a","c"]"#),
        ("$.books[?(@.p<$.max)].t", r#"["a","c"]"#),
        ("$.books[?@.s].t", r#"["b"]"#),
        ("$.books[?(!@.s)].t", r#"["a","c"]"#),
        ("$.books[?(@.s==true)].t", r#"["b"]"#),
        ("$.books[?(@.t=='a' || @.t == \"c\")].t", r#"["a","c"]"#),
        ("$.books[?(@.p>8 && @.p<=8.95)].t", r#"["a"]"#),
        ("$.books[?(@.t =~ '^[ab]$')].t", r#"["a","b"]"#),
        (
            "$.books[?((@.p>10 || @.p==8) && !(@.t=='b'))].t",
            r#"["c"]"#,
        ),
        ("$.books[?(@.n != 1)].t", r#"["b","c"]"#),
        ("$.o.y[?(@>=2)]", "[2,3]"),
        ("$.o[?(@.x)]", "[]"),
        ("$..[?(@.n==1.0)].t", r#"["a"]"#),
        ("$.books[?(@.t > 'a')].t", r#"["b","c"]"#),
        ("$.books[?(@.t > 1)].t", "[]"),
    ] {
        assert_eq!(find(STORE, expression), wanted, "{expression}");
    }
}

#[test]
fn old_paths_are_the_same_without_the_dollar() {
    for (old, new) in [
        (".", "$"),
        (".a.b", "$.a.b"),
        ("a[0]", "$.a[0]"),
        ("['a b']", "$['a b']"),
        (".a", "$.a"),
    ] {
        assert!(path(old).is_legacy());
        assert_eq!(path(old).expression(), new);
    }
    assert!(!path("$").is_legacy() && !path("$.a").is_legacy());
}

#[test]
fn broken_paths_are_refused() {
    for bad in [
        "$.",
        "$..",
        "$[",
        "$[]",
        "$[1",
        "$['a]",
        "$.a[?(@.b]",
        "$.a[?(@.b==)]",
        "$ .a",
        "$[1:2:3:4]",
        "$.a b c d[",
        "$[?(@.a =~ '(')]",
        "$[?(@.a == nan)]",
        "$[99999999999999999999]",
        "$x.y[",
        "",
    ] {
        assert!(Path::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Path::parse(b"$.\xff").is_err());
    let nested = format!("$[?{}@.a{}]", "(".repeat(5000), ")".repeat(5000));
    assert!(Path::parse(nested.as_bytes()).is_err());
}

#[test]
fn multiplying_paths_are_stopped() {
    let chain = doc(&format!("{}1{}", "[".repeat(100), "]".repeat(100)));
    assert!(matches!(
        chain.find(&path("$..*..*..*..*..*..*")),
        Err(TooComplex)
    ));
}

#[test]
fn setting_replaces_all_matches_or_creates_one_place() {
    let mut d = doc(r#"{"f1":{"a":1},"f2":{"a":2}}"#);
    let three = parse(b"3").unwrap();
    assert_eq!(d.set(&path("$..a"), &three, SetOptions::Always), Ok(true));
    assert_eq!(text(&d), r#"{"f1":{"a":3},"f2":{"a":3}}"#);
    assert_eq!(
        d.set(&path("$.f1.b"), &three, SetOptions::IfPresent),
        Ok(false)
    );
    assert_eq!(
        d.set(&path("$.f1.b"), &three, SetOptions::IfMissing),
        Ok(true)
    );
    assert_eq!(
        d.set(&path("$.f1.b"), &three, SetOptions::IfMissing),
        Ok(false)
    );
    assert_eq!(
        d.set(&path("$.none.b"), &three, SetOptions::Always),
        Err(Refusal::NoSuchPath)
    );
    assert_eq!(
        d.set(&path("$..none"), &three, SetOptions::Always),
        Err(Refusal::NotStatic)
    );
    assert_eq!(
        d.set(&path("$.f1.a.x"), &three, SetOptions::Always),
        Err(Refusal::NoSuchPath)
    );
    assert_eq!(text(&d), r#"{"f1":{"a":3,"b":3},"f2":{"a":3}}"#);
    assert_eq!(d.weight, d.root.size());
}

#[test]
fn nesting_is_bounded_across_updates() {
    let mut d = doc("{}");
    let part = parse(format!("{}1{}", "{\"a\":".repeat(60), "}".repeat(60)).as_bytes()).unwrap();
    assert_eq!(d.set(&path("$.a"), &part, SetOptions::Always), Ok(true));
    let deep = format!("${}", ".a".repeat(61));
    assert_eq!(d.set(&path(&deep), &part, SetOptions::Always), Ok(true));
    let deeper = format!("${}", ".a".repeat(121));
    assert_eq!(
        d.set(&path(&deeper), &part, SetOptions::Always),
        Err(Refusal::TooDeep)
    );
    assert_eq!(d.merge(&path(&deeper), &part), Err(Refusal::TooDeep));
}

#[test]
fn deleting_counts_what_goes_and_keeps_indexes_right() {
    let mut d = doc("[0,1,2,3,4,5]");
    assert_eq!(d.delete(&path("$[0,2,-1,2]")), Ok(3));
    assert_eq!(text(&d), "[1,3,4]");
    let mut d = doc(r#"{"a":{"a":1},"b":{"a":2,"c":3}}"#);
    assert_eq!(d.delete(&path("$..a")), Ok(2));
    assert_eq!(text(&d), r#"{"b":{"c":3}}"#);
    assert_eq!(d.weight, d.root.size());
}

#[test]
fn merging_follows_rfc_7396() {
    for (target, patch, wanted) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":{"b":"d","c":null}}"#,
            r#"{"a":{"b":"d"}}"#,
        ),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        let mut d = doc(target);
        assert_eq!(
            d.merge(&path("$"), &parse(patch.as_bytes()).unwrap()),
            Ok(true)
        );
        assert_eq!(text(&d), wanted);
        assert_eq!(d.weight, d.root.size());
    }
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        any::<i64>().prop_map(Node::Int),
        (i64::MAX as u64 + 1..).prop_map(Node::Uint),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(Node::Float),
        "\\PC{0,6}".prop_map(|text| Node::Str(text.into())),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Node::Array),
            prop::collection::vec(("[abc]{1,2}", inner), 0..6)
                .prop_map(|m| Node::Object(m.into_iter().map(|(k, v)| (k.into(), v)).collect())),
        ]
    })
}

/// Texts that look like paths.
fn expression() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "$", ".", "..", "a", "b", "[", "]", "*", "[*]", "[0]", "[-1]", "[0:2]", "[::-1]", "['a']",
        "[?(", ")]", "@.a", "==", "<", "&&", "||", "!", "1", "'x'", "=~", "(", ")", ",", " ", "\\",
        "\u{e9}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_tree_survives_its_text(node in node()) {
        prop_assert_eq!(&parse(&node.to_text()).unwrap(), &node);
    }

    #[test]
    fn no_path_panics_and_the_weight_stays_true(node in node(), expression in expression(), value in node()) {
        for text in [expression.clone(), format!("${expression}"), format!("$..a{expression}")] {
            let Ok(path) = Path::parse(text.as_bytes()) else { continue };
            let mut doc = Json::new(node.clone());
            let Ok(found) = doc.find(&path) else { continue };
            prop_assert_eq!(found.len(), doc.locate(&path).unwrap().len());
            let _ = doc.set(&path, &value, SetOptions::Always);
            prop_assert_eq!(doc.weight, doc.root.size());
            let _ = doc.merge(&path, &value);
            prop_assert_eq!(doc.weight, doc.root.size());
            if !path.is_root() {
                let _ = doc.delete(&path);
                prop_assert_eq!(doc.weight, doc.root.size());
                prop_assert!(doc.find(&path).unwrap().is_empty() || text.contains('['), "{}", text);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = Path::parse(&bytes);
        let _ = parse(&bytes);
    }
}
