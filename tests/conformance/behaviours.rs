//! What holds for every Redis: async functions on a client of an empty database.

use std::collections::{BTreeMap, HashMap, HashSet};

use restis::{HashRecord, Json, prelude::*};

pub(crate) async fn strings(redis: &Redis) {
    redis.set("greeting", "hello").await.unwrap();
    assert_eq!(
        redis.get::<String>("greeting").await.unwrap().as_deref(),
        Some("hello")
    );
    assert_eq!(redis.get::<String>("missing").await.unwrap(), None);
    assert_eq!(redis.append("greeting", " you").await.unwrap(), 9);
    assert_eq!(redis.strlen("greeting").await.unwrap(), 9);
    assert!(!redis.setnx("greeting", "x").await.unwrap());
    let all: Vec<Option<String>> = redis.mget(["greeting", "missing"]).await.unwrap();
    assert_eq!(all, [Some("hello you".to_owned()), None]);
    assert_eq!(
        redis.getdel::<String>("greeting").await.unwrap().as_deref(),
        Some("hello you")
    );
    assert_eq!(redis.exists(["greeting"]).await.unwrap(), 0);
}

pub(crate) async fn text_survives(redis: &Redis) {
    for value in [
        "",
        "OK",
        "8",
        "null",
        "true",
        "\"",
        "\\",
        "a\nb\r\tc\u{1}",
        "zażółć 🦀",
        "T0s=",
    ] {
        redis.set("k", value).await.unwrap();
        assert_eq!(
            redis.get::<String>("k").await.unwrap().as_deref(),
            Some(value)
        );
        redis.del(["l"]).await.unwrap();
        redis.rpush("l", [value, value]).await.unwrap();
        let list: Vec<String> = redis.lrange("l", 0, -1).await.unwrap();
        assert_eq!(list, [value, value]);
    }
}

pub(crate) async fn every_byte_survives(redis: &Redis) {
    let bytes: Vec<u8> = (0..=255).collect();
    redis.set("k", &bytes).await.unwrap();
    assert_eq!(
        redis.get::<Vec<u8>>("k").await.unwrap().as_ref(),
        Some(&bytes)
    );
    redis.set(&bytes, "v").await.unwrap();
    assert_eq!(
        redis.get::<String>(&bytes).await.unwrap().as_deref(),
        Some("v")
    );
    redis
        .hset("h", [(&bytes[128..], &bytes[..])])
        .await
        .unwrap();
    let hash: HashMap<Vec<u8>, Vec<u8>> = redis.hgetall("h").await.unwrap();
    assert_eq!(hash.get(&bytes[128..]), Some(&bytes));
    let error = redis.get::<String>("k").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.command()),
        (ErrorKind::Decode, Some("GET"))
    );
}

pub(crate) async fn numbers_are_exact(redis: &Redis) {
    for n in [0, -1, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1] {
        redis.set("n", n).await.unwrap();
        assert_eq!(redis.get::<i64>("n").await.unwrap(), Some(n));
        assert_eq!(redis.incrby("n", 0).await.unwrap(), n);
    }
    redis.set("big", u64::MAX).await.unwrap();
    assert_eq!(redis.get::<u64>("big").await.unwrap(), Some(u64::MAX));
    redis.set("huge", i128::MIN).await.unwrap();
    assert_eq!(redis.get::<i128>("huge").await.unwrap(), Some(i128::MIN));
    for f in [0.1, -2.5e-300, f64::MAX, 1e17, 3.0] {
        redis.set("f", f).await.unwrap();
        assert_eq!(redis.get::<f64>("f").await.unwrap(), Some(f));
        redis.zadd("z", [(f, "m")]).await.unwrap();
        assert_eq!(redis.zscore("z", "m").await.unwrap(), Some(f));
    }
    redis.zadd("z", [(f64::INFINITY, "m")]).await.unwrap();
    assert_eq!(redis.zscore("z", "m").await.unwrap(), Some(f64::INFINITY));
}

pub(crate) async fn json_values(redis: &Redis) {
    let value: BTreeMap<String, Vec<u32>> = [("a".to_owned(), vec![1, 2])].into();
    redis.set("j", Json(&value)).await.unwrap();
    let back: Option<Json<BTreeMap<String, Vec<u32>>>> = redis.get("j").await.unwrap();
    assert_eq!(back.unwrap().0, value);
    let error = redis.get::<Json<Vec<u32>>>("j").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

pub(crate) async fn structs_in_hashes(redis: &Redis) {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct User {
        name: String,
        credit: i128,
        weight: f64,
        roles: Json<Vec<String>>,
        email: Option<String>,
    }
    let user = User {
        name: "Zo\u{eb}".into(),
        credit: i128::MIN,
        weight: f64::NEG_INFINITY,
        roles: Json(vec!["admin".into()]),
        email: None,
    };
    redis
        .hset("user", HashRecord(&user).fields().unwrap())
        .await
        .unwrap();
    let back: Option<HashRecord<User>> = redis.hgetall("user").await.unwrap();
    assert_eq!(back, Some(HashRecord(user)));
    let none: Option<HashRecord<User>> = redis.hgetall("nobody").await.unwrap();
    assert_eq!(none, None);
    redis.hset("user", [("roles", "[1]")]).await.unwrap();
    let error = redis.hgetall::<HashRecord<User>>("user").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot decode reply in HGETALL at roles: expected JSON of the type at [0]"
    );
    let error = redis
        .hgetall::<HashMap<String, i128>>("user")
        .await
        .unwrap_err();
    assert_eq!(error.command(), Some("HGETALL"));
}

