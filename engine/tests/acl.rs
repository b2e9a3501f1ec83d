//! Users, their tokens and what they may do.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use restis_engine::{Caller, Engine, Reply};

fn error(reply: &Reply) -> &str {
    match reply {
        Reply::Error(error) => error.message(),
        other => panic!("not an error: {other:?}"),
    }
}

fn text(reply: Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("not a string: {other:?}"),
    }
}

fn with_user(rules: &[&str]) -> (Engine, Caller) {
    let engine = Engine::default();
    let command = [&["ACL", "SETUSER", "bob", "on"], rules].concat();
    assert_eq!(engine.call(&command), Reply::ok());
    (engine, Caller::user("bob"))
}

#[test]
fn a_token_opens_its_user_until_it_is_taken_away() {
    let engine = Engine::default();
    let token = text(engine.call(&["ACL", "GENTOKEN", "bob"]));
    assert_eq!(engine.caller_of_token(&token), None);
    let rule = format!(">{token}");
    assert_eq!(
        engine.call(&["ACL", "SETUSER", "bob", "on", &rule, "+get", "~*"]),
        Reply::ok()
    );
    assert_eq!(engine.caller_of_token(&token), Some(Caller::user("bob")));
    assert_eq!(
        text(engine.call(&["ACL", "RESTTOKEN", "bob", &token])),
        token
    );

    let other = text(engine.call(&["ACL", "GENTOKEN", "bob"]));
    assert_eq!(engine.caller_of_token(&other), None);
    engine.call(&["ACL", "SETUSER", "bob", "off"]);
    assert_eq!(engine.caller_of_token(&token), None);
    engine.call(&["ACL", "SETUSER", "bob", "on", &format!("<{token}")]);
    assert_eq!(engine.caller_of_token(&token), None);
}

#[test]
fn a_password_stands_for_the_token_made_from_it() {
    let engine = Engine::default();
    let token = text(engine.call(&["ACL", "GENTOKEN", "bob", "secret"]));
    engine.call(&["ACL", "SETUSER", "bob", "on", &format!(">{token}")]);
    assert_eq!(
        text(engine.call(&["ACL", "RESTTOKEN", "bob", "secret"])),
        token
    );
    assert_eq!(
        error(&engine.call(&["ACL", "RESTTOKEN", "bob", "wrong"])),
        "ERR Wrong password or user \"bob\" does not exist"
    );
    assert_eq!(
        error(&engine.call(&["ACL", "RESTTOKEN", "eve", "secret"])),
        "ERR Wrong password or user \"eve\" does not exist"
    );
}

#[test]
fn rules_that_upstash_refuses_are_refused_and_show_no_password() {
    let engine = Engine::default();
    let eve = text(engine.call(&["ACL", "GENTOKEN", "eve"]));
    for rule in [
        "nopass",
        ">plain",
        &format!(">{eve}"),
        "#00",
        "+client|list",
        "+nosuch",
        "+@nosuch",
        "zz",
        "(~a)",
        "%X~a",
    ] {
        let reply = engine.call(&["ACL", "SETUSER", "bob", rule]);
        let message = error(&reply);
        assert!(
            message.starts_with("ERR Error in ACL SETUSER modifier"),
            "{message}"
        );
        assert!(
            !message.contains("plain") && !message.contains(&eve),
            "{message}"
        );
    }
    assert!(error(&engine.call(&["ACL", "SETUSER", "default", "off"])).contains("default"));
    assert_eq!(engine.call(&["ACL", "GETUSER", "bob"]), Reply::Nil);
}

#[test]
fn a_failed_setuser_changes_nothing() {
    let (engine, _) = with_user(&["+get", "~a*"]);
    let before = engine.call(&["ACL", "GETUSER", "bob"]);
    assert!(
        engine
            .call(&["ACL", "SETUSER", "bob", "+set", "zz"])
            .is_error()
    );
    assert_eq!(engine.call(&["ACL", "GETUSER", "bob"]), before);
}

#[test]
fn commands_follow_the_last_rule_that_names_them() {
    let (engine, bob) = with_user(&["~*", "+@read", "-get", "+set"]);
    let run = |args: &[&str]| engine.call_as(&bob, args);
    assert_eq!(run(&["STRLEN", "k"]), Reply::Int(0));
    assert_eq!(run(&["SET", "k", "v"]), Reply::ok());
    assert_eq!(
        error(&run(&["GET", "k"])),
        "NOPERM this user has no permissions to run the 'get' command or its subcommand"
    );
    for refused in [
        &["DEL", "k"][..],
        &["ACL", "WHOAMI"],
        &["EVAL", "return 1", "0"],
        &["PING"],
    ] {
        assert!(error(&run(refused)).starts_with("NOPERM"), "{refused:?}");
    }
    engine.call(&["ACL", "SETUSER", "bob", "+@all", "-@dangerous"]);
    assert_eq!(text(run(&["GET", "k"])), "v");
    assert!(error(&run(&["FLUSHALL"])).starts_with("NOPERM"));
    assert!(error(&engine.call_as(&Caller::user("nobody"), &["GET", "k"])).starts_with("NOPERM"));
}

