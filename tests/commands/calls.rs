//! A call of every method, with every option.

use restis::{
    commands::{ArrayGrep, ArrayOp, VectorMetric, VectorProfile},
    prelude::*,
};

/// Queues every method at least once; handles are dropped, replies are read untyped.
pub(crate) fn queue(p: &mut Pipeline) {
    strings(p);
    collections(p);
    sorted_sets(p);
    streams(p);
    others(p);
    json_and_search(p);
    arrays_and_vectors(p);
    server(p);
}

fn strings(p: &mut Pipeline) {
    let _ = p.set("s", "1");
    let _ = p.set_with(
        "s",
        "1",
        SetOptions::new()
            .if_eq("1")
            .ex(std::time::Duration::from_millis(1500)),
    );
    let _ = p.set_with("s", "1", SetOptions::new().if_ne("2").keep_ttl());
    let _ = p.set_with(
        "s",
        "1",
        SetOptions::new()
            .xx()
            .expiry(Expiry::AtMillis(4_102_444_800_000)),
    );
    let _ = p.set_with("s", "1", SetOptions::new().if_digest_ne("0123456789abcdef"));
    let _ = p.set_get::<String>("s", "1", SetOptions::new().nx());
    let _ = p.append("s", "2");
    let _ = p.decr("s");
    let _ = p.decrby("s", 2);
    let digest = "0123456789abcdef";
    let _ = p.delex("other", DeleteCondition::Equals(b"x"));
    let _ = p.delex("other", DeleteCondition::Differs(b"x"));
    let _ = p.delex("other", DeleteCondition::DigestEquals(digest));
    let _ = p.delex("other", DeleteCondition::DigestDiffers(digest));
    let _ = p.delex("other", None);
    let _ = p.digest("s");
    let _ = p.get::<String>("s");
    let _ = p.getdel::<String>("none");
    let _ = p.getex::<String>("s", ExpiryChange::Persist);
    let _ = p.getex::<String>("s", ExpiryChange::Set(Expiry::AtSeconds(4_102_444_800)));
    let _ = p.getex::<String>("s", None);
    let _ = p.getrange::<String>("s", 0, -1);
    let _ = p.substr::<String>("s", 0, -1);
    let _ = p.getset::<String>("s", "5");
    let _ = p.incr("s");
    let _ = p.incrby("s", 3);
    let _ = p.incrbyfloat("s", 0.5);
    let _ = p.increx("counter", 1, IncrExOptions::new());
    let _ = p.increx_float("fraction", 0.5, IncrExOptions::new());
    let _ = p.mget::<String>(["s", "t"]);
    let _ = p.mset([("s", "1"), ("t", "2")]);
    let _ = p.msetex([("s", "1"), ("t", "2")], MSetExOptions::new());
    let _ = p.msetnx([("s", "1")]);
    let _ = p.psetex("s", 100_000, "1");
    let _ = p.setex("s", 100, "1");
    let _ = p.setnx("s", "1");
    let _ = p.setrange("s", 1, "x");
    let _ = p.strlen("s");
    let _ = p.bitcount("s");
    let _ = p.bitcount_range("s", (0, -1), BitUnit::Bit);
    let field = (BitEncoding::Unsigned(8), BitOffset::Field(1));
    let ops = BitFieldOps::new()
        .overflow(BitOverflow::Saturate)
        .get(field.0, field.1);
    let _ = p.bitfield(
        "s",
        ops.set(field.0, field.1, 5)
            .incrby(BitEncoding::Signed(5), BitOffset::Bit(3), 1),
    );
    let _ = p.bitfield_ro("s", [field]);
    for op in [
        BitOp::And,
        BitOp::Or,
        BitOp::Xor,
        BitOp::Diff,
        BitOp::Diff1,
        BitOp::AndOr,
        BitOp::One,
    ] {
        let _ = p.bitop(op, "b", ["s", "t"]);
    }
    let _ = p.bitop(BitOp::Not, "b", ["s"]);
    let _ = p.bitpos("s", true);
    let _ = p.bitpos_from("s", true, -2);
    let _ = p.bitpos_range("s", false, (0, -1, BitUnit::Byte));
    let _ = p.getbit("s", 3);
    let _ = p.setbit("s", 3, true);
}

