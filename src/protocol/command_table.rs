//! What repeating a command does; decides whether it may be retried.
use std::borrow::Cow;

use crate::protocol::command::Args;

/// What happens when a command that may have run is sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Safety {
    /// It changes nothing.
    Read,
    /// The second run leaves the same state and gives the same reply as the first.
    Idempotent,
    /// A second run may count, push or remove twice, or answer differently.
    Other,
}

/// One command of the table.
#[derive(Debug)]
pub(crate) struct Properties {
    /// Upper-case name.
    pub(crate) name: &'static str,
    /// Safety of the form without options; see [`safety_of`] for what options change.
    pub(crate) safety: Safety,
}

const fn row(name: &'static str, safety: Safety) -> Properties {
    Properties { name, safety }
}

use Safety::{Idempotent, Other, Read};

/// Sorted by name.
pub(crate) const TABLE: &[Properties] = &[
    row("ACL", Other),
    row("APPEND", Other),
    row("ARCOUNT", Read),
    row("ARDEL", Other),
    row("ARDELRANGE", Other),
    row("ARGET", Read),
    row("ARGETRANGE", Read),
    row("ARGREP", Read),
    row("ARINFO", Read),
    row("ARINSERT", Other),
    row("ARLASTITEMS", Read),
    row("ARLEN", Read),
    row("ARMGET", Read),
    row("ARMSET", Other),
    row("ARNEXT", Read),
    row("AROP", Read),
    row("ARRING", Other),
    row("ARSCAN", Read),
    row("ARSEEK", Idempotent),
    row("ARSET", Other),
    row("BITCOUNT", Read),
    row("BITFIELD", Other),
    row("BITFIELD_RO", Read),
    row("BITOP", Other),
    row("BITPOS", Read),
    row("COMMAND", Read),
    row("CONFIG", Idempotent),
    row("COPY", Other),
    row("DBSIZE", Read),
    row("DECR", Other),
    row("DECRBY", Other),
    row("DEL", Other),
    row("DELEX", Other),
    row("DIGEST", Read),
    row("DUMP", Read),
    row("ECHO", Read),
    row("EVAL", Other),
    row("EVALSHA", Other),
    row("EVALSHA_RO", Read),
    row("EVAL_RO", Read),
    row("EXISTS", Read),
    row("EXPIRE", Other),
    row("EXPIREAT", Other),
    row("EXPIRETIME", Read),
    row("FCALL", Other),
    row("FCALL_RO", Read),
    row("FLUSHALL", Other),
    row("FLUSHDB", Other),
    row("FUNCTION", Other),
    row("GEOADD", Other),
    row("GEODIST", Read),
    row("GEOHASH", Read),
    row("GEOPOS", Read),
    row("GEORADIUS", Read),
    row("GEORADIUSBYMEMBER", Read),
    row("GEORADIUSBYMEMBER_RO", Read),
    row("GEORADIUS_RO", Read),
    row("GEOSEARCH", Read),
    row("GEOSEARCHSTORE", Other),
    row("GET", Read),
    row("GETBIT", Read),
    row("GETDEL", Other),
    row("GETEX", Read),
    row("GETRANGE", Read),
    row("GETSET", Other),
    row("HDEL", Other),
    row("HEXISTS", Read),
    row("HEXPIRE", Other),
    row("HEXPIREAT", Other),
    row("HEXPIRETIME", Read),
    row("HGET", Read),
    row("HGETALL", Read),
    row("HGETDEL", Other),
    row("HGETEX", Other),
    row("HINCRBY", Other),
    row("HINCRBYFLOAT", Other),
    row("HKEYS", Read),
    row("HLEN", Read),
    row("HMGET", Read),
    row("HMSET", Idempotent),
    row("HPERSIST", Other),
    row("HPEXPIRE", Other),
    row("HPEXPIREAT", Other),
    row("HPEXPIRETIME", Read),
    row("HPTTL", Read),
    row("HRANDFIELD", Read),
    row("HSCAN", Read),
    row("HSET", Other),
    row("HSETEX", Other),
    row("HSETNX", Other),
    row("HSTRLEN", Read),
    row("HTTL", Read),
    row("HVALS", Read),
    row("INCR", Other),
    row("INCRBY", Other),
    row("INCRBYFLOAT", Other),
    row("INCREX", Other),
    row("INFO", Read),
    row("JSON.ARRAPPEND", Other),
    row("JSON.ARRINDEX", Read),
    row("JSON.ARRINSERT", Other),
    row("JSON.ARRLEN", Read),
    row("JSON.ARRPOP", Other),
    row("JSON.ARRTRIM", Other),
    row("JSON.CLEAR", Other),
    row("JSON.DEBUG", Read),
    row("JSON.DEL", Other),
    row("JSON.FORGET", Other),
    row("JSON.GET", Read),
    row("JSON.MERGE", Idempotent),
    row("JSON.MGET", Read),
    row("JSON.MSET", Idempotent),
    row("JSON.NUMINCRBY", Other),
    row("JSON.NUMMULTBY", Other),
    row("JSON.OBJKEYS", Read),
    row("JSON.OBJLEN", Read),
    row("JSON.RESP", Read),
    row("JSON.SET", Idempotent),
    row("JSON.STRAPPEND", Other),
    row("JSON.STRLEN", Read),
    row("JSON.TOGGLE", Other),
    row("JSON.TYPE", Read),
    row("KEYS", Read),
    row("LINDEX", Read),
    row("LINSERT", Other),
    row("LLEN", Read),
    row("LMOVE", Other),
    row("LMPOP", Other),
    row("LPOP", Other),
    row("LPOS", Read),
    row("LPUSH", Other),
    row("LPUSHX", Other),
    row("LRANGE", Read),
    row("LREM", Other),
    row("LSET", Idempotent),
    row("LTRIM", Other),
    row("MEMORY", Read),
    row("MGET", Read),
    row("MSET", Idempotent),
    row("MSETEX", Idempotent),
    row("MSETNX", Other),
    row("PERSIST", Other),
    row("PEXPIRE", Other),
    row("PEXPIREAT", Other),
    row("PEXPIRETIME", Read),
    row("PFADD", Other),
    row("PFCOUNT", Read),
    row("PFMERGE", Idempotent),
    row("PING", Read),
    row("PSETEX", Idempotent),
    row("PTTL", Read),
    row("PUBLISH", Other),
    row("PUBSUB", Read),
    row("RANDOMKEY", Read),
    row("RENAME", Other),
    row("RENAMENX", Other),
    row("RESTORE", Other),
    row("RPOP", Other),
    row("RPOPLPUSH", Other),
    row("RPUSH", Other),
    row("RPUSHX", Other),
    row("SADD", Other),
    row("SCAN", Read),
    row("SCARD", Read),
    row("SCRIPT", Idempotent),
    row("SDIFF", Read),
    row("SDIFFSTORE", Other),
    row("SEARCH.AGGREGATE", Read),
    row("SEARCH.ALIASADD", Other),
    row("SEARCH.ALIASDEL", Other),
    row("SEARCH.COUNT", Read),
    row("SEARCH.CREATE", Other),
    row("SEARCH.DESCRIBE", Read),
    row("SEARCH.DROP", Other),
    row("SEARCH.LISTALIASES", Read),
    row("SEARCH.LISTINDEXES", Read),
    row("SEARCH.QUERY", Read),
    row("SEARCH.REINDEX", Other),
    row("SEARCH.WAITINDEXING", Read),
    row("SELECT", Read),
    row("SET", Idempotent),
    row("SETBIT", Other),
    row("SETEX", Idempotent),
    row("SETNX", Other),
    row("SETRANGE", Idempotent),
    row("SINTER", Read),
    row("SINTERCARD", Read),
    row("SINTERSTORE", Other),
    row("SISMEMBER", Read),
    row("SMEMBERS", Read),
    row("SMISMEMBER", Read),
    row("SMOVE", Other),
    row("SPOP", Other),
    row("SRANDMEMBER", Read),
    row("SREM", Other),
    row("SSCAN", Read),
    row("STRLEN", Read),
    row("SUBSTR", Read),
    row("SUNION", Read),
    row("SUNIONSTORE", Other),
    row("TIME", Read),
    row("TOUCH", Read),
    row("TTL", Read),
    row("TYPE", Read),
    row("UNLINK", Other),
    row("VECTOR.ADD", Other),
    row("VECTOR.COUNT", Read),
    row("VECTOR.CREATE", Other),
    row("VECTOR.DEL", Other),
    row("VECTOR.DROP", Other),
    row("VECTOR.GET", Read),
    row("VECTOR.INFO", Read),
    row("VECTOR.QUERY", Read),
    row("WAIT", Read),
    row("WAITAOF", Read),
    row("XACK", Other),
    row("XACKDEL", Other),
    row("XADD", Other),
    row("XAUTOCLAIM", Other),
    row("XCFGSET", Idempotent),
    row("XCLAIM", Other),
    row("XDEL", Other),
    row("XDELEX", Other),
    row("XGROUP", Other),
    row("XINFO", Read),
    row("XLEN", Read),
    row("XNACK", Other),
    row("XPENDING", Read),
    row("XRANGE", Read),
    row("XREAD", Read),
    row("XREADGROUP", Other),
    row("XREVRANGE", Read),
    row("XTRIM", Other),
    row("ZADD", Other),
    row("ZCARD", Read),
    row("ZCOUNT", Read),
    row("ZDIFF", Read),
    row("ZDIFFSTORE", Other),
    row("ZINCRBY", Other),
    row("ZINTER", Read),
    row("ZINTERCARD", Read),
    row("ZINTERSTORE", Other),
    row("ZLEXCOUNT", Read),
    row("ZMPOP", Other),
    row("ZMSCORE", Read),
    row("ZPOPMAX", Other),
    row("ZPOPMIN", Other),
    row("ZRANDMEMBER", Read),
    row("ZRANGE", Read),
    row("ZRANGEBYLEX", Read),
    row("ZRANGEBYSCORE", Read),
    row("ZRANGESTORE", Other),
    row("ZRANK", Read),
    row("ZREM", Other),
    row("ZREMRANGEBYLEX", Other),
    row("ZREMRANGEBYRANK", Other),
    row("ZREMRANGEBYSCORE", Other),
    row("ZREVRANGE", Read),
    row("ZREVRANGEBYLEX", Read),
    row("ZREVRANGEBYSCORE", Read),
    row("ZREVRANK", Read),
    row("ZSCAN", Read),
    row("ZSCORE", Read),
    row("ZUNION", Read),
    row("ZUNIONSTORE", Other),
];

