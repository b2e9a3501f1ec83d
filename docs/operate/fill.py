#!/usr/bin/env python3
"""Writes COUNT keys of each kind that restis writes into an empty database, over REST, and prints bytes a key.

UPSTASH_REDIS_REST_URL=… UPSTASH_REDIS_REST_TOKEN=… python3 fill.py COUNT [KIND …]

EVERYTHING IN THE DATABASE IS DELETED before each kind (FLUSHALL). Names and values are as long as real ones:
an organisation has 12 characters, a user 18, a cached value 1 KB, an event 300 bytes.
"""
import http.client, json, os, sys, time, urllib.parse

NOW = int(time.time() * 1000)
DAY, DAYS_30 = str(NOW + 86_400_000), str(NOW + 30 * 86_400_000)
NOW = str(NOW)
EVENT = json.dumps({"specversion": "1.0", "id": "0" * 32, "source": "/", "type": "booking.created",
                    "data": {"booking": "b00017", "property": "p1", "from": "2026-12-01", "to": "2026-12-08",
                             "total": 129900}, "correlationid": "0" * 32}, separators=(",", ":"))
E = "events:production:"

# The commands that make one key; $user, $org, $sid and $hex differ from key to key.
KINDS = {
    "fixed or sliding window": [["SET", "ratelimit:api:$user:2993424", "17", "PXAT", DAY]],
    "token bucket": [["HSET", "ratelimit:api:$user", "refilledAt", NOW, "tokens", "2"],
                     ["PEXPIREAT", "ratelimit:api:$user", DAY]],
    "gcra": [["SET", "ratelimit:api:gcra:600000:3:$user", NOW, "PXAT", DAY]],
    "calendar": [["SET", "ratelimit:api:#group:$org:2026-11", "17", "PXAT", DAY]],
    "session": [["HSET", "session:$sid", "v", "1", "c", NOW, "l", NOW, "x", DAYS_30, "p", "bHffXHw1yBYbVsdv",
                 "u", "$user", "o", "$org", "a", NOW + " pwd", "ua", "Firefox 130 / Linux", "ip", "203.0.113.0/24",
                 "d:role", '"admin"', "d:theme", '"dark"'], ["PEXPIREAT", "session:$sid", DAY]],
    "sessions of a user": [["ZADD", "org:$org:$user:sessions", DAY, "$sid"],
                           ["PEXPIREAT", "org:$org:$user:sessions", DAY]],
    "organisations of a user": [["ZADD", "user:$user:organisations", DAYS_30, "$org"],
                                ["PEXPIREAT", "user:$user:organisations", DAYS_30]],
    "cache entry": [["SET", "cache:entries:{$org}:report-2026-11-30", "1|j-|0|" + NOW + "|60000|0|0|0|3|0|rvTYqpkv32C0"
                     + "." * 60 + "v" * 1024, "PXAT", DAY]],
    "cache marker": [["SET", "cache:#key:entries:{$org}:report-2026-11-30", "rvTYqpkv32C0............", "PXAT", DAY]],
    "event: deduplication": [["SET", E + "dedup:$org:$hex", "1 " + "4" * 32 + " 679fb4ec a878fdcb", "PXAT", DAY]],
    "event: meta": [["HSET", E + "meta:$org", "epoch", "a" * 32, "offset", "1", "tag", "679fb4ec", "at", NOW],
                    ["PEXPIREAT", E + "meta:$org", DAYS_30]],
    "event: statistics of an hour": [["HSET", E + "stats:$org:1796054400000", "booking.created", "1", "#50", "1"],
                                     ["PEXPIREAT", E + "stats:$org:1796054400000", DAYS_30]],
    "history with one event": [["XADD", E + "history:$org", "1-0", "d", EVENT, "t", "679fb4ec", "m", NOW],
                               ["PEXPIREAT", E + "history:$org", DAY]],
    "history with ten events": [["XADD", E + "history:$org", "*", "d", EVENT, "t", "679fb4ec", "m", NOW]] * 10
                               + [["PEXPIREAT", E + "history:$org", DAY]],
    "event in a long history": [["XADD", E + "history:one", "*", "d", EVENT, "t", "679fb4ec", "m", NOW]],
}
LUA = """
local commands = cjson.decode(ARGV[3])
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local names = { user = string.format('user_%013d', i), org = string.format('org_%08d', i),
                  sid = string.format('%032d', i), hex = string.format('%040x', i) }
  for _, command in ipairs(commands) do
    local filled = {}
    for at, argument in ipairs(command) do
      filled[at] = #argument < 100 and string.gsub(argument, '%$(%a+)', names) or argument
    end
    redis.call(unpack(filled))
  end
end"""

url = urllib.parse.urlsplit(os.environ["UPSTASH_REDIS_REST_URL"])
to = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
connection = to(url.hostname, url.port)


def call(*command):
    headers = {"Authorization": "Bearer " + os.environ["UPSTASH_REDIS_REST_TOKEN"]}
    connection.request("POST", "/", json.dumps(command), headers)
    answer = json.load(connection.getresponse())
    return answer["result"] if "result" in answer else sys.exit(answer["error"])


def memory():
    return int(call("INFO", "memory").split("used_memory:")[1].split()[0])


count = int(sys.argv[1])
for kind in sys.argv[2:] or KINDS:
    call("FLUSHALL")
    before, began = memory(), time.monotonic()
    for start in range(1, count + 1, 2000):
        call("EVAL", LUA, 0, start, min(start + 1999, count), json.dumps(KINDS[kind]))
    took = time.monotonic() - began
    print(f"{kind:29} {count:8} keys  {(memory() - before) / count:7.1f} bytes each  {took:6.1f} s", flush=True)