#[test]
fn keys_follow_patterns_for_reading_and_writing() {
    const KEY: &str =
        "NOPERM this user has no permissions to access one of the keys used as arguments";
    let (engine, bob) = with_user(&["+@all", "~own:*", "%R~read:*", "%W~write:*"]);
    let run = |args: &[&str]| engine.call_as(&bob, args);
    for allowed in [
        &["SET", "own:a", "1"][..],
        &["INCR", "own:a"],
        &["GET", "read:a"],
        &["SET", "write:a", "1"],
        &["COPY", "read:a", "write:b"],
        &["SUNIONSTORE", "write:s", "read:a", "own:s"],
        &["EVAL", "return redis.call('INCR', KEYS[1])", "1", "own:a"],
    ] {
        assert!(!run(allowed).is_error(), "{allowed:?} {:?}", run(allowed));
    }
    for refused in [
        &["GET", "other"][..],
        &["SET", "read:a", "1"],
        &["GET", "write:a"],
        &["INCR", "write:a"],
        &["SET", "write:a", "1", "GET"],
        &["MGET", "own:a", "other"],
        &["COPY", "write:a", "read:b"],
        &["EVAL", "return 1", "1", "other"],
    ] {
        assert_eq!(error(&run(refused)), KEY, "{refused:?}");
    }
}

#[test]
fn a_script_may_not_do_more_than_its_user() {
    let (engine, bob) = with_user(&["~own:*", "+eval", "+get"]);
    let run = |script: &str, key: &str| engine.call_as(&bob, &["EVAL", script, "1", key]);
    assert_eq!(
        run("return redis.call('GET', KEYS[1])", "own:a"),
        Reply::Nil
    );
    assert!(error(&run("return redis.call('SET', KEYS[1], 1)", "own:a")).starts_with("NOPERM"));
    assert!(error(&run("return redis.call('GET', 'other')", "own:a")).starts_with("NOPERM"));
    assert_eq!(
        run("return redis.acl_check_cmd('SET', 'own:a')", "own:a"),
        Reply::Nil
    );
    assert_eq!(
        run("return redis.acl_check_cmd('GET', 'own:a')", "own:a"),
        Reply::Int(1)
    );
}

#[test]
fn channels_follow_patterns() {
    let (engine, bob) = with_user(&["+publish", "+subscribe", "+psubscribe", "&news:*"]);
    assert_eq!(
        engine.call_as(&bob, &["PUBLISH", "news:a", "x"]),
        Reply::Int(0)
    );
    assert_eq!(
        error(&engine.call_as(&bob, &["PUBLISH", "other", "x"])),
        "NOPERM this user has no permissions to access one of the channels used as arguments"
    );
    let check = |channels: &[&str], patterns: &[&str]| {
        engine.check_channels(&bob, channels, patterns).is_ok()
    };
    assert!(check(&["news:a"], &["news:*"]));
    assert!(!check(&["news:a", "other"], &[]));
    assert!(!check(&[], &["news:a*"]));
    assert!(!check(&[], &["*"]));
}

