use crate::Fixture;

#[test]
fn both_ends_push_and_pop() {
    Fixture::new().expect(&[
        ("RPUSH l b c", "2"),
        ("LPUSH l a z", "4"),
        ("LRANGE l 0 -1", "[z a b c]"),
        ("LPOP l", "z"),
        ("RPOP l 2", "[c b]"),
        ("LPOP l 0", "[]"),
        ("LPOP l -1", "-ERR value is out of range, must be positive"),
        ("LPOP l 5", "[a]"),
        ("LPOP l", "nil"),
        ("LPOP l 1", "nil[]"),
        ("EXISTS l", "0"),
        ("LPUSHX l a", "0"),
    ]);
}

#[test]
fn elements_are_reached_from_either_end() {
    Fixture::new().expect(&[
        ("RPUSH l a b c d", "4"),
        ("LINDEX l -1", "d"),
        ("LINDEX l 4", "nil"),
        ("LSET l -2 C", "+OK"),
        ("LSET l 9 x", "-ERR index out of range"),
        ("LSET none 0 x", "-ERR no such key"),
        ("LRANGE l -3 2", "[b C]"),
        ("LRANGE l 3 1", "[]"),
        ("LTRIM l 1 -2", "+OK"),
        ("LRANGE l 0 -1", "[b C]"),
        ("LTRIM l 5 9", "+OK"),
        ("EXISTS l", "0"),
    ]);
}

#[test]
fn insertion_finds_the_pivot() {
    Fixture::new().expect(&[
        ("RPUSH l a c", "2"),
        ("LINSERT l BEFORE c b", "3"),
        ("LINSERT l after c d", "4"),
        ("LINSERT l BEFORE x y", "-1"),
        ("LINSERT none BEFORE x y", "0"),
        ("LINSERT l BESIDE x y", "-ERR syntax error"),
        ("LRANGE l 0 -1", "[a b c d]"),
    ]);
}

#[test]
fn removal_counts_from_the_end_when_negative() {
    Fixture::new().expect(&[
        ("RPUSH l a x b x c x", "6"),
        ("LREM l -2 x", "2"),
        ("LRANGE l 0 -1", "[a x b c]"),
        ("RPUSH l x", "5"),
        ("LREM l 1 x", "1"),
        ("LRANGE l 0 -1", "[a b c x]"),
        ("LREM l 0 x", "1"),
        ("LREM l 0 x", "0"),
    ]);
}

#[test]
fn positions_honour_rank_count_and_maxlen() {
    Fixture::new().expect(&[
        ("RPUSH l a b c 1 2 3 c c", "8"),
        ("LPOS l c", "2"),
        ("LPOS l c RANK 2", "6"),
        ("LPOS l c RANK -1", "7"),
        ("LPOS l c COUNT 2", "[2 6]"),
        ("LPOS l c RANK -1 COUNT 2", "[7 6]"),
        ("LPOS l c COUNT 0 MAXLEN 7", "[2 6]"),
        ("LPOS l none", "nil"),
        ("LPOS l none COUNT 1", "[]"),
        ("LPOS l c COUNT -1", "-ERR COUNT can't be negative"),
    ]);
}

#[test]
fn moving_rotates_and_pops_from_the_first_list_that_has_something() {
    Fixture::new().expect(&[
        ("RPUSH l a b c", "3"),
        ("LMOVE l l LEFT RIGHT", "a"),
        ("LRANGE l 0 -1", "[b c a]"),
        ("RPOPLPUSH l other", "a"),
        ("LMOVE none other LEFT LEFT", "nil"),
        ("LMOVE l other UP LEFT", "-ERR syntax error"),
        ("LMPOP 2 none l RIGHT COUNT 5", "[l [c b]]"),
        ("LMPOP 1 none LEFT", "nil[]"),
        ("LMPOP 0 l LEFT", "-ERR numkeys should be greater than 0"),
        (
            "LMPOP 1 l LEFT COUNT 0",
            "-ERR count should be greater than 0",
        ),
        ("EXISTS l other", "1"),
    ]);
}
