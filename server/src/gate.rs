//! Commands that never reach a database.

use crate::texts;

/// The longest name below.
const LONGEST: usize = 14;

/// Most arguments of a command that counts as short.
const SHORT_ARGUMENTS: usize = 64;

/// Whether a command takes some microseconds, whatever is stored.
pub(crate) fn is_short(args: &[&[u8]]) -> bool {
    let mut upper = [0; LONGEST];
    let name = args.first().and_then(|name| upper_case(name, &mut upper));
    if args.len() > SHORT_ARGUMENTS {
        return false;
    }
    match name.unwrap_or_default() {
        b"LRANGE" => is_short_range(args),
        // With a count they may take all of a list.
        b"LPOP" | b"RPOP" => args.len() == 2,
        b"PING" | b"ECHO" | b"TIME" | b"GET" | b"SET" | b"SETNX" | b"SETEX" | b"PSETEX"
        | b"GETSET" | b"GETDEL" | b"GETEX" | b"STRLEN" | b"INCR" | b"INCRBY" | b"INCRBYFLOAT"
        | b"DECR" | b"DECRBY" | b"MGET" | b"MSET" | b"MSETNX" | b"EXISTS" | b"DEL" | b"UNLINK"
        | b"TYPE" | b"TTL" | b"PTTL" | b"EXPIRE" | b"PEXPIRE" | b"EXPIREAT" | b"PEXPIREAT"
        | b"EXPIRETIME" | b"PEXPIRETIME" | b"PERSIST" | b"HGET" | b"HSET" | b"HMSET" | b"HMGET"
        | b"HSETNX" | b"HINCRBY" | b"HINCRBYFLOAT" | b"HEXISTS" | b"HLEN" | b"HSTRLEN"
        | b"LPUSH" | b"RPUSH" | b"LPUSHX" | b"RPUSHX" | b"LLEN" | b"SADD" | b"SISMEMBER"
        | b"SMISMEMBER" | b"SCARD" | b"ZADD" | b"ZREM" | b"ZSCORE" | b"ZMSCORE" | b"ZINCRBY"
        | b"ZCARD" | b"ZRANK" | b"ZREVRANK" | b"XLEN" | b"DBSIZE" => true,
        _ => false,
    }
}

/// The most elements of a list that are read at once.
const SHORT_RANGE: usize = 640;

/// Whether `start` and `stop` count from the head and are not far apart.
fn is_short_range(args: &[&[u8]]) -> bool {
    let [_, _, start, stop] = args else {
        return false;
    };
    let index = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<usize>().ok();
    index(start)
        .zip(index(stop))
        .is_some_and(|(start, stop)| stop.saturating_sub(start) < SHORT_RANGE)
}

/// Why a command cannot be run over REST, if so.
pub(crate) fn refusal(args: &[&[u8]]) -> Option<String> {
    let mut upper = [0; LONGEST];
    let name = upper_case(args.first()?, &mut upper)?;
    match name {
        b"AUTH" | b"HELLO" | b"RESET" | b"QUIT" | b"MULTI" | b"EXEC" | b"DISCARD" | b"WATCH"
        | b"UNWATCH" | b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE"
        | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" | b"MONITOR" | b"CLIENT" => {
            Some(texts::not_over_rest(&String::from_utf8_lossy(name)))
        }
        b"BLPOP" | b"BRPOP" | b"BLMOVE" | b"BLMPOP" | b"BRPOPLPUSH" | b"BZPOPMIN" | b"BZPOPMAX"
        | b"BZMPOP" => Some(texts::not_available(&String::from_utf8_lossy(name))),
        b"XREAD" if waits(args) => Some(texts::not_available("XREAD BLOCK")),
        b"XREADGROUP" if waits(args) => Some(texts::not_available("XREADGROUP BLOCK")),
        _ => None,
    }
}

/// Whether a read has BLOCK.
fn waits(args: &[&[u8]]) -> bool {
    let mut at = 1;
    while let Some(arg) = args.get(at) {
        let is = |word: &[u8]| arg.eq_ignore_ascii_case(word);
        // After STREAMS come keys and identifiers, after GROUP two names.
        at += if is(b"STREAMS") || is(b"BLOCK") {
            return is(b"BLOCK");
        } else if is(b"GROUP") {
            3
        } else if is(b"COUNT") {
            2
        } else {
            1
        };
    }
    false
}

