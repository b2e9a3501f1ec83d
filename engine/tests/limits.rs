//! Limits of one call: its time, its cancellation, the size of its replies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap is a failed test"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use restis_engine::{
    CallLimits, Caller, CancelToken, Dialect, Engine, Frame, Options, Reply, Sink,
};

const ENDLESS: &str = "while true do end";

fn code(reply: &Reply) -> &str {
    match reply {
        Reply::Error(error) => error.code(),
        _ => "",
    }
}

/// Far less than the five seconds a script has without a deadline.
const SOON: Duration = Duration::from_secs(3);

#[test]
fn all_commands_of_a_batch_share_its_deadline() {
    let engine = Engine::default();
    let begin = Instant::now();
    let limits = CallLimits::default().deadline(begin + Duration::from_millis(100));
    let mut commands = vec![vec!["SET", "before", "v"]];
    commands.extend(std::iter::repeat_n(vec!["EVAL", ENDLESS, "0"], 5));
    commands.push(vec!["SET", "after", "v"]);
    let mut replies = Vec::new();
    let call = engine.with_limits(limits);
    call.batch(&Caller::default(), &commands, |reply| replies.push(reply));
    assert!(begin.elapsed() < SOON);
    assert_eq!(replies[0], Reply::ok());
    assert!(
        replies[1..].iter().all(|reply| code(reply) == "BUSY"),
        "{replies:?}"
    );
    assert_eq!(engine.call(&["EXISTS", "before", "after"]), Reply::Int(1));
}

#[test]
fn what_has_not_begun_when_the_time_is_over_does_not_run() {
    let engine = Engine::default();
    let past = Instant::now()
        .checked_sub(Duration::from_millis(1))
        .unwrap();
    let call = engine.with_limits(CallLimits::default().deadline(past));
    assert_eq!(code(&call.call(&["SET", "k", "v"])), "BUSY");
    let load = "#!lua name=l\nredis.register_function('f', function() end)";
    assert_eq!(code(&call.call(&["FUNCTION", "LOAD", load])), "BUSY");
    assert_eq!(engine.call(&["EXISTS", "k"]), Reply::Int(0));
}

#[test]
fn a_cancelled_call_ends() {
    let engine = Engine::default();
    let cancel = CancelToken::default();
    let call = engine.with_limits(CallLimits::default().cancel(cancel.clone()));
    let begin = Instant::now();
    let scripts = std::thread::spawn(move || {
        let scripts = [["EVAL", ENDLESS, "0"]; 5];
        let mut replies = Vec::new();
        call.batch(&Caller::default(), scripts, |reply| replies.push(reply));
        replies
    });
    cancel.cancel();
    let replies = scripts.join().unwrap();
    assert!(begin.elapsed() < SOON);
    let wanted = "ERR the call was cancelled";
    let told =
        |reply: &Reply| matches!(reply, Reply::Error(error) if error.message().starts_with(wanted));
    assert!(replies.iter().all(told), "{replies:?}");
    assert_eq!(replies.len(), 5);
}

#[test]
fn a_reply_that_is_too_large_is_an_error_in_its_place() {
    let engine = Engine::default();
    engine.call(&["SET", "large", &"x".repeat(1000)]);
    engine.call(&["SET", "taken", &"x".repeat(1000)]);
    let call = engine.with_limits(CallLimits::default().reply_bytes(1200));
    let commands = [
        vec!["GET", "large"],
        vec!["INCR", "n"],
        vec!["GET", "large"],
        vec!["GETDEL", "taken"],
        vec!["INCR", "n"],
    ];
    let mut replies = Vec::new();
    call.batch(&Caller::default(), &commands, |reply| replies.push(reply));
    let told = |at: usize| match &replies[at] {
        Reply::Error(error) => error.message().to_owned(),
        reply => format!("{reply:?}"),
    };
    assert_eq!(replies[0], Reply::bulk("x".repeat(1000)));
    assert_eq!(replies[1], Reply::Int(1));
    assert_eq!(
        told(2),
        "ERR the reply of 1016 bytes does not fit the 168 bytes that are left for this call"
    );
    assert!(
        told(3).ends_with("; the command was executed"),
        "{}",
        told(3)
    );
    assert_eq!(replies[4], Reply::Int(2));
    let atomic = call
        .transaction(&Caller::default(), &commands[..3])
        .unwrap();
    assert!(atomic[2].is_error() && !atomic[1].is_error(), "{atomic:?}");
}