/// The name of every command that Upstash documents for REST, and of newer ones of Redis that the
/// engine has; upper case and sorted.
pub fn documented() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|p| p.name)
}

/// Where the names with each first letter begin; the last one is the end of the table.
const STARTS: [usize; 27] = {
    let mut starts = [0; 27];
    let mut letter = 1;
    while letter < starts.len() {
        let mut at = starts[letter - 1];
        while at < TABLE.len() && TABLE[at].name.as_bytes()[0] < b'A' + letter as u8 {
            at += 1;
        }
        starts[letter] = at;
        letter += 1;
    }
    starts
};

/// Position in the table of a name that is there, as the compiler proves.
pub(crate) const fn place(name: &str) -> usize {
    let (name, mut index) = (name.as_bytes(), 0);
    while index < TABLE.len() {
        let known = TABLE[index].name.as_bytes();
        let mut same = 0;
        while same < name.len() && same < known.len() && known[same] == name[same] {
            same += 1;
        }
        if same == name.len() && same == known.len() {
            return index;
        }
        index += 1;
    }
    panic!("no such command in the table");
}

/// Position in the table, upper or lower case; its length for unknown commands.
pub(crate) fn index_of(name: &[u8]) -> usize {
    position(name).unwrap_or(TABLE.len())
}

