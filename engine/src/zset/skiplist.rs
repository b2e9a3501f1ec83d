//! A skip list in an arena whose links count what they jump over.

use std::ops::Range;

use smallvec::SmallVec;

use crate::dict::{Dict, Rng};

const NIL: u32 = u32::MAX;
const LEVELS: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    /// How far `next` is on the lowest level; to the end if there is no next.
    span: u32,
}

#[derive(Clone, Debug)]
struct Node {
    score: f64,
    /// The member's position in the dictionary.
    member: u32,
    back: u32,
    links: SmallVec<[Link; 2]>,
}

/// Positions ordered by (score, member bytes). Node 0 is the head.
#[derive(Debug)]
pub(super) struct SkipList {
    nodes: Vec<Node>,
    free: Vec<u32>,
    levels: usize,
    len: u32,
    tail: u32,
    rng: Rng,
}

impl Default for SkipList {
    fn default() -> Self {
        let head = Node {
            score: 0.0,
            member: NIL,
            back: NIL,
            links: SmallVec::from_elem(Link { next: NIL, span: 0 }, 1),
        };
        Self {
            nodes: vec![head],
            free: Vec::new(),
            levels: 1,
            len: 0,
            tail: NIL,
            rng: Rng::new(),
        }
    }
}

impl Clone for SkipList {
    fn clone(&self) -> Self {
        Self {
            nodes: self.nodes.clone(),
            free: self.free.clone(),
            levels: self.levels,
            len: self.len,
            tail: self.tail,
            rng: Rng::new(),
        }
    }
}

/// The last node before a place on each level, and its rank.
type Path = [(u32, u32); LEVELS];

impl SkipList {
    fn link(&self, node: u32, level: usize) -> Link {
        self.nodes[node as usize].links[level]
    }

    fn link_mut(&mut self, node: u32, level: usize) -> &mut Link {
        &mut self.nodes[node as usize].links[level]
    }

    /// Walks down to the place before which `before` holds.
    fn descend(&self, before: impl Fn(u32, f64, u32) -> bool) -> Path {
        let mut path = [(0, 0); LEVELS];
        let (mut node, mut rank) = (0, 0);
        for level in (0..self.levels).rev() {
            loop {
                let Link { next, span } = self.link(node, level);
                if next == NIL {
                    break;
                }
                let candidate = &self.nodes[next as usize];
                if !before(candidate.member, candidate.score, rank + span) {
                    break;
                }
                node = next;
                rank += span;
            }
            path[level] = (node, rank);
        }
        path
    }

    fn place(&self, dict: &Dict<f64>, score: f64, at: u32) -> Path {
        let member = dict.key(at).unwrap_or_default();
        self.descend(|other, other_score, _| {
            other_score < score
                || (other_score == score && dict.key(other).is_some_and(|key| key < member))
        })
    }

    pub(super) fn insert(&mut self, dict: &Dict<f64>, score: f64, at: u32) {
        let mut path = self.place(dict, score, at);
        let height = self.height();
        for step in path.iter_mut().take(height).skip(self.levels) {
            *step = (0, 0);
        }
        while self.levels < height {
            let link = Link {
                next: NIL,
                span: self.len,
            };
            self.nodes[0].links.push(link);
            self.levels += 1;
        }
        let node = self.allocate(score, at);
        let mut links: SmallVec<[Link; 2]> = SmallVec::with_capacity(height);
        let place = path[0].1;
        for (level, &(before, rank)) in path.iter().enumerate().take(height) {
            let link = self.link_mut(before, level);
            let skipped = place - rank;
            links.push(Link {
                next: link.next,
                span: link.span - skipped,
            });
            *link = Link {
                next: node,
                span: skipped + 1,
            };
        }
        for (level, &(before, _)) in path.iter().enumerate().take(self.levels).skip(height) {
            self.link_mut(before, level).span += 1;
        }
        let next = links[0].next;
        let back = if path[0].0 == 0 { NIL } else { path[0].0 };
        let new = &mut self.nodes[node as usize];
        new.links = links;
        new.back = back;
        if next == NIL {
            self.tail = node;
        } else {
            self.nodes[next as usize].back = node;
        }
        self.len += 1;
    }

