//! Lists of byte strings.

mod nodes;

use std::ops::Range;

use bytes::Bytes;

use crate::either::Either;
use crate::packed::{Element, Packed};
use crate::text::Text;
use nodes::Nodes;

/// The most bytes of a packed list, and of a node of a longer one.
const NODE: usize = 8192;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    Right,
}

/// The value behind a list key.
///
/// A small one is packed; a longer one is a row of nodes that are.
#[derive(Clone, Debug)]
pub(crate) struct List(Form);

#[derive(Clone, Debug)]
enum Form {
    Packed(Packed),
    Nodes(Box<Nodes>),
}

impl Default for List {
    fn default() -> Self {
        Self(Form::Packed(Packed::default()))
    }
}

/// Whether an item may be put into a packed list that has so many bytes.
fn fits(bytes: usize, item: &[u8]) -> bool {
    item.len() <= crate::packed::LONGEST && bytes + Element::new(item).size() <= NODE
}

impl List {
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.len(),
            Form::Nodes(nodes) => nodes.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) const fn is_packed(&self) -> bool {
        matches!(self.0, Form::Packed(_))
    }

    /// The nodes, which a packed list becomes.
    fn nodes(&mut self) -> &mut Nodes {
        if let Form::Packed(packed) = &mut self.0 {
            self.0 = Form::Nodes(Box::new(Nodes::of(std::mem::take(packed))));
        }
        match &mut self.0 {
            Form::Nodes(nodes) => nodes,
            Form::Packed(_) => unreachable!("it has become a row of nodes"),
        }
    }

    /// Packs a list again that has lost most of its items.
    fn repack(&mut self) {
        if let Form::Nodes(nodes) = &mut self.0
            && let Some(packed) = nodes.single(NODE / 2)
        {
            self.0 = Form::Packed(packed);
        }
    }

    pub(crate) fn push(&mut self, end: End, item: &[u8]) {
        match &mut self.0 {
            Form::Packed(packed) if fits(packed.bytes(), item) => {
                let at = match end {
                    End::Left => packed.start(),
                    End::Right => packed.end(),
                };
                packed.insert(at, &Element::new(item));
            }
            _ => self.nodes().push(end, item),
        }
    }

    pub(crate) fn pop(&mut self, end: End) -> Option<Bytes> {
        match &mut self.0 {
            Form::Packed(packed) => pop_packed(packed, end),
            Form::Nodes(nodes) => {
                let item = nodes.pop(end);
                self.repack();
                item
            }
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Text<'_>> {
        match &self.0 {
            Form::Packed(packed) => (index < packed.len()).then(|| packed.text(packed.nth(index))),
            Form::Nodes(nodes) => nodes.get(index),
        }
    }

    /// Replaces the item at an index below the length.
    pub(crate) fn set(&mut self, index: usize, item: &[u8]) {
        if let Form::Packed(packed) = &mut self.0 {
            let at = packed.nth(index);
            if fits(packed.bytes() - (packed.after(at) - at), item) {
                packed.replace(at, &Element::new(item));
                return;
            }
        }
        self.nodes().set(index, item);
    }

    /// Inserts an item before an index, which is at most the length.
    pub(crate) fn insert(&mut self, index: usize, item: &[u8]) {
        match &mut self.0 {
            Form::Packed(packed) if fits(packed.bytes(), item) => {
                packed.insert(packed.nth(index), &Element::new(item));
            }
            _ => self.nodes().insert(index, item),
        }
    }

    /// Items from the first to the last.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Text<'_>> {
        match &self.0 {
            Form::Packed(packed) => Either::Left(packed.iter()),
            Form::Nodes(nodes) => Either::Right(nodes.iter()),
        }
    }

    /// The items with these indexes.
    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = Text<'_>> {
        match &self.0 {
            Form::Packed(packed) => Either::Left(packed.from(range.start).take(range.len())),
            Form::Nodes(nodes) => Either::Right(nodes.from(range.start).take(range.len())),
        }
    }

    /// Keeps the items with these indexes only.
    pub(crate) fn trim(&mut self, range: Range<usize>) {
        let len = self.len();
        if range.is_empty() {
            *self = Self::default();
            return;
        }
        match &mut self.0 {
            Form::Packed(packed) => {
                packed.remove(packed.nth(range.end), len.saturating_sub(range.end));
                packed.remove(packed.start(), range.start);
            }
            Form::Nodes(nodes) => {
                nodes.cut(End::Right, len.saturating_sub(range.end));
                nodes.cut(End::Left, range.start);
                self.repack();
            }
        }
    }

    /// Keeps the items that `keep` says.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let mut kept = Self::default();
        for item in self.iter().filter(|item| keep(item)) {
            kept.push(End::Right, &item);
        }
        *self = kept;
    }

    /// Roughly the bytes behind this.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.weight(),
            Form::Nodes(nodes) => nodes.weight(),
        }
    }

    /// Panics unless the counters are true.
    ///
    /// # Panics
    /// If one of them is not.
    pub(crate) fn check(&self) {
        assert_eq!(self.iter().count(), self.len());
        if let Form::Nodes(nodes) = &self.0 {
            nodes.check();
        }
    }
}

impl<'a> FromIterator<&'a [u8]> for List {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(items: I) -> Self {
        let mut list = Self::default();
        for item in items {
            list.push(End::Right, item);
        }
        list
    }
}

fn pop_packed(packed: &mut Packed, end: End) -> Option<Bytes> {
    if packed.is_empty() {
        return None;
    }
    let at = match end {
        End::Left => packed.start(),
        End::Right => packed.before(packed.end()),
    };
    let item = packed.text(at).to_bytes();
    packed.remove(at, 1);
    Some(item)
}

#[cfg(test)]
mod tests;
