//! Reads keys as records, in parts of bounded size.

use futures_util::future::{join_all, join3};
use restis::{Error, ErrorKind, FromReply, Redis, Reply};

use super::record::{Bytes, Group, Kind, Pending, Record, StreamState};
use super::target::send;

/// About how many bytes a part has, where items are of similar size.
const PART_BYTES: u64 = 256 * 1024;
/// Most items of a part.
const PART_ITEMS: u64 = 1000;

/// A key, and how it is read.
#[derive(Debug)]
pub(super) struct Key {
    name: Vec<u8>,
    kind: Kind,
    expires: Option<u64>,
    /// Items, or bytes of a string.
    length: u64,
    /// How many of them are read at once.
    page: u64,
    /// Bytes that it takes, about.
    pub(super) bytes: u64,
}

/// Asks of what kind keys are; those that are gone meanwhile are left out.
pub(super) async fn keys(redis: &Redis, names: Vec<Vec<u8>>) -> Result<Vec<Key>, Error> {
    let asked = join_all(names.iter().map(|name| {
        join3(
            async move { redis.command("TYPE").arg(name).query::<String>().await },
            async move { redis.command("PEXPIRETIME").arg(name).query::<i64>().await },
            async move {
                let usage = redis.command("MEMORY").arg("USAGE").arg(name);
                usage.query::<Option<u64>>().await
            },
        )
    }));
    let mut found = Vec::new();
    for (name, (kind, expires, bytes)) in names.iter().zip(asked.await) {
        let (kind, expires) = (kind?, expires?);
        if kind == "none" || expires == -2 {
            continue;
        }
        found.push(Key {
            name: name.clone(),
            kind: Kind::of(&kind),
            expires: u64::try_from(expires).ok(),
            length: 0,
            page: 1,
            // Not every database tells it.
            bytes: bytes.ok().flatten().unwrap_or(0),
        });
    }
    let lengths = join_all(found.iter().map(|key| async {
        let command = match key.kind {
            Kind::String => "STRLEN",
            Kind::List => "LLEN",
            Kind::Set => "SCARD",
            Kind::Zset => "ZCARD",
            Kind::Hash => "HLEN",
            Kind::Stream => "XLEN",
            Kind::Json | Kind::Dump => return Ok(1),
        };
        redis.command(command).arg(&key.name).query::<u64>().await
    }));
    let lengths = lengths.await;
    for (key, length) in found.iter_mut().zip(lengths) {
        key.length = length?;
        key.page = match key.kind {
            Kind::String => PART_BYTES,
            _ => (key.length.max(1) * PART_BYTES / key.bytes.max(1)).clamp(1, PART_ITEMS),
        };
        key.bytes = key.bytes.max(key.length);
    }
    drop(names);
    Ok(found)
}

impl Key {
    /// Whether one part is enough.
    pub(super) fn is_small(&self) -> bool {
        self.bytes <= PART_BYTES && self.length <= self.page && self.kind != Kind::Stream
    }

    /// Starts to read it.
    pub(super) fn reader<'r>(&'r self, redis: &'r Redis) -> Reader<'r> {
        Reader {
            redis,
            key: self,
            step: Step::Items(String::from("0")),
            page: self.page,
            part: 0,
            offset: 0,
        }
    }
}

/// What is read next.
enum Step {
    /// Items from a cursor, an offset or a stream's id on.
    Items(String),
    /// What a stream has beside its entries.
    State,
    /// Pending entries of the first of these groups, behind an id.
    Pending(Vec<Bytes>, String),
    End,
}

/// Reads one key part by part.
pub(super) struct Reader<'r> {
    redis: &'r Redis,
    key: &'r Key,
    step: Step,
    page: u64,
    part: u64,
    offset: u64,
}