/// Why a command cannot be passed on to a Redis server, if so: it changes the server itself,
/// the state of a connection that others share, or turns the connection into a stream.
pub(crate) fn redis_refusal(args: &[&[u8]]) -> Option<String> {
    if let Some(line) = refusal(args) {
        return Some(line);
    }
    let name = args.first().copied().unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_graphic();
    if name.is_empty() || !name.iter().all(plain) {
        let name: String = name.escape_ascii().to_string();
        return Some(texts::not_available(&name.to_uppercase()));
    }
    let mut upper = [0; LONGEST];
    let name = upper_case(name, &mut upper)?;
    match name {
        b"SHUTDOWN" | b"DEBUG" | b"REPLICAOF" | b"SLAVEOF" | b"FAILOVER" | b"CLUSTER"
        | b"MIGRATE" | b"MODULE" | b"SYNC" | b"PSYNC" | b"REPLCONF" | b"READONLY"
        | b"READWRITE" | b"ASKING" | b"RESTORE-ASKING" | b"SWAPDB" | b"MOVE" | b"SAVE"
        | b"BGSAVE" | b"BGREWRITEAOF" | b"PFDEBUG" | b"PFSELFTEST" => {
            Some(texts::not_available(&String::from_utf8_lossy(name)))
        }
        _ => None,
    }
}

/// The upper-case form of a name that is short enough to matter.
fn upper_case<'b>(name: &[u8], buffer: &'b mut [u8; LONGEST]) -> Option<&'b [u8]> {
    let upper = buffer.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    Some(upper)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn connection_bound_commands_are_refused() {
        let line = refusal(&[&b"punsubscribe"[..]]).unwrap();
        assert_eq!(
            line,
            "ERR Command \"PUNSUBSCRIBE\" is not allowed in REST or it has a special context path"
        );
        assert!(refusal(&[&b"sunsubscribe"[..]]).is_some());
        assert!(
            refusal(&[&b"bLpOp"[..]])
                .unwrap()
                .starts_with("ERR Command is not available: 'BLPOP'")
        );
        for passed in ["GET", "PUBLISH", "SELECT", "", "A-VERY-LONG-COMMAND-NAME"] {
            assert_eq!(refusal(&[passed.as_bytes()]), None, "{passed}");
        }
    }

    #[test]
    fn a_range_near_the_head_of_a_list_is_short() {
        for (start, stop, short) in [
            ("0", "99", true),
            ("5", "2", true),
            ("100", "739", true),
            ("0", "640", false),
            ("0", "-1", false),
            ("x", "5", false),
            ("0", "99999999999999999999", false),
        ] {
            let args = [&b"lrange"[..], b"l", start.as_bytes(), stop.as_bytes()];
            assert_eq!(is_short(&args), short, "{start} {stop}");
        }
        assert!(!is_short(&[&b"LRANGE"[..], b"l", b"0"]));
    }

    #[test]
    fn server_control_is_not_passed_on() {
        for refused in ["SHUTDOWN", "bgrewriteaof", "AUTH", "", "\u{ff}", "a b"] {
            assert!(redis_refusal(&[refused.as_bytes()]).is_some(), "{refused}");
        }
        assert_eq!(redis_refusal(&[&b"JSON.SET"[..]]), None);
    }

    #[test]
    fn a_read_that_would_wait_is_refused() {
        let words = |line: &'static str| -> Vec<&'static [u8]> {
            line.split(' ').map(str::as_bytes).collect()
        };
        for (line, refused) in [
            ("XREAD BLOCK 0 STREAMS s $", true),
            ("xread count 1 block 1500 streams s $", true),
            ("XREADGROUP GROUP g c NOACK BLOCK 5 STREAMS s >", true),
            ("XREAD COUNT 1 STREAMS BLOCK 0", false),
            ("XREADGROUP GROUP BLOCK BLOCK STREAMS s >", false),
            (
                "XREADGROUP GROUP BLOCK BLOCK COUNT BLOCK STREAMS s >",
                false,
            ),
            ("XREADGROUP block 5 GROUP g c STREAMS s >", true),
            (
                "XREADGROUP NOACK COUNT BLOCK GROUP g c BLOCK 0 STREAMS s >",
                true,
            ),
            ("XREAD", false),
        ] {
            assert_eq!(refusal(&words(line)).is_some(), refused, "{line}");
            assert_eq!(redis_refusal(&words(line)).is_some(), refused, "{line}");
        }
    }
}
