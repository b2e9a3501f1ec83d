//! What another program may have written under a key: every type and shape.

use restis::Redis;

/// The parts of a command.
pub(crate) type Command = Vec<Vec<u8>>;

/// Texts that are no number, no JSON, no UTF-8, or too much of it.
fn texts() -> Vec<Vec<u8>> {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    [
        &b""[..],
        b"garbage",
        b"\xff\xfe\n,\n",
        b"-1",
        b"99999999999999999999999",
        b"nan",
        b"{}",
        deep.as_bytes(),
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

fn command(parts: &[&[u8]]) -> Command {
    parts.iter().map(|part| part.to_vec()).collect()
}

/// The commands that make each kind of garbage of a key; they are made in order, since those of the right type come
/// first and need what is there.
pub(crate) async fn kinds_of_garbage(redis: &Redis, key: &str) -> Vec<Vec<Command>> {
    let mut kinds = of_the_right_type(redis, key).await;
    kinds.extend(of_every_type(key));
    kinds
}

/// Any type, whatever the right one is.
fn of_every_type(key: &str) -> Vec<Vec<Command>> {
    let name = key.as_bytes();
    let most = b"18446744073709551615-18446744073709551615";
    let mut kinds: Vec<Command> = [
        &[&b"RPUSH"[..], name, b"garbage"][..],
        &[b"SADD", name, b"garbage", b"\xff"],
        &[
            b"ZADD", name, b"inf", b"garbage", b"-inf", b"\xff", b"0", b"",
        ],
        &[b"HSET", name, b"garbage", b"\xff", b"", b"", b"#", b"x"],
        &[b"XADD", name, b"*", b"\xff", b"\xff"],
        &[b"XADD", name, most, b"d", b"x"],
        &[b"PFADD", name, b"garbage"],
    ]
    .map(command)
    .to_vec();
    kinds.extend(texts().iter().map(|text| command(&[b"SET", name, text])));
    let kinds = kinds.into_iter();
    kinds
        .map(|kind| vec![command(&[b"DEL", name]), kind])
        .collect()
}

/// The right type with wrong contents.
async fn of_the_right_type(redis: &Redis, key: &str) -> Vec<Vec<Command>> {
    let name = key.as_bytes();
    let kind: String = redis.command("TYPE").arg(key).query().await.unwrap();
    let mut kinds = Vec::new();
    if kind == "hash" {
        let whole: Vec<Vec<u8>> = redis.command("HGETALL").arg(key).query().await.unwrap();
        let fields: Vec<&[u8]> = whole.iter().step_by(2).map(Vec::as_slice).collect();
        let mut restore = command(&[b"HSET", name]);
        restore.extend(whole.iter().cloned());
        for text in texts() {
            let damage = |field: &&[u8]| command(&[b"HSET", name, field, &text]);
            let each = fields
                .iter()
                .map(|field| vec![restore.clone(), damage(field)]);
            kinds.extend(each);
            kinds.push(fields.iter().map(damage).collect());
        }
        // The other types come after what was there.
        kinds.push(vec![restore]);
        return kinds;
    }
    for text in texts() {
        let text = text.as_slice();
        let add: Vec<Vec<&[u8]>> = match kind.as_str() {
            "stream" => vec![
                vec![b"d", text],
                vec![text, b"x"],
                vec![b"d", text, b"t", text, b"m", text],
                vec![b"d", text, b"o", text, b"h", text, b"k", text],
            ],
            "zset" => vec![vec![b"1", text, b"inf", b"garbage2", b"-inf", text]],
            "set" => vec![vec![text]],
            _ => Vec::new(),
        };
        let head: &[&[u8]] = match kind.as_str() {
            "stream" => &[b"XADD", name, b"*"],
            "zset" => &[b"ZADD", name],
            _ => &[b"SADD", name],
        };
        kinds.extend(add.iter().map(|add| vec![command(&[head, add].concat())]));
    }
    kinds
}
