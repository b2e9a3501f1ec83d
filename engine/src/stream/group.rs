//! Consumer groups: who got which entry, when and how often.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::id::StreamId;

/// An entry that was delivered and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Who got it; nobody once it was released.
    pub(crate) consumer: Option<Bytes>,
    pub(crate) delivered_at: u64,
    pub(crate) deliveries: u64,
}

impl Pending {
    /// How long ago it was delivered; `None` if nobody has it.
    pub(crate) fn idle(&self, now: u64) -> Option<u64> {
        self.consumer
            .as_ref()
            .map(|_| now.saturating_sub(self.delivered_at))
    }
}

/// The largest number of deliveries that a reply can tell.
const MOST_DELIVERIES: u64 = i64::MAX as u64;

/// What becomes of the number of deliveries of an entry that is released.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deliveries {
    /// The last one does not count.
    Less,
    Same,
    Most,
    Given(u64),
}

impl Deliveries {
    fn of(self, before: u64) -> u64 {
        match self {
            Self::Less => before.saturating_sub(1),
            Self::Same => before,
            Self::Most => MOST_DELIVERIES,
            Self::Given(count) => count,
        }
    }
}

/// How an entry is released.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release {
    pub(crate) deliveries: Deliveries,
    /// Make the entry pending if it is not.
    pub(crate) force: bool,
}

/// One consumer of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Consumer {
    /// Last attempt to read or claim, unix ms.
    pub(crate) seen: u64,
    /// Last time it got or claimed something, unix ms.
    pub(crate) active: Option<u64>,
    /// Ids of its pending entries; always equal to the group's entries of this consumer.
    pub(crate) pending: BTreeSet<StreamId>,
}

/// A consumer group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) last_id: StreamId,
    /// How many entries of the stream's whole life were read, if known.
    pub(crate) entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: BTreeMap<Bytes, Consumer>,
    /// The sum of the lengths of the consumers' names.
    name_bytes: usize,
}

/// How a claim changes a pending entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) min_idle: u64,
    pub(crate) delivered_at: u64,
    pub(crate) now: u64,
    /// Set the number of deliveries instead of counting this one.
    pub(crate) deliveries: Option<u64>,
    /// Create the pending entry if there is none.
    pub(crate) force: bool,
    /// Ids only: such a claim does not count as a delivery.
    pub(crate) just_id: bool,
}

impl Group {
    /// What a pending entry takes, which is in two indexes.
    pub(crate) const PER_PENDING: usize = 2 * size_of::<(StreamId, Pending)>();
    /// What a consumer takes besides its name, with the first node of its pending entries.
    const PER_CONSUMER: usize = 2 * (size_of::<Bytes>() + size_of::<Consumer>()) + 200;

    /// What is added by a consumer of this name, if it is new.
    pub(crate) fn cost_of_consumer(&self, name: &[u8]) -> usize {
        if self.consumers.contains_key(name) {
            0
        } else {
            name.len() + Self::PER_CONSUMER
        }
    }

