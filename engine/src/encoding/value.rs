//! Values in a snapshot.

use bytes::Bytes;

use super::codec::{Corrupt, Reader, put_bytes, put_number};
use crate::array::{self, Array};
use crate::hash::Hash;
use crate::json::{self, Json};
use crate::list::{End, List};
use crate::set::Set;
use crate::stream::{
    Claim, Deliveries, Fields, Group, Idempotency, Release, Settings, Stream, StreamId,
};
use crate::value::{Typed, Value};
use crate::vectors::{self, Metric, Vectors};
use crate::zset::ZSet;

const STRING: u8 = 0;
const LIST: u8 = 1;
const SET: u8 = 2;
const HASH: u8 = 3;
const ZSET: u8 = 4;
const STREAM: u8 = 5;
const JSON: u8 = 6;
const VECTORS: u8 = 7;
const ARRAY: u8 = 8;
/// A stream, then what it knows of its producers.
const STREAM_OF_PRODUCERS: u8 = 9;

/// Appends a value with its type.
pub(crate) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(bytes) => {
            out.push(STRING);
            put_bytes(out, bytes);
        }
        Value::List(list) => {
            out.push(LIST);
            put_number(out, list.len() as u64);
            list.iter().for_each(|item| put_bytes(out, &item));
        }
        Value::Set(set) => {
            out.push(SET);
            put_number(out, set.len() as u64);
            set.iter().for_each(|member| put_bytes(out, &member));
        }
        Value::Hash(hash) => {
            out.push(HASH);
            put_number(out, hash.len() as u64);
            for (field, value, expiry) in hash.iter_with_expiry() {
                put_bytes(out, &field);
                put_bytes(out, &value);
                put_number(out, expiry);
            }
        }
        Value::ZSet(zset) => {
            out.push(ZSET);
            put_number(out, zset.len() as u64);
            for (member, score) in zset.iter() {
                put_bytes(out, &member);
                out.extend_from_slice(&score.to_le_bytes());
            }
        }
        Value::Stream(stream) => {
            let producers = stream.idempotency();
            out.push(if producers.is_some() {
                STREAM_OF_PRODUCERS
            } else {
                STREAM
            });
            write_stream(out, stream);
            if let Some(producers) = producers {
                write_producers(out, producers);
            }
        }
        Value::Json(json) => {
            out.push(JSON);
            put_bytes(out, &json.root().to_text());
        }
        Value::Vectors(vectors) => {
            out.push(VECTORS);
            put_number(out, vectors.dimension() as u64);
            put_bytes(out, vectors.metric().name().as_bytes());
            put_number(out, vectors.len() as u64);
            for (id, vector) in vectors.iter() {
                put_bytes(out, id);
                put_bytes(out, &vectors::to_bytes(vector));
            }
        }
        Value::Array(array) => {
            out.push(ARRAY);
            put_number(out, array.position());
            put_number(out, array.ring());
            put_number(out, array.count() as u64);
            for (index, value) in array.range(0..=array::LAST) {
                put_number(out, index);
                put_bytes(out, value);
            }
        }
    }
}

/// Reads a value with its type.
pub(crate) fn read(reader: &mut Reader) -> Result<Value, Corrupt> {
    Ok(match reader.byte()? {
        STRING => Value::Str(reader.bytes()?.into()),
        LIST => read_list(reader)?.into_value(),
        SET => read_set(reader)?.into_value(),
        HASH => read_hash(reader)?.into_value(),
        ZSET => read_zset(reader)?.into_value(),
        STREAM => read_stream(reader)?.into_value(),
        STREAM_OF_PRODUCERS => {
            let mut stream = read_stream(reader)?;
            *stream.idempotency_mut() = read_producers(reader, stream.last_id())?;
            stream.into_value()
        }
        JSON => {
            let root = json::parse(&reader.bytes()?).map_err(|_| Corrupt)?;
            Json::new(root).into_value()
        }
        VECTORS => read_vectors(reader)?.into_value(),
        ARRAY => read_array(reader)?.into_value(),
        _ => return Err(Corrupt),
    })
}

