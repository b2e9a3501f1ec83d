//! Changes by path.

use super::Json;
use super::eval::{Location, Step, TooComplex};
use super::node::{MAX_DEPTH, Node};
use super::path::{Last, Path};

/// When a value may be set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SetOptions {
    #[default]
    Always,
    /// NX
    IfMissing,
    /// XX
    IfPresent,
}

/// Why nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The parent of the place to create does not exist or is no object.
    NoSuchPath,
    /// Nothing matched, and the path does not name one place that could be created.
    NotStatic,
    IndexOutOfRange,
    TooDeep,
    TooComplex,
}

/// What a change of one value was: its result and the bytes it added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<T> {
    pub(crate) result: T,
    pub(crate) bytes: isize,
}

impl From<TooComplex> for Refusal {
    fn from(TooComplex: TooComplex) -> Self {
        Self::TooComplex
    }
}

impl<T> Change<T> {
    /// A change that kept the size.
    pub(crate) fn same_size(result: T) -> Self {
        Self { result, bytes: 0 }
    }
}

impl Json {
    /// Sets every value the path selects, or creates the one place it names.
    pub(crate) fn set(
        &mut self,
        path: &Path,
        value: &Node,
        options: SetOptions,
    ) -> Result<bool, Refusal> {
        if options != SetOptions::IfMissing {
            let locations = self.locate(path)?;
            check_depth(&locations, value)?;
            for location in &locations {
                self.replace(location, value.clone());
            }
            if !locations.is_empty() {
                return Ok(true);
            }
        }
        if options == SetOptions::IfPresent {
            return Ok(false);
        }
        self.add(path, value)
    }

    /// Merges a patch (RFC 7396) into every value the path selects, or creates the one place it names.
    pub(crate) fn merge(&mut self, path: &Path, patch: &Node) -> Result<bool, Refusal> {
        let locations = self.locate(path)?;
        if locations.is_empty() {
            return if matches!(patch, Node::Null) {
                Ok(false)
            } else {
                self.add(path, patch)
            };
        }
        check_depth(&locations, patch)?;
        if matches!(patch, Node::Null) && !path.is_root() {
            self.delete_at(locations);
            return Ok(true);
        }
        for location in &locations {
            if let Some(target) = lookup(&mut self.root, location) {
                let bytes = merge(target, patch);
                self.weight = self.weight.saturating_add_signed(bytes);
            }
        }
        Ok(true)
    }

    /// Deletes every value the path selects; how many. Not for the root.
    pub(crate) fn delete(&mut self, path: &Path) -> Result<usize, TooComplex> {
        let locations = self.locate(path)?;
        Ok(self.delete_at(locations))
    }

    /// Applies `change` to every value the path selects; it is told how deep the value is.
    pub(crate) fn update<T>(
        &mut self,
        path: &Path,
        mut change: impl FnMut(&mut Node, usize) -> Change<T>,
    ) -> Result<Vec<T>, TooComplex> {
        let locations = self.locate(path)?;
        let mut results = Vec::with_capacity(locations.len());
        for location in &locations {
            if let Some(node) = lookup(&mut self.root, location) {
                let Change { result, bytes } = change(node, location.len() + 1);
                self.weight = self.weight.saturating_add_signed(bytes);
                results.push(result);
            }
        }
        Ok(results)
    }

    fn replace(&mut self, location: &[Step], value: Node) {
        if let Some(node) = lookup(&mut self.root, location) {
            let bytes = value.size() as isize - node.size() as isize;
            *node = value;
            self.weight = self.weight.saturating_add_signed(bytes);
        }
    }

