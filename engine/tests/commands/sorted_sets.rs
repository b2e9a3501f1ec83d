use crate::Fixture;

#[test]
fn adding_honours_its_conditions() {
    Fixture::new().expect(&[
        ("ZADD z 1 a 2 b", "2"),
        ("ZADD z CH 3 a 4 c", "2"),
        ("ZADD z NX 9 a 5 d", "1"),
        ("ZADD z XX CH 9 a 5 e", "1"),
        ("ZADD z GT CH 8 a 10 b", "1"),
        ("ZADD z LT 1 a 0 new", "1"),
        ("ZADD z INCR 2.5 a", "3.5"),
        ("ZADD z NX INCR 1 a", "nil"),
        ("ZADD z XX INCR 1 none", "nil"),
        (
            "ZADD z NX XX 1 a",
            "-ERR XX and NX options at the same time are not compatible",
        ),
        (
            "ZADD z GT LT 1 a",
            "-ERR GT, LT, and/or NX options at the same time are not compatible",
        ),
        (
            "ZADD z INCR 1 a 2 b",
            "-ERR INCR option supports a single increment-element pair",
        ),
        ("ZADD z nan a", "-ERR value is not a valid float"),
        ("ZADD z 1 a 2", "-ERR syntax error"),
        ("ZADD none XX 1 a", "0"),
        ("EXISTS none", "0"),
    ]);
}

#[test]
fn infinities_sort_at_the_ends_and_do_not_add_up() {
    Fixture::new().expect(&[
        ("ZADD z inf a -inf b 0 c 1e300 d", "4"),
        ("ZRANGE z 0 -1 WITHSCORES", "[b -inf c 0 d 1e+300 a inf]"),
        (
            "ZINCRBY z -inf a",
            "-ERR resulting score is not a number (NaN)",
        ),
        ("ZSCORE z a", "inf"),
        ("ZCOUNT z -inf +inf", "4"),
        ("ZCOUNT z (-inf (inf", "2"),
    ]);
}