fn collections(p: &mut Pipeline) {
    let _ = p.hset("h", [("f", "1"), ("g", "2")]);
    let _ = p.hdel("h", ["x"]);
    let _ = p.hexists("h", "f");
    let _ = p.hget::<String>("h", "f");
    let _ = p.hgetall::<Pairs<String, String>>("h");
    let _ = p.hgetdel::<String>("h", ["x"]);
    let _ = p.hgetex::<String>("h", ExpiryChange::Persist, ["f"]);
    let _ = p.hgetex::<String>("h", None, ["f"]);
    let _ = p.hincrby("h", "f", 1);
    let _ = p.hincrbyfloat("h", "f", 1.5);
    let _ = p.hkeys::<String>("h");
    let _ = p.hlen("h");
    let _ = p.hmget::<String>("h", ["f"]);
    let _ = p.hmset("h", [("f", "1")]);
    let _ = p.hrandfield::<String>("h");
    let _ = p.hrandfield_count::<String>("h", 2);
    let _ = p.hrandfield_withvalues::<String, String>("h", -2);
    let scan = ScanOptions::new().matching("*").count(5);
    let _ = p.hscan::<String, String>("h", 0, &scan);
    let _ = p.hscan_novalues::<String>("h", 0, &scan);
    let _ = p.hsetex("h", HSetExOptions::new().fxx().keep_ttl(), [("f", "1")]);
    let _ = p.hsetex(
        "h",
        HSetExOptions::new()
            .fnx()
            .expiry(Expiry::AtSeconds(4_102_444_800)),
        [("n", "1")],
    );
    let _ = p.hsetnx("h", "f", "1");
    let _ = p.hstrlen("h", "f");
    let _ = p.hvals::<String>("h");
    let _ = p.hexpire("h", 100, Some(ExpireCondition::IfNone), ["f"]);
    let _ = p.hpexpire("h", 100_000, Some(ExpireCondition::IfSome), ["f"]);
    let _ = p.hexpireat("h", 4_102_444_800, Some(ExpireCondition::IfLater), ["f"]);
    let _ = p.hpexpireat(
        "h",
        4_102_444_800_000,
        Some(ExpireCondition::IfEarlier),
        ["f"],
    );
    let _ = p.hexpiretime("h", ["f"]);
    let _ = p.hpexpiretime("h", ["f"]);
    let _ = p.httl("h", ["f"]);
    let _ = p.hpttl("h", ["f"]);
    let _ = p.hpersist("h", ["f"]);
    let _ = p.rpush("l", ["a", "b", "c"]);
    let _ = p.lpush("l", ["z"]);
    let _ = p.lpushx("l", ["y"]);
    let _ = p.rpushx("l", ["d"]);
    let _ = p.lindex::<String>("l", 0);
    let _ = p.linsert("l", Insert::Before, "a", "i");
    let _ = p.llen("l");
    let _ = p.lmove::<String>("l", "m", Side::Left, Side::Right);
    let _ = p.lmpop::<String, String>(["m"], Side::Right, 1);
    let _ = p.lpos("l", "a");
    let _ = p.lpos_with("l", "a", LPosOptions::new().rank(1).max_len(0));
    let _ = p.lpos_count("l", "a", 0, LPosOptions::new());
    let _ = p.lrange::<String>("l", 0, -1);
    let _ = p.lrem("l", 0, "nope");
    let _ = p.lset("l", 0, "x");
    let _ = p.ltrim("l", 0, 10);
    let _ = p.lpop::<String>("l");
    let _ = p.lpop_count::<String>("l", 1);
    let _ = p.rpop::<String>("l");
    let _ = p.rpop_count::<String>("l", 1);
    let _ = p.rpoplpush::<String>("l", "m");
    let _ = p.sadd("set", ["a", "b"]);
    let _ = p.scard("set");
    let _ = p.sdiff::<String>(["set"]);
    let _ = p.sdiffstore("set2", ["set"]);
    let _ = p.sinter::<String>(["set"]);
    let _ = p.sintercard(["set", "set2"], Some(1));
    let _ = p.sinterstore("set2", ["set"]);
    let _ = p.sismember("set", "a");
    let _ = p.smembers::<String>("set");
    let _ = p.smismember("set", ["a", "z"]);
    let _ = p.smove("set", "set2", "z");
    let _ = p.spop::<String>("set2");
    let _ = p.spop_count::<String>("set2", 1);
    let _ = p.srandmember::<String>("set");
    let _ = p.srandmember_count::<String>("set", -3);
    let _ = p.srem("set", ["z"]);
    let _ = p.sscan::<String>("set", 0, &scan);
    let _ = p.sunion::<String>(["set"]);
    let _ = p.sunionstore("set2", ["set"]);
}