    /// Creates the one place a path names; `false` if there is something already.
    fn add(&mut self, path: &Path, value: &Node) -> Result<bool, Refusal> {
        if path.is_root() {
            return Ok(false);
        }
        let (parent, last) = path.split_static().ok_or(Refusal::NotStatic)?;
        let parents = self.locate(&parent)?;
        let parent = parents.first().ok_or(Refusal::NoSuchPath)?;
        if parent.len() + 1 + value.depth() > MAX_DEPTH {
            return Err(Refusal::TooDeep);
        }
        let node = lookup(&mut self.root, parent).ok_or(Refusal::NoSuchPath)?;
        match last {
            Last::Name(name) => {
                let members = node.as_object_mut().ok_or(Refusal::NoSuchPath)?;
                if members.contains_key(name) {
                    return Ok(false);
                }
                members.insert(name.into(), value.clone());
                self.weight += name.len() + Node::MEMBER_OVERHEAD + value.size();
                Ok(true)
            }
            Last::Index(index) => {
                let len = node.as_array().ok_or(Refusal::NoSuchPath)?.len() as i64;
                if (-len..len).contains(&index) {
                    Ok(false)
                } else {
                    Err(Refusal::IndexOutOfRange)
                }
            }
        }
    }

    fn delete_at(&mut self, mut locations: Vec<Location>) -> usize {
        locations.sort_unstable();
        // What lies within something that goes is not counted, and is gone with it.
        let mut kept: Vec<Location> = Vec::with_capacity(locations.len());
        for location in locations {
            if !kept.last().is_some_and(|last| location.starts_with(last)) {
                kept.push(location);
            }
        }
        // From the end, so that the indexes of what is left stay valid.
        let mut deleted = 0;
        for location in kept.iter().rev() {
            let Some((last, parent)) = location.split_last() else {
                continue;
            };
            let gone = match (lookup(&mut self.root, parent), last) {
                (Some(Node::Array(items)), Step::Index(index)) if *index < items.len() => {
                    Some(items.remove(*index).size())
                }
                (Some(Node::Object(members)), Step::Name(name)) => members
                    .shift_remove(name)
                    .map(|node| node.size() + name.len() + Node::MEMBER_OVERHEAD),
                _ => None,
            };
            if let Some(bytes) = gone {
                deleted += 1;
                self.weight = self.weight.saturating_sub(bytes);
            }
        }
        deleted
    }
}

fn check_depth(locations: &[Location], value: &Node) -> Result<(), Refusal> {
    let deepest = locations.iter().map(Vec::len).max().unwrap_or(0);
    if deepest + value.depth() > MAX_DEPTH {
        Err(Refusal::TooDeep)
    } else {
        Ok(())
    }
}

fn lookup<'d>(root: &'d mut Node, location: &[Step]) -> Option<&'d mut Node> {
    let mut node = root;
    for step in location {
        node = match (node, step) {
            (Node::Array(items), Step::Index(index)) => items.get_mut(*index)?,
            (Node::Object(members), Step::Name(name)) => members.get_mut(name)?,
            _ => return None,
        };
    }
    Some(node)
}

/// Merges by RFC 7396; returns the bytes added.
fn merge(target: &mut Node, patch: &Node) -> isize {
    let Node::Object(changes) = patch else {
        let bytes = patch.size() as isize - target.size() as isize;
        *target = patch.clone();
        return bytes;
    };
    let mut bytes = 0;
    if target.as_object().is_none() {
        let empty = Node::Object(super::node::Object::default());
        bytes += empty.size() as isize - target.size() as isize;
        *target = empty;
    }
    let Some(members) = target.as_object_mut() else {
        return bytes;
    };
    for (name, change) in changes {
        if matches!(change, Node::Null) {
            if let Some(gone) = members.shift_remove(name) {
                bytes -= (gone.size() + name.len() + Node::MEMBER_OVERHEAD) as isize;
            }
            continue;
        }
        let member = members.entry(name.clone()).or_insert_with(|| {
            bytes += (Node::Null.size() + name.len() + Node::MEMBER_OVERHEAD) as isize;
            Node::Null
        });
        bytes += merge(member, change);
    }
    bytes
}