#[test]
fn a_pattern_that_takes_long_is_stopped() {
    let options = Options::default().script_time_limit(Duration::from_millis(50));
    let engine = Engine::new(options);
    for n in 0..20 {
        let key = format!("{}{n}", "a".repeat(32_000));
        assert!(!engine.call(&["SET", &key, "v"]).is_error());
    }
    let pattern = format!("*{}b", "a".repeat(16_000));
    let begin = Instant::now();
    for command in [vec!["KEYS", &pattern], vec!["SCAN", "0", "MATCH", &pattern]] {
        assert_eq!(code(&engine.call(&command)), "BUSY");
    }
    assert!(begin.elapsed() < SOON);
}

type Command = Vec<String>;

/// Commands that prepare, and one that would run for minutes. `{x}` is a text of 100,000 letters.
fn hostile() -> Vec<(&'static str, Vec<Command>, Command)> {
    let words = |line: &str| -> Vec<String> {
        let letters = "a".repeat(100_000);
        line.split(' ')
            .map(|word| word.replace("{x}", &letters).replace('_', " "))
            .collect()
    };
    let many = |line: &str, word: &str, count: usize| -> Vec<String> {
        let mut words = words(line);
        words.extend(std::iter::repeat_n(word.to_owned(), count));
        words
    };
    let members = |command: &str, per: &dyn Fn(usize) -> Vec<String>| -> Vec<String> {
        let mut words = words(command);
        words.extend((0..5_000).flat_map(per));
        words
    };
    let set = members("SADD s", &|n| vec![n.to_string()]);
    let zset = members("ZADD z", &|n| vec!["1".into(), n.to_string()]);
    let items = |item: &str| format!("[{}{item}]", format!("{item},").repeat(4_999));
    let json = |key: &str, text: String| vec!["JSON.SET".into(), key.into(), "$".into(), text];
    let index = words("SEARCH.CREATE i ON HASH PREFIX 1 p: SCHEMA t TEXT n U64 FAST");
    let docs: Vec<Vec<String>> = (0..300)
        .map(|n| words(&format!("HSET p:{n} t word{n}_common_text n {n}")))
        .collect();
    let searched = || [vec![index.clone()], docs.clone()].concat();
    let clauses = |clause: &str| {
        format!(
            "{{\"$or\":[{}{clause}]}}",
            format!("{clause},").repeat(20_000)
        )
    };
    let figures: Vec<String> = (0..20_000)
        .map(|n| format!("\"a{n}\":{{\"$avg\":{{\"field\":\"n\"}}}}"))
        .collect();
    let figures = format!("{{{}}}", figures.join(","));
    let query = |verb: &str, rest: &[&str]| -> Vec<String> {
        [&[verb, "i"], rest]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect()
    };
    vec![
        (
            "glob",
            (0..20)
                .map(|n| words(&format!("SET {}{n} v", "a".repeat(32_000))))
                .collect(),
            words(&format!("KEYS *{}b", "a".repeat(16_000))),
        ),
        (
            "glob of a scan",
            vec![words("HSET h {x}{x}{x}{x} v")],
            words("HSCAN h 0 MATCH *{x}{x}b"),
        ),
        ("glob of channels", vec![], words("CONFIG GET {x}")),
        ("inter", vec![set.clone()], many("SINTER s", "s", 50_000)),
        (
            "inter count",
            vec![set.clone()],
            many("SINTERCARD 50000", "s", 50_000),
        ),
        ("union", vec![set.clone()], many("SUNION s", "s", 50_000)),
        (
            "diff",
            vec![set.clone(), words("SADD e x")],
            many("SDIFF s", "e", 50_000),
        ),
        ("store", vec![set], many("SUNIONSTORE d s", "s", 50_000)),
        (
            "zunion",
            vec![zset.clone()],
            many("ZUNION 50000", "z", 50_000),
        ),
        (
            "zinter",
            vec![zset.clone()],
            many("ZINTERSTORE d 50000", "z", 50_000),
        ),
        (
            "zdiff",
            vec![zset, words("ZADD e 1 x")],
            [many("ZDIFF 50000 z", "e", 49_999)].concat(),
        ),
        (
            "bitop",
            vec![words("SETRANGE b 1000000 x")],
            many("BITOP AND d b", "b", 50_000),
        ),
        (
            "pfcount",
            vec![words("PFADD p a b c")],
            many("PFCOUNT p", "p", 500_000),
        ),
        (
            "pfmerge",
            vec![words("PFADD p a b c")],
            many("PFMERGE d p", "p", 500_000),
        ),
        (
            "paths",
            vec![json("j", items("[1,2]"))],
            many("JSON.GET j", "$..*", 20_000),
        ),
        (
            "path",
            vec![json("j", items("[1,2]"))],
            words("JSON.GET j $..*..*..*..*[?(@==@)]"),
        ),
        (
            "filter",
            vec![json("j", items(&format!("\"{}\"", "a".repeat(1_000))))],
            vec![
                "JSON.GET".into(),
                "j".into(),
                format!("$[?(@=~\"(a|aa|aaa|a.a)*{}b\")]", ".".repeat(300)),
            ],
        ),
        (
            "documents",
            vec![json("j", items("[1,2]"))],
            [many("JSON.MGET", "j", 200_000), vec!["$..*".into()]].concat(),
        ),
        (
            "pairs",
            vec![],
            [
                words("JSON.MSET"),
                (0..40_000)
                    .flat_map(|n| [format!("k{n}"), "$".into(), "1".into()])
                    .collect(),
            ]
            .concat(),
        ),
        (
            "indent",
            vec![json("j", items("[1]"))],
            words("JSON.GET j INDENT {x}"),
        ),
        (
            "grep",
            vec![words("ARSET a 0 {x}{x}{x}")],
            words("ARGREP a - + MATCH {x}{x}b"),
        ),
        (
            "grep by pattern",
            vec![words("ARSET a 0 {x}{x}{x}")],
            words("ARGREP a - + RE (a|aa){900}b"),
        ),
        (
            "streams",
            vec![words("XADD s * f {x}")],
            [many("XREAD STREAMS", "s", 50_000), vec!["0".into(); 50_000]].concat(),
        ),
        (
            "clauses",
            searched(),
            query("SEARCH.COUNT", &[&clauses("{\"t\":\"common\"}")]),
        ),
        (
            "phrases",
            searched(),
            query(
                "SEARCH.COUNT",
                &[&clauses("{\"t\":{\"$phrase\":\"common text\"}}")],
            ),
        ),
        (
            "fuzzy",
            searched(),
            query(
                "SEARCH.COUNT",
                &[&clauses("{\"t\":{\"$fuzzy\":\"comon\"}}")],
            ),
        ),
        (
            "regex",
            searched(),
            query("SEARCH.COUNT", &[&clauses("{\"t\":{\"$regex\":\".*x\"}}")]),
        ),
        (
            "figures",
            searched(),
            query("SEARCH.AGGREGATE", &["{}", &figures]),
        ),
    ]
}