fn sorted_sets(p: &mut Pipeline) {
    let combine = ZCombine::new().weights([2.0]).aggregate(Aggregate::Max);
    let _ = p.zadd("z", [(1.0, "a"), (2.0, "b")]);
    let _ = p.zadd_with("z", ZAddOptions::new().gt().ch(), [(3.0, "c")]);
    let _ = p.zadd_with("z", ZAddOptions::new().xx().lt(), [(3.0, "c")]);
    let _ = p.zadd_incr("z", ZAddOptions::new().nx(), 1.0, "d");
    let _ = p.zcard("z");
    let _ = p.zcount("z", Score::Min, Score::Excl(2.0));
    let _ = p.zdiff::<String>(["z"]);
    let _ = p.zdiff_withscores::<String>(["z"]);
    let _ = p.zdiffstore("z2", ["z"]);
    let _ = p.zincrby("z", 1.0, "a");
    let _ = p.zinter::<String>(["z"], &combine);
    let _ = p.zinter_withscores::<String>(["z"], &combine);
    let _ = p.zintercard(["z"], Some(2));
    let _ = p.zinterstore("z2", ["z"], &combine);
    let _ = p.zlexcount("z", Lex::Min, Lex::Incl(b"b"));
    let _ = p.zmpop::<String, String>(["none"], ZEnd::Max, 1);
    let _ = p.zmscore("z", ["a"]);
    let _ = p.zpopmax::<String>("z2", 1);
    let _ = p.zpopmin::<String>("z2", 1);
    let _ = p.zrandmember::<String>("z");
    let _ = p.zrandmember_count::<String>("z", 2);
    let _ = p.zrandmember_withscores::<String>("z", -2);
    let _ = p.zrange::<String>("z", ZRange::by_rank(0, -1).rev());
    let _ = p.zrange::<String>("z", ZRange::by_lex(Lex::Excl(b"a"), Lex::Max).limit(0, 2));
    let _ = p.zrange_withscores::<String>(
        "z",
        ZRange::by_score(Score::Min, Score::Max).rev().limit(0, -1),
    );
    let _ = p.zrangebylex::<String>("z", Lex::Min, Lex::Max, Some((0, 1)));
    let _ = p.zrangebyscore::<String>("z", 0.0, 5.0, None);
    let _ = p.zrangebyscore_withscores::<String>("z", 0.0, 5.0, Some((0, 1)));
    let _ = p.zrangestore("z2", "z", ZRange::by_rank(0, 1));
    let _ = p.zrank("z", "a");
    let _ = p.zrank_withscore("z", "a");
    let _ = p.zrem("z", ["x"]);
    let _ = p.zremrangebylex("z2", Lex::Min, Lex::Max);
    let _ = p.zremrangebyrank("z2", 0, -1);
    let _ = p.zremrangebyscore("z2", Score::Min, Score::Max);
    let _ = p.zrevrange::<String>("z", 0, -1);
    let _ = p.zrevrange_withscores::<String>("z", 0, -1);
    let _ = p.zrevrangebylex::<String>("z", Lex::Max, Lex::Min, None);
    let _ = p.zrevrangebyscore::<String>("z", Score::Max, Score::Min, None);
    let _ = p.zrevrangebyscore_withscores::<String>("z", 5.0, 0.0, Some((0, 1)));
    let _ = p.zrevrank("z", "a");
    let _ = p.zrevrank_withscore("z", "a");
    let _ = p.zscan::<String>("z", 0, &ScanOptions::new());
    let _ = p.zscore("z", "a");
    let _ = p.zunion::<String>(["z"], &combine);
    let _ = p.zunion_withscores::<String>(["z"], &combine);
    let _ = p.zunionstore("z2", ["z"], &combine);
}

