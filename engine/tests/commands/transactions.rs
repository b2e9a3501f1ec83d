use restis_engine::{Caller, Reply};

use crate::{Fixture, show};

#[test]
fn a_runtime_error_is_one_reply_among_others() {
    let fixture = Fixture::new();
    let replies = fixture
        .engine
        .transaction(
            &Caller::default(),
            &[&["SET", "k", "v"][..], &["INCR", "k"], &["GET", "k"]],
        )
        .expect("the transaction is well formed");
    let shown: Vec<String> = replies.iter().map(show).collect();
    assert_eq!(
        shown,
        ["+OK", "-ERR value is not an integer or out of range", "v"]
    );
}

#[test]
fn a_malformed_command_discards_everything() {
    let fixture = Fixture::new();
    for bad in [&["NOPE"][..], &["GET"], &[], &["WATCH", "k"]] {
        let error = fixture
            .engine
            .transaction(&Caller::default(), &[&["SET", "k", "v"][..], bad])
            .expect_err("the transaction is malformed");
        assert_eq!(error.code(), "EXECABORT");
    }
    assert_eq!(fixture.run("EXISTS k"), "0");
}

#[test]
fn transactions_of_many_threads_do_not_mix() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let replies = fixture
                        .engine
                        .transaction(
                            &Caller::default(),
                            &[&["INCR", "n"][..], &["INCR", "n"], &["INCR", "n"]],
                        )
                        .expect("the transaction is well formed");
                    let Reply::Int(last) = replies[2] else {
                        panic!("INCR answers an integer");
                    };
                    assert_eq!(last % 3, 0);
                    assert_eq!(replies[0], Reply::Int(last - 2));
                }
            });
        }
    });
    assert_eq!(fixture.run("GET n"), "2400");
}

#[test]
fn a_batch_answers_every_command_in_order() {
    let fixture = Fixture::new();
    let commands: Vec<Vec<String>> = (0..500)
        .map(|n| match n % 100 {
            99 => vec![],
            _ => vec!["ECHO".to_owned(), n.to_string()],
        })
        .collect();
    let mut replies = Vec::new();
    fixture
        .engine
        .batch(&Caller::default(), &commands, |reply| {
            replies.push(show(&reply));
        });
    assert_eq!(replies.len(), 500);
    for (n, reply) in replies.iter().enumerate() {
        if n % 100 == 99 {
            assert_eq!(reply, "-ERR empty pipeline command");
        } else {
            assert_eq!(*reply, n.to_string());
        }
    }
}

#[test]
fn a_read_only_caller_reads_and_does_not_write() {
    let fixture = Fixture::new();
    fixture.run("SET k v");
    let caller = Caller::read_only();
    let run = |args: &[&str]| show(&fixture.engine.call_as(&caller, args));
    assert_eq!(run(&["GET", "k"]), "v");
    assert_eq!(run(&["PING"]), "+PONG");
    for args in [
        &["SET", "k", "x"][..],
        &["DEL", "k"],
        &["SCAN", "0"],
        &["KEYS", "*"],
    ] {
        let name = args[0].to_lowercase();
        assert_eq!(
            run(args),
            format!(
                "-NOPERM this user has no permissions to run the '{name}' command or its subcommand"
            )
        );
    }
}

#[test]
fn a_batch_without_end_lets_others_have_their_turn() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let fixture = Fixture::new();
    let (started, enough) = (AtomicBool::new(false), AtomicBool::new(false));
    let commands = std::iter::from_fn(|| {
        (!enough.load(Ordering::Acquire)).then_some(["INCR", "batch"].as_slice())
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !started.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            for _ in 0..20 {
                fixture.run("INCR other");
            }
            enough.store(true, Ordering::Release);
        });
        fixture.engine.batch(&Caller::default(), commands, |_| {
            started.store(true, Ordering::Release);
        });
    });
    assert_eq!(fixture.run("GET other"), "20");
}

#[test]
fn the_removal_of_a_key_that_was_due_when_it_was_watched_is_no_change() {
    for removal in ["DEL x", "FLUSHDB"] {
        let fixture = Fixture::new();
        fixture.run("SET x foo PX 1");
        fixture.pass(2);
        let watched = fixture.engine.watch(&["x"], None);
        fixture.run(removal);
        let outcome =
            fixture
                .engine
                .transaction_if_unchanged(&Caller::default(), Some(watched), &[["PING"]]);
        assert!(matches!(outcome, Ok(Some(_))), "{removal}: {outcome:?}");
    }
}
