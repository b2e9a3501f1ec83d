//! Streams and consumer groups through commands.

mod shell;

use shell::Shell;

#[test]
fn entries_are_added_and_read() {
    Shell::new().script(
        "
        XADD s 1-1 a 1 => 1-1
        XADD s 1-1 a 1 => -ERR The ID specified in XADD is equal or smaller than the target stream top item
        XADD s 0-0 a 1 => -ERR The ID specified in XADD must be greater than 0-0
        XADD s 1-* b 2 c 3 => 1-2
        XADD s 5 b 2 => 5-0
        XADD s * x '' => 1000000-0
        XADD s * x y => 1000000-1
        XADD s abc b 2 => -ERR Invalid stream ID specified as stream command argument
        XADD s * b => -ERR wrong number of arguments for 'xadd' command
        XADD t NOMKSTREAM * a b => nil
        EXISTS t => :0
        XADD t 0-0 a b => -ERR The ID specified in XADD must be greater than 0-0
        EXISTS t => :0
        XLEN s => :5
        XRANGE s - + COUNT 2 => [[1-1, [a, 1]], [1-2, [b, 2, c, 3]]]
        XRANGE s (1-1 5 => [[1-2, [b, 2, c, 3]], [5-0, [b, 2]]]
        XREVRANGE s 5 (1-1 => [[5-0, [b, 2]], [1-2, [b, 2, c, 3]]]
        XRANGE s - + COUNT 0 => nil[]
        XRANGE none - + => []
        XREAD COUNT 1 STREAMS s none 1-2 0 => [[s, [[5-0, [b, 2]]]]]
        XREAD STREAMS s $ => nil[]
        XREAD STREAMS s + => [[s, [[1000000-1, [x, y]]]]]
        XREAD BLOCK 100 STREAMS s 1000000-1 => nil[]
        XREAD STREAMS s => -ERR wrong number of arguments for 'xread' command
        XREAD STREAMS s 0 1 => -ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.
        XDEL s 1-2 9-9 => :1
        SET k v
        XADD k * a b => -WRONGTYPE Operation against a key holding the wrong kind of value
        XREAD STREAMS s k 0 0 => -WRONGTYPE Operation against a key holding the wrong kind of value
        TYPE s => +stream
    ",
    );
}

#[test]
fn approximate_trimming_waits_for_a_surplus_of_a_node_and_is_close_then() {
    let shell = Shell::new();
    for n in 1..=110 {
        shell.run(&format!("XADD s {n} f v"));
    }
    shell.script(
        "
        XADD s MAXLEN ~ 30 111 f v => 111-0
        XLEN s => :111
        XTRIM s MAXLEN ~ 30 => :0
        XTRIM s MINID ~ 82 => :0
        XADD s MAXLEN ~ 11 112 f v => 112-0
        XLEN s => :11
        XTRIM s MAXLEN ~ 5 => :0
        XADD s MAXLEN = 3 113 f v => 113-0
        XLEN s => :3
        XTRIM s MINID 113 => :2
        XTRIM s MAXLEN 0 => :1
        XLEN s => :0
        EXISTS s => :1
        XTRIM s MAXLEN 5 LIMIT 3 => -ERR syntax error, LIMIT cannot be used without the special ~ option
        XTRIM s LIMIT 3 => -ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
        XTRIM s MAXLEN -1 => -ERR The MAXLEN argument must be >= 0.
        XTRIM s MAXLEN 1 MINID 1 => -ERR syntax error, MAXLEN and MINID options at the same time are not compatible
        XTRIM none MAXLEN 1 => :0
    ",
    );
}

#[test]
fn groups_deliver_each_entry_once() {
    let shell = Shell::new();
    shell.script(
        "
        XGROUP CREATE s g 0 => -ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
        XGROUP CREATE s g $ MKSTREAM => +OK
        XGROUP CREATE s g 0 => -BUSYGROUP Consumer Group name already exists
        XADD s 1 n 1
        XADD s 2 n 2
        XADD s 3 n 3
        XREADGROUP GROUP g alice COUNT 2 STREAMS s > => [[s, [[1-0, [n, 1]], [2-0, [n, 2]]]]]
        XREADGROUP GROUP g bob STREAMS s > => [[s, [[3-0, [n, 3]]]]]
        XREADGROUP GROUP g bob STREAMS s > => nil[]
        XPENDING s g => [:3, 1-0, 3-0, [[alice, 2], [bob, 1]]]
        XACK s g 1-0 9-0 => :1
        XPENDING s g - + 10 alice => [[2-0, alice, :0, :1]]
        XDEL s 2-0 => :1
        XREADGROUP GROUP g alice STREAMS s 0 => [[s, [[2-0, nil[]]]]]
        XREADGROUP GROUP g bob STREAMS s 0 => [[s, [[3-0, [n, 3]]]]]
        XPENDING s g - + 10 bob => [[3-0, bob, :0, :2]]
        XREADGROUP GROUP nog bob STREAMS s > => -NOGROUP No such key 's' or consumer group 'nog' in XREADGROUP with GROUP option
        XPENDING s nog => -NOGROUP No such key 's' or consumer group 'nog'
        XGROUP CREATECONSUMER s g carol => :1
        XGROUP CREATECONSUMER s g carol => :0
        XGROUP DELCONSUMER s g alice => :1
        XGROUP DELCONSUMER s g nobody => :0
        XGROUP SETID s g 0 => +OK
        XREADGROUP GROUP g carol STREAMS s > => [[s, [[1-0, [n, 1]], [3-0, [n, 3]]]]]
        XPENDING s g => [:2, 1-0, 3-0, [[carol, 2]]]
        XGROUP DESTROY s g => :1
        XGROUP DESTROY s g => :0
    ",
    );
}

#[test]
fn a_read_without_acknowledgement_leaves_no_consumer() {
    Shell::new().script(
        "
        XADD s 1 n 1
        XGROUP CREATE s g 0 => +OK
        XREADGROUP GROUP g c NOACK STREAMS s > => [[s, [[1-0, [n, 1]]]]]
        XINFO CONSUMERS s g => []
        XPENDING s g => [:0, nil, nil, nil[]]
        XINFO CONSUMERS s nog => []
        XINFO CONSUMERS none g => -ERR no such key
        XADD s 2 n 2
        XREADGROUP GROUP g c STREAMS s > => [[s, [[2-0, [n, 2]]]]]
        XINFO CONSUMERS s g => [[name, c, pending, :1, idle, :0, inactive, :0]]
    ",
    );
}

#[test]
fn idle_entries_are_claimed() {
    let shell = Shell::new();
    shell.script(
        "
        XADD s 1 n 1
        XADD s 2 n 2
        XADD s 3 n 3
        XGROUP CREATE s g 0 => +OK
        XREADGROUP GROUP g a STREAMS s >
        ",
    );
    shell.wait_ms(1000);
    shell.script(
        "
        XPENDING s g IDLE 500 - + 10 => [[1-0, a, :1000, :1], [2-0, a, :1000, :1], [3-0, a, :1000, :1]]
        XPENDING s g IDLE 1001 - + 10 => []
        XCLAIM s g b 1001 1-0 => []
        XCLAIM s g b 500 1-0 => [[1-0, [n, 1]]]
        XPENDING s g - + 1 => [[1-0, b, :0, :2]]
        XCLAIM s g b 0 2-0 IDLE 300 RETRYCOUNT 9 JUSTID => [2-0]
        XPENDING s g 2 2 1 => [[2-0, b, :300, :9]]
        XCLAIM s g b 0 7-0 FORCE => []
        XDEL s 3-0
        XAUTOCLAIM s g c 200 - COUNT 1 => [3-0, [[2-0, [n, 2]]], []]
        XAUTOCLAIM s g c 200 3-0 JUSTID => [0-0, [], [3-0]]
        XPENDING s g => [:2, 1-0, 2-0, [[b, 1], [c, 1]]]
        XCLAIM s nog b 0 1-0 => -NOGROUP No such key 's' or consumer group 'nog'
        XCLAIM s g b x 1-0 => -ERR Invalid min-idle-time argument for XCLAIM
        XCLAIM s g b 0 1-0 FOO => -ERR Unrecognized XCLAIM option 'FOO'
        XAUTOCLAIM s g c 0 0 COUNT 0 => -ERR COUNT must be > 0
    ",
    );
}

#[test]
fn deletion_respects_references_as_asked() {
    Shell::new().script(
        "
        XADD s 1 n 1
        XADD s 2 n 2
        XADD s 3 n 3
        XADD s 4 n 4
        XADD s 5 n 5
        XGROUP CREATE s g 0 => +OK
        XGROUP CREATE s h 0 => +OK
        XREADGROUP GROUP g a COUNT 4 STREAMS s >
        XREADGROUP GROUP h a COUNT 4 STREAMS s >
        XDELEX s IDS 1 1-0 => [:1]
        XPENDING s g - - 9 => []
        XPENDING s g - 1-0 9 => [[1-0, a, :0, :1]]
        XDELEX s DELREF IDS 2 2-0 9-0 => [:1, :-1]
        XPENDING s h - 2-0 9 => [[1-0, a, :0, :1]]
        XDELEX s ACKED IDS 2 3-0 5-0 => [:2, :2]
        XACKDEL s g ACKED IDS 1 3-0 => [:2]
        XACKDEL s h acked IDS 1 3-0 => [:1]
        XACKDEL s g DELREF IDS 1 4-0 => [:1]
        XPENDING s h => [:1, 1-0, 1-0, [[a, 1]]]
        XACKDEL s nog IDS 1 5-0 => [:-1]
        XACKDEL none g IDS 2 5-0 6-0 => [:-1, :-1]
        XDELEX none IDS 1 1-0 => [:-1]
        XDELEX s IDS 2 1-0 => -ERR The `numids` parameter must match the number of arguments
        XDELEX s IDS 0 1-0 => -ERR Number of IDs must be a positive integer
        XDELEX s FOO 1 1-0 => -ERR syntax error
        XLEN s => :1
        XADD s ACKED MAXLEN 1 6 n 6 => 6-0
        XLEN s => :2
        XTRIM s MAXLEN 0 KEEPREF => :2
    ",
    );
}

#[test]
fn info_tells_counters_and_lag() {
    Shell::new().script(
        "
        XADD s 1 a 1
        XADD s 2 a 2
        XADD s 3 a 3
        XGROUP CREATE s g 0 => +OK
        XREADGROUP GROUP g c COUNT 1 STREAMS s >
        XINFO GROUPS s => [[name, g, consumers, :1, pending, :1, last-delivered-id, 1-0, entries-read, :1, lag, :2]]
        XINFO STREAM s => [length, :3, radix-tree-keys, :1, radix-tree-nodes, :2, last-generated-id, 3-0, max-deleted-entry-id, 0-0, entries-added, :3, recorded-first-entry-id, 1-0, groups, :1, first-entry, [1-0, [a, 1]], last-entry, [3-0, [a, 3]]]
        XINFO STREAM s FULL COUNT 1 => [length, :3, radix-tree-keys, :1, radix-tree-nodes, :2, last-generated-id, 3-0, max-deleted-entry-id, 0-0, entries-added, :3, recorded-first-entry-id, 1-0, entries, [[1-0, [a, 1]]], groups, [[name, g, last-delivered-id, 1-0, entries-read, :1, lag, :2, pel-count, :1, pending, [[1-0, c, :1000000, :1]], consumers, [[name, c, seen-time, :1000000, active-time, :1000000, pel-count, :1, pending, [[1-0, :1000000, :1]]]]]]]
        XDEL s 2-0
        XINFO GROUPS s => [[name, g, consumers, :1, pending, :1, last-delivered-id, 1-0, entries-read, :1, lag, nil]]
        XSETID s 10-0 ENTRIESADDED 20 MAXDELETEDID 5-0 => +OK
        XADD s 10-0 a b => -ERR The ID specified in XADD is equal or smaller than the target stream top item
        XSETID s 2-0 => -ERR The ID specified in XSETID is smaller than the target stream top item
        XINFO FOO s => -ERR unknown subcommand 'FOO'. Try XINFO HELP.
        XINFO STREAM none => -ERR no such key
    ",
    );
}

#[test]
fn help_lists_the_subcommands() {
    Shell::new().script(
        "
        XINFO HELP => [STREAM <key> [FULL [COUNT <n>]] - a stream, GROUPS <key> - the groups of a stream, CONSUMERS <key> <group> - the consumers of a group, HELP - this message]
        XINFO HELP more => -ERR wrong number of arguments for 'xinfo|help' command
        XGROUP HELP more => -ERR wrong number of arguments for 'xgroup|help' command
    ",
    );
}

#[test]
fn a_consumer_gives_entries_back() {
    Shell::new().script(
        "
        XADD s 1-0 f a => 1-0
        XADD s 2-0 f b => 2-0
        XADD s 3-0 f c => 3-0
        XGROUP CREATE s g 0 => +OK
        XREADGROUP GROUP g c STREAMS s > => [[s, [[1-0, [f, a]], [2-0, [f, b]], [3-0, [f, c]]]]]
        XNACK s g FAIL IDS 2 1-0 2-0 => :2
        XPENDING s g - + 10 => [[1-0, , :-1, :1], [2-0, , :-1, :1], [3-0, c, :0, :1]]
        XPENDING s g IDLE 5 - + 10 => [[1-0, , :-1, :1], [2-0, , :-1, :1]]
        XPENDING s g => [:3, 1-0, 3-0, [[c, 1]]]
        XREADGROUP GROUP g c STREAMS s > => nil[]
        XREADGROUP GROUP g c STREAMS s 0 => [[s, [[3-0, [f, c]]]]]
        XCLAIM s g d 99999999999999 2-0 => [[2-0, [f, b]]]
        XAUTOCLAIM s g d 99999999999999 0 => [0-0, [[1-0, [f, a]]], []]
        XPENDING s g - + 10 d => [[1-0, d, :0, :2], [2-0, d, :0, :2]]
        XNACK s g SILENT IDS 1 1-0 => :1
        XNACK s g FATAL IDS 1 2-0 => :1
        XNACK s g FAIL IDS 2 3-0 9-9 RETRYCOUNT 5 => :1
        XPENDING s g - + 10 => [[1-0, , :-1, :1], [2-0, , :-1, :9223372036854775807], [3-0, , :-1, :5]]
        XCLAIM s g d 0 2-0 JUSTID => [2-0]
        XCLAIM s g d 0 2-0 => [[2-0, [f, b]]]
        XPENDING s g - + 10 d => [[2-0, d, :0, :9223372036854775807]]
        XACK s g 1-0 2-0 => :2
        XGROUP DELCONSUMER s g c => :0
        XACK s g 3-0 => :1
        XNACK s g FAIL IDS 2 1-0 7-7 FORCE => :1
        XNACK s g FATAL IDS 1 2-0 FORCE => :1
        XNACK s g SILENT FORCE RETRYCOUNT 4 IDS 1 3-0 => :1
        XPENDING s g - + 10 => [[1-0, , :-1, :0], [2-0, , :-1, :9223372036854775807], [3-0, , :-1, :4]]
        ",
    );
}

#[test]
fn giving_back_is_refused_when_malformed() {
    Shell::new().script(
        "
        XADD s 1-0 f a => 1-0
        XGROUP CREATE s g 0 => +OK
        XNACK s g LATER IDS 1 1-0 => -ERR mode must be SILENT, FAIL, or FATAL
        XNACK s g FAIL IDS 0 1-0 => -ERR Number of IDs must be a positive integer
        XNACK s g FAIL IDS 2 1-0 => -ERR The `numids` parameter must match the number of arguments
        XNACK s g FAIL IDS 1 abc => -ERR Invalid stream ID specified as stream command argument
        XNACK s g FAIL IDS 1 1-0 RETRYCOUNT -1 => -ERR Invalid RETRYCOUNT option argument for XNACK
        XNACK s g FAIL FORCE FORCE FORCE => -ERR syntax error
        XNACK s g FAIL IDS 1 1-0 2-0 => -ERR syntax error
        XNACK s none FAIL IDS 1 1-0 => -NOGROUP No such key 's' or consumer group 'none'
        XNACK s g FAIL IDS 1 1-0 => :0
        ",
    );
}
