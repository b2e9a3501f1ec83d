use crate::Fixture;

#[test]
fn values_are_set_read_and_deleted_by_index() {
    Fixture::new().expect(&[
        ("ARSET a 0 x y", "2"),
        ("ARSET a 1 Y z", "1"),
        ("ARMSET a 5 v 1000 w 5 V", "2"),
        ("TYPE a", "+array"),
        ("ARGET a 5", "V"),
        ("ARGET a 6", "nil"),
        ("ARMGET a 0 4 1000", "[x nil w]"),
        ("ARGETRANGE a 0 3", "[x Y z nil]"),
        ("ARGETRANGE a 2 0", "[z Y x]"),
        ("ARGETRANGE none 0 1", "[nil nil]"),
        ("ARCOUNT a", "5"),
        ("ARLEN a", "1001"),
        ("ARDEL a 1 1 99", "1"),
        ("ARDELRANGE a 0 2 2 0 1000 1000", "3"),
        ("ARCOUNT a", "1"),
        ("ARDEL a 5", "1"),
        ("EXISTS a", "0"),
        ("ARLEN a", "0"),
        ("ARCOUNT a", "0"),
        ("ARDEL a 0", "0"),
        ("ARGET a 0", "nil"),
    ]);
}

#[test]
fn values_are_appended_where_the_cursor_is() {
    Fixture::new().expect(&[
        ("ARNEXT a", "0"),
        ("ARSEEK a 5", "0"),
        ("ARINSERT a x y", "1"),
        ("ARSET a 7 z", "1"),
        ("ARDEL a 1", "1"),
        ("ARNEXT a", "2"),
        ("ARINSERT a w", "2"),
        ("ARSEEK a 10", "1"),
        ("ARINSERT a v", "10"),
        ("ARSEEK a 0", "1"),
        ("ARINSERT a X", "0"),
        ("ARGET a 0", "X"),
        ("ARLASTITEMS a 9", "[nil nil v X]"),
    ]);
}

#[test]
fn a_ring_keeps_the_latest() {
    Fixture::new().expect(&[
        ("ARRING r 3 a b c", "2"),
        ("ARRING r 3 d", "0"),
        ("ARLASTITEMS r 3", "[b c d]"),
        ("ARLASTITEMS r 2 REV", "[d c]"),
        ("ARLASTITEMS r 9", "[b c d]"),
        ("ARRING r 2 e", "0"),
        ("ARGETRANGE r 0 2", "[e d nil]"),
        ("ARRING r 5 f g h i j k", "2"),
        ("ARLASTITEMS r 5", "[g h i j k]"),
        ("ARLASTITEMS none 5", "[]"),
        ("ARRING r 0 x", "-ERR invalid ring size"),
    ]);
}

#[test]
fn what_is_there_is_scanned_and_searched() {
    Fixture::new().expect(&[
        ("ARMSET a 10 apple 1000 Apricot 5000 banana", "3"),
        (
            "ARSCAN a 0 10000",
            "[[10 apple] [1000 Apricot] [5000 banana]]",
        ),
        ("ARSCAN a 11 10000 LIMIT 1", "[[1000 Apricot]]"),
        ("ARSCAN a 10000 0 LIMIT 2", "[[5000 banana] [1000 Apricot]]"),
        ("ARSCAN none 0 1", "[]"),
        ("ARGREP a - + GLOB a*", "[10]"),
        ("ARGREP a - + GLOB a* NOCASE", "[10 1000]"),
        (
            "ARGREP a + - MATCH p WITHVALUES",
            "[[1000 Apricot] [10 apple]]",
        ),
        ("ARGREP a - + MATCH p RE t$ AND", "[1000]"),
        (
            "ARGREP a - + RE ^A NOCASE EXACT banana LIMIT 2",
            "[10 1000]",
        ),
        ("ARGREP a 0 4999 EXACT banana", "[]"),
        ("ARGREP a - + EXACT BANANA NOCASE", "[5000]"),
        ("ARGREP a - + NOCASE WITHVALUES", "-ERR syntax error"),
        ("ARGREP a - + RE (", "-ERR invalid regular expression"),
        (r"ARGREP a - + RE (a)\1", "-ERR invalid regular expression"),
        (
            "ARSCAN a 0 1 LIMIT 0",
            "-ERR value is out of range, must be positive",
        ),
    ]);
}

#[test]
fn ranges_are_added_up() {
    Fixture::new().expect(&[
        ("ARSET a 0 1 2.5 x 4", "4"),
        ("AROP a 0 9 SUM", "7.5"),
        ("AROP a 9 0 MIN", "1"),
        ("AROP a 0 9 max", "4"),
        ("AROP a 1 3 OR", "6"),
        ("AROP a 1 3 AND", "0"),
        ("AROP a 1 3 XOR", "6"),
        ("AROP a 0 9 USED", "4"),
        ("AROP a 0 9 MATCH x", "1"),
        ("AROP a 2 2 SUM", "nil"),
        ("AROP a 5 9 USED", "0"),
        ("AROP none 0 9 SUM", "nil"),
        ("AROP a 0 9 AVG", "-ERR syntax error"),
        ("AROP a 0 9 SUM MAX", "-ERR syntax error"),
    ]);
}

#[test]
fn indexes_go_to_the_end_of_64_bits() {
    Fixture::new().expect(&[
        ("ARSET a 18446744073709551613 x", "1"),
        ("ARLEN a", "18446744073709551614"),
        (
            "ARSCAN a 0 18446744073709551614",
            "[[18446744073709551613 x]]",
        ),
        ("ARSEEK a 18446744073709551613", "1"),
        ("ARNEXT a", "18446744073709551613"),
        ("ARINSERT a y z", "18446744073709551614"),
        ("ARNEXT a", "nil"),
        ("ARINSERT a w", "-ERR insert index overflow"),
        (
            "ARSET a 18446744073709551614 v w",
            "-ERR invalid array index",
        ),
        ("ARSET a 18446744073709551615 v", "-ERR invalid array index"),
        ("ARGET a -1", "-ERR invalid array index"),
        ("ARGET a +1", "-ERR invalid array index"),
        (
            "ARINSERT b",
            "-ERR wrong number of arguments for 'arinsert' command",
        ),
        (
            "ARMSET a 1 x 2",
            "-ERR wrong number of arguments for 'armset' command",
        ),
        (
            "ARGETRANGE a 0 1000000",
            "-ERR range exceeds maximum of 1000000 items",
        ),
        ("EXISTS b", "0"),
    ]);
}

#[test]
fn the_layout_is_told() {
    Fixture::new().expect(&[
        ("ARINFO a", "-ERR no such key"),
        ("ARINSERT a x y z", "2"),
        ("ARSET a 10000 w", "1"),
        (
            "ARINFO a",
            "[len 10001 count 4 slice-size 4096 slices 2 directory-size 2 super-dir-entries 0 next-insert-index 3]",
        ),
        (
            "ARINFO a FULL",
            "[len 10001 count 4 slice-size 4096 slices 2 directory-size 2 super-dir-entries 0 next-insert-index 3 \
             dense-slices 0 sparse-slices 2 avg-dense-size 0 avg-dense-fill 0 avg-sparse-size 2]",
        ),
    ]);
}
