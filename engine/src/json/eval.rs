//! Finding what a path selects.
//!
//! `..` visits children before their parent, so the deepest matches come first, as on Upstash.

use super::Json;
use super::filter::Scope;
use super::node::Node;
use super::path::{Path, Segment, Selector};

/// Visits one evaluation may make: paths like `$..*..*` multiply.
const MAX_VISITS: usize = 5_000_000;

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

/// Counts visits down.
#[derive(Debug)]
pub(super) struct Budget(usize);

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
    pub(crate) fn find(&self, path: &Path) -> Result<Vec<&Node>, TooComplex> {
        let mut found = Vec::new();
        let mut budget = Budget::new();
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
        let mut budget = Budget::new();
        budget.walk(
            self.root(),
            self.root(),
            path.segments(),
            &Trail::ROOT,
            &mut |_, trail| {
                found.push(trail.location());
                true
            },
        )?;
        Ok(found)
    }
}

impl Trail<'_, '_> {
    const ROOT: Self = Self {
        parent: None,
        step: None,
    };

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

impl Budget {
    fn new() -> Self {
        Self(MAX_VISITS)
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
        self.0 = self.0.checked_sub(1).ok_or(TooComplex)?;
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
