use crate::Fixture;

#[test]
fn an_index_is_made_filled_and_dropped() {
    Fixture::new().expect(&[
        ("VECTOR.CREATE i DIM 2 METRIC cosine", "1"),
        ("VECTOR.INFO i", "[dimension 2 metric COSINE]"),
        ("TYPE i", "+vector"),
        ("VECTOR.ADD i a VALUES 2 1 0", "1"),
        ("VECTOR.ADD i a VALUES 2 0.5 -0.25", "0"),
        ("VECTOR.GET i a", "[0.5 -0.25]"),
        ("VECTOR.GET i b", "nil[]"),
        ("VECTOR.COUNT i", "1"),
        ("VECTOR.DEL i a", "1"),
        ("VECTOR.DEL i a", "0"),
        ("EXISTS i", "1"),
        ("VECTOR.DROP i", "1"),
        ("VECTOR.DROP i", "0"),
        ("VECTOR.INFO i", "nil[]"),
        ("VECTOR.COUNT i", "0"),
    ]);
}

#[test]
fn the_nearest_come_first_by_every_metric() {
    let fixture = Fixture::new();
    for metric in ["COSINE", "EUCLIDEAN", "DOT"] {
        fixture.run(&format!("VECTOR.CREATE {metric} DIM 2 METRIC {metric}"));
        for (id, vector) in [
            ("east", "1 0"),
            ("far-east", "3 0"),
            ("north", "0 1"),
            ("west", "-1 0"),
        ] {
            fixture.run(&format!("VECTOR.ADD {metric} {id} VALUES 2 {vector}"));
        }
    }
    fixture.expect(&[
        (
            "VECTOR.QUERY COSINE TOPK 9 VALUES 2 2 0",
            "[[east 1] [far-east 1] [north 0.5] [west 0]]",
        ),
        (
            "VECTOR.QUERY EUCLIDEAN TOPK 3 VALUES 2 1 0 PROFILE FAST",
            "[[east 1] [north 0.3333333333333333] [far-east 0.2]]",
        ),
        (
            "VECTOR.QUERY DOT VALUES 2 0.5 0 TOPK 2",
            "[[far-east 1] [east 0.75]]",
        ),
        ("VECTOR.QUERY DOT TOPK 1 VALUES 2 0 0.5", "[[north 0.75]]"),
    ]);
}

#[test]
fn vectors_come_as_numbers_bytes_or_base64() {
    let fixture = Fixture::new();
    fixture.run("VECTOR.CREATE i DIM 3 METRIC DOT");
    let blob: Vec<u8> = [1.0f32, -2.5, 0.1]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let added = fixture
        .engine
        .call(&[b"VECTOR.ADD".as_slice(), b"i", b"blob", b"FP32", &blob]);
    assert_eq!(added, restis_engine::Reply::Int(1));
    fixture.expect(&[
        ("VECTOR.GET i blob", "[1 -2.5 0.10000000149011612]"),
        ("VECTOR.ADD i text BASE64-FP32 AACAPwAAAAAAAAAA", "1"),
        ("VECTOR.GET i text", "[1 0 0]"),
        (
            "VECTOR.QUERY i TOPK 1 BASE64-FP32 AACAPwAAAAAAAAAA PROFILE PRECISE",
            "[[blob 1]]",
        ),
        (
            "VECTOR.ADD i x BASE64-FP32 AACAPw=",
            "-ERR BASE64-FP32 is not valid base64",
        ),
        (
            "VECTOR.ADD i x FP32 abc",
            "-ERR FP32 must be a non-empty sequence of finite 32-bit little-endian floats",
        ),
        (
            "VECTOR.ADD i x VALUES 3 1 nan 0",
            "-ERR value is not a valid float",
        ),
        (
            "VECTOR.ADD i x VALUES 3 1 1e39 0",
            "-ERR value is not a valid float",
        ),
        ("VECTOR.ADD i x VALUES 4 1 2 3", "-ERR syntax error"),
    ]);
}

#[test]
fn mistakes_are_told_in_upstashs_words() {
    Fixture::new().expect(&[
        ("VECTOR.CREATE i DIM 2 METRIC DOT", "1"),
        (
            "VECTOR.CREATE i DIM 2 METRIC DOT",
            "-ERR Index i already exists",
        ),
        ("VECTOR.CREATE i EXISTSOK METRIC DOT DIM 2", "0"),
        (
            "VECTOR.CREATE i DIM 3 METRIC DOT EXISTSOK",
            "-ERR Index i already exists with a different configuration",
        ),
        (
            "VECTOR.ADD i a VALUES 3 1 2 3",
            "-ERR vector dimension mismatch: expected 2, got 3",
        ),
        (
            "VECTOR.QUERY i TOPK 1 VALUES 1 1",
            "-ERR vector dimension mismatch: expected 2, got 1",
        ),
        ("VECTOR.ADD no a VALUES 1 1", "-ERR Index no is not found"),
        ("VECTOR.GET no a", "-ERR Index no is not found"),
        ("VECTOR.DEL no a", "-ERR Index no is not found"),
        (
            "VECTOR.QUERY no TOPK 1 VALUES 1 1",
            "-ERR Index no is not found",
        ),
        (
            "VECTOR.QUERY i TOPK 0 VALUES 2 1 1",
            "-ERR TOPK must be between 1 and 1000",
        ),
        (
            "VECTOR.QUERY i TOPK 1 VALUES 2 1 1 PROFILE x",
            "-ERR PROFILE must be FAST, BALANCED or PRECISE",
        ),
        ("VECTOR.ADD i  VALUES 2 1 1", "-ERR id cannot be empty"),
        (
            "VECTOR.CREATE j DIM 32769 METRIC DOT",
            "-ERR DIM must be between 1 and 32768",
        ),
        (
            "VECTOR.CREATE j DIM 2 METRIC x",
            "-ERR METRIC must be COSINE, EUCLIDEAN or DOT",
        ),
        (
            "VECTOR.CREATE j DIM 2 EXISTSOK EXISTSOK",
            "-ERR syntax error",
        ),
        ("SET s v", "+OK"),
        (
            "VECTOR.DROP s",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "VECTOR.CREATE s DIM 2 METRIC DOT EXISTSOK",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ]);
}

#[test]
fn an_index_is_a_key_like_any_other() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("VECTOR.CREATE i DIM 1 METRIC DOT", "1"),
        ("VECTOR.ADD i a VALUES 1 1", "1"),
        ("COPY i j", "1"),
        ("VECTOR.ADD j b VALUES 1 1", "1"),
        ("VECTOR.COUNT i", "1"),
        ("SCAN 0 TYPE vector MATCH j", "[0 [j]]"),
        ("PEXPIRE i 10", "1"),
    ]);
    fixture.pass(10);
    fixture.expect(&[
        ("VECTOR.COUNT i", "0"),
        ("VECTOR.QUERY j TOPK 5 VALUES 1 0", "[[a 0.5] [b 0.5]]"),
    ]);
}
