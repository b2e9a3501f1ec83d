//! Reading a stream of Redis: listpacks of entries, then what is known of ids and groups.

use bytes::Bytes;

use super::listpack;
use super::read::{Input, Malformed};
use crate::num;
use crate::stream::{Claim, Fields, Group, Stream, StreamId};

/// Flags of an entry.
const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
/// How many entries a group has read is not known.
const UNKNOWN: u64 = u64::MAX;

/// Fields that Redis 7.0 and 7.2 added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// The first id, the highest deleted one, entries added, entries read by groups.
    pub(super) numbers: bool,
    /// When a consumer last got something.
    pub(super) active: bool,
}

/// Takes the elements of a listpack one by one.
struct Elements(std::vec::IntoIter<Bytes>);

impl Elements {
    fn text(&mut self) -> Result<Bytes, Malformed> {
        self.0.next().ok_or(Malformed)
    }

    fn number(&mut self) -> Result<i64, Malformed> {
        num::parse_i64(&self.text()?).ok_or(Malformed)
    }

    /// A number of elements, not more than there are.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        (count <= self.0.len()).then_some(count).ok_or(Malformed)
    }

    fn texts(&mut self, count: usize) -> Result<Vec<Bytes>, Malformed> {
        (0..count).map(|_| self.text()).collect()
    }
}

pub(super) fn stream(input: &mut Input<'_>, form: Form) -> Result<Stream, Malformed> {
    let mut stream = Stream::default();
    for _ in 0..input.count_or_none()? {
        let first = raw_id(&input.string()?)?;
        let elements = listpack::elements(&input.string()?)?;
        node(&mut stream, first, Elements(elements.into_iter()), input)?;
    }
    let length = input.number()?;
    let last = id(input)?;
    let mut added = length;
    let mut deleted = StreamId::MIN;
    if form.numbers {
        let _first = id(input)?;
        deleted = id(input)?;
        added = input.number()?;
    }
    if last < stream.last_id() || length != stream.len() as u64 || added < length {
        return Err(Malformed);
    }
    stream.set_id(last, Some(added), Some(deleted));
    for _ in 0..input.count_or_none()? {
        let name = input.string()?;
        let group = group(input, form)?;
        stream.create_group(&name, group);
    }
    Ok(stream)
}

/// The entries of one listpack: a pattern of fields, then entries that may have the same fields.
fn node(
    stream: &mut Stream,
    first: StreamId,
    mut elements: Elements,
    input: &mut Input<'_>,
) -> Result<(), Malformed> {
    let (_live, _deleted) = (elements.number()?, elements.number()?);
    let fields = elements.count()?;
    let fields = elements.texts(fields)?;
    elements.number()?;
    let names: usize = fields.iter().map(Bytes::len).sum();
    while elements.0.len() > 0 {
        let flags = elements.number()?;
        let (ms, seq) = (elements.number()?, elements.number()?);
        let at = |base: u64, more: i64| base.checked_add_signed(more).ok_or(Malformed);
        let id = StreamId::new(at(first.ms, ms)?, at(first.seq, seq)?);
        let items = if flags & SAME_FIELDS != 0 {
            // Each entry gets names that are written once.
            input.unfold(names)?;
            let values = elements.texts(fields.len())?;
            let pairs = fields.iter().cloned().zip(values);
            pairs.flat_map(|(field, value)| [field, value]).collect()
        } else {
            let count = elements.count()?;
            elements.texts(count * 2)?
        };
        // How many elements the entry has, for those who read backwards.
        elements.number()?;
        if flags & DELETED != 0 {
            continue;
        }
        if id.is_zero() || id <= stream.last_id() {
            return Err(Malformed);
        }
        let items: Vec<&[u8]> = items.iter().map(AsRef::as_ref).collect();
        stream.append(id, Fields::pack(&items));
    }
    Ok(())
}

fn group(input: &mut Input<'_>, form: Form) -> Result<Group, Malformed> {
    let last = id(input)?;
    let read = match form.numbers {
        true => Some(input.number()?).filter(|read| *read != UNKNOWN),
        false => None,
    };
    let mut group = Group::new(last, read);
    let mut pending = Vec::new();
    for _ in 0..input.count_or_none()? {
        let id = raw_id(input.take(16)?)?;
        let delivered_at = u64::from_le_bytes(input.array()?);
        pending.push((id, delivered_at, input.number()?));
    }
    pending.sort_unstable_by_key(|(id, ..)| *id);
    for _ in 0..input.count_or_none()? {
        let name = input.string()?;
        group.see(&name, u64::from_le_bytes(input.array()?));
        if form.active {
            // Minus one: never.
            let active = u64::from_le_bytes(input.array()?);
            if active != u64::MAX {
                group.touch(&name, active);
            }
        }
        for _ in 0..input.count_or_none()? {
            let id = raw_id(input.take(16)?)?;
            let known = pending.binary_search_by_key(&id, |(id, ..)| *id);
            let known = known.ok().and_then(|at| pending.get(at));
            let &(_, delivered_at, deliveries) = known.ok_or(Malformed)?;
            let claim = Claim {
                min_idle: 0,
                delivered_at,
                now: delivered_at,
                deliveries: Some(deliveries),
                force: true,
                just_id: false,
            };
            group.claim(id, &name, claim);
        }
    }
    Ok(group)
}

fn id(input: &mut Input<'_>) -> Result<StreamId, Malformed> {
    Ok(StreamId::new(input.number()?, input.number()?))
}

/// 16 bytes, the highest first.
fn raw_id(bytes: &[u8]) -> Result<StreamId, Malformed> {
    let half = |range: std::ops::Range<usize>| {
        let bytes: Option<[u8; 8]> = bytes.get(range).and_then(|b| b.try_into().ok());
        bytes.map(u64::from_be_bytes).ok_or(Malformed)
    };
    if bytes.len() != 16 {
        return Err(Malformed);
    }
    Ok(StreamId::new(half(0..8)?, half(8..16)?))
}
