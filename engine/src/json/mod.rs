//! JSON documents: an ordered tree, its text form, JSONPath and updates by path.

mod eval;
mod filter;
mod node;
mod number;
mod parse;
mod path;
mod path_parser;
#[cfg(test)]
mod tests;
mod update;
mod write;

pub(crate) use node::{MAX_DEPTH, Node, Object};
pub(crate) use number::{NumberError, add, multiply};
pub(crate) use parse::parse;
pub(crate) use path::Path;
pub(crate) use update::{Change, Refusal, SetOptions};
pub(crate) use write::{Format, TOO_LARGE};

/// The value behind a JSON key: a tree that knows its size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Json {
    root: Node,
    weight: usize,
}

/// The most bytes that a text could take as a tree.
pub(crate) fn most_bytes(text: &[u8]) -> usize {
    /// What a value takes; members of objects take the most.
    const VALUE: usize = size_of::<Node>() + Node::MEMBER_OVERHEAD + Node::COLLECTION_OVERHEAD;
    let begins_value = |byte: &&u8| matches!(byte, b',' | b'[' | b'{');
    text.len() + (1 + text.iter().filter(begins_value).count()) * VALUE
}

impl Json {
    pub(crate) fn new(root: Node) -> Self {
        let weight = root.size();
        Self { root, weight }
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    /// Roughly the bytes this takes; must be cheap, it is asked after every write.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.weight
    }
}
