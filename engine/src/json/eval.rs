//! Finding what a path selects.
//!
//! `..` visits children before their parent, so the deepest matches come first, as on Upstash.

use super::Json;
use super::filter::Scope;
use super::node::Node;
use super::path::{Path, Segment, Selector};
use crate::budget::Budget as Shared;

/// Visits one evaluation may make: paths like `$..*..*` multiply.
const MAX_VISITS: usize = 5_000_000;

/// The most bytes that the places one evaluation finds may take.
const MAX_LOCATION_BYTES: usize = 64 << 20;

/// A path would visit too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooComplex;

/// Where a value is.
pub(crate) type Location = Vec<Step>;

/// One step to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Index(usize),
    Name(Box<str>),
}

impl Step {
    fn bytes(&self) -> usize {
        let name = match self {
            Self::Index(_) => 0,
            Self::Name(name) => name.len(),
        };
        size_of::<Self>() + name
    }
}

/// Counts visits down.
#[derive(Debug)]
pub(super) struct Budget<'b> {
    visits: usize,
    /// What the command may still do, if it may look at more than one path.
    shared: Option<&'b Shared>,
}

/// The way from the root to a value, on the stack.
#[derive(Clone, Copy)]
struct Trail<'t, 'd> {
    parent: Option<&'t Trail<'t, 'd>>,
    step: Option<Child<'d>>,
}

#[derive(Clone, Copy)]
enum Child<'d> {
    Index(usize),
    Name(&'d str),
}

impl Json {
    /// Every value a path selects.
    #[cfg(test)]
    pub(super) fn find(&self, path: &Path) -> Result<Vec<&Node>, TooComplex> {
        self.find_within(path, None)
    }

    /// Every value a path selects, as long as the budget lasts.
    pub(crate) fn find_within(
        &self,
        path: &Path,
        shared: Option<&Shared>,
    ) -> Result<Vec<&Node>, TooComplex> {
        let mut found = Vec::new();
        let mut budget = Budget::new(shared);
        budget.walk(
            self.root(),
            self.root(),
            path.segments(),
            &Trail::ROOT,
            &mut |node, _| {
                found.push(node);
                true
            },
        )?;
        Ok(found)
    }

    /// Where every selected value is.
    pub(crate) fn locate(&self, path: &Path) -> Result<Vec<Location>, TooComplex> {
        let mut found = Vec::new();
        let mut budget = Budget::new(None);
        let mut bytes = 0;
        budget.walk(
            self.root(),
            self.root(),
            path.segments(),
            &Trail::ROOT,
            &mut |_, trail| {
                let location = trail.location();
                bytes += location.iter().map(Step::bytes).sum::<usize>() + size_of::<Location>();
                found.push(location);
                bytes <= MAX_LOCATION_BYTES
            },
        )?;
        if bytes > MAX_LOCATION_BYTES {
            return Err(TooComplex);
        }
        Ok(found)
    }

    /// How many values a path selects, and how deep the deepest is: 1 for the root.
    pub(crate) fn extent(
        &self,
        path: &Path,
        shared: &Shared,
    ) -> Result<(usize, usize), TooComplex> {
        let (mut count, mut deepest) = (0, 0);
        let mut budget = Budget::new(Some(shared));
        budget.walk(
            self.root(),
            self.root(),
            path.segments(),
            &Trail::ROOT,
            &mut |_, trail| {
                count += 1;
                deepest = deepest.max(trail.level());
                true
            },
        )?;
        Ok((count, deepest))
    }
}

impl Trail<'_, '_> {
    const ROOT: Self = Self {
        parent: None,
        step: None,
    };

    /// How deep the value is: 1 for the root.
    fn level(&self) -> usize {
        let above = std::iter::successors(Some(self), |trail| trail.parent);
        above.count()
    }

    fn location(&self) -> Location {
        let mut location = Vec::new();
        let mut trail = Some(self);
        while let Some(Trail { parent, step }) = trail {
            match step {
                Some(Child::Index(index)) => location.push(Step::Index(*index)),
                Some(Child::Name(name)) => location.push(Step::Name((*name).into())),
                None => {}
            }
            trail = *parent;
        }
        location.reverse();
        location
    }
}

impl<'b> Budget<'b> {
    fn new(shared: Option<&'b Shared>) -> Self {
        Self {
            visits: MAX_VISITS,
            shared,
        }
    }

    /// Takes what so many visits take.
    pub(super) fn take(&mut self, visits: usize) -> Result<(), TooComplex> {
        self.visits = self.visits.checked_sub(visits).ok_or(TooComplex)?;
        match self.shared {
            Some(shared) => shared.spend(visits).map_err(|_| TooComplex),
            None => Ok(()),
        }
    }

