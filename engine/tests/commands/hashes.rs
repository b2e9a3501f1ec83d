use crate::Fixture;

#[test]
fn fields_are_set_counted_and_removed_with_the_key() {
    Fixture::new().expect(&[
        ("HSET h a 1 b 2", "2"),
        ("HSET h a 3 c 4", "1"),
        (
            "HSET h a",
            "-ERR wrong number of arguments for 'hset' command",
        ),
        (
            "HSET h a 1 b",
            "-ERR wrong number of arguments for 'hset' command",
        ),
        ("~HGETALL h", "[2 3 4 a b c]"),
        ("HMGET h a none", "[3 nil]"),
        ("HSETNX h a 9", "0"),
        ("HSTRLEN h a", "1"),
        ("HDEL h a b c d", "3"),
        ("EXISTS h", "0"),
        ("HGETALL h", "[]"),
        ("SET s v", "+OK"),
        (
            "HGET s f",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ]);
}

#[test]
fn counting_in_fields_checks_the_old_value() {
    Fixture::new().expect(&[
        ("HINCRBY h n 5", "5"),
        ("HINCRBY h n -7", "-2"),
        ("HINCRBYFLOAT h n 0.5", "-1.5"),
        ("HINCRBY h n 1", "-ERR hash value is not an integer"),
        ("HSET h t text", "1"),
        ("HINCRBYFLOAT h t 1", "-ERR hash value is not a float"),
        ("HSET h max 9223372036854775807", "1"),
        (
            "HINCRBY h max 1",
            "-ERR increment or decrement would overflow",
        ),
    ]);
}

#[test]
fn random_fields_repeat_only_when_asked_to() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("HSET h a 1 b 2 c 3", "3"),
        ("~HRANDFIELD h 5", "[a b c]"),
        ("~HRANDFIELD h 3 WITHVALUES", "[1 2 3 a b c]"),
        ("HRANDFIELD none", "nil"),
        ("HRANDFIELD none 3", "[]"),
        ("HRANDFIELD h 1 NOPE", "-ERR syntax error"),
        (
            "HRANDFIELD h -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ),
    ]);
    assert_eq!(fixture.run("HRANDFIELD h -20").split(' ').count(), 20);
}

#[test]
fn a_field_expires_on_time_and_the_last_one_takes_the_key() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("HSET h a 1 b 2", "2"),
        ("HPEXPIRE h 100 FIELDS 2 a none", "[1 -2]"),
        ("HPTTL h FIELDS 3 a b none", "[100 -1 -2]"),
        ("HTTL h FIELDS 1 a", "[1]"),
        ("HPEXPIRETIME h FIELDS 1 a", "[1700000000100]"),
        ("HEXPIRETIME h FIELDS 1 a", "[1700000000]"),
    ]);
    fixture.pass(100);
    fixture.expect(&[
        ("HGET h a", "nil"),
        ("HLEN h", "1"),
        ("HEXPIRE h 1 FIELDS 1 b", "[1]"),
    ]);
    fixture.pass(1000);
    fixture.expect(&[("HGETALL h", "[]"), ("EXISTS h", "0")]);
}

#[test]
fn conditions_guard_the_expiry_of_fields() {
    Fixture::new().expect(&[
        ("HSET h a 1 b 2", "2"),
        ("HEXPIRE h 100 XX FIELDS 1 a", "[0]"),
        ("HEXPIRE h 100 NX FIELDS 1 a", "[1]"),
        ("HEXPIRE h 50 GT FIELDS 2 a b", "[0 0]"),
        ("HEXPIRE h 50 LT FIELDS 2 a b", "[1 1]"),
        ("HEXPIRE h 0 FIELDS 1 a", "[2]"),
        ("HEXISTS h a", "0"),
        ("HEXPIRE none 10 FIELDS 1 a", "[-2]"),
        (
            "HEXPIRE h -1 FIELDS 1 b",
            "-ERR invalid expire time, must be >= 0",
        ),
        (
            "HEXPIRE h 1 FIELDS 2 b",
            "-ERR The `numfields` parameter must match the number of arguments",
        ),
        (
            "HEXPIRE h 1 FIELDS 0 b",
            "-ERR Parameter `numFields` should be greater than 0",
        ),
        ("HPERSIST h FIELDS 2 b a", "[1 -2]"),
        ("HPERSIST h FIELDS 1 b", "[-1]"),
    ]);
}

#[test]
fn writing_a_field_forgets_its_expiry_counting_does_not() {
    Fixture::new().expect(&[
        ("HSET h a 1", "1"),
        ("HEXPIRE h 10 FIELDS 1 a", "[1]"),
        ("HINCRBY h a 1", "2"),
        ("HTTL h FIELDS 1 a", "[10]"),
        ("HSET h a 5", "0"),
        ("HTTL h FIELDS 1 a", "[-1]"),
    ]);
}

#[test]
fn get_and_set_with_expiry_in_one_step() {
    Fixture::new().expect(&[
        ("HSETEX h EX 10 FIELDS 2 a 1 b 2", "1"),
        ("HTTL h FIELDS 2 a b", "[10 10]"),
        ("HSETEX h FNX FIELDS 1 a 9", "0"),
        ("HSETEX h FXX KEEPTTL FIELDS 1 a 9", "1"),
        ("HTTL h FIELDS 1 a", "[10]"),
        ("HGETEX h PERSIST FIELDS 2 a none", "[9 nil]"),
        ("HTTL h FIELDS 1 a", "[-1]"),
        ("HGETEX h PX 500 FIELDS 1 a", "[9]"),
        ("HPTTL h FIELDS 1 a", "[500]"),
        ("HGETDEL h FIELDS 3 a b none", "[9 2 nil]"),
        ("EXISTS h", "0"),
    ]);
}

#[test]
fn a_copy_keeps_the_expiry_of_fields() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("HSETEX h PX 50 FIELDS 1 a 1", "1"),
        ("HSET h b 2", "1"),
        ("COPY h copy", "1"),
        ("HPTTL copy FIELDS 2 a b", "[50 -1]"),
    ]);
    fixture.pass(60);
    fixture.engine.expire_some();
    fixture.expect(&[("HGETALL copy", "[b 2]"), ("HLEN h", "1")]);
}
