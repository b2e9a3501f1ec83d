//! The options that the calls of every method leave out, and the shortest forms.

use std::time::Duration;

use restis::prelude::*;

const FAR: u64 = 4_102_444_800;

const CONDITIONS: [ExpireCondition; 4] = [
    ExpireCondition::IfNone,
    ExpireCondition::IfSome,
    ExpireCondition::IfLater,
    ExpireCondition::IfEarlier,
];

const POLICIES: [RefPolicy; 3] = [RefPolicy::Keep, RefPolicy::Delete, RefPolicy::Acked];

pub(crate) fn queue(p: &mut Pipeline) {
    expiries(p);
    conditions(p);
    bits(p);
    collections(p);
    sorted_sets(p);
    streams(p);
    others(p);
    json_without_a_path(p);
}

fn expiries(p: &mut Pipeline) {
    for expiry in [
        Expiry::In(Duration::from_secs(5)),
        Expiry::In(Duration::from_millis(1500)),
        Expiry::AtSeconds(FAR),
        Expiry::AtMillis(FAR * 1000),
    ] {
        let _ = p.set_with("s", "1", SetOptions::new().expiry(expiry));
        let _ = p.msetex([("s", "1")], MSetExOptions::new().expiry(expiry));
        let counter = IncrExOptions::new().expiry(expiry).only_new_expiry();
        let _ = p.increx("counter", 2, counter.at_least(0).at_most(9).saturate());
        let _ = p.getex::<String>("s", ExpiryChange::Set(expiry));
        let _ = p.hsetex("h", HSetExOptions::new().expiry(expiry), [("f", "1")]);
        let _ = p.hgetex::<String>("h", ExpiryChange::Set(expiry), ["f"]);
    }
    let _ = p.hsetex("h", HSetExOptions::new(), [("f", "1")]);
}

fn conditions(p: &mut Pipeline) {
    for options in [
        MSetExOptions::new().nx(),
        MSetExOptions::new().xx().keep_ttl(),
    ] {
        let _ = p.msetex([("s", "1")], options);
    }
    let _ = p.msetex([("s", "1")], MSetExOptions::new());
    let _ = p.increx("counter", 1, IncrExOptions::new().persist());
    let _ = p.set_with("s", "1", SetOptions::new().if_digest_eq("0123456789abcdef"));
    for condition in CONDITIONS.map(Some).into_iter().chain([None]) {
        if let Some(condition) = condition {
            let _ = p.expire_if("s", 100, condition);
            let _ = p.pexpire_if("s", 100_000, condition);
        }
        let _ = p.expireat("s", FAR as i64, condition);
        let _ = p.pexpireat("s", FAR as i64 * 1000, condition);
        let _ = p.hexpire("h", 100, condition, ["f"]);
        let _ = p.hpexpire("h", 100_000, condition, ["f"]);
        let _ = p.hexpireat("h", FAR, condition, ["f"]);
        let _ = p.hpexpireat("h", FAR * 1000, condition, ["f"]);
    }
    let _ = p.geoadd_with("geo", GeoAddOptions::new().nx(), [(LonLat(1.0, 2.0), "a")]);
    let _ = p.geoadd("geo", [(LonLat(1.0, 2.0), "a")]);
    let _ = p.json_set_if("j", "$", "{}", JsonSetCondition::Present);
}

fn bits(p: &mut Pipeline) {
    let _ = p.bitcount_range("s", (0, -1), BitUnit::Byte);
    let _ = p.bitpos_range("s", true, (0, -1, BitUnit::Bit));
    for rule in [BitOverflow::Wrap, BitOverflow::Fail] {
        let ops = BitFieldOps::new().overflow(rule);
        let _ = p.bitfield(
            "s",
            ops.incrby(BitEncoding::Unsigned(2), BitOffset::Bit(0), 1),
        );
    }
    let _ = p.bitfield("s", BitFieldOps::new());
    let _ = p.bitfield_ro("s", []);
}

fn collections(p: &mut Pipeline) {
    let _ = p.mget::<String>(["s"]);
    let _ = p.mset([("s", "1")]);
    let _ = p.hset("h", [("f", "1")]);
    let _ = p.rpush("l", ["a"]);
    let _ = p.linsert("l", Insert::After, "a", "b");
    let _ = p.lmpop::<String, String>(["l"], Side::Left, 1);
    let _ = p.sadd("set", ["a"]);
    let _ = p.sintercard(["set"], None);
    let _ = p.smismember("set", ["a"]);
    let (all, some) = (
        ScanOptions::new(),
        ScanOptions::new().matching("*").count(5),
    );
    let _ = p.scan::<String>(0, &all);
    let _ = p.scan::<String>(0, &some);
    let _ = p.hscan::<String, String>("h", 0, &all);
    let _ = p.sscan::<String>("set", 0, &all);
    let _ = p.zscan::<String>("z", 0, &some);
}