    /// The first value that `segments` select from `start`.
    pub(super) fn first<'d>(
        &mut self,
        root: &'d Node,
        start: &'d Node,
        segments: &[Segment],
    ) -> Result<Option<&'d Node>, TooComplex> {
        let mut first = None;
        self.walk(root, start, segments, &Trail::ROOT, &mut |node, _| {
            first = Some(node);
            false
        })?;
        Ok(first)
    }

    /// Calls `found` for each match until it returns `false`; says whether to go on.
    fn walk<'d>(
        &mut self,
        root: &'d Node,
        node: &'d Node,
        segments: &[Segment],
        trail: &Trail<'_, 'd>,
        found: &mut dyn FnMut(&'d Node, &Trail<'_, 'd>) -> bool,
    ) -> Result<bool, TooComplex> {
        self.take(1)?;
        let Some((segment, rest)) = segments.split_first() else {
            return Ok(found(node, trail));
        };
        if segment.descend
            && !self.each_child(node, trail, &mut |budget, child, trail| {
                budget.walk(root, child, segments, trail, found)
            })?
        {
            return Ok(false);
        }
        for selector in &segment.selectors {
            let go_on = match selector {
                Selector::Name(name) => match node
                    .as_object()
                    .and_then(|members| members.get_key_value(name))
                {
                    Some((name, child)) => {
                        self.walk(root, child, rest, &trail.to(Child::Name(name)), found)?
                    }
                    None => true,
                },
                Selector::Index(index) => match resolve(node, *index) {
                    Some((index, child)) => {
                        self.walk(root, child, rest, &trail.to(Child::Index(index)), found)?
                    }
                    None => true,
                },
                Selector::Wildcard => {
                    self.each_child(node, trail, &mut |budget, child, trail| {
                        budget.walk(root, child, rest, trail, found)
                    })?
                }
                Selector::Filter(condition) => {
                    self.each_child(node, trail, &mut |budget, child, trail| {
                        let scope = Scope {
                            root,
                            current: child,
                        };
                        if condition.holds(scope, budget)? {
                            budget.walk(root, child, rest, trail, found)
                        } else {
                            Ok(true)
                        }
                    })?
                }
                Selector::Slice { start, end, step } => {
                    let items = node.as_array().map(Vec::as_slice).unwrap_or_default();
                    let mut go_on = true;
                    for index in slice(items.len(), *start, *end, *step) {
                        let Some(child) = items.get(index) else { break };
                        go_on =
                            self.walk(root, child, rest, &trail.to(Child::Index(index)), found)?;
                        if !go_on {
                            break;
                        }
                    }
                    go_on
                }
            };
            if !go_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn each_child<'d>(
        &mut self,
        node: &'d Node,
        trail: &Trail<'_, 'd>,
        visit: &mut dyn FnMut(&mut Self, &'d Node, &Trail<'_, 'd>) -> Result<bool, TooComplex>,
    ) -> Result<bool, TooComplex> {
        match node {
            Node::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if !visit(self, item, &trail.to(Child::Index(index)))? {
                        return Ok(false);
                    }
                }
            }
            Node::Object(members) => {
                for (name, value) in members {
                    if !visit(self, value, &trail.to(Child::Name(name)))? {
                        return Ok(false);
                    }
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

impl<'t, 'd> Trail<'t, 'd> {
    fn to(&'t self, step: Child<'d>) -> Trail<'t, 'd> {
        Trail {
            parent: Some(self),
            step: Some(step),
        }
    }
}

/// The item an index means; negative indexes count from the end.
fn resolve(node: &Node, index: i64) -> Option<(usize, &Node)> {
    let items = node.as_array()?;
    let index = if index < 0 {
        index.checked_add_unsigned(items.len() as u64)?
    } else {
        index
    };
    let index = usize::try_from(index).ok()?;
    items.get(index).map(|item| (index, item))
}

/// The indexes a slice means, as in RFC 9535.
fn slice(
    len: usize,
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> Box<dyn Iterator<Item = usize>> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let normal = |index: i64| {
        if index < 0 {
            index.saturating_add(len)
        } else {
            index
        }
    };
    let stride = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    match step {
        0 => Box::new(std::iter::empty()),
        1.. => {
            let first = normal(start.unwrap_or(0)).clamp(0, len);
            let last = normal(end.unwrap_or(len)).clamp(0, len);
            Box::new((first as usize..last as usize).step_by(stride))
        }
        _ => {
            let first = normal(start.unwrap_or(len - 1)).clamp(-1, len - 1);
            let last = end.map_or(-1, normal).clamp(-1, len - 1);
            // From `first` down to just above `last`, shifted by one to stay unsigned.
            Box::new(
                ((last + 1) as usize..(first + 1) as usize)
                    .rev()
                    .step_by(stride),
            )
        }
    }
}