#[test]
fn the_read_only_token_reads_and_sees_no_lists_of_keys() {
    let engine = Engine::default();
    engine.call(&["SET", "k", "v"]);
    let run = |args: &[&str]| engine.call_as(&Caller::read_only(), args);
    assert_eq!(text(run(&["GET", "k"])), "v");
    assert_eq!(
        run(&["EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "k"]),
        Reply::bulk("v")
    );
    for refused in [
        &["SET", "k", "v"][..],
        &["SCAN", "0"],
        &["KEYS", "*"],
        &["EVAL", "return 1", "0"],
        &["EVALSHA", "0000000000000000000000000000000000000000", "0"],
        &["FLUSHALL"],
        &["ACL", "LIST"],
        &["PUBLISH", "c", "x"],
        &["FUNCTION", "FLUSH"],
        &["CONFIG", "SET", "notify-keyspace-events", "KEA"],
        &["EVAL_RO", "return redis.call('SCAN', '0')", "0"],
    ] {
        assert!(error(&run(refused)).contains("NOPERM"), "{refused:?}");
    }
    assert!(
        engine
            .transaction(&Caller::read_only(), &[["DEL", "k"]])
            .is_err()
    );
}

#[test]
fn users_are_shown_in_the_words_they_were_made_with() {
    let (engine, _) = with_user(&["~a*", "%R~b*", "&ch*", "+@read", "-get", "+get"]);
    let line = "user bob on ~a* %R~b* resetchannels &ch* -@all +@read +get";
    let list = Reply::array([
        Reply::bulk(line),
        Reply::bulk("user default on nopass ~* &* +@all"),
    ]);
    assert_eq!(engine.call(&["ACL", "LIST"]), list);
    assert_eq!(
        engine.call(&["ACL", "USERS"]),
        Reply::array([Reply::bulk("bob"), Reply::bulk("default")])
    );
    let Reply::Array(fields) = engine.call(&["ACL", "GETUSER", "bob"]) else {
        panic!("no array")
    };
    assert_eq!(fields.len(), 10);
    assert_eq!(fields[5], Reply::bulk("-@all +@read +get"));
    assert_eq!(fields[7], Reply::bulk("~a* %R~b*"));
    assert_eq!(
        engine.call(&["ACL", "DELUSER", "bob", "eve"]),
        Reply::Int(1)
    );
    assert_eq!(engine.call(&["ACL", "GETUSER", "bob"]), Reply::Nil);
    assert_eq!(text(engine.call(&["ACL", "WHOAMI"])), "default");
    assert_eq!(engine.call(&["ACL", "LOG"]), Reply::empty());
    assert_eq!(engine.call(&["ACL", "LOG", "RESET"]), Reply::ok());
    assert_eq!(text(engine.call(&["ACL", "GENPASS"])).len(), 64);
    assert_eq!(text(engine.call(&["ACL", "GENPASS", "5"])).len(), 2);
}

#[test]
fn users_survive_a_snapshot() {
    let (engine, bob) = with_user(&["+@all", "-del", "%W~w*", "~own*", "&c"]);
    let token = text(engine.call(&["ACL", "GENTOKEN", "bob"]));
    engine.call(&["ACL", "SETUSER", "bob", &format!(">{token}")]);
    let mut file = Vec::new();
    engine.save(&mut file).unwrap();
    let restored = Engine::default();
    restored.load(&mut &file[..]).unwrap();
    assert_eq!(
        restored.call(&["ACL", "LIST"]),
        engine.call(&["ACL", "LIST"])
    );
    assert_eq!(restored.caller_of_token(&token), Some(bob.clone()));
    assert!(error(&restored.call_as(&bob, &["DEL", "own"])).starts_with("NOPERM"));
}

const INDEX: &str = "SEARCH.CREATE secrets ON HASH PREFIX 2 pub: secret: SCHEMA name TEXT n U64";

/// An engine with an index over keys that `bob` may and may not read.
fn with_index(rules: &[&str]) -> (Engine, Caller) {
    let (engine, bob) = with_user(rules);
    for line in [
        INDEX,
        "SEARCH.CREATE public ON HASH PREFIX 1 pub:a: SCHEMA name TEXT",
        "SEARCH.CREATE followed ON STREAM log SCHEMA name TEXT",
        "SEARCH.ALIASADD alias secrets",
        "HSET secret:1 name hidden n 1",
        "HSET pub:a:1 name shown",
    ] {
        let reply = engine.call(&line.split(' ').collect::<Vec<_>>());
        assert!(!reply.is_error(), "{line}: {reply:?}");
    }
    (engine, bob)
}

fn run(engine: &Engine, caller: &Caller, line: &str) -> Reply {
    engine.call_as(caller, &line.split(' ').collect::<Vec<_>>())
}

#[test]
fn an_index_tells_nothing_of_keys_that_the_caller_may_not_read() {
    // The names of indexes are keys, too: these are allowed.
    let rules = [
        "+@all",
        "~pub:*",
        "~secrets",
        "~public",
        "~followed",
        "~alias",
        "~mine",
    ];
    let (engine, bob) = with_index(&rules);
    for line in [
        "SEARCH.QUERY secrets {\"name\":\"hidden\"}",
        "SEARCH.QUERY alias {\"name\":\"hidden\"}",
        "SEARCH.COUNT secrets {\"name\":\"hidden\"}",
        "SEARCH.COUNT alias {}",
        "SEARCH.AGGREGATE secrets {} {\"all\":{\"$count\":{\"field\":\"n\"}}}",
        "SEARCH.DESCRIBE secrets",
        "SEARCH.WAITINDEXING secrets",
        "SEARCH.REINDEX secrets",
        "SEARCH.DROP secrets",
        "SEARCH.ALIASADD mine secrets",
        "SEARCH.ALIASDEL alias",
        "SEARCH.QUERY followed {}",
        "SEARCH.CREATE mine ON HASH PREFIX 1 secret: SCHEMA name TEXT",
        "SEARCH.CREATE mine ON HASH PREFIX 1 pub SCHEMA name TEXT",
        "SEARCH.CREATE mine ON HASH PREFIX 1 p SCHEMA name TEXT",
        "SEARCH.CREATE mine ON STREAM log SCHEMA name TEXT",
    ] {
        let reply = run(&engine, &bob, line);
        assert!(error(&reply).starts_with("NOPERM"), "{line}: {reply:?}");
    }
    let script = "return redis.call('SEARCH.COUNT', KEYS[1], '{}')";
    let reply = engine.call_as(&bob, &["EVAL", script, "1", "secrets"]);
    assert!(error(&reply).contains("NOPERM"), "{reply:?}");
    assert_eq!(run(&engine, &bob, "SEARCH.COUNT public {}"), Reply::Int(1));
    let create = "SEARCH.CREATE mine ON HASH PREFIX 2 pub:x: pub:y: SCHEMA name TEXT";
    assert_eq!(run(&engine, &bob, create), Reply::Int(1));
    let listed = format!("{:?}", run(&engine, &bob, "SEARCH.LISTINDEXES"));
    assert!(
        listed.contains("public") && !listed.contains("secrets"),
        "{listed}"
    );
    assert_eq!(run(&engine, &bob, "SEARCH.LISTALIASES"), Reply::empty());
    // Who may read everything sees everything.
    let all = Caller::read_only();
    assert_eq!(run(&engine, &all, "SEARCH.COUNT alias {}"), Reply::Int(2));
}

#[test]
fn a_key_that_may_only_be_written_is_not_read_through_an_index() {
    let (engine, bob) = with_index(&["+@all", "%W~secret:*", "~pub:*", "~secrets"]);
    let reply = run(&engine, &bob, "SEARCH.COUNT secrets {}");
    assert!(error(&reply).starts_with("NOPERM"), "{reply:?}");
    engine.call(&["ACL", "SETUSER", "bob", "%R~secret:*"]);
    assert_eq!(run(&engine, &bob, "SEARCH.COUNT secrets {}"), Reply::Int(2));
}

#[test]
fn notifications_of_keys_are_for_those_who_may_read_them() {
    let (engine, bob) = with_user(&["+@all", "allchannels", "~pub:*"]);
    let may = |channels: &[&str], patterns: &[&str]| {
        engine.check_channels(&bob, channels, patterns).is_ok()
    };
    assert!(may(&["news", "__keyspace@0__:pub:1"], &["news.*"]));
    assert!(may(&[], &["__keyspace@0__:pub:*"]));
    for channel in ["__keyspace@0__:secret:1", "__keyevent@0__:set"] {
        assert!(!may(&[channel], &[]), "{channel}");
    }
    for pattern in [
        "*",
        "__key*",
        "__keyspace@0__:*",
        "__keyevent@0__:*",
        "_?keyspace*",
    ] {
        assert!(!may(&[], &[pattern]), "{pattern}");
    }
    engine.call(&["ACL", "SETUSER", "bob", "allkeys"]);
    assert!(may(&["__keyevent@0__:set"], &["*"]));
}

#[test]
fn sort_reads_other_keys_only_for_those_who_may_read_all() {
    let (engine, bob) = with_user(&["+@all", "%R~list", "%W~out"]);
    let engine = engine.with_dialect(restis_engine::Dialect::Redis);
    engine.call(&["RPUSH", "list", "2", "1"]);
    engine.call(&["MSET", "w1", "9", "w2", "3"]);
    assert_eq!(
        run(&engine, &bob, "SORT list"),
        Reply::array([Reply::bulk("1"), Reply::bulk("2")])
    );
    for command in ["SORT list BY w*", "SORT_RO list GET w*", "SORT list GET #"] {
        let reply = run(&engine, &bob, command);
        assert!(
            error(&reply).contains("denied due to insufficient ACL permissions"),
            "{reply:?}"
        );
    }
    assert_eq!(run(&engine, &bob, "SORT list STORE out"), Reply::Int(2));
    for command in ["SORT out", "SORT list STORE list"] {
        let reply = run(&engine, &bob, command);
        assert!(error(&reply).starts_with("NOPERM"), "{reply:?}");
    }
    engine.call(&["ACL", "SETUSER", "bob", "%R~*"]);
    assert_eq!(
        run(&engine, &bob, "SORT list BY w*"),
        Reply::array([Reply::bulk("2"), Reply::bulk("1")])
    );
}
