//! Search indexes through commands.

mod shell;

use shell::Shell;

const PRODUCTS: [&str; 6] = [
    r#"{"name":"Laptop Pro","description":"High performance laptop","category":"electronics","price":1299.99,"stock":50,"active":true}"#,
    r#"{"name":"Laptop Basic","description":"Budget friendly laptop","category":"electronics","price":599.99,"stock":100,"active":true}"#,
    r#"{"name":"Wireless Mouse","description":"Ergonomic wireless mouse","category":"electronics","price":29.99,"stock":200,"active":true}"#,
    r#"{"name":"USB Cable","description":"Fast charging USB cable","category":"accessories","price":9.99,"stock":500,"active":true}"#,
    r#"{"name":"Phone Case","description":"Protective phone case","category":"accessories","price":19.99,"stock":300,"active":false}"#,
    r#"{"name":"Headphones","description":"Noise cancelling wireless headphones","category":"audio","price":199.99,"stock":75,"active":true}"#,
];

const SCHEMA: &str = "SCHEMA name TEXT description TEXT category TEXT NOTOKENIZE price F64 FAST stock U64 FAST active BOOL";

/// Products as JSON documents, strings and hashes, each with an index.
fn shop() -> Shell {
    let shell = Shell::new();
    shell.script(&format!(
        "SEARCH.CREATE json ON JSON PREFIX 1 j: {SCHEMA} => :1
         SEARCH.CREATE text ON STRING PREFIX 1 t: {SCHEMA} => :1"
    ));
    for (at, product) in PRODUCTS.iter().enumerate() {
        shell.run(&format!("JSON.SET j:{at} $ '{product}'"));
        shell.run(&format!("SET t:{at} '{product}'"));
    }
    shell
}

/// The keys a query finds, in order, without their prefix.
fn keys(shell: &Shell, index: &str, filter: &str, options: &str) -> String {
    let reply = shell.run(&format!(
        "SEARCH.QUERY {index} '{filter}' {options} NOCONTENT"
    ));
    let hits = reply
        .trim_start_matches('[')
        .trim_end_matches(']')
        .split("], [");
    let keys = hits
        .filter_map(|hit| hit.split(',').next())
        .map(|key| key.get(2..).unwrap_or(key));
    keys.collect::<Vec<_>>().join(" ")
}

