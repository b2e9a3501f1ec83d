"""The official Python client against a server; UPSTASH_REDIS_REST_URL and _TOKEN say which."""

import asyncio
import os
import time
import traceback

import httpx
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis
from upstash_redis.errors import UpstashError

redis = Redis.from_env(allow_telemetry=False)
checks = []


def check(run):
    checks.append(run)
    return run


def refused(run, *args, **options):
    try:
        run(*args, **options)
    except UpstashError:
        return
    raise AssertionError("was not refused")


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


@check
def plain_json_without_encoding():
    url, token = os.environ["UPSTASH_REDIS_REST_URL"], os.environ["UPSTASH_REDIS_REST_TOKEN"]
    commands = [["FLUSHDB"], ["MSET", "a", "abcd", "b", 1.5], ["ZADD", "z", 1, "m"], ["GET", "b"]]
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{url}/pipeline", headers=headers, json=commands).json()
    assert [item["result"] for item in answer] == ["OK", "OK", 1, "1.5"]


@check
def strings_and_keys():
    assert redis.set("s", "grüße 😀", ex=10) is True and redis.ttl("s") == 10
    assert redis.get("s") == "grüße 😀"
    assert redis.getex("s", persist=True) == "grüße 😀" and redis.ttl("s") == -1
    assert redis.set("o", {"b": [1, None]}) is True and redis.get("o") == '{"b": [1, null]}'
    assert redis.setnx("s", "x") is False and redis.msetnx({"s": "x", "n": "y"}) is False
    assert redis.incrbyfloat("f", 1.25) == 1.25
    assert redis.copy("s", "t") is True and redis.copy("s", "t") is False
    assert redis.rename("t", "r") is True and redis.type("r") == "string"
    assert redis.bitfield("bits").incrby("i8", 100, 100).overflow("SAT").incrby(
        "i8", 100, 100
    ).execute() == [100, 127]
    refused(redis.lpush, "s", "x")
    assert redis.ping() == "PONG" and redis.echo("hey") == "hey"
    assert len(redis.time()) == 2


@check
def scan_counts_results():
    redis.flushdb()
    redis.mset({f"key:{n}": "v" for n in range(40)})
    redis.hset("only", "f", "v")
    assert redis.scan(0, match="only") == (0, ["only"])
    assert redis.scan(0, type="hash") == (0, ["only"])
    cursor, keys = redis.scan(0, count=1)
    assert cursor != 0 and len(keys) == 1
    found = set(keys)
    while cursor != 0:
        cursor, keys = redis.scan(cursor, count=7)
        found.update(keys)
    assert len(found) == 41


@check
def bit_operations():
    for key, bits in ("x", (0, 1, 2)), ("y", (1, 2, 3)), ("z", (2, 3, 4)):
        redis.delete(key)
        for bit in bits:
            redis.setbit(key, bit, 1)
    expected = {
        "AND": [2],
        "or": [0, 1, 2, 3, 4],
        "DIFF": [0],
        "DIFF1": [3, 4],
        "ANDOR": [1, 2],
        "ONE": [0, 4],
    }
    for operation, bits in expected.items():
        assert redis.bitop(operation, "out", "x", "y", "z") == 1
        assert [bit for bit in range(8) if redis.getbit("out", bit)] == bits, operation
    for operation in "DIFF", "DIFF1", "ANDOR":
        try:
            redis.bitop(operation, "out", "x")
            raise AssertionError(operation)
        except UpstashError as error:
            assert f"BITOP {operation} must be called with at least two source keys" in str(error)


@check
def fields_that_expire():
    redis.delete("h")
    redis.hset("h", values={"a": "1", "b": "2", "c": "3"})
    assert redis.hexpire("h", "a", 100, nx=True) == [1] and redis.hexpire("h", "a", 9, nx=True) == [0]
    assert redis.hexpire("h", ["a"], 50, gt=True) == [0] and redis.hexpire("h", ["a"], 5, lt=True) == [1]
    assert redis.hexpire("h", "b", 5, xx=True) == [0]
    assert redis.hexpire("h", "none", 5) == [-2] and redis.hexpire("none", "a", 5) == [-2]
    before = int(time.time())
    redis.hexpire("h", "a", 5)
    assert before < redis.hexpiretime("h", ["a"])[0] <= int(time.time()) + 5
    assert 0 < redis.httl("h", ["a"])[0] <= 5 and redis.hpttl("h", "b") == [-1]
    redis.hpersist("h", "a")
    assert redis.hpersist("h", "a") == [-1]
    assert redis.hexpire("h", "a", 0) == [2] and redis.hget("h", "a") is None
    assert redis.hgetex("h", "b", "none", ex=60) == ["2", None] and redis.httl("h", ["b"])[0] > 50
    assert redis.hgetex("h", "b", persist=True) == ["2"] and redis.httl("h", ["b"]) == [-1]
    assert redis.hgetex("none", "a", "b", px=500) == [None, None]
    assert redis.hsetex("h", "n", "v", fnx=True, ex=60) == 1
    assert redis.hsetex("h", "n", "w", fnx=True, ex=60) == 0 and redis.hget("h", "n") == "v"
    assert redis.hsetex("h", "m", "v", fxx=True, px=9000) == 0
    redis.hsetex("h", "n", "w", keepttl=True)
    assert redis.hget("h", "n") == "w" and redis.httl("h", ["n"])[0] > 50
    assert redis.hgetdel("h", "b", "none") == ["2", None] and redis.hgetdel("none", "a") == [None]
    assert redis.hgetdel("h", "c", "n") == ["3", "w"] and redis.exists("h") == 0