/// The number of elements of a collection, which is never empty.
fn elements(reader: &mut Reader) -> Result<usize, Corrupt> {
    match reader.count()? {
        0 => Err(Corrupt),
        count => Ok(count),
    }
}

fn read_list(reader: &mut Reader) -> Result<List, Corrupt> {
    let mut list = List::default();
    for _ in 0..elements(reader)? {
        list.push(End::Right, &reader.bytes()?);
    }
    Ok(list)
}

fn read_set(reader: &mut Reader) -> Result<Set, Corrupt> {
    let mut set = Set::default();
    for _ in 0..elements(reader)? {
        set.insert(&reader.bytes()?);
    }
    Ok(set)
}

fn read_hash(reader: &mut Reader) -> Result<Hash, Corrupt> {
    let mut hash = Hash::default();
    for _ in 0..elements(reader)? {
        let (field, value, expiry) = (reader.bytes()?, reader.bytes()?, reader.number()?);
        hash.set(&field, &value);
        if expiry != 0 {
            hash.set_expiry(&field, Some(expiry));
        }
    }
    Ok(hash)
}

fn read_zset(reader: &mut Reader) -> Result<ZSet, Corrupt> {
    let mut zset = ZSet::default();
    for _ in 0..elements(reader)? {
        let (member, score) = (reader.bytes()?, reader.double()?);
        if score.is_nan() {
            return Err(Corrupt);
        }
        zset.insert(&member, score);
    }
    Ok(zset)
}

fn read_vectors(reader: &mut Reader) -> Result<Vectors, Corrupt> {
    let dimension = usize::try_from(reader.number()?).map_err(|_| Corrupt)?;
    let metric = Metric::parse(&reader.bytes()?).ok_or(Corrupt)?;
    let mut vectors = Vectors::new(dimension, metric);
    for _ in 0..reader.count()? {
        let (id, vector) = (reader.bytes()?, reader.bytes()?);
        let vector = vectors::from_bytes(&vector).filter(|vector| vector.len() == dimension);
        vectors.set(&id, vector.ok_or(Corrupt)?);
    }
    Ok(vectors)
}

fn read_array(reader: &mut Reader) -> Result<Array, Corrupt> {
    let mut array = Array::restored(reader.number()?, reader.number()?);
    for _ in 0..elements(reader)? {
        let index = reader.number()?;
        if index > array::LAST {
            return Err(Corrupt);
        }
        array.set(index, reader.bytes()?);
    }
    Ok(array)
}

fn put_id(out: &mut Vec<u8>, id: StreamId) {
    put_number(out, id.ms);
    put_number(out, id.seq);
}

fn read_id(reader: &mut Reader) -> Result<StreamId, Corrupt> {
    Ok(StreamId::new(reader.number()?, reader.number()?))
}

/// A number that may be missing: whether it is there, then the number.
fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(u8::from(value.is_some()));
    put_number(out, value.unwrap_or(0));
}

fn read_optional(reader: &mut Reader) -> Result<Option<u64>, Corrupt> {
    let present = reader.byte()? != 0;
    let value = reader.number()?;
    Ok(present.then_some(value))
}

/// In place of the time of delivery: no consumer has the entry.
const RELEASED: u64 = u64::MAX;

fn write_stream(out: &mut Vec<u8>, stream: &Stream) {
    put_number(out, stream.len() as u64);
    for entry in stream.range(StreamId::MIN, StreamId::MAX) {
        put_id(out, entry.id);
        put_number(out, entry.fields.iter().count() as u64);
        entry.fields.iter().for_each(|item| put_bytes(out, &item));
    }
    put_id(out, stream.last_id());
    put_id(out, stream.max_deleted_id());
    put_number(out, stream.entries_added());
    put_number(out, stream.groups().len() as u64);
    for (name, group) in stream.groups() {
        put_bytes(out, name);
        put_id(out, group.last_id);
        put_optional(out, group.entries_read);
        put_number(out, group.consumers().len() as u64);
        for (name, consumer) in group.consumers() {
            put_bytes(out, name);
            put_number(out, consumer.seen);
            put_optional(out, consumer.active);
        }
        put_number(out, group.pending().len() as u64);
        for (id, pending) in group.pending() {
            put_id(out, *id);
            put_bytes(out, pending.consumer.as_deref().unwrap_or_default());
            put_number(
                out,
                pending
                    .consumer
                    .as_ref()
                    .map_or(RELEASED, |_| pending.delivered_at),
            );
            put_number(out, pending.deliveries);
        }
    }
}