fn streams(p: &mut Pipeline) {
    let _ = p.xadd("x", [("f", "v")]);
    let trim = StreamTrim::max_len(100)
        .approximate()
        .limit(10)
        .references(RefPolicy::Keep);
    let _ = p.xadd_with(
        "x",
        &XAddOptions::new().nomkstream().trim(trim),
        "*",
        [("f", "v")],
    );
    let _ = p.xgroup_create("x", "g", "0");
    let _ = p.xgroup_create_existing("x", "g2", "$");
    let read = XGroupOptions::new().mkstream().entries_read(1);
    let _ = p.xgroup_create_with("x2", "g", "0", read);
    let _ = p.xgroup_setid_with("x2", "g", "$", read);
    let _ = p.xgroup_createconsumer("x", "g", "c");
    let _ = p.xgroup_setid("x", "g", "0");
    let _ = p.xreadgroup::<String, Reply>("g", "c", [("x", ">")], Some(10));
    let _ = p.xreadgroup_noack::<String, Reply>("g", "c", [("x", ">")], None);
    let _ = p.xack("x", "g", ["1-1"]);
    let _ = p.xackdel("x", "g", RefPolicy::Acked, ["1-1"]);
    let _ = p.xautoclaim::<Reply>("x", "g", "c", &XAutoClaimOptions::new(0).count(1));
    let _ = p.xautoclaim_justid("x", "g", "c", &XAutoClaimOptions::new(0).start("0"));
    let claim = XClaimOptions::new(0, ["1-1"])
        .idle_ms(1)
        .retry_count(2)
        .force()
        .last_id("1-1");
    let _ = p.xclaim::<Reply>("x", "g", "c", &claim);
    let _ = p.xclaim_justid("x", "g", "c", &XClaimOptions::new(0, ["1-1"]).time_ms(1));
    let all = XNackOptions::new().retry_count(2).force();
    let _ = p.xnack("x", "g", XNackMode::Fail, ["1-1"], &all);
    let _ = p.xdel("x", ["1-1"]);
    let _ = p.xdelex("x", RefPolicy::Delete, ["1-1"]);
    let _ = p.xinfo_consumers("x", "g");
    let _ = p.xinfo_groups("x");
    let _ = p.xinfo_stream::<Reply>("x");
    let _ = p.xinfo_stream_full::<Reply>("x", Some(1));
    let _ = p.xlen("x");
    let _ = p.xpending("x", "g");
    let pending = XPendingOptions::new().min_idle_ms(0).consumer("c");
    let _ = p.xpending_range("x", "g", ("-", "+", 10), &pending);
    let _ = p.xrange::<Reply>("x", "-", "+", Some(5));
    let _ = p.xread::<String, Reply>([("x", "0")], None);
    let _ = p.xrevrange::<Reply>("x", "+", "-", None);
    let _ = p.xtrim("x", &StreamTrim::min_id("0-1"));
    let _ = p.xgroup_delconsumer("x", "g", "c");
    let _ = p.xgroup_destroy("x", "g");
}

