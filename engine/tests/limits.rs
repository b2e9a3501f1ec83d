//! Limits of one call: its time, its cancellation, the size of its replies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap is a failed test"
)]

use std::time::{Duration, Instant};

use restis_engine::{CallLimits, Caller, CancelToken, Engine, Options, Reply};

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
    engine.call(&["SET", &"a".repeat(1_000_000), "v"]);
    let pattern = format!("*{}b", "a".repeat(500_000));
    let begin = Instant::now();
    for command in [vec!["KEYS", &pattern], vec!["SCAN", "0", "MATCH", &pattern]] {
        assert_eq!(code(&engine.call(&command)), "BUSY");
    }
    assert!(begin.elapsed() < SOON);
}
