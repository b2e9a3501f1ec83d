//! The entries of a stream: an ordered map of small sorted nodes.
//!
//! A node holds up to [`NODE_ENTRIES`] entries, as in Redis.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::id::StreamId;

/// Entries per node (Redis' `stream-node-max-entries`).
pub(crate) const NODE_ENTRIES: usize = 100;

/// The fields and values of one entry, packed into one shared allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields(Bytes);

impl Fields {
    /// Packs alternating fields and values.
    pub(crate) fn pack(items: &[&[u8]]) -> Self {
        let size = items.iter().map(|item| item.len() + 4).sum();
        let mut packed = BytesMut::with_capacity(size);
        for item in items {
            packed.put_u32_le(item.len() as u32);
            packed.put_slice(item);
        }
        Self(packed.freeze())
    }

    /// Fields and values in the order they were given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut rest = self.0.clone();
        std::iter::from_fn(move || {
            let head: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            let _ = rest.split_to(4);
            let len = (u32::from_le_bytes(head) as usize).min(rest.len());
            Some(rest.split_to(len))
        })
    }

    /// Bytes held.
    pub(crate) fn size(&self) -> usize {
        self.0.len()
    }
}

/// One entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: StreamId,
    pub(crate) fields: Fields,
}

/// Entries ordered by id; appending, trimming and lookups are O(log n).
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    // Keyed by the first id a node ever held; that id may have been deleted since.
    nodes: BTreeMap<StreamId, Vec<Entry>>,
    len: usize,
    size: usize,
}

impl Log {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of fields held, plus the fixed cost of the entries.
    pub(crate) fn size(&self) -> usize {
        self.size + self.len * size_of::<Entry>()
    }

    /// Appends an entry. `id` must be above every id ever appended.
    pub(crate) fn push(&mut self, id: StreamId, fields: Fields) {
        self.len += 1;
        self.size += fields.size();
        let entry = Entry { id, fields };
        if let Some(mut last) = self.nodes.last_entry()
            && last.get().len() < NODE_ENTRIES
        {
            last.get_mut().push(entry);
            return;
        }
        self.nodes.insert(id, vec![entry]);
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Entry> {
        let (_, node) = self.nodes.range(..=id).next_back()?;
        let at = node.binary_search_by_key(&id, |entry| entry.id).ok()?;
        node.get(at)
    }

    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn first(&self) -> Option<&Entry> {
        self.nodes.values().next()?.first()
    }

    pub(crate) fn last(&self) -> Option<&Entry> {
        self.nodes.values().next_back()?.last()
    }

    /// Removes one entry; `false` if it was not there.
    pub(crate) fn remove(&mut self, id: StreamId) -> bool {
        let Some((&key, node)) = self.nodes.range_mut(..=id).next_back() else {
            return false;
        };
        let Ok(at) = node.binary_search_by_key(&id, |entry| entry.id) else {
            return false;
        };
        let gone = node.remove(at);
        if node.is_empty() {
            self.nodes.remove(&key);
        }
        self.len -= 1;
        self.size -= gone.fields.size();
        true
    }

    /// Drops the `count` oldest entries.
    pub(crate) fn drop_oldest(&mut self, mut count: usize) {
        while count > 0 {
            let Some(mut first) = self.nodes.first_entry() else {
                return;
            };
            let node = first.get_mut();
            let taken = count.min(node.len());
            self.size -= node
                .iter()
                .take(taken)
                .map(|entry| entry.fields.size())
                .sum::<usize>();
            self.len -= taken;
            count -= taken;
            if taken == node.len() {
                first.remove();
            } else {
                node.drain(..taken);
            }
        }
    }

    /// Entries from `first` to `last`, both included, ascending.
    pub(crate) fn range(&self, first: StreamId, last: StreamId) -> impl Iterator<Item = &Entry> {
        // The node that holds `first` may start before it.
        let from = self
            .nodes
            .range(..=first)
            .next_back()
            .map_or(first, |(&key, _)| key);
        let nodes = (from <= last).then(|| self.nodes.range(from..=last));
        nodes
            .into_iter()
            .flatten()
            .flat_map(move |(_, node)| {
                let at = node.partition_point(|entry| entry.id < first);
                node.get(at..).unwrap_or_default()
            })
            .take_while(move |entry| entry.id <= last)
    }

    /// Entries from `last` down to `first`, both included.
    pub(crate) fn range_back(
        &self,
        first: StreamId,
        last: StreamId,
    ) -> impl Iterator<Item = &Entry> {
        self.nodes
            .range(..=last)
            .rev()
            .flat_map(move |(_, node)| {
                let end = node.partition_point(|entry| entry.id <= last);
                node.get(..end).unwrap_or_default().iter().rev()
            })
            .take_while(move |entry| entry.id >= first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(ids: impl IntoIterator<Item = u64>) -> Log {
        let mut log = Log::default();
        for ms in ids {
            log.push(
                StreamId::new(ms, 0),
                Fields::pack(&[b"f", ms.to_string().as_bytes()]),
            );
        }
        log
    }

    fn ids<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<u64> {
        entries.map(|entry| entry.id.ms).collect()
    }

    #[test]
    fn packs_and_unpacks_fields() {
        let fields = Fields::pack(&[b"a", b"", b"\xff\x00", b"long value"]);
        let back: Vec<Bytes> = fields.iter().collect();
        assert_eq!(back, [&b"a"[..], b"", b"\xff\x00", b"long value"]);
    }

    #[test]
    fn ranges_cross_nodes_and_survive_deletions() {
        let mut log = log(1..=350);
        assert_eq!(log.nodes(), 4);
        for ms in [1, 100, 101, 200] {
            assert!(log.remove(StreamId::new(ms, 0)));
        }
        assert!(!log.remove(StreamId::new(100, 0)));
        assert_eq!(log.len(), 346);
        assert_eq!(
            ids(log.range(StreamId::new(98, 0), StreamId::new(103, 0))),
            [98, 99, 102, 103]
        );
        assert_eq!(
            ids(log.range_back(StreamId::new(98, 0), StreamId::new(103, 0))),
            [103, 102, 99, 98]
        );
        assert_eq!(ids(log.range(StreamId::new(350, 0), StreamId::MAX)), [350]);
        assert_eq!(
            ids(log.range(StreamId::new(351, 0), StreamId::MAX)),
            Vec::<u64>::new()
        );
        assert_eq!(
            ids(log.range(StreamId::new(5, 0), StreamId::new(4, 0))),
            Vec::<u64>::new()
        );
        assert_eq!(log.first().map(|e| e.id.ms), Some(2));
    }

    #[test]
    fn dropping_the_oldest_keeps_counts_true() {
        let mut log = log(1..=250);
        log.drop_oldest(130);
        assert_eq!((log.len(), log.nodes()), (120, 2));
        assert_eq!(log.first().map(|e| e.id.ms), Some(131));
        log.drop_oldest(1000);
        assert_eq!((log.len(), log.nodes(), log.size()), (0, 0, 0));
        assert!(log.last().is_none());
    }
}
