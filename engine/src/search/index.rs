//! One index: its documents and, for each field, which documents hold what.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::Documents;
use super::pending::Pending;
use super::postings::{Postings, TextPostings};
use super::schema::{Definition, Field, Kind, Source, Value, at_path};
use crate::budget::Budget;
use crate::error::{Error, OOM};
use crate::json::{self, Node};
use crate::stream::{Entry, Stream, StreamId};
use crate::value::Value as Stored;

/// What a document takes besides its key and values.
const DOC_WEIGHT: usize = 200;
/// What a value takes besides its word, its place among the postings included.
const VALUE_WEIGHT: usize = 100;

/// What a position of a term takes.
const POSITION_WEIGHT: usize = 8;
/// What a byte of a text takes, at most, in texts as they are usual.
const TEXT_FACTOR: usize = 12;

/// A document in the index.
#[derive(Debug)]
pub(crate) struct Doc {
    pub(crate) key: Bytes,
    /// By field; for texts the terms, once each.
    pub(crate) values: Vec<Vec<Value>>,
    /// The terms of texts with repetitions: each has a position.
    positions: usize,
}

/// A search index.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) definition: Definition,
    pub(crate) postings: Vec<Postings>,
    /// In the order in which they were indexed.
    pub(crate) docs: BTreeMap<u64, Doc>,
    by_key: HashMap<Bytes, u64, foldhash::fast::RandomState>,
    next: u64,
    /// Roughly the bytes of all documents.
    weight: usize,
    /// The last entry of the stream that was indexed.
    last_entry: StreamId,
    /// There were keys or entries that are not to be indexed until they are written.
    skips: bool,
    /// The last entry of the stream that is not to be indexed.
    skipped_to: StreamId,
    pending: Pending,
}

impl Doc {
    /// Roughly the bytes this takes, its postings included.
    fn weight(&self) -> usize {
        let value = |value: &Value| VALUE_WEIGHT + value.as_word().map_or(0, str::len);
        let values: usize = self.values.iter().flatten().map(value).sum();
        DOC_WEIGHT + 2 * self.key.len() + values + self.positions * POSITION_WEIGHT
    }
}

