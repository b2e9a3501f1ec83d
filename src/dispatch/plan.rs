//! How the commands of a flight are cut into exchanges, in order.
use super::{
    board::{Group, Item},
    fold,
};
use crate::{
    command::Args,
    commands::properties::{self, Safety},
    transport::{Mode, Transport},
};

/// Bounds of one exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) commands: usize,
    pub(crate) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            commands: 1000,
            bytes: 1024 * 1024,
        }
    }
}

/// One planned exchange.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) mode: Mode,
    pub(super) commands: Vec<Args>,
    /// Where the results go, item by item: entry and slot.
    pub(super) places: Vec<(u32, u32)>,
}

impl Part {
    fn new(mode: Mode, commands: usize) -> Self {
        Self {
            mode,
            commands: Vec::with_capacity(commands),
            places: Vec::with_capacity(commands),
        }
    }

    fn push(&mut self, item: Item) {
        self.commands.push(item.args);
        self.places.push((item.entry, item.slot));
    }
}

/// Whether running all of these twice does no harm.
pub(super) fn is_safe(commands: &[Args]) -> bool {
    commands
        .iter()
        .all(|args| args.repeatable || properties::safety_of(args) != Safety::Other)
}

/// Whether any of these may change data.
pub(super) fn writes(commands: &[Args]) -> bool {
    commands
        .iter()
        .any(|args| properties::safety_of(args) != Safety::Read)
}

/// Roughly the bytes of a command in JSON.
fn weight(args: &Args) -> usize {
    args.bytes() + 3 * args.len() + 3
}

/// Cuts groups into exchanges: never reordered, never above the limits unless a single
/// command or transaction is.
pub(super) fn cut(
    groups: Vec<Group>,
    limits: Limits,
    folds: bool,
    transport: &dyn Transport,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut open: Option<(Part, usize)> = None;
    let all: usize = groups.iter().map(|group| group.items.len()).sum();
    let most = all.min(limits.commands);
    let close = |open: &mut Option<(Part, usize)>, parts: &mut Vec<Part>| {
        if let Some((mut part, _)) = open.take() {
            if folds {
                part.commands = fold::fold(part.commands);
            }
            if part.commands.len() == 1 {
                part.mode = Mode::Single;
            }
            parts.push(part);
        }
    };
    for group in groups {
        let items = group.items.len();
        if group.mode == Mode::Transaction {
            close(&mut open, &mut parts);
            let mut part = Part::new(Mode::Transaction, items);
            for item in group.items {
                part.push(item);
            }
            parts.push(part);
            continue;
        }
        for item in group.items {
            if !transport.can_batch(&item.args) {
                close(&mut open, &mut parts);
                let mut part = Part::new(Mode::Single, 1);
                part.push(item);
                parts.push(part);
                continue;
            }
            let bytes = weight(&item.args);
            let full = open.as_ref().is_some_and(|(part, used)| {
                part.commands.len() >= limits.commands || used + bytes > limits.bytes
            });
            if full {
                close(&mut open, &mut parts);
            }
            let (part, used) = open.get_or_insert_with(|| (Part::new(Mode::Pipeline, most), 0));
            part.push(item);
            *used += bytes;
        }
    }
    close(&mut open, &mut parts);
    parts
}
