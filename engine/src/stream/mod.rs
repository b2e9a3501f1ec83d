//! The stream type: a log of entries, its counters and its consumer groups.
//!
//! Everything is decided here; the commands parse arguments and shape replies.

mod group;
mod id;
mod idempotency;
mod log;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

pub(crate) use group::{Claim, Deliveries, Group, Release};
pub(crate) use id::{Bound, NewId, StreamId};
pub(crate) use idempotency::{Idempotency, MessageId, Settings};
pub(crate) use log::{Entry, Fields, NODE_ENTRIES};

use log::Log;

/// What happens to references in consumer groups when an entry goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum References {
    /// Pending entries stay.
    #[default]
    Keep,
    /// Pending entries go too, in every group.
    Delete,
    /// The entry goes only if every group has read and acknowledged it.
    Acknowledged,
}

/// What happened to one entry that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    NotFound,
    Deleted,
    StillReferenced,
}

/// Which entries a trim may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threshold {
    MaxLen(u64),
    MinId(StreamId),
}

/// A trim of the oldest entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trim {
    pub(crate) threshold: Threshold,
    /// Nothing goes while the surplus is smaller than a node.
    pub(crate) approximate: bool,
    /// At most so many entries.
    pub(crate) limit: Option<u64>,
    pub(crate) references: References,
}

/// Why no id could be given to a new entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdError {
    /// `0-0` was asked for.
    Zero,
    /// Not above the last id.
    TooSmall,
    /// The last possible id is taken.
    Exhausted,
}

/// A stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    log: Log,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: BTreeMap<Bytes, Group>,
    /// Nothing until a producer names itself or the settings change.
    idempotency: Option<Box<Idempotency>>,
}

impl Stream {
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    pub(crate) fn nodes(&self) -> usize {
        self.log.nodes()
    }

    pub(crate) fn last_id(&self) -> StreamId {
        self.last_id
    }

    pub(crate) fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    pub(crate) fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Id of the oldest entry, `0-0` when empty.
    pub(crate) fn first_id(&self) -> StreamId {
        self.first().map_or(StreamId::MIN, |entry| entry.id)
    }

    pub(crate) fn first(&self) -> Option<&Entry> {
        self.log.first()
    }

    pub(crate) fn last(&self) -> Option<&Entry> {
        self.log.last()
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Entry> {
        self.log.get(id)
    }

    pub(crate) fn range(&self, first: StreamId, last: StreamId) -> impl Iterator<Item = &Entry> {
        self.log.range(first, last)
    }

    pub(crate) fn range_back(
        &self,
        first: StreamId,
        last: StreamId,
    ) -> impl Iterator<Item = &Entry> {
        self.log.range_back(first, last)
    }

    pub(crate) fn groups(&self) -> &BTreeMap<Bytes, Group> {
        &self.groups
    }

    pub(crate) fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    pub(crate) fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// Creates a group; `false` if it exists.
    pub(crate) fn create_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups.insert(Bytes::copy_from_slice(name), group);
        true
    }