fn others(p: &mut Pipeline) {
    let here = LonLat(13.4, 52.5);
    let _ = p.geoadd("geo", [(here, "a"), (LonLat(2.35, 48.85), "b")]);
    let _ = p.geoadd_with("geo", GeoAddOptions::new().xx().ch(), [(here, "a")]);
    let _ = p.geohash("geo", ["a"]);
    let _ = p.geopos("geo", ["a", "none"]);
    for unit in [
        GeoUnit::Meters,
        GeoUnit::Kilometers,
        GeoUnit::Feet,
        GeoUnit::Miles,
    ] {
        radius(p, here, (1.0, unit));
    }
    let _ = p.pfadd("pf", ["a"]);
    let _ = p.pfcount(["pf"]);
    let _ = p.pfmerge("pf2", ["pf"]);
    let _ = p.copy("s", "copy");
    let _ = p.copy_with("s", "copy", CopyOptions::new().db(0).replace());
    let _ = p.dump("s");
    let _ = p.exists(["s"]);
    let _ = p.expire("s", 100);
    let _ = p.expire_if("s", 200, ExpireCondition::IfLater);
    let _ = p.expireat("s", 4_102_444_800, None);
    let _ = p.expiretime("s");
    let _ = p.keys::<String>("*");
    let _ = p.memory_usage("s");
    let _ = p.memory_usage_samples("s", 5);
    let _ = p.persist("s");
    let _ = p.pexpire("s", 100_000);
    let _ = p.pexpire_if("s", 100_000, ExpireCondition::IfSome);
    let _ = p.pexpireat("s", 4_102_444_800_000, Some(ExpireCondition::IfLater));
    let _ = p.pexpiretime("s");
    let _ = p.pttl("s");
    let _ = p.randomkey::<String>();
    let _ = p.rename("copy", "copy2");
    let _ = p.renamenx("copy2", "copy3");
    let _ = p.scan::<String>(0, &ScanOptions::new().of_type("string"));
    let _ = p.scan_withtype::<String>(0, &ScanOptions::new().matching("s*"));
    let _ = p.touch(["s"]);
    let _ = p.ttl("s");
    let _ = p.key_type("s");
    let _ = p.unlink(["copy3"]);
    let _ = p.del(["none"]);
    let _ = p.wait(0, 10);
    let _ = p.waitaof(0, 0, 10);
    let _ = p.eval::<i64>("return 1", [""; 0], [""; 0]);
    let _ = p.eval_ro::<i64>("return 1", ["k"], ["a"]);
    let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    let _ = p.evalsha::<i64>(sha, ["k"], ["a"]);
    let _ = p.evalsha_ro::<i64>(sha, ["k"], ["a"]);
    let _ = p.script_exists([sha]);
    let _ = p.script_load("return 2");
    let _ = p.script_kill();
    let _ = p.script_flush();
    let _ = p.script_flush_with(FlushMode::Async);
    let _ = p.script_flush_with(FlushMode::Sync);
    let library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    let _ = p.function_load(library);
    let _ = p.function_load_replace(library);
    let _ = p.fcall::<i64>("f", [""; 0], [""; 0]);
    let _ = p.fcall_ro::<i64>("f", ["k"], [1]);
    let _ = p.function_list(Some("lib"));
    let _ = p.function_list_withcode(None);
    let _ = p.function_stats();
    let _ = p.function_kill();
    let _ = p.function_delete("lib");
    let _ = p.function_flush();
    let _ = p.function_flush_with(FlushMode::Async);
    let _ = p.function_flush_with(FlushMode::Sync);
}

