use std::collections::HashSet;

use restis_engine::Reply;

use crate::Fixture;

#[test]
fn members_are_unique() {
    Fixture::new().expect(&[
        ("SADD s a b a", "2"),
        ("SCARD s", "2"),
        ("SISMEMBER s a", "1"),
        ("SMISMEMBER s a x", "[1 0]"),
        ("SMOVE s t a", "1"),
        ("SMOVE s t x", "0"),
        ("SREM s b c", "1"),
        ("EXISTS s", "0"),
        ("SMEMBERS t", "[a]"),
    ]);
}

#[test]
fn algebra_treats_a_missing_set_as_empty() {
    Fixture::new().expect(&[
        ("SADD a 1 2 3 4", "4"),
        ("SADD b 3 4 5", "3"),
        ("~SINTER a b", "[3 4]"),
        ("~SUNION a b", "[1 2 3 4 5]"),
        ("~SDIFF a b", "[1 2]"),
        ("SDIFF none a", "[]"),
        ("SINTER a none", "[]"),
        ("SINTERCARD 2 a b", "2"),
        ("SINTERCARD 2 a b LIMIT 1", "1"),
        (
            "SINTERCARD 2 a",
            "-ERR Number of keys can't be greater than number of args",
        ),
        ("SINTERSTORE a a b", "2"),
        ("~SMEMBERS a", "[3 4]"),
        ("SDIFFSTORE a a b", "0"),
        ("EXISTS a", "0"),
        ("SET s v", "+OK"),
        (
            "SUNION b s",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ]);
}

#[test]
fn random_members_are_distinct_and_popping_removes_them() {
    let fixture = Fixture::new();
    let members: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    for member in &members {
        fixture.run(&format!("SADD s {member}"));
    }
    for count in [1, 10, 500, 999, 1000, 2000] {
        let Reply::Array(drawn) = fixture
            .engine
            .call(&["SRANDMEMBER", "s", &count.to_string()])
        else {
            panic!("SRANDMEMBER with a count answers an array");
        };
        let distinct: HashSet<String> = drawn.iter().map(crate::show).collect();
        assert_eq!(distinct.len(), count.min(1000));
        assert_eq!(drawn.len(), distinct.len());
    }
    let mut left: HashSet<String> = members.into_iter().collect();
    while !left.is_empty() {
        assert!(left.remove(&fixture.run("SPOP s")));
    }
    fixture.expect(&[("EXISTS s", "0"), ("SPOP s", "nil"), ("SPOP s 2", "[]")]);
}

#[test]
fn every_member_is_drawn_about_equally_often() {
    let fixture = Fixture::new();
    fixture.run("SADD s a b c d e f g h i j");
    fixture.run("SREM s b d f h");
    let mut counts = std::collections::HashMap::<String, u32>::new();
    for _ in 0..6000 {
        *counts.entry(fixture.run("SRANDMEMBER s")).or_default() += 1;
    }
    assert_eq!(counts.len(), 6);
    // Six standard deviations around 1000.
    assert!(
        counts.values().all(|count| (825..1175).contains(count)),
        "{counts:?}"
    );
}
