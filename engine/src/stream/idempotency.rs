//! What a stream remembers of its producers, so that a message sent twice is added once.
//!
//! Every producer keeps its newest ids, at most [`Settings::max_size`] of them and each for
//! [`Settings::duration_s`] seconds. A producer without ids is forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::StreamId;

/// What one id costs besides its bytes: two handles, the shared counter behind them, its entry, its
/// time and what the tables leave free.
const ID_OVERHEAD: usize = 200;
/// The same for a producer.
const PRODUCER_OVERHEAD: usize = 400;

/// How long and how many ids are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Seconds that an id is kept.
    pub(crate) duration_s: u32,
    /// Ids that are kept for each producer.
    pub(crate) max_size: u32,
}

impl Settings {
    pub(crate) const DURATION_S: std::ops::RangeInclusive<u32> = 1..=86_400;
    pub(crate) const MAX_SIZE: std::ops::RangeInclusive<u32> = 1..=10_000;

    /// Whether both are within their limits.
    pub(crate) fn are_allowed(self) -> bool {
        Self::DURATION_S.contains(&self.duration_s) && Self::MAX_SIZE.contains(&self.max_size)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            duration_s: 100,
            max_size: 100,
        }
    }
}

/// The id of a message: what its producer says, or made from its fields. The first byte tells them
/// apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageId(Bytes);

impl MessageId {
    const GIVEN: u8 = 0;
    const OF_FIELDS: u8 = 1;

    pub(crate) fn given(id: &[u8]) -> Self {
        Self([&[Self::GIVEN], id].concat().into())
    }

    /// Alternating fields and values, in any order of the pairs.
    pub(crate) fn of_fields(items: &[&[u8]]) -> Self {
        let mut pairs: Vec<&[&[u8]]> = items.chunks(2).collect();
        pairs.sort_unstable();
        let mut hash = Sha256::new();
        for item in pairs.into_iter().flatten() {
            hash.update((item.len() as u64).to_le_bytes());
            hash.update(item);
        }
        Self([&[Self::OF_FIELDS], &hash.finalize()[..]].concat().into())
    }
}

/// The ids of one producer.
#[derive(Debug, Clone, Default)]
struct Producer {
    /// By message: the entry that it became.
    entries: HashMap<Bytes, StreamId, foldhash::fast::RandomState>,
    /// Unix milliseconds of their first use, the oldest first.
    order: VecDeque<(u64, Bytes)>,
}

/// What a stream knows of its producers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Idempotency {
    settings: Settings,
    producers: BTreeMap<Bytes, Producer>,
    /// The time of each producer's oldest id.
    oldest: BTreeSet<(u64, Bytes)>,
    tracked: usize,
    /// Bytes of the ids and the producers' names.
    bytes: usize,
    added: u64,
    duplicates: u64,
}

impl Idempotency {
    /// The most that one message makes it grow, besides the bytes of its id and its producer.
    pub(crate) const PER_MESSAGE: usize = size_of::<Self>() + PRODUCER_OVERHEAD + ID_OVERHEAD + 64;

    pub(crate) fn settings(&self) -> Settings {
        self.settings
    }

    /// Producers of which ids are kept.
    pub(crate) fn producers(&self) -> usize {
        self.producers.len()
    }

    /// Ids that are kept.
    pub(crate) fn tracked(&self) -> usize {
        self.tracked
    }

    /// Messages ever added with an id.
    pub(crate) fn added(&self) -> u64 {
        self.added
    }