impl Reader<'_> {
    /// The next part; `None` after the last one, or when the key is gone.
    pub(super) async fn next(&mut self) -> Result<Option<Record>, Error> {
        let mut record = Record::new(&self.key.name, self.key.kind);
        record.x = self.key.expires;
        (record.p, record.o) = (self.part, self.offset);
        let step = std::mem::replace(&mut self.step, Step::End);
        self.step = match step {
            Step::End => return Ok(None),
            Step::Items(from) => match self.items(&from, &mut record).await {
                Ok(next) => next,
                Err(error) if error.kind() == ErrorKind::TooLarge && self.page > 1 => {
                    // Items that are larger than the others.
                    self.page = (self.page / 8).max(1);
                    self.step = Step::Items(from);
                    return Box::pin(self.next()).await;
                }
                Err(error) => return Err(error),
            },
            Step::State => self.state(&mut record).await?,
            Step::Pending(groups, after) => self.pending(groups, &after, &mut record).await?,
        };
        let empty = record.d.is_empty() && record.s.is_none() && record.g.is_none();
        let gone = empty && self.part == 0 && matches!(self.step, Step::End);
        if gone {
            return Ok(None);
        }
        record.more = !matches!(self.step, Step::End);
        self.part += 1;
        Ok(Some(record))
    }

    async fn ask<T: FromReply>(&self, name: &str, args: &[&[u8]]) -> Result<T, Error> {
        ask(self.redis, name, &self.key.name, args).await
    }

    async fn items(&mut self, from: &str, record: &mut Record) -> Result<Step, Error> {
        let whole = from == "0" && self.key.length <= self.page;
        let (offset, page) = (self.offset, self.page);
        let count = page.to_string();
        let range = |end: u64| [offset.to_string(), end.to_string()];
        match self.key.kind {
            Kind::String => {
                let [start, end] = range(offset + page - 1);
                let part: Vec<u8> = self
                    .ask("GETRANGE", &[start.as_bytes(), end.as_bytes()])
                    .await?;
                let read = part.len() as u64;
                if read > 0 || self.key.length == 0 {
                    record.d.push(Bytes(part));
                }
                self.offset += read;
                return Ok(more(read == page && self.offset < self.key.length));
            }
            Kind::List => {
                let [start, end] = range(offset + page - 1);
                record.d = bytes(
                    self.ask("LRANGE", &[start.as_bytes(), end.as_bytes()])
                        .await?,
                );
                let read = record.d.len() as u64;
                self.offset += read;
                return Ok(more(read == page));
            }
            Kind::Stream => return self.entries(from, record).await,
            Kind::Json => record.d = bytes(vec![self.ask("JSON.GET", &[]).await?]),
            Kind::Dump => {
                let payload: Option<Vec<u8>> = self.ask("DUMP", &[]).await?;
                record.d = payload.into_iter().map(Bytes).collect();
            }
            Kind::Set if whole => record.d = bytes(self.ask("SMEMBERS", &[]).await?),
            Kind::Hash if whole => record.d = bytes(self.flat("HGETALL", &[]).await?),
            Kind::Zset if whole => {
                record.d = bytes(self.flat("ZRANGE", &[b"0", b"-1", b"WITHSCORES"]).await?);
            }
            kind => {
                let command = match kind {
                    Kind::Set => "SSCAN",
                    Kind::Hash => "HSCAN",
                    _ => "ZSCAN",
                };
                let args: [&[u8]; 3] = [from.as_bytes(), b"COUNT", count.as_bytes()];
                let (cursor, items): (String, Vec<Vec<u8>>) = self.ask(command, &args).await?;
                record.d = bytes(items);
                self.field_ttls(record).await?;
                self.offset += record.d.len() as u64;
                return Ok(match cursor.as_str() {
                    "0" => Step::End,
                    _ => Step::Items(cursor),
                });
            }
        }
        self.field_ttls(record).await?;
        Ok(Step::End)
    }

    /// Pairs one after another, also from a server that nests them.
    async fn flat(&self, name: &str, args: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
        let reply: Reply = self.ask(name, args).await?;
        let mut flat = Vec::new();
        for item in reply.into_array()? {
            match item {
                Reply::Array(pair) => {
                    for part in pair {
                        flat.push(Vec::from_reply(part)?);
                    }
                }
                item => flat.push(Vec::from_reply(item)?),
            }
        }
        Ok(flat)
    }

    /// When each field of the hash ends; nothing where no field does, or the server has no such times.
    async fn field_ttls(&self, record: &mut Record) -> Result<(), Error> {
        if self.key.kind != Kind::Hash || record.d.is_empty() {
            return Ok(());
        }
        let count = (record.d.len() / 2).to_string();
        let mut args: Vec<&[u8]> = vec![b"FIELDS", count.as_bytes()];
        args.extend(record.d.iter().step_by(2).map(|field| &*field.0));
        let times: Vec<i64> = match self.ask("HPEXPIRETIME", &args).await {
            Ok(times) => times,
            Err(error) if lacks_command(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        if times.iter().any(|time| *time > 0) {
            record.e = times
                .into_iter()
                .map(|t| u64::try_from(t).unwrap_or(0))
                .collect();
        }
        Ok(())
    }

    async fn entries(&mut self, from: &str, record: &mut Record) -> Result<Step, Error> {
        let start = if from == "0" {
            "-".to_owned()
        } else {
            format!("({from}")
        };
        let count = self.page.to_string();
        let args: [&[u8]; 4] = [start.as_bytes(), b"+", b"COUNT", count.as_bytes()];
        let read: Vec<(String, Vec<Vec<u8>>)> = self.ask("XRANGE", &args).await?;
        let next = match read.last() {
            Some((id, _)) if read.len() as u64 == self.page => Step::Items(id.clone()),
            _ => Step::State,
        };
        self.offset += read.len() as u64;
        for (id, fields) in read {
            record.d.push(Bytes(id.into_bytes()));
            record.d.push(Bytes(fields.len().to_string().into_bytes()));
            record.d.extend(fields.into_iter().map(Bytes));
        }
        Ok(next)
    }

    async fn state(&self, record: &mut Record) -> Result<Step, Error> {
        let state = stream_state(self.redis, &self.key.name).await?;
        let names: Vec<Bytes> = state.groups.iter().rev().map(|g| g.name.clone()).collect();
        record.s = Some(state);
        Ok(match names.is_empty() {
            true => Step::End,
            false => Step::Pending(names, "-".to_owned()),
        })
    }

    async fn pending(
        &self,
        mut groups: Vec<Bytes>,
        after: &str,
        record: &mut Record,
    ) -> Result<Step, Error> {
        let Some(group) = groups.last().cloned() else {
            return Ok(Step::End);
        };
        let start = if after == "-" {
            "-".to_owned()
        } else {
            format!("({after}")
        };
        let count = PART_ITEMS.to_string();
        let args: [&[u8]; 4] = [&group.0, start.as_bytes(), b"+", count.as_bytes()];
        let read: Vec<(String, Vec<u8>, u64, u64)> = self.ask("XPENDING", &args).await?;
        let now = restis::Clock::now_ms(&restis::SystemClock::new());
        let last = read.last().map(|(id, ..)| id.clone());
        let full = read.len() as u64 == PART_ITEMS;
        // An entry whose message was deleted cannot be made again.
        let messages = join_all(read.iter().map(|(id, ..)| async {
            let args: [&[u8]; 2] = [id.as_bytes(), id.as_bytes()];
            self.ask::<Vec<Reply>>("XRANGE", &args).await
        }));
        let messages = messages.await;
        let mut entries = Vec::new();
        for ((id, consumer, idle, deliveries), message) in read.into_iter().zip(messages) {
            if !message?.is_empty() {
                let at = now.saturating_sub(idle);
                entries.push((id, Bytes(consumer), at, deliveries));
            }
        }
        record.g = Some(Pending { group, entries });
        if let (Some(last), true) = (last, full) {
            return Ok(Step::Pending(groups, last));
        }
        groups.pop();
        Ok(match groups.is_empty() {
            true => Step::End,
            false => Step::Pending(groups, "-".to_owned()),
        })
    }
}

/// Asks about a key; a subcommand stands behind the name.
async fn ask<T: FromReply>(
    redis: &Redis,
    name: &str,
    key: &[u8],
    args: &[&[u8]],
) -> Result<T, Error> {
    let mut all: Vec<Vec<u8>> = name
        .split(' ')
        .map(|part| part.as_bytes().to_vec())
        .collect();
    all.push(key.to_vec());
    all.extend(args.iter().map(|arg| arg.to_vec()));
    let mut replies = send(redis, &[all]).await;
    T::from_reply(replies.pop().unwrap_or(Ok(Reply::Nil))?)
}

/// What a stream has beside its entries.
pub(super) async fn stream_state(redis: &Redis, key: &[u8]) -> Result<StreamState, Error> {
    let stream = Fields::of(ask(redis, "XINFO STREAM", key, &[]).await?)?;
    let mut state = StreamState {
        last: stream
            .text("last-generated-id")
            .unwrap_or_else(|| "0-0".to_owned()),
        added: stream.number("entries-added"),
        deleted: stream.text("max-deleted-entry-id"),
        groups: Vec::new(),
    };
    let groups: Vec<Reply> = ask(redis, "XINFO GROUPS", key, &[]).await?;
    for group in groups {
        let group = Fields::of(group)?;
        let name = group.bytes("name").unwrap_or_default();
        let consumers: Vec<Reply> = ask(redis, "XINFO CONSUMERS", key, &[&name]).await?;
        let mut names = Vec::new();
        for consumer in consumers {
            names.extend(Fields::of(consumer)?.bytes("name").map(Bytes));
        }
        state.groups.push(Group {
            name: Bytes(name),
            last: group
                .text("last-delivered-id")
                .unwrap_or_else(|| "0-0".to_owned()),
            read: group.number("entries-read"),
            consumers: names,
        });
    }
    Ok(state)
}

/// Whether the server does not know the command, or not this form of it.
pub(super) fn lacks_command(error: &Error) -> bool {
    let text = error
        .server_message()
        .unwrap_or_default()
        .to_ascii_lowercase();
    text.contains("unknown command")
        || text.contains("unknown subcommand")
        || text.contains("not available")
        || text.contains("not supported")
}

/// Where items are counted, the offset tells what comes next.
fn more(more: bool) -> Step {
    match more {
        true => Step::Items(String::from("next")),
        false => Step::End,
    }
}

fn bytes(items: Vec<Vec<u8>>) -> Vec<Bytes> {
    items.into_iter().map(Bytes).collect()
}

/// Names and values of `XINFO`.
struct Fields(Vec<(String, Reply)>);

impl Fields {
    fn of(reply: Reply) -> Result<Self, Error> {
        let mut fields = Vec::new();
        let mut items = reply.into_array()?.into_iter();
        while let (Some(name), Some(value)) = (items.next(), items.next()) {
            fields.push((String::from_reply(name)?, value));
        }
        Ok(Self(fields))
    }

    fn get<T: FromReply>(&self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name)?;
        T::from_reply(value.clone()).ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.get(name)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)
    }
}