fn radius(p: &mut Pipeline, here: LonLat, radius: (f64, GeoUnit)) {
    let none = GeoOptions::new();
    let near = none.nearest_first().count(3).with_coord();
    let far = none.farthest_first().count_any(3).with_dist().with_hash();
    for options in [none, near, far] {
        let _ = p.georadius::<String>("geo", here, radius, options);
        let _ = p.georadiusbymember::<String>("geo", "a", radius, options);
        let _ = p.georadius_ro::<String>("geo", here, radius, options);
        let _ = p.georadiusbymember_ro::<String>("geo", "a", radius, options);
        let _ = p.georadius_store("geo", here, radius, options, "geo2");
        let _ = p.georadiusbymember_store("geo", "a", radius, options, "geo2");
        let _ = p.georadius_store_dist("geo", here, radius, options, "geo2");
        let _ = p.georadiusbymember_store_dist("geo", "a", radius, options, "geo2");
        for shape in [
            GeoShape::Radius(radius.0, radius.1),
            GeoShape::Box(1.0, 2.0, radius.1),
        ] {
            for center in [GeoCenter::LonLat(here), GeoCenter::member("a")] {
                let search = GeoSearch::new(center, shape).options(options);
                let _ = p.geosearch::<String>("geo", &search);
                let _ = p.geosearchstore("geo2", "geo", &search);
                let _ = p.geosearchstore_dist("geo2", "geo", &search);
            }
        }
    }
    let _ = p.geodist("geo", "a", "b", radius.1);
    let _ = p.geohash("geo", [""; 0]);
    let _ = p.geopos("geo", [""; 0]);
}