    /// Messages ever refused because they were there.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + self.bytes
            + self.tracked * ID_OVERHEAD
            + self.producers.len() * PRODUCER_OVERHEAD
    }

    /// Forgets all ids if the settings change.
    pub(crate) fn configure(&mut self, settings: Settings) {
        if settings != self.settings {
            *self = Self {
                settings,
                added: self.added,
                duplicates: self.duplicates,
                ..Self::default()
            };
        }
    }

    /// The entry that a message became, if it is known; counts a duplicate.
    pub(crate) fn find(
        &mut self,
        producer: &[u8],
        message: &MessageId,
        now: u64,
    ) -> Option<StreamId> {
        // At most as many as a producer may have.
        let oldest = self.producers.get(producer)?.order.front();
        let mut oldest = oldest.map(|(at, _)| *at);
        while oldest.is_some_and(|at| self.is_due(at, now)) {
            self.drop_oldest_of(producer);
            let producer = self.producers.get(producer);
            oldest = producer.and_then(|p| p.order.front().map(|(at, _)| *at));
        }
        let entry = *self.producers.get(producer)?.entries.get(&message.0)?;
        self.duplicates += 1;
        Some(entry)
    }

    /// Remembers a message that is not known.
    pub(crate) fn remember(
        &mut self,
        producer: &[u8],
        message: MessageId,
        entry: StreamId,
        now: u64,
    ) {
        self.added += 1;
        self.insert(producer, message.0, entry, now);
        let most = self.settings.max_size as usize;
        while self
            .producers
            .get(producer)
            .is_some_and(|producer| producer.order.len() > most)
        {
            self.drop_oldest_of(producer);
        }
    }

    fn insert(&mut self, producer: &[u8], message: Bytes, entry: StreamId, at: u64) {
        self.tracked += 1;
        self.bytes += message.len();
        if !self.producers.contains_key(producer) {
            let name = Bytes::copy_from_slice(producer);
            self.bytes += name.len();
            self.oldest.insert((at, name.clone()));
            self.producers.insert(name, Producer::default());
        }
        if let Some(producer) = self.producers.get_mut(producer) {
            producer.entries.insert(message.clone(), entry);
            producer.order.push_back((at, message));
        }
    }

    fn drop_oldest_of(&mut self, name: &[u8]) {
        let Some((name, _)) = self.producers.get_key_value(name) else {
            return;
        };
        let name = name.clone();
        let Some(producer) = self.producers.get_mut(&name) else {
            return;
        };
        if let Some((at, message)) = producer.order.pop_front() {
            producer.entries.remove(&message);
            self.tracked -= 1;
            self.bytes -= message.len();
            self.oldest.remove(&(at, name.clone()));
        }
        if let Some(&(at, _)) = producer.order.front() {
            self.oldest.insert((at, name));
        } else {
            self.producers.remove(&name);
            self.bytes -= name.len();
        }
    }

    /// When the next id is forgotten, in Unix milliseconds.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        let (at, _) = self.oldest.first()?;
        Some(self.end_of(*at))
    }

    fn end_of(&self, at: u64) -> u64 {
        at.saturating_add(u64::from(self.settings.duration_s) * 1000)
    }

    fn is_due(&self, at: u64, now: u64) -> bool {
        self.end_of(at) <= now
    }

    /// Forgets ids that are due, at most `limit`; returns how many.
    pub(crate) fn expire(&mut self, now: u64, limit: usize) -> usize {
        let mut forgotten = 0;
        while forgotten < limit && self.next_expiry().is_some_and(|due| due <= now) {
            let Some((_, name)) = self.oldest.first().cloned() else {
                break;
            };
            self.drop_oldest_of(&name);
            forgotten += 1;
        }
        forgotten
    }

    /// Every producer, and its ids with their times and entries, the oldest first.
    pub(crate) fn iter(
        &self,
    ) -> impl Iterator<
        Item = (
            &Bytes,
            impl ExactSizeIterator<Item = (u64, &Bytes, StreamId)>,
        ),
    > {
        self.producers.iter().map(|(name, producer)| {
            let ids = producer.order.iter().map(|(at, message)| {
                let entry = producer.entries.get(message).copied();
                (*at, message, entry.unwrap_or_default())
            });
            (name, ids)
        })
    }

    /// As it was saved, without ids.
    pub(crate) fn restored(settings: Settings, added: u64, duplicates: u64) -> Self {
        Self {
            settings,
            added,
            duplicates,
            ..Self::default()
        }
    }

    /// Adds the next id of a producer as it was saved; `false` if that makes no sense.
    pub(crate) fn restore(
        &mut self,
        producer: &[u8],
        message: Bytes,
        entry: StreamId,
        at: u64,
    ) -> bool {
        let known = self.producers.get(producer);
        let fits = known.is_none_or(|known| {
            known.order.len() < self.settings.max_size as usize
                && !known.entries.contains_key(&message)
                && known.order.back().is_none_or(|&(last, _)| last <= at)
        });
        // The first byte says what kind of id it is; neither may be empty.
        if !fits || producer.is_empty() || message.len() < 2 {
            return false;
        }
        self.insert(producer, message, entry, at);
        true
    }
}