fn position(name: &[u8]) -> Option<usize> {
    let letter = name.first()?.to_ascii_uppercase().checked_sub(b'A')?;
    let start = *STARTS.get(usize::from(letter))?;
    let end = *STARTS.get(usize::from(letter) + 1)?;
    let found = TABLE.get(start..end)?.iter().position(|known| {
        known.name.len() == name.len() && known.name.as_bytes().eq_ignore_ascii_case(name)
    });
    Some(start + found?)
}

/// Upper-case name without allocation where the command is known.
pub(crate) fn name_of(args: &Args) -> Cow<'static, str> {
    match TABLE.get(args.index()) {
        Some(known) => Cow::Borrowed(known.name),
        None => Cow::Owned(args.name().to_ascii_uppercase()),
    }
}

/// Whether repeating exactly this command does harm.
pub fn safety_of(args: &Args) -> Safety {
    let Some(known) = TABLE.get(args.index()) else {
        return Other;
    };
    match known.name {
        // Conditions and GET make the second reply differ from the first.
        "SET" if args.iter().skip(3).any(changes_second_reply) => Other,
        "JSON.SET" | "MSETEX" if args.iter().skip(4).any(changes_second_reply) => Other,
        // What reads, until an option makes it write.
        "GETEX" if args.len() > 2 => Other,
        // The server adds a message once whose producer is named.
        "XADD" if names_producer(args) => Idempotent,
        "GEORADIUS" | "GEORADIUSBYMEMBER" if args.iter().skip(5).any(stores) => Other,
        _ => known.safety,
    }
}