#[test]
fn filters_find_documents_of_both_kinds() {
    let shell = shop();
    for index in ["json", "text"] {
        for (filter, wanted) in [
            (r#"{"name":{"$eq":"Laptop"}}"#, "0 1"),
            (r#"{"name":{"$eq":"laptop pro"}}"#, "0"),
            (r#"{"name":{"$eq":"pro laptop"}}"#, ""),
            (
                r#"{"name":{"$fuzzy":{"value":"Laptopp","distance":2}}}"#,
                "0 1",
            ),
            (r#"{"name":{"$fuzzy":"laptopp"}}"#, "0 1"),
            (
                r#"{"name":{"$fuzzy":{"value":"lep","prefix":true}}}"#,
                "0 1",
            ),
            (r#"{"name":{"$fuzzy":"wireles mouce"}}"#, "2"),
            (
                r#"{"description":{"$phrase":{"value":"wireless mouse","prefix":true}}}"#,
                "2",
            ),
            (
                r#"{"description":{"$phrase":{"value":"wireless hea","prefix":true}}}"#,
                "5",
            ),
            (r#"{"description":{"$phrase":"wireless mouse"}}"#, "2"),
            (
                r#"{"description":{"$phrase":{"value":"noise headphones","slop":2}}}"#,
                "5",
            ),
            (
                r#"{"description":{"$phrase":{"value":"noise headphones","slop":1}}}"#,
                "",
            ),
            (r#"{"name":{"$regex":"Laptop.*"}}"#, "0 1"),
            (r#"{"category":{"$regex":"e.*s"}}"#, "0 1 2"),
            (r#"{"description":{"$contains":"noise cancel"}}"#, "5"),
            (r#"{"name":{"$smart":"Laptopp"}}"#, "0 1"),
            (r#"{"price":{"$gt":500}}"#, "0 1"),
            (r#"{"price":{"$gte":9.99,"$lt":29.99}}"#, "3 4"),
            (r#"{"stock":{"$gte":100}}"#, "1 2 3 4"),
            (r#"{"stock":{"$gt":99.5,"$lt":200.5}}"#, "1 2"),
            (r#"{"stock":50.5}"#, ""),
            (r#"{"stock":{"$in":[50,75,1]}}"#, "0 5"),
            (r#"{"active":{"$eq":false}}"#, "4"),
            (r#"{"active":{"$ne":true}}"#, "4"),
            (r#"{"category":"electronics","price":{"$lt":1000}}"#, "1 2"),
            (
                r#"{"$or":[{"category":{"$eq":"audio"}},{"active":false}]}"#,
                "5 4",
            ),
            (
                r#"{"$and":[{"active":true},{"category":{"$eq":"accessories"}}]}"#,
                "3",
            ),
            (
                r#"{"$must":{"active":true},"$mustNot":{"category":{"$eq":"electronics"}}}"#,
                "3 5",
            ),
            (r#"{"$mustNot":{"active":true}}"#, ""),
            (
                r#"{"$must":{"active":true},"$should":{"stock":500}}"#,
                "3 0 1 2 5",
            ),
            (
                r#"{"$should":[{"stock":{"$eq":75,"$boost":3}},{"stock":50}]}"#,
                "5 0",
            ),
            ("{}", "0 1 2 3 4 5"),
        ] {
            assert_eq!(keys(&shell, index, filter, ""), wanted, "{index} {filter}");
            let count = wanted.split_whitespace().count();
            assert_eq!(
                shell.run(&format!("SEARCH.COUNT {index} '{filter}'")),
                format!(":{count}"),
                "{filter}"
            );
        }
    }
}

#[test]
fn a_plain_value_ranks_the_best_match_first() {
    let shell = shop();
    shell.script(
        "
        SEARCH.CREATE h ON HASH PREFIX 1 h: SCHEMA t TEXT => :1
        HSET h:1 t 'Wireles headphone with long battery'
        HSET h:2 t 'Headphones with some wireless connection'
        HSET h:3 t 'Premium wireless bluetooth headphones today'
        HSET h:4 t 'Premium wireless headphones with noise cancelling'
        HSET h:5 t 'nothing at all'
    ",
    );
    assert_eq!(
        keys(&shell, "h", r#"{"t":"wireless headphones"}"#, ""),
        "4 3 2 1"
    );
    assert_eq!(
        keys(&shell, "h", r#"{"t":"\"wireless headphones\""}"#, ""),
        "4"
    );
    assert_eq!(keys(&shell, "h", r#"{"t":"headfones"}"#, ""), "");
}

#[test]
fn results_are_sorted_paged_and_cut() {
    let shell = shop();
    let electronics = r#"{"category":{"$eq":"electronics"}}"#;
    assert_eq!(
        keys(&shell, "json", electronics, "ORDERBY price ASC"),
        "2 1 0"
    );
    assert_eq!(
        keys(&shell, "json", electronics, "ORDERBY price DESC LIMIT 2"),
        "0 1"
    );
    assert_eq!(keys(&shell, "json", electronics, "LIMIT 1 OFFSET 1"), "1");
    shell.script(
        r#"
        SEARCH.QUERY json '{"stock":50}' => [[j:0, 1, [[$, {"name":"Laptop Pro","description":"High performance laptop","category":"electronics","price":1299.99,"stock":50,"active":true}]]]]
        SEARCH.QUERY json '{"stock":50}' SELECT 3 price name none => [[j:0, 1, [[price, 1299.99], [name, Laptop Pro]]]]
        SEARCH.QUERY text '{"stock":{"$gte":300}}' ORDERBY stock SELECT 1 stock => [[t:3, 500, [[stock, 500]]], [t:4, 300, [[stock, 300]]]]
        SEARCH.QUERY json '{"category":"accessories"}' LIMIT 1 SELECT 1 category HIGHLIGHT FIELDS 1 category => [[j:3, 4.70951322371, [[category, <em>accessories</em>]]]]
        SEARCH.QUERY json '{}' LIMIT 0 => -ERR limit should be a positive number less than 1000
        SEARCH.QUERY json '{}' LIMIT 1001 => -ERR limit should be a positive number less than 1000
        SEARCH.QUERY json '{}' ORDERBY name => -ERR invalid query: 'name' is no FAST field of a fitting type
        SEARCH.QUERY json '{"x":1}' => -ERR invalid query: field 'x' is not in the schema
        SEARCH.QUERY json '{"name":{"$foo":1}}' => -ERR invalid query: unknown operator '$foo'
        SEARCH.QUERY json '{"price":{"$fuzzy":"x"}}' => -ERR invalid query: $fuzzy needs a TEXT field, 'price' is F64
        SEARCH.QUERY json '{"price":"many"}' => -ERR invalid query: 'price' is F64, the value has another type
        SEARCH.QUERY json '{"a' => -ERR invalid query: EOF while parsing a string at line 1 column 3
        SEARCH.QUERY json '{}' NOCONTENT SELECT 1 a => -ERR NOCONTENT cannot be combined with SELECT or HIGHLIGHT
    "#
        .replace("4.70951322371", score(&shell).as_str())
        .as_str(),
    );
}

/// The score of the first accessory: it depends on the formula, not on the test.
fn score(shell: &Shell) -> String {
    let reply = shell.run(r#"SEARCH.QUERY json '{"category":"accessories"}' LIMIT 1 NOCONTENT"#);
    reply
        .trim_matches(['[', ']'])
        .split(", ")
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn writes_of_every_kind_reach_the_index() {
    let shell = shop();
    let laptops = r#"{"name":{"$eq":"laptop"}}"#;
    shell.script("JSON.SET j:0 $.name '\"Tablet\"'");
    assert_eq!(keys(&shell, "json", laptops, ""), "1");
    shell.script("DEL j:1");
    assert_eq!(keys(&shell, "json", laptops, ""), "");
    shell.script(r#"JSON.SET j:9 $ '{"name":"Laptop Nine"}'"#);
    assert_eq!(keys(&shell, "json", laptops, ""), "9");
    shell.script("RENAME j:9 other:9");
    assert_eq!(keys(&shell, "json", laptops, ""), "");
    shell.script("RENAME other:9 j:8");
    assert_eq!(keys(&shell, "json", laptops, ""), "8");
    shell.script("PEXPIRE j:8 100");
    shell.wait_ms(101);
    assert_eq!(keys(&shell, "json", laptops, ""), "");
    shell.script(
        r#"
        SEARCH.COUNT json '{"name":{"$eq":"laptop"}}' => :0
        SET j:5 plain
        SEARCH.COUNT json '{}' => :4
        SET t:0 'no json'
        SEARCH.COUNT text '{}' => :5
        EVAL "return redis.call('SEARCH.COUNT', 'text', '{}')" 0
        FLUSHALL
        SEARCH.COUNT text '{}' => :-1
    "#
        .replace(
            "EVAL \"return redis.call('SEARCH.COUNT', 'text', '{}')\" 0\n",
            "",
        )
        .as_str(),
    );
}

#[test]
fn indexes_are_created_described_and_dropped() {
    Shell::new().script(
        r#"
        HSET u:1 name Ann age 30
        SEARCH.CREATE users EXISTSOK ON HASH PREFIX 2 u: v: LANGUAGE german SCHEMA name TEXT NOSTEM nick TEXT NOTOKENIZE FROM name age I64 FAST tag KEYWORD path FACET at DATE => :1
        SEARCH.CREATE users EXISTSOK ON HASH PREFIX 2 u: v: LANGUAGE german SCHEMA name TEXT NOSTEM nick TEXT NOTOKENIZE FROM name age I64 FAST tag KEYWORD path FACET at DATE => :0
        SEARCH.CREATE users EXISTSOK ON HASH PREFIX 1 u: SCHEMA name TEXT => -ERR the index exists with another definition
        SEARCH.CREATE users ON HASH PREFIX 1 u: SCHEMA name TEXT => -ERR the index already exists
        SEARCH.CREATE u:1 ON HASH PREFIX 1 u: SCHEMA name TEXT => -ERR the name is used by a key
        SEARCH.CREATE bad ON HASH PREFIX 2 u: u:x SCHEMA name TEXT => -ERR prefixes must not overlap
        SEARCH.CREATE bad ON HASH PREFIX 1 u: SCHEMA name FOO => -ERR field 'name' has an unknown type
        SEARCH.CREATE bad ON HASH PREFIX 1 u: LANGUAGE klingon SCHEMA name TEXT => -ERR language 'klingon' is not supported
        SEARCH.WAITINDEXING users => :1
        SEARCH.WAITINDEXING none => :0
        SEARCH.COUNT users '{"name":"ann"}' => :1
        SEARCH.COUNT users '{"nick":{"$eq":"ann"}}' => :0
        SEARCH.COUNT users '{"nick":{"$eq":"Ann"}}' => :1
        TYPE users => +search
        SCAN 0 TYPE search => [0, [users]]
        SEARCH.LISTINDEXES MATCH u* => [[name, users, type, HASH]]
        SEARCH.ALIASADD people users => :1
        SEARCH.ALIASADD people users => :2
        SEARCH.LISTALIASES => [[people, users]]
        SEARCH.COUNT people '{"age":{"$gte":30}}' => :1
        SEARCH.ALIASADD ghost nothing => :1
        SEARCH.COUNT ghost '{}' => :-1
        SEARCH.ALIASDEL people => :1
        SEARCH.ALIASDEL people => :0
        SEARCH.DESCRIBE none => nil[]
        SEARCH.QUERY none '{}' => nil[]
        SEARCH.AGGREGATE none '{}' '{}' => nil[]
        SEARCH.CREATE later ON HASH PREFIX 1 u: SKIPINITIALSCAN SCHEMA name TEXT => :1
        SEARCH.COUNT later '{}' => :0
        SEARCH.REINDEX later => :1
        SEARCH.COUNT later '{}' => :1
        SEARCH.DROP users => :1
        SEARCH.DROP users => :0
        TYPE users => +none
    "#,
    );
    let shell = Shell::new();
    shell.script(
        "SEARCH.CREATE i ON JSON PREFIX 1 p: SCHEMA a TEXT NOSTEM FROM x.y b F64 FAST => :1",
    );
    assert!(shell.run("SEARCH.DESCRIBE i").starts_with(
        "[name, i, type, JSON, prefixes, [p:], language, english, indexSize, :0, pendingUpdates, :0, schema, \
         [[a, TEXT, NOSTEM, FROM, x.y], [b, F64, FAST]]]"
    ));
}

#[test]
fn stems_aliases_lists_dates_and_facets() {
    let shell = Shell::new();
    shell.script(
        r#"
        SEARCH.CREATE i ON JSON PREFIX 1 d: SCHEMA c TEXT exact TEXT NOSTEM FROM c tags KEYWORD at DATE FAST path FACET author.name TEXT => :1
        JSON.SET d:1 $ '{"c":"running fast","tags":["red","blue"],"at":"2026-01-10T10:00:00Z","path":"/a/b/c","author":{"name":"John Doe"}}'
        JSON.SET d:2 $ '{"c":["runner on","track"],"tags":"green","at":"2026-02-05T10:00:00.000Z","path":"/a/bc","author.name":"Jane Smith"}'
    "#,
    );
    for (filter, wanted) in [
        (r#"{"c":{"$eq":"run"}}"#, "1"),
        (r#"{"exact":{"$eq":"run"}}"#, ""),
        (r#"{"exact":{"$eq":"running"}}"#, "1"),
        (r#"{"c":{"$eq":"on track"}}"#, ""),
        (r#"{"c":{"$eq":"track"}}"#, "2"),
        (r#"{"tags":"blue"}"#, "1"),
        (r#"{"tags":{"$gte":"green","$lt":"redder"}}"#, "1 2"),
        (r#"{"tags":{"$in":["green","x"]}}"#, "2"),
        (r#"{"at":{"$lt":"2026-02-01"}}"#, "1"),
        (r#"{"at":{"$eq":"2026-02-05T11:00:00+01:00"}}"#, "2"),
        (r#"{"path":"/a"}"#, "1 2"),
        (r#"{"path":"/a/b"}"#, "1"),
        (r#"{"c":{"$in":["run","track"]},"path":"/a/b"}"#, "1"),
        (r#"{"c":{"$in":["run","track"]},"tags":{"$lt":"h"}}"#, "1 2"),
        (r#"{"c":{"$in":["run","track"]},"tags":"re"}"#, ""),
        (r#"{"author.name":{"$eq":"john"}}"#, "1"),
        (r#"{"author.name":{"$eq":"jane"}}"#, "2"),
    ] {
        assert_eq!(keys(&shell, "i", filter, ""), wanted, "{filter}");
    }
    shell.script(
        r#"
        SEARCH.QUERY i '{"c":{"$in":["run","track"]}}' SELECT 1 c HIGHLIGHT FIELDS 1 c TAGS < > ORDERBY at ASC => [[d:1, 1768039200000, [[c, <running> fast]]], [d:2, 1770285600000, [[c, ["runner on","<track>"]]]]]
        SEARCH.QUERY i '{"author.name":{"$eq":"john"}}' SELECT 1 author.name HIGHLIGHT FIELDS 1 author.name ORDERBY at => [[d:1, 1768039200000, [[author.name, <em>John</em> Doe]]]]
    "#,
    );
}

#[test]
fn scores_are_changed_by_numbers() {
    let shell = Shell::new();
    shell.script(
        "
        SEARCH.CREATE i ON HASH PREFIX 1 p: SCHEMA name TEXT pop U64 FAST new U64 FAST => :1
        HSET p:1 name 'Laptop Pro' pop 1000 new 100
        HSET p:2 name 'Laptop Basic' pop 500 new 200
        HSET p:3 name 'Laptop Air' pop 2000 new 50
        HSET p:4 name 'Laptop Zero'
    ",
    );
    for (function, wanted) in [
        ("FIELDVALUE pop", "3 1 2 4"),
        ("FIELDVALUE pop MODIFIER log1p FACTOR 2", "3 1 2 4"),
        (
            "SCOREMODE REPLACE FIELDVALUE pop MODIFIER RECIPROCAL MISSING 1",
            "4 2 1 3",
        ),
        (
            "COMBINEMODE SUM FIELDVALUE pop FIELDVALUE new FACTOR 10",
            "2 3 1 4",
        ),
        ("FIELDVALUE pop SCOREMODE SUM", "3 1 2 4"),
    ] {
        assert_eq!(
            keys(
                &shell,
                "i",
                r#"{"name":"laptop"}"#,
                &format!("SCOREFUNC {function}")
            ),
            wanted,
            "{function}"
        );
    }
    shell.script(
        r#"
        SEARCH.QUERY i '{"name":"laptop"}' SCOREFUNC SCOREMODE REPLACE FIELDVALUE pop LIMIT 1 NOCONTENT => [[p:3, 2000]]
        SEARCH.QUERY i '{}' SCOREFUNC FIELDVALUE name => -ERR invalid query: 'name' is no FAST field of a fitting type
        SEARCH.QUERY i '{}' SCOREFUNC FIELDVALUE pop MODIFIER FOO => -ERR syntax error
        SEARCH.QUERY i '{}' SCOREFUNC FIELDVALUE pop ORDERBY pop => -ERR SCOREFUNC cannot be combined with ORDERBY
    "#,
    );
}

#[test]
fn figures_are_aggregated() {
    let shell = Shell::new();
    shell.script(
        "SEARCH.CREATE i ON JSON PREFIX 1 p: SCHEMA t TEXT cat U64 FAST price F64 FAST at DATE FAST path FACET tag KEYWORD slow U64 => :1",
    );
    for n in 0..9 {
        shell.script(&format!(
            r#"JSON.SET p:{n} $ '{{"t":"product {n}","cat":{},"price":{},"at":"2026-01-0{}T12:00:00Z","path":"/c/{}/{}","tag":"t{}"}}'"#,
            n % 3,
            n * 10,
            n / 3 + 1,
            ["x", "y"][n % 2],
            n,
            n % 2,
        ));
    }
    shell.script(
        r#"
        SEARCH.AGGREGATE i '{"t":{"$eq":"product"}}' '{"s":{"$stats":{"field":"price"}}}' => [s, [count, :9, min, 0, max, 80, sum, 360, avg, 40]]
        SEARCH.AGGREGATE i '{"price":{"$gte":60}}' '{"a":{"$avg":{"field":"price"}},"n":{"$count":{"field":"cat"}},"d":{"$cardinality":{"field":"tag"}}}' => [a, [value, 70], n, [value, :3], d, [value, :2]]
        SEARCH.AGGREGATE i '{"price":-1}' '{"a":{"$avg":{"field":"price"}},"m":{"$min":{"field":"price"}},"s":{"$sum":{"field":"price"}}}' => [a, [value, nil], m, [value, nil], s, [value, 0]]
        SEARCH.AGGREGATE i '{}' '{"r":{"$range":{"field":"price","ranges":[{"to":30},{"from":30,"to":60},{"from":60,"key":"top"}]}}}' => [r, [buckets, [[key, *-30, docCount, :3, to, 30], [key, 30-60, docCount, :3, from, 30, to, 60], [key, top, docCount, :3, from, 60]]]]
        SEARCH.AGGREGATE i '{}' '{"h":{"$histogram":{"field":"price","interval":30},"$aggs":{"m":{"$max":{"field":"price"}}}}}' => [h, [buckets, [[key, 0, docCount, :3, m, [value, 20]], [key, 30, docCount, :3, m, [value, 50]], [key, 60, docCount, :3, m, [value, 80]]]]]
        SEARCH.AGGREGATE i '{"price":{"$in":[0,80]}}' '{"h":{"$histogram":{"field":"price","interval":40}}}' => [h, [buckets, [[key, 0, docCount, :1], [key, 40, docCount, :0], [key, 80, docCount, :1]]]]
        SEARCH.AGGREGATE i '{}' '{"d":{"$dateHistogram":{"field":"at","fixedInterval":"1d","minDocCount":1}}}' => [d, [buckets, [[key, :1767225600000, keyAsString, 2026-01-01T00:00:00Z, docCount, :3], [key, :1767312000000, keyAsString, 2026-01-02T00:00:00Z, docCount, :3], [key, :1767398400000, keyAsString, 2026-01-03T00:00:00Z, docCount, :3]]]]
        SEARCH.AGGREGATE i '{}' '{"t":{"$terms":{"field":"tag"},"$aggs":{"a":{"$sum":{"field":"price"}}}}}' => [t, [buckets, [[key, t0, docCount, :5, a, [value, 200]], [key, t1, docCount, :4, a, [value, 160]]], sumOtherDocCount, :0, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{}' '{"t":{"$terms":{"field":"cat","size":1,"order":{"a":"desc"}},"$aggs":{"a":{"$avg":{"field":"price"}}}}}' => [t, [buckets, [[key, :2, docCount, :3, a, [value, 50]]], sumOtherDocCount, :6, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{}' '{"t":{"$terms":{"field":"cat","include":[0,2],"order":{"key":"desc"}}}}' => [t, [buckets, [[key, :2, docCount, :3], [key, :0, docCount, :3]], sumOtherDocCount, :0, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{}' '{"t":{"$terms":{"field":"tag","include":"t[01]","exclude":"t1"}}}' => [t, [buckets, [[key, t0, docCount, :5]], sumOtherDocCount, :0, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{}' '{"t":{"$terms":{"field":"tag","include":"t"}}}' => [t, [buckets, [], sumOtherDocCount, :0, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{}' '{"t":{"$terms":{"field":"tag","include":"("}}}' => -ERR invalid query: $terms: include is no valid pattern
        SEARCH.AGGREGATE i '{"price":{"$in":[0,10,20]}}' '{"t":{"$terms":{"field":"price","exclude":10,"order":{"key":"desc"}}}}' => [t, [buckets, [[key, 20, docCount, :1], [key, 0, docCount, :1]], sumOtherDocCount, :0, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{"price":0}' '{"t":{"$terms":{"field":"cat","missing":0}}}' => [t, [buckets, [[key, :0, docCount, :1]], sumOtherDocCount, :0, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{"price":{"$in":[0,10,20]}}' '{"f":{"$facet":{"field":"path","path":"/c","order":{"path":"desc"}}}}' => [f, [path, /c, sumOtherDocCount, :0, children, [[docCount, :1, path, /c/y, sumOtherDocCount, :0], [docCount, :2, path, /c/x, sumOtherDocCount, :0]]]]
        SEARCH.AGGREGATE i '{"price":{"$lt":30}}' '{"f":{"$facet":{"field":"path","path":"/c","depth":2}}}' => [f, [path, /c, sumOtherDocCount, :0, children, [[docCount, :2, path, /c/x, sumOtherDocCount, :0, children, [[docCount, :1, path, /c/x/0, sumOtherDocCount, :0], [docCount, :1, path, /c/x/2, sumOtherDocCount, :0]]], [docCount, :1, path, /c/y, sumOtherDocCount, :0, children, [[docCount, :1, path, /c/y/1, sumOtherDocCount, :0]]]]]]
        SEARCH.AGGREGATE i '{}' '{"p":{"$percentiles":{"field":"price","percents":[50,95]}}}' => [p, [values, [50.0, 40, 95.0, 76]]]
        SEARCH.AGGREGATE i '{}' '{"p":{"$percentiles":{"field":"price","percents":[50],"keyed":false}}}' => [p, [values, [[key, 50, value, 40]]]]
        SEARCH.AGGREGATE i '{"price":{"$in":[10,20,30]}}' '{"e":{"$extendedStats":{"field":"price","sigma":1}}}' => [e, [count, :3, min, 10, max, 30, sum, 60, avg, 20, sumOfSquares, 1400, variance, 66.66666666666667, variancePopulation, 66.66666666666667, varianceSampling, 100, stdDeviation, 8.16496580927726, stdDeviationPopulation, 8.16496580927726, stdDeviationSampling, 10, stdDeviationBounds, [upper, 28.164965809277263, lower, 11.83503419072274, upperSampling, 30, lowerSampling, 10, upperPopulation, 28.164965809277263, lowerPopulation, 11.83503419072274]]]
        SEARCH.AGGREGATE i '{}' '{"a":{"$avg":{"field":"slow"}}}' => -ERR invalid query: $avg: field 'slow' must be FAST
        SEARCH.AGGREGATE i '{}' '{"a":{"$foo":{"field":"cat"}}}' => -ERR invalid query: unknown aggregation '$foo'
        SEARCH.AGGREGATE i '{}' '{"h":{"$histogram":{"field":"price","interval":0.0001}}}' => -ERR invalid query: $histogram: the interval makes too many buckets
    "#,
    );
}

#[test]
fn equally_frequent_numbers_come_as_upstash_lists_them() {
    let shell = Shell::new();
    shell.script("SEARCH.CREATE i ON JSON PREFIX 1 p: SCHEMA cat F64 FAST price F64 FAST => :1");
    for n in 0..9 {
        let category = n % 3;
        shell.run(&format!(
            r#"JSON.SET p:{n} $ '{{"cat":{category},"price":{n}}}'"#
        ));
    }
    shell.script(
        r#"
        SEARCH.AGGREGATE i '{}' '{"t":{"$terms":{"field":"cat"}}}' => [t, [buckets, [[key, 2, docCount, :3], [key, 0, docCount, :3], [key, 1, docCount, :3]], sumOtherDocCount, :0, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{"price":{"$gt":0}}' '{"t":{"$terms":{"field":"cat","size":2}}}' => [t, [buckets, [[key, 2, docCount, :3], [key, 1, docCount, :3]], sumOtherDocCount, :2, docCountErrorUpperBound, :0]]
        SEARCH.AGGREGATE i '{}' '{"t":{"$terms":{"field":"cat","order":{"key":"asc"}}}}' => [t, [buckets, [[key, 0, docCount, :3], [key, 1, docCount, :3], [key, 2, docCount, :3]], sumOtherDocCount, :0, docCountErrorUpperBound, :0]]
    "#,
    );
}

#[test]
fn combinations_are_read_page_by_page() {
    let shell = Shell::new();
    shell.script(
        r#"
        SEARCH.CREATE i ON JSON PREFIX 1 p: SCHEMA cat KEYWORD price F64 FAST at DATE FAST on BOOL FAST n U64 => :1
        JSON.SET p:1 $ '{"cat":"books","price":23,"at":"2026-01-31T23:00:00Z","on":true}'
        JSON.SET p:2 $ '{"cat":"books","price":29.5,"at":"2026-02-01T01:00:00Z","on":false}'
        JSON.SET p:3 $ '{"cat":["books","art"],"price":-5,"at":"2026-02-09T00:00:00Z"}'
        JSON.SET p:4 $ '{"price":31,"at":"2025-12-31T00:00:00Z","on":true}'
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"size":2,"sources":[{"cat":{"$terms":{"field":"cat"}}},{"price":{"$histogram":{"field":"price","interval":10}}}]},"$aggs":{"a":{"$avg":{"field":"price"}}}}}' => [c, [buckets, [[key, [cat, art, price, -10], docCount, :1, a, [value, -5]], [key, [cat, books, price, -10], docCount, :1, a, [value, -5]]], afterKey, [cat, str:books, price, f64:-10]]]
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"after":{"cat":"str:books","price":"f64:-10"},"sources":[{"cat":{"$terms":{"field":"cat"}}},{"price":{"$histogram":{"field":"price","interval":10}}}]}}}' => [c, [buckets, [[key, [cat, books, price, 20], docCount, :2]], afterKey, [cat, str:books, price, f64:20]]]
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"after":{"cat":"str:books","price":"f64:20"},"sources":[{"cat":{"$terms":{"field":"cat"}}},{"price":{"$histogram":{"field":"price","interval":10}}}]}}}' => [c, [buckets, []]]
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"size":1,"sources":[{"c":{"$terms":{"field":"cat","missingBucket":true}}}]}}}' => [c, [buckets, [[key, [c, nil], docCount, :1]], afterKey, [c, null:]]]
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"after":{"c":"null:"},"sources":[{"c":{"$terms":{"field":"cat","missingBucket":true}}}]}}}' => [c, [buckets, [[key, [c, art], docCount, :1], [key, [c, books], docCount, :3]], afterKey, [c, str:books]]]
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"sources":[{"c":{"$terms":{"field":"cat","missingBucket":true,"missingOrder":"first","order":"desc"}}}]}}}' => [c, [buckets, [[key, [c, nil], docCount, :1], [key, [c, books], docCount, :3], [key, [c, art], docCount, :1]], afterKey, [c, str:art]]]
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"sources":[{"m":{"$dateHistogram":{"field":"at","calendarInterval":"month","order":"desc"}}}]}}}' => [c, [buckets, [[key, [m, :1769904000000], docCount, :2], [key, [m, :1767225600000], docCount, :1], [key, [m, :1764547200000], docCount, :1]], afterKey, [m, date:1764547200000]]]
        SEARCH.AGGREGATE i '{"on":true}' '{"c":{"$composite":{"sources":[{"on":{"$terms":{"field":"on"}}},{"w":{"$dateHistogram":{"field":"at","calendarInterval":"week"}}}]}}}' => [c, [buckets, [[key, [on, true, w, :1766966400000], docCount, :1], [key, [on, true, w, :1769385600000], docCount, :1]], afterKey, [on, bool:1, w, date:1769385600000]]]
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"sources":[]}}}' => -ERR invalid query: $composite: sources must be a list that is not empty
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"sources":[{"a":{"$range":{"field":"price"}}}]}}}' => -ERR invalid query: $range: this is no kind of source
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"sources":[{"a":{"$terms":{"field":"n"}}}]}}}' => -ERR invalid query: $terms: field 'n' must be FAST
        SEARCH.AGGREGATE i '{}' '{"c":{"$composite":{"sources":[{"a":{"$terms":{"field":"cat"}}}],"after":{"a":"f64:1"}}}}' => -ERR invalid query: $composite: after must be the afterKey of a page
    "#,
    );
}

#[test]
fn indexes_and_aliases_survive_a_snapshot() {
    let shell = Shell::new();
    shell.script(
        "SEARCH.CREATE users ON HASH PREFIX 2 u: v: LANGUAGE german SCHEMA name TEXT NOSTEM nick TEXT NOTOKENIZE FROM name age I64 FAST => :1
         SEARCH.ALIASADD people users => :1
         HSET u:1 name Ann age 30
         HSET v:2 name Bob age 40",
    );
    let copy = shell.reloaded();
    assert_eq!(keys(&copy, "people", r#"{"age":{"$gt":30}}"#, ""), "2");
    copy.script("HSET u:3 name Cid age 50");
    assert_eq!(
        keys(&copy, "people", r#"{"age":{"$gt":30}}"#, "ORDERBY age DESC"),
        "3 2"
    );
    let part = |reply: String| {
        reply
            .split_once("indexSize")
            .map(|(head, _)| head.to_owned())
    };
    assert_eq!(
        part(copy.run("SEARCH.DESCRIBE users")),
        part(shell.run("SEARCH.DESCRIBE users"))
    );
    assert!(copy.run("SEARCH.DESCRIBE users").ends_with(
        "[[name, TEXT, NOSTEM], [nick, TEXT, NOTOKENIZE, FROM, name], [age, I64, FAST]]]"
    ));
}

#[test]
fn the_entries_of_a_stream_are_searched() {
    let shell = Shell::new();
    shell.script(
        r#"
        XADD log 1 message 'disk is full' level warn
        XADD log 2 message 'disk replaced' level info
        SEARCH.CREATE i ON STREAM log SCHEMA message TEXT level KEYWORD => :1
        SEARCH.COUNT i '{}' => :2
        XADD log 3 message 'network is down' level warn
        SEARCH.QUERY i '{"message":{"$eq":"disk"},"level":"warn"}' HIGHLIGHT FIELDS 1 message SELECT 1 message NOPE => -ERR syntax error
        SEARCH.QUERY i '{"level":"warn"}' => [[1-0, 1, [[message, disk is full], [level, warn]]], [3-0, 1, [[message, network is down], [level, warn]]]]
        SEARCH.QUERY i '{"level":"warn","message":{"$eq":"down"}}' LIMIT 1 SELECT 1 message HIGHLIGHT FIELDS 1 message NOCONTENT => -ERR NOCONTENT cannot be combined with SELECT or HIGHLIGHT
        SET 1-0 'named like an entry'
        DEL 1-0 => :1
        SEARCH.COUNT i '{}' => :3
        XDEL log 1
        SEARCH.COUNT i '{"level":"warn"}' => :1
        XTRIM log MAXLEN 1
        SEARCH.COUNT i '{}' => :1
        DEL log
        SEARCH.COUNT i '{}' => :0
        XADD log 3 message 'another stream' level info
        SEARCH.COUNT i '{"level":"warn"}' => :0
        SEARCH.COUNT i '{"level":"info"}' => :1
        XADD other 3 message 'a third stream' level warn
        COPY other log REPLACE
        SEARCH.COUNT i '{"level":"warn"}' => :1
        SEARCH.CREATE j ON STREAM log PREFIX 1 x SCHEMA message TEXT => -ERR syntax error
        XADD late 1 message 'old' level warn
        SEARCH.CREATE k ON STREAM late SKIPINITIALSCAN SCHEMA message TEXT level KEYWORD => :1
        SEARCH.COUNT k '{}' => :0
        XADD late 2 message 'new' level warn
        SEARCH.COUNT k '{}' => :1
        XDEL late 2
        SEARCH.COUNT k '{}' => :0
        SEARCH.REINDEX k => :1
        SEARCH.COUNT k '{}' => :1
        DEL late
    "#,
    );
    assert!(
        shell
            .reloaded()
            .run("SEARCH.DESCRIBE i")
            .starts_with("[name, i, type, STREAM, prefixes, [log]")
    );
    assert_eq!(
        shell.reloaded().run(r#"SEARCH.COUNT i '{"level":"warn"}'"#),
        ":1"
    );
}

/// Two queries: the wireless mouse and headphones, and what is audio.
const WIRELESS: &str = r#"{"description":"wireless"}"#;
const AUDIO: &str = r#"{"category":"audio"}"#;

#[test]
fn ranks_of_several_queries_are_merged() {
    let shell = shop();
    let rrf = |more: &str| format!(r#"{{"$rrf":{{"retrievers":[{WIRELESS},{AUDIO}]{more}}}}}"#);
    assert_eq!(keys(&shell, "json", WIRELESS, ""), "2 5");
    // Headphones: 1/(60+2) + 1/(60+1), mouse: 1/(60+1).
    assert_eq!(
        shell.run(&format!("SEARCH.QUERY json '{}' NOCONTENT", rrf(""))),
        "[[j:5, 0.03252247488101534], [j:2, 0.01639344262295082]]"
    );
    // 1/(1+2) + 1/(1+1), 1/(1+1).
    assert_eq!(
        shell.run(&format!(
            "SEARCH.QUERY json '{}' NOCONTENT",
            rrf(r#","rankConstant":1"#)
        )),
        "[[j:5, 0.8333333333333333], [j:2, 0.5]]"
    );
    let weighted = |weight: &str| {
        format!(
            r#"{{"$rrf":{{"retrievers":[{WIRELESS},{{"$standard":{{"query":{AUDIO},"weight":{weight}}}}}]}}}}"#
        )
    };
    assert_eq!(keys(&shell, "json", &weighted("0"), ""), "2 5");
    assert_eq!(keys(&shell, "json", &weighted("0.5"), ""), "5 2");
    // Each query contributes one result, and one is left; LIMIT is the window if none is given.
    assert_eq!(keys(&shell, "json", &rrf(r#","window":1"#), ""), "2");
    assert_eq!(keys(&shell, "json", &rrf(""), "LIMIT 1"), "2");
    let paged = rrf(r#","window":11000"#);
    assert_eq!(keys(&shell, "json", &paged, "LIMIT 1"), "5");
    assert_eq!(keys(&shell, "json", &paged, "LIMIT 1 OFFSET 1"), "2");
    // Counts and aggregations take all documents of all queries.
    let all = rrf(r#","window":1"#);
    assert_eq!(shell.run(&format!("SEARCH.COUNT json '{all}'")), ":2");
    let sum = r#"{"all":{"$sum":{"field":"stock"}}}"#;
    assert_eq!(
        shell.run(&format!("SEARCH.AGGREGATE json '{all}' '{sum}'")),
        shell.run(&format!("SEARCH.AGGREGATE json '{WIRELESS}' '{sum}'"))
    );
    let marked = shell.run(&format!(
        "SEARCH.QUERY json '{}' LIMIT 1 SELECT 1 category HIGHLIGHT FIELDS 1 category",
        rrf(r#","window":9"#)
    ));
    assert!(marked.contains("<em>audio</em>"), "{marked}");
}

#[test]
fn one_query_may_be_written_as_a_retriever() {
    let shell = shop();
    let standard = format!(r#"{{"$standard":{{"query":{WIRELESS}}}}}"#);
    assert_eq!(keys(&shell, "json", &standard, "ORDERBY price DESC"), "5 2");
    assert_eq!(shell.run(&format!("SEARCH.COUNT json '{standard}'")), ":2");
}

#[test]
fn malformed_retrievers_say_what_is_wrong() {
    let shell = shop();
    let refused = |query: &str, options: &str, reason: &str| {
        let reply = shell.run(&format!("SEARCH.QUERY json '{query}' {options}"));
        assert!(reply.starts_with("-ERR"), "{query}: {reply}");
        assert!(reply.contains(reason), "{query}: {reply}");
    };
    let rrf = |inside: &str| format!(r#"{{"$rrf":{{{inside}}}}}"#);
    let two = format!(r#""retrievers":[{WIRELESS},{AUDIO}]"#);
    refused(&rrf(""), "", "needs 'retrievers'");
    refused(&rrf(&format!(r#""retrievers":[{AUDIO}]"#)), "", "2 to 10");
    let eleven = [AUDIO; 11].join(",");
    refused(&rrf(&format!(r#""retrievers":[{eleven}]"#)), "", "2 to 10");
    for constant in ["0", "2147483648", "1.5", "\"60\""] {
        let query = rrf(&format!(r#"{two},"rankConstant":{constant}"#));
        refused(&query, "", "from 1 to 2147483647");
    }
    for window in ["0", "11001", "-1"] {
        let query = rrf(&format!(r#"{two},"window":{window}"#));
        refused(&query, "", "from 1 to 11000");
    }
    refused(&rrf(&format!(r#"{two},"k":60"#)), "", "no parameter 'k'");
    refused(&rrf(&two), "ORDERBY price", "ORDERBY");
    let inner = rrf(&two);
    let nested = rrf(&format!(r#""retrievers":[{AUDIO},{inner}]"#));
    refused(&nested, "", "inside $rrf");
    let negative = format!(r#"{{"$standard":{{"query":{AUDIO},"weight":-1}}}}"#);
    let negative = rrf(&format!(r#""retrievers":[{AUDIO},{negative}]"#));
    refused(&negative, "", "0 or greater");
    let weighted = format!(r#"{{"$standard":{{"query":{AUDIO},"weight":1}}}}"#);
    refused(&weighted, "", "inside $rrf only");
    let beside = format!(r#"{{"$rrf":{{{two}}},"name":"x"}}"#);
    refused(&beside, "", "only key");
    refused(&format!(r#"{{"$must":[{inner}]}}"#), "", "$rrf");
}

#[test]
fn hybrid_fields_are_texts_whose_meaning_needs_a_model() {
    let shell = Shell::new();
    shell.script(
        r#"
        SEARCH.CREATE i ON JSON PREFIX 1 d: SCHEMA text HYBRID plain TEXT => :1
        JSON.SET d:1 $ '{"text":"foam earplugs","plain":"x"}'
        SEARCH.COUNT i '{"text":"earplug"}' => :1
        SEARCH.QUERY i '{"$ann":{"field":"text","query":"quiet"}}' => -ERR invalid query: $ann needs an embedding model, which this server does not have; HYBRID fields are searched by their words only
        SEARCH.COUNT i '{"$rrf":{"retrievers":[{"text":"a"},{"$ann":{"field":"text","query":"quiet"}}]}}' => -ERR invalid query: $ann needs an embedding model, which this server does not have; HYBRID fields are searched by their words only
        SEARCH.QUERY i '{"$ann":{"field":"plain","query":"quiet"}}' => -ERR invalid query: the 'field' of $ann must be a HYBRID field
        SEARCH.QUERY i '{"$ann":{"field":"text","query":""}}' => -ERR invalid query: the 'query' of $ann must be a text
        "#,
    );
    let copy = shell.reloaded();
    for shell in [&shell, &copy] {
        let described = shell.run("SEARCH.DESCRIBE i");
        assert!(described.contains("[text, HYBRID]"), "{described}");
        assert_eq!(shell.run(r#"SEARCH.COUNT i '{"text":"foam"}'"#), ":1");
    }
}

#[test]
fn what_an_index_left_out_stays_out_when_it_is_loaded() {
    let shell = Shell::new();
    shell.script(
        "
        HSET u:1 name ann => :1
        HSET u:2 name ann => :1
        XADD log 1-1 m ann => 1-1
        SEARCH.CREATE users ON HASH PREFIX 1 u: SKIPINITIALSCAN SCHEMA name TEXT => :1
        SEARCH.CREATE lines ON STREAM log SKIPINITIALSCAN SCHEMA m TEXT => :1
        SEARCH.CREATE all ON HASH PREFIX 1 u: SCHEMA name TEXT => :1
        HSET u:2 other x => :1
        HSET u:3 name ann => :1
        XADD log 2-1 m ann => 2-1
    ",
    );
    let asked = "
        SEARCH.COUNT users {\"name\":\"ann\"} => :2
        SEARCH.COUNT lines {\"m\":\"ann\"} => :1
        SEARCH.COUNT all {\"name\":\"ann\"} => :3
    ";
    // Also before anything is asked, when what was written is still to be indexed.
    shell.reloaded().script(asked);
    shell.script(asked);
    let loaded = shell.reloaded().reloaded();
    loaded.script(asked);
    loaded.script(
        "
        HSET u:1 more y => :1
        SEARCH.COUNT users {\"name\":\"ann\"} => :3
        XADD log 3-1 m ann => 3-1
        SEARCH.COUNT lines {\"m\":\"ann\"} => :2
    ",
    );
}
