//! Long lists: a row of nodes, each of which is packed or one large item.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{End, NODE, fits, pop_packed};
use crate::either::Either;
use crate::packed::{Element, Packed};
use crate::text::Text;

/// Nodes, none of which is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    row: VecDeque<Node>,
    len: usize,
    /// The bytes behind the nodes.
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Node {
    body: Body,
    /// How many items it has, so that a search for an index need not look into it.
    len: u32,
}

#[derive(Clone, Debug)]
enum Body {
    Packed(Packed),
    Plain(Box<Bytes>),
}

impl Node {
    fn new(item: &[u8]) -> Self {
        let body = if fits(0, item) {
            let mut packed = Packed::default();
            packed.push_back(&Element::new(item));
            Body::Packed(packed)
        } else {
            Body::Plain(Box::new(Bytes::copy_from_slice(item)))
        };
        Self { body, len: 1 }
    }

    fn weight(&self) -> usize {
        match &self.body {
            Body::Packed(packed) => packed.weight(),
            Body::Plain(item) => size_of::<Bytes>() + item.len(),
        }
    }

    /// Inserts an item at a place if it fits.
    fn insert(&mut self, place: usize, item: &[u8]) -> bool {
        match &mut self.body {
            Body::Packed(packed) if fits(packed.bytes(), item) => {
                packed.insert(packed.nth(place), &Element::new(item));
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    fn from(&self, place: usize) -> impl DoubleEndedIterator<Item = Text<'_>> {
        match &self.body {
            Body::Packed(packed) => Either::Left(packed.from(place)),
            Body::Plain(item) => {
                Either::Right((place == 0).then_some(Text::Shared(item)).into_iter())
            }
        }
    }
}

impl Nodes {
    /// A row of one node.
    pub(super) fn of(packed: Packed) -> Self {
        let mut nodes = Self::default();
        if !packed.is_empty() {
            let len = packed.len() as u32;
            nodes.add(
                0,
                Node {
                    body: Body::Packed(packed),
                    len,
                },
            );
        }
        nodes
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn add(&mut self, at: usize, node: Node) {
        self.len += node.len as usize;
        self.bytes += node.weight();
        self.row.insert(at, node);
    }

    fn drop_node(&mut self, at: usize) {
        if let Some(node) = self.row.remove(at) {
            self.len -= node.len as usize;
            self.bytes -= node.weight();
        }
        if self.row.capacity() > 16 && self.row.len() * 4 < self.row.capacity() {
            self.row.shrink_to(self.row.len() * 2);
        }
    }

    /// Changes a node; keeps the counters true, and no node that is empty.
    fn change<T>(&mut self, at: usize, change: impl FnOnce(&mut Node) -> T) -> Option<T> {
        let node = self.row.get_mut(at)?;
        self.len -= node.len as usize;
        self.bytes -= node.weight();
        let result = change(node);
        self.len += node.len as usize;
        self.bytes += node.weight();
        if node.len == 0 {
            self.drop_node(at);
        }
        Some(result)
    }

    fn at_end(&self, end: End) -> usize {
        match end {
            End::Left => 0,
            End::Right => self.row.len().saturating_sub(1),
        }
    }

    pub(super) fn push(&mut self, end: End, item: &[u8]) {
        let at = self.at_end(end);
        let pushed = self.change(at, |node| {
            let place = if end == End::Left {
                0
            } else {
                node.len as usize
            };
            node.insert(place, item)
        });
        if pushed != Some(true) {
            let at = if end == End::Left { 0 } else { self.row.len() };
            self.add(at, Node::new(item));
        }
    }

    pub(super) fn pop(&mut self, end: End) -> Option<Bytes> {
        self.change(self.at_end(end), |node| {
            node.len -= 1;
            match &mut node.body {
                Body::Packed(packed) => pop_packed(packed, end),
                Body::Plain(item) => Some(std::mem::take(&mut **item)),
            }
        })?
    }

    /// The node with an index, and the place in it; behind the last node if there are not so many.
    fn find(&self, index: usize) -> (usize, usize) {
        if index < self.len / 2 {
            let mut left = index;
            for (at, node) in self.row.iter().enumerate() {
                if left < node.len as usize {
                    return (at, left);
                }
                left -= node.len as usize;
            }
            return (self.row.len(), 0);
        }
        let mut first = self.len;
        for (at, node) in self.row.iter().enumerate().rev() {
            if index >= first {
                break;
            }
            first -= node.len as usize;
            if index >= first {
                return (at, index - first);
            }
        }
        (self.row.len(), 0)
    }

    pub(super) fn get(&self, index: usize) -> Option<Text<'_>> {
        self.from(index).next()
    }

    /// Lets a node begin with an index, which is at most the length; returns which.
    fn split(&mut self, index: usize) -> usize {
        let (at, place) = self.find(index);
        if place == 0 {
            return at;
        }
        let tail = self.change(at, |node| match &mut node.body {
            Body::Packed(packed) => {
                let tail = packed.split_off(packed.nth(place), place);
                node.len = place as u32;
                tail
            }
            Body::Plain(_) => Packed::default(),
        });
        if let Some(tail) = tail {
            let len = tail.len() as u32;
            self.add(
                at + 1,
                Node {
                    body: Body::Packed(tail),
                    len,
                },
            );
        }
        at + 1
    }

    pub(super) fn set(&mut self, index: usize, item: &[u8]) {
        let (at, place) = self.find(index);
        let replaced = self.change(at, |node| {
            if let Body::Packed(packed) = &mut node.body {
                let offset = packed.nth(place);
                let old = packed.after(offset) - offset;
                if fits(packed.bytes() - old, item) {
                    packed.replace(offset, &Element::new(item));
                    return true;
                }
            }
            false
        });
        if replaced == Some(false) {
            self.split(index + 1);
            let at = self.split(index);
            self.drop_node(at);
            self.add(at, Node::new(item));
        }
    }

    pub(super) fn insert(&mut self, index: usize, item: &[u8]) {
        let (at, place) = self.find(index);
        if self.change(at, |node| node.insert(place, item)) != Some(true) {
            let at = self.split(index);
            // It may still fit behind the items before it.
            let before = at.checked_sub(1);
            let pushed = before.and_then(|before| {
                self.change(before, |node| node.insert(node.len as usize, item))
            });
            if pushed != Some(true) {
                self.add(at, Node::new(item));
            }
        }
    }

    /// Removes items from an end.
    pub(super) fn cut(&mut self, end: End, mut count: usize) {
        while count > 0 {
            let at = self.at_end(end);
            let Some(node) = self.row.get(at) else {
                return;
            };
            let len = node.len as usize;
            if len <= count {
                self.drop_node(at);
                count -= len;
                continue;
            }
            self.change(at, |node| {
                if let Body::Packed(packed) = &mut node.body {
                    let from = if end == End::Left { 0 } else { len - count };
                    packed.remove(packed.nth(from), count);
                    node.len -= count as u32;
                }
            });
            return;
        }
    }

    /// The only node, if it is packed and has at most so many bytes.
    pub(super) fn single(&mut self, most: usize) -> Option<Packed> {
        if self.row.is_empty() {
            return Some(Packed::default());
        }
        if self.row.len() > 1 {
            return None;
        }
        match &mut self.row.front_mut()?.body {
            Body::Packed(packed) if packed.bytes() <= most => Some(std::mem::take(packed)),
            _ => None,
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Text<'_>> {
        self.row.iter().flat_map(|node| node.from(0))
    }

    /// The items from an index on.
    pub(super) fn from(&self, index: usize) -> impl Iterator<Item = Text<'_>> {
        let (at, place) = self.find(index);
        let first = self.row.get(at).map(|node| node.from(place));
        let others = self.row.range((at + 1).min(self.row.len())..);
        let others = others.flat_map(|node| node.from(0));
        first.into_iter().flatten().chain(others)
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.row.capacity() * size_of::<Node>() + self.bytes
    }

    pub(super) fn check(&self) {
        let lens = self.row.iter().map(|node| node.len as usize);
        assert_eq!(self.len, lens.sum::<usize>());
        assert_eq!(self.bytes, self.row.iter().map(Node::weight).sum::<usize>());
        for node in &self.row {
            assert!(node.len > 0);
            if let Body::Packed(packed) = &node.body {
                assert_eq!(packed.len(), node.len as usize);
                assert!(packed.bytes() <= NODE);
            }
        }
    }
}