@check
def ranges_of_sorted_sets():
    redis.delete("zs", "out")
    redis.zadd("zs", {"a": 1, "b": 2, "c": 3, "d": 4})
    assert redis.zrangestore("out", "zs", 0, 2, offset=1, count=1) == 1
    assert redis.zrange("out", 0, -1, withscores=True) == [("b", 2.0)]
    assert redis.zrange("zs", 0, 2, rev=True) == ["d", "c", "b"]
    assert redis.zrange("zs", "[b", "(d", sortby="BYLEX") == ["b", "c"]
    assert redis.zrange("zs", 2, 9, sortby="BYSCORE", offset=1, count=5) == ["c", "d"]
    assert redis.zadd("zs", {"a": 5}, incr=True) == 6.0
    assert redis.zpopmin("zs", 2) == [("b", 2.0), ("c", 3.0)]


@check
def streams():
    redis.flushdb()
    ids = [redis.xadd("s", "*", {"field": str(n)}) for n in range(8)]
    assert redis.xadd("none", "*", {"a": "b"}, nomkstream=True) is None
    fixed = [redis.xadd("f", "5-*", {"a": "b"}) for _ in range(2)]
    assert fixed == ["5-0", "5-1"]
    assert redis.xread({"s": ids[5], "none": "0"}) == [
        ["s", [[ids[6], ["field", "6"]], [ids[7], ["field", "7"]]]]
    ]
    assert not redis.xread({"s": "$"})
    assert redis.xinfo_consumers("s", "none") == []
    assert redis.xgroup_create("s", "g", "0") == "OK" and redis.xinfo_consumers("s", "g") == []
    assert len(redis.xreadgroup("g", "one", {"s": ">"}, count=6)[0][1]) == 6
    redis.xreadgroup("g", "one", {"s": ">"}, count=1, noack=True)
    assert redis.xpending("s", "g")[0] == 6
    entry, consumer, idle, deliveries = redis.xpending("s", "g", "-", "+", 10, consumer="one")[0]
    assert (entry, consumer, deliveries) == (ids[0], "one", 1) and isinstance(idle, int)
    assert redis.xpending("s", "g", "-", "+", 10, idle=100_000) == []
    assert redis.xclaim("s", "g", "two", 0, ids[0], justid=True) == [ids[0]]
    assert redis.xclaim("s", "g", "two", 0, ids[1])[0][0] == ids[1]
    start, claimed, deleted = redis.xautoclaim("s", "g", "two", 100_000, "0-0")
    assert (start, claimed, deleted) == ("0-0", [], [])
    names = {pairs(consumer)["name"] for consumer in redis.xinfo_consumers("s", "g")}
    assert names == {"one", "two"}
    assert redis.xack("s", "g", ids[0], ids[1]) == 2 and redis.xack("s", "g", ids[0]) == 0
    assert redis.xackdel("s", "g", ids[2], "9-9") == [1, -1]
    assert redis.xackdel("s", "none", ids[3]) == [-1]
    assert redis.xdelex("s", ids[0], ids[3], "9-9", option="acked") == [1, 2, -1]
    assert redis.xdelex("s", ids[3], option="DELREF") == [1] and redis.xdelex("none", "1-1") == [-1]
    assert redis.xtrim("s", maxlen=2, approximate=False) > 0 and redis.xlen("s") == 2
    assert redis.xgroup_destroy("s", "g") == 1 and redis.xgroup_destroy("s", "g") == 0
    refused(redis.xpending, "s", "g")
    for _ in range(110):
        redis.xadd("long", "*", {"a": "b"})
    redis.xadd("long", "*", {"a": "b"}, maxlen=30, approximate_trim=True)
    redis.xtrim("long", maxlen=30)
    assert redis.xlen("long") > 100
    for _ in range(30):
        redis.xadd("long", "*", {"a": "b"})
    redis.xtrim("long", maxlen=30)
    assert 29 <= redis.xlen("long") <= 31