fn sorted_sets(p: &mut Pipeline) {
    let _ = p.zadd("z", [(1.0, "a")]);
    for aggregate in [
        Some(Aggregate::Sum),
        Some(Aggregate::Min),
        Some(Aggregate::Count),
        None,
    ] {
        let combine = aggregate.map_or(ZCombine::new(), |a| ZCombine::new().aggregate(a));
        let _ = p.zinter::<String>(["z"], &combine);
        let _ = p.zunion::<String>(["z"], &combine);
        let _ = p.zinterstore("z2", ["z"], &combine);
        let _ = p.zunionstore("z2", ["z"], &combine);
    }
    let _ = p.zintercard(["z"], None);
    let _ = p.zmpop::<String, String>(["none"], ZEnd::Min, 1);
    let _ = p.zrange::<String>("z", ZRange::by_rank(0, -1));
    let _ = p.zrangebylex::<String>("z", Lex::Min, Lex::Max, None);
    let _ = p.zrevrangebylex::<String>("z", Lex::Max, Lex::Min, Some((0, 1)));
    let by_score = ZRange::by_score(0.0, Score::Max);
    for range in [by_score, ZRange::by_lex(Lex::Min, Lex::Max)] {
        let _ = p.zrangestore("z2", "z", range.rev().limit(0, 1));
    }
}

fn streams(p: &mut Pipeline) {
    let _ = p.xadd("x", [("f", "v")]);
    for options in [
        XAddOptions::new().idempotent("p", "i"),
        XAddOptions::new().idempotent_by_fields("p"),
    ] {
        let _ = p.xadd_with("x", &options, "*", [("f", "v")]);
    }
    let _ = p.xcfgset("x", XCfgSetOptions::new().duration_s(60).max_size(9));
    let _ = p.xcfgset("x", XCfgSetOptions::new().max_size(8));
    let _ = p.xgroup_create("x", "g", "0");
    for mode in [XNackMode::Silent, XNackMode::Fail, XNackMode::Fatal] {
        let _ = p.xnack("x", "g", mode, ["1-1"], &XNackOptions::new());
    }
    for policy in POLICIES {
        let by_id = StreamTrim::min_id("0-1").references(policy);
        let by_length = StreamTrim::max_len(9).references(policy);
        for trim in [by_id, by_length.approximate().limit(1)] {
            let _ = p.xtrim("x", &trim);
            let options = XAddOptions::new().trim(trim);
            let _ = p.xadd_with("x", &options, "*", [("f", "v")]);
        }
        let options = XAddOptions::new().references(policy);
        let _ = p.xadd_with("x", &options, "*", [("f", "v")]);
        let _ = p.xdelex("x", policy, ["1-1"]);
        let _ = p.xackdel("x", "g", policy, ["1-1"]);
    }
    let _ = p.xautoclaim::<Reply>("x", "g", "c", &XAutoClaimOptions::new(0).start("0"));
    let _ = p.xclaim::<Reply>("x", "g", "c", &XClaimOptions::new(0, ["1-1"]));
    let _ = p.xpending_range("x", "g", ("-", "+", 10), &XPendingOptions::new());
    let _ = p.xrange::<Reply>("x", "-", "+", None);
    let _ = p.xrevrange::<Reply>("x", "+", "-", Some(5));
    let _ = p.xread::<String, Reply>([("x", "0")], Some(5));
    let _ = p.xreadgroup::<String, Reply>("g", "c", [("x", ">")], None);
}

fn others(p: &mut Pipeline) {
    let none = [""; 0];
    let _ = p.pfadd("pf", none);
    let _ = p.pfmerge("pf", none);
    let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    let _ = p.eval_ro::<i64>("return 1", none, none);
    let _ = p.evalsha::<i64>(sha, none, none);
    let _ = p.evalsha_ro::<i64>(sha, none, none);
    let _ = p.fcall_ro::<i64>("f", none, none);
    let _ = p.function_list(None);
    let _ = p.pubsub_numsub::<String>(none);
    let _ = p.acl_setuser("u", none);
}

fn json_without_a_path(p: &mut Pipeline) {
    let _ = p.json_set("j", "$", "[1]");
    let _ = p.json_get::<String>("j", [""; 0]);
    let _ = p.json_arrlen("j", None);
    let _ = p.json_arrpop::<i64>("j", None);
    let _ = p.json_resp("j", None);
    let _ = p.json_debug_memory("j", None);
    let _ = p.json_type("j", None);
    let _ = p.json_clear("j", None);
    let _ = p.json_set("j", "$", r#"{"a":1}"#);
    let _ = p.json_objkeys("j", None);
    let _ = p.json_objlen("j", None);
    let _ = p.json_del("j", None);
    let _ = p.json_set("j", "$", "\"text\"");
    let _ = p.json_strlen("j", None);
    let _ = p.json_forget("j", None);
}