pub(crate) async fn hashes_sets_and_sorted_sets(redis: &Redis) {
    assert_eq!(redis.hset("h", [("a", 1), ("b", 2)]).await.unwrap(), 2);
    let hash: BTreeMap<String, i64> = redis.hgetall("h").await.unwrap();
    assert_eq!(hash, [("a".to_owned(), 1), ("b".to_owned(), 2)].into());
    assert_eq!(redis.hincrby("h", "a", 4).await.unwrap(), 5);
    let none: HashMap<String, String> = redis.hgetall("none").await.unwrap();
    assert!(none.is_empty());
    redis.sadd("s", ["x", "y", "x"]).await.unwrap();
    let members: HashSet<String> = redis
        .smembers::<String>("s")
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(members, ["x".to_owned(), "y".to_owned()].into());
    redis.zadd("z", [(2.5, "b"), (-1.0, "a")]).await.unwrap();
    assert_eq!(redis.zrank("z", "b").await.unwrap(), Some(1));
    let popped: Pairs<String, f64> = redis.zpopmin("z", 5).await.unwrap();
    assert_eq!(popped.0, [("a".to_owned(), -1.0), ("b".to_owned(), 2.5)]);
}

pub(crate) async fn streams(redis: &Redis) {
    let first = redis.xadd("x", [("f", "1"), ("g", "2")]).await.unwrap();
    let second = redis.xadd("x", [("f", "3")]).await.unwrap();
    let entries = redis
        .xrange::<Pairs<String, i64>>("x", "-", "+", None)
        .await
        .unwrap();
    assert_eq!(
        entries.iter().map(|e| &e.id).collect::<Vec<_>>(),
        [&first, &second]
    );
    assert_eq!(
        entries[0].fields.0,
        [("f".to_owned(), 1), ("g".to_owned(), 2)]
    );
    assert_eq!(redis.xlen("x").await.unwrap(), 2);
}

pub(crate) async fn errors_have_their_codes(redis: &Redis) {
    redis.set("s", "text").await.unwrap();
    let wrong = redis.lpush("s", ["x"]).await.unwrap_err();
    assert_eq!(
        (wrong.kind(), wrong.code()),
        (ErrorKind::WrongType, Some("WRONGTYPE"))
    );
    assert_eq!(
        (wrong.command(), wrong.delivery()),
        (Some("LPUSH"), Delivery::Executed)
    );
    let text = redis.incr("s").await.unwrap_err();
    assert_eq!((text.kind(), text.code()), (ErrorKind::Server, Some("ERR")));
    assert!(!text.is_unavailable());
}

pub(crate) async fn a_pipeline_keeps_order_and_errors_apart(redis: &Redis) {
    let mut p = redis.pipeline();
    let set = p.set("k", "v");
    let wrong = p.incr("k");
    let get = p.get::<String>("k");
    let none = p.get::<String>("missing");
    let mut replies = p.exec().await.unwrap();
    replies.take(set).unwrap();
    assert_eq!(replies.take(wrong).unwrap_err().command(), Some("INCR"));
    assert_eq!(replies.take(get).unwrap().as_deref(), Some("v"));
    assert_eq!(replies.take(none).unwrap(), None);
    let again = replies.take(get).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::InvalidInput);
    let other = redis
        .pipeline()
        .exec()
        .await
        .unwrap()
        .take(get)
        .unwrap_err();
    assert_eq!(other.kind(), ErrorKind::InvalidInput);
}

pub(crate) async fn concurrent_commands_keep_their_order(redis: &Redis) {
    let (set, get, incr, wrong, last) = futures_util::future::join5(
        redis.set("a", "1").into_future(),
        redis.get::<String>("a").into_future(),
        redis.incr("a").into_future(),
        redis.lpush("a", ["x"]).into_future(),
        redis.get::<i64>("a").into_future(),
    )
    .await;
    set.unwrap();
    assert_eq!(get.unwrap().as_deref(), Some("1"));
    assert_eq!(incr.unwrap(), 2);
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(last.unwrap(), Some(2));
}