/// A document to be indexed.
enum Document<'d> {
    Tree(&'d Node),
    Hash(&'d crate::hash::Hash),
    Entry(&'d Entry),
}

impl Index {
    pub(crate) fn new(definition: Definition) -> Self {
        let postings = definition
            .fields
            .iter()
            .map(|field| match field.kind {
                Kind::Text { .. } => Postings::Text(TextPostings::default()),
                Kind::Keyword => Postings::Keywords(BTreeMap::new()),
                Kind::Facet => Postings::Facets(BTreeMap::new()),
                _ => Postings::Numbers(BTreeMap::new()),
            })
            .collect();
        Self {
            definition,
            postings,
            docs: BTreeMap::new(),
            by_key: HashMap::default(),
            next: 0,
            weight: 0,
            last_entry: StreamId::MIN,
            skips: false,
            skipped_to: StreamId::MIN,
            pending: Pending::default(),
        }
    }

    /// Notes that a key was written.
    pub(crate) fn note(&mut self, key: &[u8]) {
        if self.definition.covers(key) {
            self.pending.add(key);
        }
    }

    /// Forgets a key that was removed, or replaced by what is noted next.
    pub(crate) fn forget(&mut self, key: &[u8]) {
        if !self.definition.covers(key) {
            return;
        }
        if self.definition.source == Source::Stream {
            // What comes under this name is another stream, even with the same ids.
            *self = Self::new(self.definition.clone());
        } else {
            self.pending.forget(key);
            self.remove(key);
        }
    }

    /// Roughly the bytes this takes; constant time.
    pub(crate) fn weight(&self) -> usize {
        self.weight + self.pending.weight()
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of the documents' indexed values, estimated.
    pub(crate) fn size(&self) -> usize {
        let word = |value: &Value| {
            16 + if let Value::Word(word) = value {
                word.len()
            } else {
                0
            }
        };
        self.docs
            .values()
            .map(|doc| doc.key.len() + doc.values.iter().flatten().map(word).sum::<usize>())
            .sum()
    }

    /// Looks at every key that was written since the last time. Fails when the index would grow by
    /// more than `room` bytes, or the budget ends; the rest is looked at the next time.
    pub(crate) fn refresh(
        &mut self,
        db: &dyn Documents,
        room: usize,
        budget: &Budget,
    ) -> Result<(), Error> {
        let most = self.weight().saturating_add(room);
        let mut keys = self.pending.take();
        let mut outcome = Ok(());
        for key in keys.by_ref() {
            let left = most.saturating_sub(self.weight());
            outcome = self.look_at(&key, db, left, budget);
            if outcome.is_err() {
                self.pending.add(&key);
                break;
            }
        }
        keys.for_each(|key| self.pending.add(&key));
        outcome
    }

    /// Indexes a key anew.
    fn look_at(
        &mut self,
        key: &Bytes,
        db: &dyn Documents,
        room: usize,
        budget: &Budget,
    ) -> Result<(), Error> {
        budget.spend(1)?;
        if self.definition.source == Source::Stream {
            return self.follow(
                match db.value(key) {
                    Some(Stored::Stream(stream)) => Some(stream),
                    _ => None,
                },
                room,
                budget,
            );
        }
        let parsed;
        let document = match (self.definition.source, db.value(key)) {
            (Source::Json, Some(Stored::Json(json))) => Some(Document::Tree(json.root())),
            (Source::Hash, Some(Stored::Hash(hash))) => Some(Document::Hash(hash)),
            (Source::Text, Some(Stored::Str(text))) if json::most_bytes(text) <= room => {
                parsed = json::parse(text)
                    .ok()
                    .filter(|node| node.as_object().is_some());
                parsed.as_ref().map(Document::Tree)
            }
            (Source::Text, Some(Stored::Str(_))) => return Err(OOM),
            _ => None,
        };
        if let Some(document) = &document {
            self.check_room(document, room, budget)?;
        }
        self.remove(key);
        if let Some(document) = &document {
            self.add(key.clone(), document);
        }
        Ok(())
    }

    /// Fails if a document takes more than `room` bytes.
    fn check_room(
        &self,
        document: &Document<'_>,
        room: usize,
        budget: &Budget,
    ) -> Result<(), Error> {
        let bytes = |field: &Field| document.bytes(field);
        let text: usize = self.definition.fields.iter().map(bytes).sum();
        budget.spend(text)?;
        let fixed = DOC_WEIGHT + self.definition.fields.len() * VALUE_WEIGHT;
        if text * TEXT_FACTOR + fixed > room {
            return Err(OOM);
        }
        Ok(())
    }

    /// Indexes the entries that were added and forgets those that are gone.
    fn follow(
        &mut self,
        stream: Option<&Stream>,
        room: usize,
        budget: &Budget,
    ) -> Result<(), Error> {
        let most = self.weight.saturating_add(room);
        if let (Some(stream), Some(first)) = (stream, self.last_entry.next()) {
            for entry in stream.range(first, StreamId::MAX) {
                let document = Document::Entry(entry);
                self.check_room(&document, most.saturating_sub(self.weight), budget)?;
                self.add(Bytes::from(entry.id.to_string()), &document);
                self.last_entry = entry.id;
            }
        }
        if !self.skips && self.docs.len() == stream.map_or(0, Stream::len) {
            return Ok(());
        }
        let is_gone = |key: &Bytes| entry_of(stream, key).is_none();
        let gone: Vec<Bytes> = self
            .docs
            .values()
            .map(|doc| doc.key.clone())
            .filter(is_gone)
            .collect();
        for key in &gone {
            self.remove(key);
        }
        Ok(())
    }

    /// Leaves out what is there already.
    pub(crate) fn skip(&mut self, db: &dyn Documents) {
        self.skips = true;
        let stream = self.definition.stream().and_then(|key| db.value(key));
        if let Some(Stored::Stream(stream)) = stream {
            self.last_entry = stream.last_id();
            self.skipped_to = stream.last_id();
        }
    }

    /// Visits the keys that were left out, or the last entry of a stream that was.
    pub(crate) fn each_skipped(&self, db: &dyn Documents, visit: &mut dyn FnMut(&[u8])) {
        if !self.skips {
            return;
        }
        if self.definition.stream().is_some() {
            visit(self.skipped_to.to_string().as_bytes());
            return;
        }
        db.each_key(&mut |key| {
            let left_out = self.definition.covers(key)
                && !self.by_key.contains_key(key)
                && !self.pending.contains(key);
            if left_out {
                visit(key);
            }
        });
    }

    /// Leaves out again what [`Index::each_skipped`] told; `false` if that makes no sense.
    pub(crate) fn skip_again(&mut self, told: &[u8]) -> bool {
        self.skips = true;
        if self.definition.stream().is_some() {
            let Some(id) = StreamId::parse(told, 0) else {
                return false;
            };
            self.last_entry = id;
            self.skipped_to = id;
        } else {
            self.pending.forget(told);
        }
        true
    }

    /// Forgets all documents and notes every key it covers.
    pub(crate) fn rescan(&mut self, db: &dyn Documents) {
        *self = Self::new(self.definition.clone());
        db.each_key(&mut |key| self.note(key));
    }

    fn remove(&mut self, key: &[u8]) {
        let Some(id) = self.by_key.remove(key) else {
            return;
        };
        let Some(doc) = self.docs.remove(&id) else {
            return;
        };
        self.weight -= doc.weight();
        for (postings, values) in self.postings.iter_mut().zip(&doc.values) {
            postings.remove(id, values);
        }
    }

    fn add(&mut self, key: Bytes, document: &Document<'_>) {
        let id = self.next;
        self.next += 1;
        let mut values = Vec::with_capacity(self.definition.fields.len());
        let mut positions = 0;
        for (field, postings) in self.definition.fields.iter().zip(&mut self.postings) {
            let nodes = document.nodes(field);
            if let Postings::Text(text) = postings {
                let analysis = self.definition.analysis(field);
                let lists = nodes
                    .iter()
                    .filter_map(|node| node.as_str())
                    .map(|text| analysis.terms(text));
                let before = text.total;
                values.push(text.add(id, lists));
                positions += (text.total - before) as usize;
                continue;
            }
            let held: Vec<Value> = nodes
                .iter()
                .filter_map(|node| field.kind.value(node))
                .collect();
            postings.add(id, &held);
            values.push(held);
        }
        self.by_key.insert(key.clone(), id);
        let doc = Doc {
            key,
            values,
            positions,
        };
        self.weight += doc.weight();
        self.docs.insert(id, doc);
    }
}

impl Document<'_> {
    /// The bytes of a field's values.
    fn bytes(&self, field: &Field) -> usize {
        match self {
            Self::Tree(node) => at_path(node, field.path()).map_or(0, Node::size),
            Self::Hash(hash) => hash
                .get(field.path().as_bytes())
                .map_or(0, |text| text.len()),
            Self::Entry(entry) => {
                field_of(entry, field.path().as_bytes()).map_or(0, |value| value.len())
            }
        }
    }

    /// The values of a field; a list counts as its elements.
    fn nodes(&self, field: &Field) -> Vec<Node> {
        let node = match self {
            Self::Tree(node) => at_path(node, field.path()),
            Self::Hash(hash) => return text_node(hash.get(field.path().as_bytes()).as_deref()),
            Self::Entry(entry) => {
                return text_node(field_of(entry, field.path().as_bytes()).as_deref());
            }
        };
        match node {
            Some(Node::Array(items)) => items.clone(),
            Some(node) => vec![node.clone()],
            None => Vec::new(),
        }
    }
}

fn text_node(value: Option<&[u8]>) -> Vec<Node> {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    text.map(|text| Node::Str(text.into()))
        .into_iter()
        .collect()
}

/// The entry with this id.
pub(crate) fn entry_of<'s>(stream: Option<&'s Stream>, id: &[u8]) -> Option<&'s Entry> {
    stream?.get(StreamId::parse(id, 0)?)
}

/// The value of a field of an entry; of several with that name the first.
pub(crate) fn field_of(entry: &Entry, name: &[u8]) -> Option<Bytes> {
    let mut parts = entry.fields.iter();
    while let (Some(field), Some(value)) = (parts.next(), parts.next()) {
        if field == name {
            return Some(value);
        }
    }
    None
}