    fn allocate(&mut self, score: f64, member: u32) -> u32 {
        let node = Node {
            score,
            member,
            back: NIL,
            links: SmallVec::new(),
        };
        if let Some(at) = self.free.pop() {
            self.nodes[at as usize] = node;
            return at;
        }
        self.nodes.push(node);
        (self.nodes.len() - 1) as u32
    }

    /// A quarter of the nodes of each level reach the next.
    fn height(&mut self) -> usize {
        let zeros = self.rng.next().trailing_zeros() as usize;
        (zeros / 2 + 1).min(LEVELS)
    }

    pub(super) fn remove(&mut self, dict: &Dict<f64>, score: f64, at: u32) {
        let path = self.place(dict, score, at);
        let node = self.link(path[0].0, 0).next;
        if node != NIL && self.nodes[node as usize].member == at {
            self.unlink(node, &path);
        }
    }

    fn unlink(&mut self, node: u32, path: &Path) {
        for (level, &(before, _)) in path.iter().enumerate().take(self.levels) {
            let link = self.link(before, level);
            *self.link_mut(before, level) = if link.next == node {
                let own = self.link(node, level);
                Link {
                    next: own.next,
                    span: link.span + own.span - 1,
                }
            } else {
                Link {
                    next: link.next,
                    span: link.span - 1,
                }
            };
        }
        let Node { back, .. } = self.nodes[node as usize];
        let next = self.link(node, 0).next;
        if next == NIL {
            self.tail = back;
        } else {
            self.nodes[next as usize].back = back;
        }
        while self.levels > 1 && self.link(0, self.levels - 1).next == NIL {
            self.nodes[0].links.pop();
            self.levels -= 1;
        }
        self.nodes[node as usize].links = SmallVec::new();
        self.free.push(node);
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        }
    }

    /// Removes these ranks; returns the members' positions.
    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) -> Vec<u32> {
        let path = self.descend(|_, _, rank| rank as usize <= ranks.start);
        let mut removed = Vec::with_capacity(ranks.len().min(self.len as usize));
        let mut node = self.link(path[0].0, 0).next;
        while node != NIL && removed.len() < ranks.len() {
            let next = self.link(node, 0).next;
            removed.push(self.nodes[node as usize].member);
            self.unlink(node, &path);
            node = next;
        }
        removed
    }

    /// How many elements fit `before`, which holds for a prefix only.
    pub(super) fn partition(&self, before: impl Fn(u32, f64) -> bool) -> usize {
        self.descend(|at, score, _| before(at, score))[0].1 as usize
    }

    /// Elements from a rank on.
    pub(super) fn forward(&self, rank: usize) -> impl Iterator<Item = (u32, f64)> {
        let before = self.descend(|_, _, other| other as usize <= rank)[0].0;
        let mut node = self.link(before, 0).next;
        std::iter::from_fn(move || {
            if node == NIL {
                return None;
            }
            let found = &self.nodes[node as usize];
            node = found.links[0].next;
            Some((found.member, found.score))
        })
    }

    /// Elements before a rank, the nearest first.
    pub(super) fn backward(&self, end: usize) -> impl Iterator<Item = (u32, f64)> {
        let mut node = if end >= self.len as usize {
            self.tail
        } else {
            self.descend(|_, _, other| other as usize <= end)[0].0
        };
        std::iter::from_fn(move || {
            if node == NIL || node == 0 {
                return None;
            }
            let found = &self.nodes[node as usize];
            node = found.back;
            Some((found.member, found.score))
        })
    }

    pub(super) fn weight(&self) -> usize {
        self.nodes.len() * (size_of::<Node>() + 8) + self.free.len() * 4
    }
}