    pub(crate) fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self {
            last_id,
            entries_read,
            ..Self::default()
        }
    }

    pub(crate) fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    pub(crate) fn consumers(&self) -> &BTreeMap<Bytes, Consumer> {
        &self.consumers
    }

    pub(crate) fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// Notes that a consumer asked for something; creates it if needed. `true` if it is new.
    pub(crate) fn see(&mut self, name: &[u8], now: u64) -> bool {
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.seen = now;
            return false;
        }
        let consumer = Consumer {
            seen: now,
            ..Consumer::default()
        };
        self.name_bytes += name.len();
        self.consumers
            .insert(Bytes::copy_from_slice(name), consumer);
        true
    }

    /// Notes that a consumer got something.
    pub(crate) fn touch(&mut self, name: &[u8], now: u64) {
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.active = Some(now);
        }
    }

    /// Creates a consumer; `false` if it exists.
    pub(crate) fn create_consumer(&mut self, name: &[u8], now: u64) -> bool {
        if self.consumers.contains_key(name) {
            return false;
        }
        self.see(name, now)
    }

    /// Removes a consumer with its pending entries; how many there were.
    pub(crate) fn delete_consumer(&mut self, name: &[u8]) -> usize {
        let Some(consumer) = self.consumers.remove(name) else {
            return 0;
        };
        self.name_bytes -= name.len();
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        consumer.pending.len()
    }

    /// Records a delivery of `id` to a consumer that exists.
    pub(crate) fn deliver(&mut self, id: StreamId, name: &[u8], now: u64) {
        self.assign(
            id,
            name,
            Pending {
                consumer: None,
                delivered_at: now,
                deliveries: 1,
            },
        );
    }

    /// Records that pending entry `id` was read again by its consumer.
    pub(crate) fn redeliver(&mut self, id: StreamId, now: u64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_at = now;
            pending.deliveries = (pending.deliveries + 1).min(MOST_DELIVERIES);
        }
    }

    /// Removes `id` from the pending entries; `false` if it was not there.
    pub(crate) fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        let owner = pending.consumer.as_ref();
        if let Some(consumer) = owner.and_then(|name| self.consumers.get_mut(name)) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// Takes `id` from the consumer that has it; `false` if it is not pending.
    pub(crate) fn release(&mut self, id: StreamId, release: Release) -> bool {
        let deliveries = match self.pending.get(&id) {
            Some(pending) => release.deliveries.of(pending.deliveries),
            None if release.force => release.deliveries.of(0),
            None => return false,
        };
        self.acknowledge(id);
        let pending = Pending {
            consumer: None,
            delivered_at: 0,
            deliveries,
        };
        self.pending.insert(id, pending);
        true
    }

    /// Gives pending entry `id` to a consumer that exists; `false` if it may not have it.
    pub(crate) fn claim(&mut self, id: StreamId, name: &[u8], claim: Claim) -> bool {
        let deliveries = match self.pending.get(&id) {
            Some(pending)
                if pending
                    .idle(claim.now)
                    .is_some_and(|idle| idle < claim.min_idle) =>
            {
                return false;
            }
            Some(pending) => pending.deliveries,
            // Redis counts making the entry pending and claiming it.
            None if claim.force => 1,
            None => return false,
        };
        let deliveries = match claim.deliveries {
            Some(fixed) => fixed,
            None if claim.just_id => deliveries,
            None => (deliveries + 1).min(MOST_DELIVERIES),
        };
        self.assign(
            id,
            name,
            Pending {
                consumer: None,
                delivered_at: claim.delivered_at,
                deliveries,
            },
        );
        true
    }

    fn assign(&mut self, id: StreamId, name: &[u8], mut pending: Pending) {
        self.acknowledge(id);
        let owner = if let Some((owner, _)) = self.consumers.get_key_value(name) {
            owner.clone()
        } else {
            self.name_bytes += name.len();
            Bytes::copy_from_slice(name)
        };
        self.consumers
            .entry(owner.clone())
            .or_default()
            .pending
            .insert(id);
        pending.consumer = Some(owner);
        self.pending.insert(id, pending);
    }

    /// Roughly the bytes this takes; constant time.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + self.pending.len() * Self::PER_PENDING
            + self.consumers.len() * Self::PER_CONSUMER
            + self.name_bytes
    }

    /// Whether both indexes of pending entries say the same.
    #[cfg(test)]
    pub(crate) fn is_consistent(&self) -> bool {
        let owned: usize = self
            .consumers
            .values()
            .map(|consumer| consumer.pending.len())
            .sum();
        let with_owner =
            |(id, pending): (&StreamId, &Pending)| Some((*id, pending.consumer.clone()?));
        let mut with_owner = self.pending.iter().filter_map(with_owner);
        owned == with_owner.clone().count()
            && with_owner.all(|(id, owner)| {
                self.consumers
                    .get(&owner)
                    .is_some_and(|consumer| consumer.pending.contains(&id))
            })
    }
}