/// How much processor time a command takes that has 50 ms: no more than this, also unoptimised.
const STOPPED: Duration = Duration::from_secs(2);

/// Time that this thread has had a processor: other work of a busy machine does not count. Where
/// the system does not tell, what a clock shows.
fn worked(since: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = text.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

#[test]
fn no_command_runs_for_long() {
    let mut slow = Vec::new();
    for (name, prepare, command) in hostile() {
        let options = Options::default().script_time_limit(Duration::from_millis(50));
        let engine = Engine::new(options);
        for line in prepare {
            let reply = engine.call(&line);
            assert!(!reply.is_error(), "{name}: {reply:?}");
        }
        let begin = Instant::now();
        let before = worked(begin);
        let reply = engine.call(&command);
        let took = worked(begin).saturating_sub(before);
        let told = match &reply {
            Reply::Error(error) => error.message().chars().take(100).collect(),
            reply => format!("{} bytes", reply.size()),
        };
        if took > STOPPED {
            slow.push(format!("{name}: {took:?}, {told}"));
        }
        assert_eq!(engine.call(&["PING"]), Reply::simple("PONG"));
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[test]
fn sort_ends_when_its_time_is_over() {
    let options = Options::default().script_time_limit(Duration::ZERO);
    let engine = Engine::new(options).with_dialect(Dialect::Redis);
    for start in (0..200_000).step_by(1000) {
        let numbers = (start..start + 1000).map(|number: u32| number.to_string());
        let command = ["RPUSH".to_owned(), "l".to_owned()].into_iter();
        engine.call(&command.chain(numbers).collect::<Vec<_>>());
    }
    for command in [
        "SORT l",
        "SORT l BY w:*",
        "SORT l BY none GET w:*->f STORE s",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let reply = engine.call(&words);
        assert!(
            matches!(&reply, Reply::Error(error) if error.code() == "BUSY"),
            "{command}"
        );
    }
    assert_eq!(engine.call(&["EXISTS", "s"]), Reply::Int(0));
    let reply = engine.call(&["SORT", "l", "BY", "none", "LIMIT", "7", "1"]);
    assert_eq!(reply, Reply::array([Reply::bulk("7")]));
}

/// Cancels a call when a message arrives, in the middle of what publishes it.
struct CancelOnMessage(CancelToken);

impl Sink for CancelOnMessage {
    fn push(&self, frame: Frame) -> bool {
        if matches!(frame, Frame::Message { .. }) {
            self.0.cancel();
        }
        true
    }
}

#[test]
fn what_has_written_is_not_left_half_done_when_its_client_leaves() {
    const SCRIPT: &str = "redis.call('SET', 'a', '1') redis.call('PUBLISH', 'ch', 'm') \
                          for i = 1, 2000000 do end redis.call('SET', 'b', '2') return 'done'";
    let publishing = |commands: &[Vec<&str>]| {
        let engine = Engine::default();
        let cancel = CancelToken::default();
        let sink = Arc::new(CancelOnMessage(cancel.clone()));
        let _subscription = engine.subscribe(&["ch"], &[] as &[&str], sink);
        let call = engine.with_limits(CallLimits::default().cancel(cancel));
        let replies = call.transaction(&Caller::default(), commands).unwrap();
        // As Redis: once it has written, a script or a transaction runs to its end.
        assert_eq!(
            engine.call(&["MGET", "a", "b"]),
            Reply::array([Reply::bulk("1"), Reply::bulk("2")])
        );
        // What comes later is over.
        assert_eq!(code(&call.call(&["GET", "a"])), "ERR");
        replies
    };
    let commands = [
        vec!["SET", "a", "1"],
        vec!["PUBLISH", "ch", "m"],
        vec!["SET", "b", "2"],
    ];
    assert_eq!(publishing(&commands)[2], Reply::ok());
    assert_eq!(
        publishing(&[vec!["EVAL", SCRIPT, "0"]]),
        [Reply::bulk("done")]
    );
}

#[test]
fn lcs_takes_no_more_memory_than_in_redis() {
    let engine = Engine::default().with_dialect(Dialect::Redis);
    let text = "x".repeat(12_000);
    engine.call(&["MSET", "a", &text, "b", &text, "c", "axbxc"]);
    let reply = engine.call(&["LCS", "a", "b", "LEN"]);
    assert!(
        matches!(&reply, Reply::Error(error) if error.message().contains("proto-max-bulk-len"))
    );
    assert_eq!(engine.call(&["LCS", "a", "c"]), Reply::bulk("xx"));
}