#[test]
fn ranges_by_rank_score_and_member_share_their_options() {
    Fixture::new().expect(&[
        ("ZADD z 1 a 2 b 3 c 4 d 5 e", "5"),
        ("ZRANGE z 1 -2", "[b c d]"),
        ("ZRANGE z 0 1 REV WITHSCORES", "[e 5 d 4]"),
        ("ZRANGE z (1 3 BYSCORE", "[b c]"),
        ("ZRANGE z 4 (1 BYSCORE REV LIMIT 1 5", "[c b]"),
        ("ZRANGE z -inf +inf BYSCORE LIMIT 2 -1", "[c d e]"),
        ("ZRANGE z -inf +inf BYSCORE LIMIT -1 2", "[]"),
        // Upstash takes LIMIT with ranks, too.
        ("ZRANGE z 0 -1 LIMIT 1 2", "[b c]"),
        ("ZRANGE z 5 1 BYSCORE", "[]"),
        ("ZRANGE z a b BYSCORE", "-ERR min or max is not a float"),
        (
            "ZRANGE z 0 1 BYLEX",
            "-ERR min or max not valid string range item",
        ),
        (
            "ZRANGE z - + BYLEX WITHSCORES",
            "-ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ),
        ("ZREVRANGE z 0 1", "[e d]"),
        ("ZRANGEBYSCORE z 2 4 WITHSCORES LIMIT 0 1", "[b 2]"),
        ("ZREVRANGEBYSCORE z 4 2", "[d c b]"),
        ("ZRANGESTORE out z 2 4 BYSCORE REV LIMIT 0 2", "0"),
        ("ZRANGESTORE out z 4 2 BYSCORE REV LIMIT 0 2", "2"),
        ("ZRANGE out 0 -1", "[c d]"),
        ("ZREMRANGEBYRANK z 0 1", "2"),
        ("ZREMRANGEBYSCORE z (3 4", "1"),
        ("ZRANGE z 0 -1", "[c e]"),
    ]);
}

#[test]
fn members_of_one_score_form_an_index() {
    Fixture::new().expect(&[
        ("ZADD z 0 a 0 aa 0 b 0 c", "4"),
        ("ZRANGEBYLEX z [aa (c", "[aa b]"),
        ("ZREVRANGEBYLEX z + (aa", "[c b]"),
        ("ZLEXCOUNT z - +", "4"),
        ("ZLEXCOUNT z + -", "0"),
        ("ZREMRANGEBYLEX z - (b", "2"),
        ("ZRANGE z 0 -1", "[b c]"),
    ]);
}

#[test]
fn ranks_count_from_both_ends() {
    Fixture::new().expect(&[
        ("ZADD z 10 a 20 b 30 c", "3"),
        ("ZRANK z c", "2"),
        ("ZREVRANK z c", "0"),
        ("ZRANK z b WITHSCORE", "[1 20]"),
        ("ZRANK z none", "nil"),
        ("ZRANK z none WITHSCORE", "nil[]"),
        ("ZMSCORE z a none", "[10 nil]"),
    ]);
}

#[test]
fn popping_takes_from_the_ends() {
    Fixture::new().expect(&[
        ("ZADD z 1 a 2 b 3 c 4 d", "4"),
        ("ZPOPMIN z", "[a 1]"),
        ("ZPOPMAX z 2", "[d 4 c 3]"),
        ("ZPOPMIN z 0", "[]"),
        ("ZPOPMIN none", "[]"),
        ("ZMPOP 2 none z MIN COUNT 3", "[z [[b 2]]]"),
        ("ZMPOP 1 z MAX", "nil[]"),
        ("EXISTS z", "0"),
    ]);
}

#[test]
fn algebra_weighs_and_aggregates() {
    Fixture::new().expect(&[
        ("ZADD a 1 x 2 y", "2"),
        ("ZADD b 10 y 20 z", "2"),
        ("SADD s y", "1"),
        ("ZUNION 2 a b WITHSCORES", "[x 1 y 12 z 20]"),
        (
            "ZUNION 2 a b WEIGHTS 10 1 AGGREGATE MAX WITHSCORES",
            "[x 10 y 20 z 20]",
        ),
        ("ZINTER 3 a b s WITHSCORES", "[y 13]"),
        ("ZDIFF 2 a b WITHSCORES", "[x 1]"),
        ("ZINTERCARD 2 a b LIMIT 0", "1"),
        ("ZUNIONSTORE a 2 a b", "3"),
        (
            "ZINTERSTORE out 1 a WEIGHTS x",
            "-ERR weight value is not a float",
        ),
        ("ZDIFFSTORE a 2 a a", "0"),
        ("EXISTS a", "0"),
        (
            "ZUNION 0 a",
            "-ERR at least 1 input key is needed for 'zunion' command",
        ),
        ("ZUNION 3 a b", "-ERR syntax error"),
        ("ZADD p inf m", "1"),
        ("ZADD q -inf m", "1"),
        ("ZUNION 2 p q WITHSCORES", "[m 0]"),
    ]);
}

#[test]
fn a_union_can_count_the_sets_that_have_a_member() {
    Fixture::new().expect(&[
        ("ZADD s1 1 foo 1 bar", "2"),
        ("ZADD s2 2 foo 2 bar", "2"),
        ("ZADD s3 3 foo", "1"),
        ("ZUNIONSTORE out 3 s1 s2 s3 AGGREGATE COUNT", "2"),
        ("ZRANGE out 0 -1 WITHSCORES", "[bar 2 foo 3]"),
        ("ZINTER 3 s1 s2 s3 AGGREGATE count WITHSCORES", "[foo 3]"),
        // A set contributes its weight, whatever the scores are.
        (
            "ZUNION 3 s1 s2 s3 WEIGHTS 10 2 0.5 AGGREGATE COUNT WITHSCORES",
            "[bar 12 foo 12.5]",
        ),
        ("ZINTERSTORE out 2 s1 s2 AGGREGATE COUNT WEIGHTS 2 3", "2"),
        ("ZRANGE out 0 -1 WITHSCORES", "[bar 5 foo 5]"),
        (
            "ZUNION 2 s1 s2 WEIGHTS inf -inf AGGREGATE COUNT WITHSCORES",
            "[bar 0 foo 0]",
        ),
        ("ZUNION 1 s1 AGGREGATE AVG", "-ERR syntax error"),
    ]);
}