fn read_stream(reader: &mut Reader) -> Result<Stream, Corrupt> {
    let mut stream = Stream::default();
    for _ in 0..reader.count()? {
        let id = read_id(reader)?;
        if id.is_zero() || id <= stream.last_id() {
            return Err(Corrupt);
        }
        let items = (0..reader.count()?)
            .map(|_| reader.bytes())
            .collect::<Result<Vec<Bytes>, Corrupt>>()?;
        let items: Vec<&[u8]> = items.iter().map(AsRef::as_ref).collect();
        stream.append(id, Fields::pack(&items));
    }
    let (last, deleted) = (read_id(reader)?, read_id(reader)?);
    let added = reader.number()?;
    if last < stream.last_id() {
        return Err(Corrupt);
    }
    stream.set_id(last, Some(added), Some(deleted));
    for _ in 0..reader.count()? {
        let name = reader.bytes()?;
        let group = read_group(reader)?;
        stream.create_group(&name, group);
    }
    Ok(stream)
}

fn read_group(reader: &mut Reader) -> Result<Group, Corrupt> {
    let last_id = read_id(reader)?;
    let mut group = Group::new(last_id, read_optional(reader)?);
    for _ in 0..reader.count()? {
        let (name, seen) = (reader.bytes()?, reader.number()?);
        group.see(&name, seen);
        if let Some(active) = read_optional(reader)? {
            group.touch(&name, active);
        }
    }
    for _ in 0..reader.count()? {
        let id = read_id(reader)?;
        let consumer = reader.bytes()?;
        let (delivered_at, deliveries) = (reader.number()?, reader.number()?);
        if delivered_at == RELEASED {
            group.release(
                id,
                Release {
                    deliveries: Deliveries::Given(deliveries),
                    force: true,
                },
            );
            continue;
        }
        let claim = Claim {
            min_idle: 0,
            delivered_at,
            now: delivered_at,
            deliveries: Some(deliveries),
            force: true,
            just_id: false,
        };
        group.claim(id, &consumer, claim);
    }
    Ok(group)
}

fn write_producers(out: &mut Vec<u8>, producers: &Idempotency) {
    let settings = producers.settings();
    put_number(out, settings.duration_s.into());
    put_number(out, settings.max_size.into());
    put_number(out, producers.added());
    put_number(out, producers.duplicates());
    put_number(out, producers.producers() as u64);
    for (name, messages) in producers.iter() {
        put_bytes(out, name);
        put_number(out, messages.len() as u64);
        for (at, message, entry) in messages {
            put_number(out, at);
            put_bytes(out, message);
            put_id(out, entry);
        }
    }
}

fn read_producers(reader: &mut Reader, last_id: StreamId) -> Result<Idempotency, Corrupt> {
    let mut setting = || u32::try_from(reader.number()?).map_err(|_| Corrupt);
    let settings = Settings {
        duration_s: setting()?,
        max_size: setting()?,
    };
    if !settings.are_allowed() {
        return Err(Corrupt);
    }
    let mut producers = Idempotency::restored(settings, reader.number()?, reader.number()?);
    for _ in 0..reader.count()? {
        let name = reader.bytes()?;
        for _ in 0..elements(reader)? {
            let (at, message, entry) = (reader.number()?, reader.bytes()?, read_id(reader)?);
            if entry > last_id || !producers.restore(&name, message, entry, at) {
                return Err(Corrupt);
            }
        }
    }
    Ok(producers)
}