    pub(crate) fn destroy_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }

    /// Roughly the bytes this takes; must be cheap, it is asked after every write.
    pub(crate) fn weight(&self) -> usize {
        /// The first node of the log.
        const NODE: usize = 600;
        size_of::<Self>()
            + NODE
            + self.log.size()
            + self
                .groups
                .iter()
                .map(|(name, group)| 2 * size_of::<Bytes>() + name.len() + group.size())
                .sum::<usize>()
            + self
                .idempotency
                .as_ref()
                .map_or(0, |producers| producers.weight())
    }

    pub(crate) fn idempotency(&self) -> Option<&Idempotency> {
        self.idempotency.as_deref()
    }

    /// What is known of the producers, made if there is nothing yet.
    pub(crate) fn idempotency_mut(&mut self) -> &mut Idempotency {
        self.idempotency.get_or_insert_default()
    }

    /// When the next message id is forgotten, in Unix milliseconds.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.idempotency.as_ref()?.next_expiry()
    }

    /// Forgets message ids that are due, at most `limit`; returns how many.
    pub(crate) fn expire(&mut self, now: u64, limit: usize) -> usize {
        self.idempotency
            .as_mut()
            .map_or(0, |producers| producers.expire(now, limit))
    }

    /// The id the next entry gets.
    pub(crate) fn next_id(&self, wanted: NewId, now: u64) -> Result<StreamId, IdError> {
        let id = match wanted {
            NewId::Auto if now > self.last_id.ms => StreamId::new(now, 0),
            NewId::Auto => self.last_id.next().ok_or(IdError::Exhausted)?,
            NewId::AutoSeq(ms) if ms == self.last_id.ms => {
                let seq = self.last_id.seq.checked_add(1).ok_or(IdError::Exhausted)?;
                StreamId::new(ms, seq)
            }
            NewId::AutoSeq(ms) => StreamId::new(ms, 0),
            NewId::Given(id) => id,
        };
        if id.is_zero() {
            return Err(IdError::Zero);
        }
        if self.last_id == StreamId::MAX {
            return Err(IdError::Exhausted);
        }
        if id <= self.last_id {
            Err(IdError::TooSmall)
        } else {
            Ok(id)
        }
    }

    /// Appends an entry under an id from [`Stream::next_id`].
    pub(crate) fn append(&mut self, id: StreamId, fields: Fields) {
        self.log.push(id, fields);
        self.entries_added += 1;
        self.last_id = id;
    }

    /// Sets the counters, as XSETID does.
    pub(crate) fn set_id(
        &mut self,
        last_id: StreamId,
        entries_added: Option<u64>,
        max_deleted: Option<StreamId>,
    ) {
        self.last_id = last_id;
        if let Some(added) = entries_added {
            self.entries_added = added;
        }
        if let Some(id) = max_deleted.filter(|id| !id.is_zero()) {
            self.max_deleted_id = id;
        }
    }

    /// Deletes one entry; `false` if it was not there.
    pub(crate) fn delete(&mut self, id: StreamId) -> bool {
        if !self.log.remove(id) {
            return false;
        }
        self.max_deleted_id = self.max_deleted_id.max(id);
        true
    }

    /// Deletes one entry with regard to the consumer groups.
    pub(crate) fn delete_with(&mut self, id: StreamId, references: References) -> Deletion {
        if !self.log.contains(id) {
            return Deletion::NotFound;
        }
        match references {
            References::Acknowledged if self.is_referenced(id) => return Deletion::StillReferenced,
            References::Delete => self.forget(id),
            References::Keep | References::Acknowledged => {}
        }
        self.delete(id);
        Deletion::Deleted
    }

    /// Acknowledges one entry in `group` and deletes it. An entry the group never got is deleted all the same.
    pub(crate) fn acknowledge_and_delete(
        &mut self,
        group: &[u8],
        id: StreamId,
        references: References,
    ) -> Deletion {
        let was_pending = self
            .groups
            .get_mut(group)
            .is_some_and(|group| group.acknowledge(id));
        match self.delete_with(id, references) {
            // The entry was gone, its reference is gone now too.
            Deletion::NotFound if was_pending => Deletion::Deleted,
            other => other,
        }
    }

    /// Removes `id` from the pending entries of every group.
    fn forget(&mut self, id: StreamId) {
        for group in self.groups.values_mut() {
            group.acknowledge(id);
        }
    }

    /// Whether some group has still to read or to acknowledge an entry.
    fn is_referenced(&self, id: StreamId) -> bool {
        self.groups
            .values()
            .any(|group| id > group.last_id || group.pending().contains_key(&id))
    }

    /// Removes the oldest entries; how many.
    pub(crate) fn trim(&mut self, trim: &Trim) -> u64 {
        if trim.approximate && self.surplus(trim, NODE_ENTRIES) < NODE_ENTRIES {
            return 0;
        }
        let limit = trim.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        match trim.references {
            References::Keep => {
                let surplus = self.surplus(trim, limit);
                self.log.drop_oldest(surplus);
                surplus as u64
            }
            References::Delete => {
                let surplus = self.surplus(trim, limit);
                let doomed: Vec<StreamId> = self
                    .log
                    .range(StreamId::MIN, StreamId::MAX)
                    .take(surplus)
                    .map(|e| e.id)
                    .collect();
                for &id in &doomed {
                    self.forget(id);
                }
                self.log.drop_oldest(surplus);
                surplus as u64
            }
            References::Acknowledged => self.trim_acknowledged(trim, limit),
        }
    }

    /// How many of the oldest entries a trim wants to remove, up to a limit.
    fn surplus(&self, trim: &Trim, limit: usize) -> usize {
        let surplus = match trim.threshold {
            Threshold::MaxLen(max) => self
                .len()
                .saturating_sub(usize::try_from(max).unwrap_or(usize::MAX)),
            Threshold::MinId(min) => self
                .log
                .range(StreamId::MIN, StreamId::MAX)
                .take_while(|entry| entry.id < min)
                .take(limit)
                .count(),
        };
        surplus.min(limit)
    }

    fn trim_acknowledged(&mut self, trim: &Trim, limit: usize) -> u64 {
        let (below, surplus) = match trim.threshold {
            Threshold::MaxLen(max) => (
                StreamId::MAX,
                self.len()
                    .saturating_sub(usize::try_from(max).unwrap_or(usize::MAX)),
            ),
            Threshold::MinId(min) => (min, usize::MAX),
        };
        let free: Vec<StreamId> = self
            .log
            .range(StreamId::MIN, StreamId::MAX)
            .map(|entry| entry.id)
            .take_while(|&id| id < below || below == StreamId::MAX)
            .filter(|&id| !self.is_referenced(id))
            .take(surplus.min(limit))
            .collect();
        for &id in &free {
            self.log.remove(id);
        }
        free.len() as u64
    }

    /// Advances a group past `id` when that entry is delivered as new.
    pub(crate) fn advance(&mut self, group: &[u8], id: StreamId) {
        let Some(state) = self.groups.get(group) else {
            return;
        };
        if id <= state.last_id {
            return;
        }
        let counted = state.last_id >= self.first_id() && !self.has_tombstones_after(state.last_id);
        let entries_read = match state.entries_read {
            Some(read) if counted => Some(read + 1),
            _ if self.entries_added > 0 => self.distance_from_start(id),
            other => other,
        };
        if let Some(state) = self.groups.get_mut(group) {
            state.entries_read = entries_read;
            state.last_id = id;
        }
    }

    /// How many entries a group has still to read, if that can be known.
    pub(crate) fn lag(&self, group: &Group) -> Option<u64> {
        if self.entries_added == 0 || self.len() == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read)
                if group.last_id >= self.first_id()
                    && !self.has_tombstones_after(group.last_id) =>
            {
                Some(read)
            }
            _ => self.distance_from_start(group.last_id),
        };
        read.map(|read| self.entries_added.saturating_sub(read))
    }

    /// Whether entries were deleted at or after `id`, so that counting from there would be wrong.
    fn has_tombstones_after(&self, id: StreamId) -> bool {
        self.len() > 0 && !self.max_deleted_id.is_zero() && id <= self.max_deleted_id
    }

    /// How many entries were ever added up to `id`, if that can be known.
    pub(crate) fn distance_from_start(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.len() == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if !id.is_zero() && id < self.max_deleted_id {
            return None;
        }
        match id.cmp(&self.last_id) {
            std::cmp::Ordering::Equal => return Some(self.entries_added),
            std::cmp::Ordering::Greater => return None,
            std::cmp::Ordering::Less => {}
        }
        let first = self.first_id();
        if self.max_deleted_id.is_zero() || self.max_deleted_id < first {
            let before = self.entries_added.saturating_sub(self.len() as u64);
            match id.cmp(&first) {
                std::cmp::Ordering::Less => return Some(before),
                std::cmp::Ordering::Equal => return Some(before + 1),
                std::cmp::Ordering::Greater => {}
            }
        }
        None
    }
}