pub(crate) async fn a_transaction_runs_all_or_nothing(redis: &Redis) {
    let mut t = redis.transaction();
    let (a, wrong, b) = (t.set("t", "1"), t.lpush("t", ["x"]), t.incr("t"));
    let mut replies = t.exec().await.unwrap();
    replies.take(a).unwrap();
    assert_eq!(
        replies.take(wrong).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    assert_eq!(replies.take(b).unwrap(), 2);
    let mut t = redis.transaction();
    let _ = t.set("t", "9");
    let _ = t.add(restis::Command::<()>::new("NOSUCHCOMMAND"));
    let error = t.exec().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Discarded, "{error}");
    assert_eq!(redis.get::<i64>("t").await.unwrap(), Some(2), "nothing ran");
}

pub(crate) async fn scripts(redis: &Redis) {
    let script = Script::from_text("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}");
    for n in 1..=2 {
        let reply: (String, i64, i64) = script.key("c").arg(7).run(redis).await.unwrap();
        assert_eq!(reply, ("c".to_owned(), 7, n));
    }
    let locking = Script::new("return redis.call('GET', KEYS[1])").key_locking();
    assert_eq!(locking.key("c").run::<i64>(redis).await.unwrap(), 2);
    let calls = (0..20).map(|_| script.key("c").arg(7).run::<(String, i64, i64)>(redis));
    let all = futures_util::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok));
    let failing = Script::new("return redis.error_reply('MINE no')");
    let error = failing.call().run::<()>(redis).await.unwrap_err();
    assert_eq!(error.code(), Some("MINE"), "{error}");
}

pub(crate) async fn many_concurrent_commands(redis: &Redis) {
    let calls = (0..3000).map(|i| async move {
        redis.set(format!("k{i}"), i).await?;
        redis.get::<i64>(format!("k{i}")).await
    });
    let all = futures_util::future::join_all(calls).await;
    for (i, value) in all.into_iter().enumerate() {
        assert_eq!(value.unwrap(), Some(i as i64));
    }
    let requests = redis.metrics().snapshot().requests;
    assert!(requests < 40, "{requests}");
}

pub(crate) async fn a_large_value(redis: &Redis) {
    let value: Vec<u8> = (0..2_000_000_u32).map(|i| b'a' + (i % 23) as u8).collect();
    redis.set("large", &value).await.unwrap();
    assert_eq!(redis.get::<Vec<u8>>("large").await.unwrap(), Some(value));
    // Not text, and not at the end.
    let value = vec![0xfe; 200_000];
    let options = SetOptions::new()
        .nx()
        .ex(std::time::Duration::from_secs(60));
    let set = redis.set_with("long", &value, options).await.unwrap();
    assert_eq!(set, SetOutcome::Set);
    assert_eq!(redis.get::<Vec<u8>>("long").await.unwrap(), Some(value));
    assert!((1..=60).contains(&redis.ttl("long").await.unwrap()));
}

pub(crate) async fn scans_find_everything_once(redis: &Redis) {
    let items: Vec<_> = (0..500).map(|i| (format!("scan:{i}"), i)).collect();
    redis.mset(items).await.unwrap();
    let options = ScanOptions::new().matching("scan:*").count(50);
    let mut seen = redis
        .scan_iter::<String>(options.clone())
        .all()
        .await
        .unwrap();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 500);
    redis
        .zadd("z", (0..300).map(|i| (f64::from(i), format!("m{i}"))))
        .await
        .unwrap();
    let options = ScanOptions::new().count(50);
    let scores: HashMap<String, f64> = redis
        .zscan_iter("z", options)
        .all()
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!((scores.len(), scores["m7"]), (300, 7.0));
    for i in 0..25 {
        redis.xadd("entries", [("i", i)]).await.unwrap();
    }
    let entries = redis
        .xrange_iter::<Pairs<String, i64>>("entries", "-", "+", 10)
        .all()
        .await
        .unwrap();
    let numbers: Vec<_> = entries.iter().map(|e| e.fields.0[0].1).collect();
    assert_eq!(numbers, (0..25).collect::<Vec<_>>());
    let wrong = redis
        .sscan_iter::<String>("z", ScanOptions::new())
        .all()
        .await
        .unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
}

/// Hands the names of all behaviours to a macro.
macro_rules! behaviours {
    ($macro:ident) => {
        $macro! {
            strings,
            text_survives,
            every_byte_survives,
            numbers_are_exact,
            json_values,
            structs_in_hashes,
            hashes_sets_and_sorted_sets,
            streams,
            errors_have_their_codes,
            a_pipeline_keeps_order_and_errors_apart,
            concurrent_commands_keep_their_order,
            a_transaction_runs_all_or_nothing,
            scripts,
            many_concurrent_commands,
            a_large_value,
            scans_find_everything_once,
            every_form_of_a_geo_search_agrees,
            forms_without_an_option_leave_things_alone,
            a_group_starts_where_it_is_told,
            bytes_in_names_survive,
            the_fields_of_an_entry_become_any_type,
            a_stream_is_told_in_full,
            iterators_find_every_page,
            a_section_of_info_lists_its_fields,
        }
    };
}
pub(crate) use behaviours;