@check
def json_documents():
    json = redis.json
    document = {"n": 1, "list": [1, 2, 3, 4], "in": {"list": [5, 6, 7], "on": False}, "on": True}
    redis.delete("j")
    assert json.set("j", "$", document, xx=True) is False and json.get("j") is None
    assert json.set("j", "$", document) is True and json.get("j") == [document]
    refused(json.set, "j", "$.none.deep", 1)
    # Matches of `..` come deepest first.
    assert json.get("j", "$..list") == [[5, 6, 7], [1, 2, 3, 4]] and json.get("j", "$.none") == []
    assert json.get("j", "$.n", "$.on") == {"$.n": [1], "$.on": [True]}
    assert json.arrappend("j", "$..list", 8, "x") == [5, 6] and json.arrpop("j", "$..list") == ["x", "x"]
    assert json.arrinsert("j", "$.list", 0, {"a": 1}) == [6] and json.arrindex("j", "$.list", {"a": 1}) == [0]
    assert json.arrlen("j", "$.n") == [None] and json.arrtrim("j", "$..list", 0, 1) == [2, 2]
    assert json.numincrby("j", "$.n", 2) == [3] and json.nummultby("j", "$.on", 2) == [None]
    assert json.toggle("j", "$..on") == [True, False]
    assert json.set("j", "$.text", "ab") is True and json.strappend("j", "$.text", "c") == [3]
    assert json.strlen("j", "$.n") == [None] and json.type("j", "$.*")[0] == "integer"
    assert [sorted(keys) for keys in json.objkeys("j", "$.in")] == [["list", "on"]]
    assert json.objlen("j", "$") == [5] and json.clear("j", "$..list") == 2
    assert json.merge("j", "$", {"n": None, "new": 1}) is True and json.get("j", "$.new") == [1]
    assert json.delete("j", "$..list") == 2 and json.forget("j", "$.none") == 0
    assert json.mset([("j", "$", {"a": [1]}), ("k", "$", {"a": [2]})]) is True
    assert json.mget(["j", "k"], "$..a[0]") == [[1], [2]]
    assert json.resp("j", "$") == [["{", "a", ["[", 1]]]


@check
def scripts():
    digest = redis.script_load("return {ARGV[1], KEYS[1]}")
    assert redis.evalsha_ro(digest, keys=["k"], args=["a"]) == ["a", "k"]
    assert redis.eval("return redis.call('SET', KEYS[1], 1)", keys=["k"]) == "OK"
    refused(redis.eval_ro, "return redis.call('DEL', KEYS[1])", keys=["k"])
    assert redis.script_exists(digest, "0" * 40) == [True, False]
    redis.script_flush()
    refused(redis.evalsha, digest)


@check
def every_answer_has_a_new_sync_token():
    seen = [redis._sync_token]
    for run in (
        lambda: redis.set("k", 1),
        lambda: redis.pipeline().set("k", 1).exec(),
        lambda: redis.multi().set("k", 1).exec(),
        lambda: redis.eval("return 1"),
    ):
        run()
        seen.append(redis._sync_token)
    assert len(set(seen)) == len(seen)


@check
def the_asynchronous_client():
    async def run():
        async with AsyncRedis.from_env(allow_telemetry=False) as client:
            await client.delete("geo", "a", "b")
            await client.geoadd("geo", (13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania"))
            near = await client.georadius("geo", 15, 37, 200, "KM", withdist=True, withhash=True)
            assert [(at.member, at.distance, at.hash) for at in near] == [
                ("Palermo", 190.4424, 3479099956230698),
                ("Catania", 56.4413, 3479447370796909),
            ]
            assert await client.georadiusbymember("geo", "Catania", 200, "KM", count=1) == ["Catania"]
            assert await client.geopos("geo", "Palermo") == [(13.361389338970184, 38.115556395496299)]
            assert await client.pfadd("hll", "x", "y") in (1, True) and await client.pfcount("hll") == 2
            for many in client.pipeline(), client.multi():
                await client.delete("a", "b")
                many.incr("a").incr("b").incr("a").get("a").get("none")
                assert await many.exec() == [1, 1, 2, "2", None]

    asyncio.run(run())


failed = 0
for run in checks:
    try:
        run()
    except Exception:
        failed += 1
        print(f"{run.__name__} failed:\n{traceback.format_exc()}")
print(f"{len(checks) - failed} of {len(checks)} checks passed")
raise SystemExit(failed > 0)