fn json_and_search(p: &mut Pipeline) {
    let _ = p.json_set("j", "$", r#"{"a":[1,2],"n":1,"s":"x","b":true,"o":{}}"#);
    let _ = p.json_set_if("j", "$.z", "1", JsonSetCondition::Absent);
    let _ = p.json_arrappend("j", "$.a", ["3"]);
    let _ = p.json_arrindex("j", "$.a", "2");
    let _ = p.json_arrindex_range("j", "$.a", "2", (0, 0));
    let _ = p.json_arrinsert("j", "$.a", 0, ["0"]);
    let _ = p.json_arrlen("j", "$.a");
    let _ = p.json_arrpop::<String>("j", "$.a");
    let _ = p.json_arrpop_at::<String>("j", "$.a", -1);
    let _ = p.json_arrtrim("j", "$.a", 0, 5);
    let _ = p.json_clear("j", "$.o");
    let _ = p.json_debug_memory("j", "$");
    let _ = p.json_debug_help();
    let _ = p.json_get::<String>("j", ["$.a"]);
    let _ = p.json_get_formatted(
        "j",
        &JsonFormat::new().indent(" ").newline("\n").space(" "),
        ["$"],
    );
    let _ = p.json_merge("j", "$", r#"{"m":1}"#);
    let _ = p.json_mget::<String>(["j"], "$.n");
    let _ = p.json_mset([("j", "$.y", "1")]);
    let _ = p.json_numincrby::<String>("j", "$.n", i64::MAX);
    let _ = p.json_nummultby::<String>("j", "$.n", 2.0);
    let _ = p.json_objkeys("j", "$");
    let _ = p.json_objlen("j", "$");
    let _ = p.json_resp("j", "$");
    let _ = p.json_strappend("j", "$.s", "\"y\"");
    let _ = p.json_strlen("j", "$.s");
    let _ = p.json_toggle("j", "$.b");
    let _ = p.json_type("j", "$.n");
    let _ = p.json_del("j", "$.y");
    let _ = p.json_forget("j", "$.z");
    let _ = p.search_create(
        "idx",
        [
            "ON", "JSON", "PREFIX", "1", "doc:", "SCHEMA", "title", "TEXT", "n", "U64", "FAST",
        ],
    );
    let _ = p.search_waitindexing("idx");
    let _ = p.search_query("idx", r#"{"title":"x"}"#, ["LIMIT", "5"]);
    let _ = p.search_count("idx", r#"{"title":"x"}"#);
    let _ = p.search_aggregate("idx", "{}", r#"{"m":{"$avg":{"field":"n"}}}"#);
    let _ = p.search_describe("idx");
    let _ = p.search_aliasadd("al", "idx");
    let _ = p.search_listaliases();
    let _ = p.search_listindexes([""; 0]);
    let _ = p.search_aliasdel("al");
    let _ = p.search_reindex("idx");
    let _ = p.search_drop("idx");
}

fn arrays_and_vectors(p: &mut Pipeline) {
    let grep = ArrayGrep::new()
        .exact("a")
        .contains("b")
        .glob("c*")
        .regex("^d");
    let _ = p.arset("ar", 0, ["a", "b"]);
    let _ = p.armset("ar", [(4, "c"), (5, "d")]);
    let _ = p.arinsert("ar", ["e"]);
    let _ = p.arring("ring", 3, ["a", "b"]);
    let _ = p.arget::<String>("ar", 0);
    let _ = p.armget::<String>("ar", [0, 9]);
    let _ = p.argetrange::<String>("ar", 0, 3);
    let _ = p.arscan::<String>("ar", 0, 9, 5);
    let _ = p.argrep::<String>("ar", 0, 9, grep.all().no_case().limit(3));
    let _ = p.arop::<f64>("ar", 0, 9, ArrayOp::Sum);
    let _ = p.arop_match("ar", 0, 9, "a");
    let _ = p.arlastitems::<String>("ring", 2);
    let _ = p.arlastitems_rev::<String>("ring", 2);
    let _ = p.arcount("ar");
    let _ = p.arlen("ar");
    let _ = p.arnext("ar");
    let _ = p.arseek("ar", 7);
    let _ = p.arinfo("ar");
    let _ = p.ardelrange("ar", [(0, 1)]);
    let _ = p.ardel("ar", [4]);
    let _ = p.vector_create("vec", 2, VectorMetric::Cosine);
    let _ = p.vector_create_if_missing("vec", 2, VectorMetric::Cosine);
    let _ = p.vector_add("vec", "a", &[1.0, 0.5]);
    let _ = p.vector_get("vec", "a");
    let _ = p.vector_query("vec", &[1.0, 0.0], 3, VectorProfile::Fast);
    let _ = p.vector_count("vec");
    let _ = p.vector_info("vec");
    let _ = p.vector_del("vec", "a");
    let _ = p.vector_drop("vec");
}

fn server(p: &mut Pipeline) {
    let _ = p.echo::<String>("x");
    let _ = p.ping();
    let _ = p.ping_message::<String>("x");
    let _ = p.select(0);
    let _ = p.publish("ch", "m");
    let _ = p.pubsub_channels::<String>();
    let _ = p.pubsub_channels_matching::<String>("c*");
    let _ = p.pubsub_numpat();
    let _ = p.pubsub_numsub::<String>(["ch"]);
    let _ = p.command_list();
    let _ = p.config_get(["notify-keyspace-events"]);
    let _ = p.config_set([("notify-keyspace-events", "")]);
    let _ = p.dbsize();
    let _ = p.info();
    let _ = p.info_section("server");
    let _ = p.time();
    let _ = p.acl_cat();
    let _ = p.acl_cat_of("read");
    let _ = p.acl_setuser("u", ["on", "+get", "~*"]);
    let _ = p.acl_gentoken("u");
    let _ = p.acl_gentoken_with("u", "secret");
    let _ = p.acl_getuser("u");
    let _ = p.acl_list();
    let _ = p.acl_load();
    let _ = p.acl_log();
    let _ = p.acl_log_count(5);
    let _ = p.acl_log_reset();
    let _ = p.acl_resttoken("u", "p");
    let _ = p.acl_save();
    let _ = p.acl_users();
    let _ = p.acl_whoami();
    let _ = p.acl_genpass();
    let _ = p.acl_genpass_bits(128);
    let _ = p.acl_deluser(["u"]);
    let once = RestoreOptions::new();
    let _ = p.restore("restored", "not a dump", once);
    let _ = p.restore("restored", "not a dump", once.ttl_ms(5).replace());
    let at = once.expires_at_ms(4_102_444_800_000);
    let _ = p.restore("restored", "not a dump", at.idle_seconds(5));
    let _ = p.restore("restored", "not a dump", at.frequency(5));
    let _ = p.flushall();
    let _ = p.flushdb();
    for mode in [FlushMode::Async, FlushMode::Sync] {
        let _ = p.flushall_with(mode);
        let _ = p.flushdb_with(mode);
    }
}