/// Whether `IDMP` or `IDMPAUTO` is among the options before the entry's id.
fn names_producer(args: &Args) -> bool {
    let is = |arg: &[u8], word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
    let mut options = args.iter().skip(2);
    while let Some(option) = options.next() {
        if is(option, "IDMP") || is(option, "IDMPAUTO") {
            return true;
        }
        if is(option, "LIMIT") {
            options.next();
        } else if is(option, "MAXLEN") || is(option, "MINID") {
            // The threshold may follow a sign.
            if options.next().is_some_and(|arg| arg == b"~" || arg == b"=") {
                options.next();
            }
        } else if !["NOMKSTREAM", "KEEPREF", "DELREF", "ACKED"]
            .iter()
            .any(|word| is(option, word))
        {
            return false;
        }
    }
    false
}

fn stores(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"STORE") || option.eq_ignore_ascii_case(b"STOREDIST")
}

fn changes_second_reply(option: &[u8]) -> bool {
    [
        &b"NX"[..],
        b"XX",
        b"GET",
        b"IFEQ",
        b"IFNE",
        b"IFDEQ",
        b"IFDNE",
    ]
    .iter()
    .any(|o| option.eq_ignore_ascii_case(o))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_upper_case() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        assert!(
            TABLE
                .iter()
                .all(|p| p.name == p.name.to_ascii_uppercase() && p.name.len() <= 32)
        );
    }

    #[test]
    fn every_name_is_found_in_any_case_and_nothing_else() {
        for (at, known) in TABLE.iter().enumerate() {
            assert_eq!(position(known.name.as_bytes()), Some(at));
            assert_eq!(
                position(known.name.to_ascii_lowercase().as_bytes()),
                Some(at)
            );
        }
        for unknown in ["", "A", "GETT", "ZZZ", "[", "@GET", "{", "\u{e9}", "GET "] {
            assert_eq!(position(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn a_conditional_set_is_not_idempotent() {
        let mut set = Args::new();
        set.add("set").add("k").add("v");
        assert_eq!(safety_of(&set), Idempotent);
        set.add("nx");
        assert_eq!(safety_of(&set), Other);
    }

    #[test]
    fn several_keys_are_set_again_unless_a_condition_was_met() {
        assert_eq!(safety("MSETEX 2 a 1 b 2 EX 9"), Idempotent);
        assert_eq!(safety("MSETEX 2 a 1 b 2 EX 9 nx"), Other);
        assert_eq!(safety("MSETEX 1 a 1 XX"), Other);
        assert_eq!(safety("INCREX a"), Other);
        assert_eq!(safety("XNACK s g FAIL IDS 1 1-0"), Other);
    }

    #[test]
    fn a_message_of_a_named_producer_is_added_again_without_harm() {
        for safe in [
            "XADD s IDMP p i * f v",
            "xadd s idmpauto p * f v",
            "XADD s NOMKSTREAM KEEPREF MAXLEN ~ 9 LIMIT 5 IDMP p i * f v",
            "XADD s MINID 1-1 IDMPAUTO p * f v",
        ] {
            assert_eq!(safety(safe), Idempotent, "{safe}");
        }
        for unsafe_line in [
            "XADD s * IDMP p",
            "XADD IDMP * f v",
            "XADD s MAXLEN IDMP * f v",
            "XADD s MAXLEN ~ IDMP * f v",
            "XADD s 1-1 IDMPAUTO p",
        ] {
            assert_eq!(safety(unsafe_line), Other, "{unsafe_line}");
        }
    }

    fn safety(line: &str) -> Safety {
        let mut args = Args::new();
        for word in line.split(' ') {
            args.add(word);
        }
        safety_of(&args)
    }

    #[test]
    fn an_option_can_make_a_read_write() {
        assert_eq!(safety("GETEX k"), Read);
        assert_eq!(safety("GETEX k PERSIST"), Other);
        assert_eq!(safety("GEORADIUS store 1 2 3 km ASC"), Read);
        assert_eq!(safety("GEORADIUS k 1 2 3 km STORE to"), Other);
        assert_eq!(safety("georadiusbymember k store 3 km"), Read);
        assert_eq!(safety("georadiusbymember k m 3 km storedist to"), Other);
    }

    #[test]
    fn unknown_commands_are_never_safe() {
        let mut unknown = Args::new();
        unknown.add("FOO");
        assert_eq!(safety_of(&unknown), Other);
    }
}
