//! How the commands of a batch are cut into exchanges, in order.
use super::{CommandContext, script_batch};
use crate::{
    protocol::{
        command::Args,
        command_table::{self, Safety},
    },
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
    /// Context of each command.
    pub(super) contexts: Vec<CommandContext>,
    /// Where the results go, item by item: entry and slot.
    pub(super) places: Vec<(u32, u32)>,
}

/// Whether running all of these twice does no harm.
pub(super) fn is_safe(commands: &[Args], contexts: &[CommandContext]) -> bool {
    let mut each = commands.iter().zip(contexts);
    each.all(|(args, context)| {
        context.repeatable || command_table::safety_of(args) != Safety::Other
    })
}

/// Whether the command at this place only reads, and nothing that it names is written after it.
pub(super) fn may_read_later(commands: &[Args], place: usize) -> bool {
    let Some((read, later)) = commands.get(place..).and_then(<[Args]>::split_first) else {
        return false;
    };
    let is_read = |args: &Args| command_table::safety_of(args) == Safety::Read;
    let touches = |args: &Args| {
        args.iter()
            .skip(1)
            .any(|a| read.iter().skip(1).any(|b| a == b))
    };
    is_read(read) && !later.iter().any(|args| !is_read(args) && touches(args))
}

/// Whether any of these may change data.
pub(super) fn writes(commands: &[Args]) -> bool {
    commands
        .iter()
        .any(|args| command_table::safety_of(args) != Safety::Read)
}

/// Roughly the bytes of a command in JSON.
fn weight(args: &Args) -> usize {
    args.bytes() + 3 * args.len() + 3
}

/// Cuts the commands of calls into exchanges: never reordered, never above the limits unless a
/// single command or transaction is.
pub(super) struct Plan<'a> {
    limits: Limits,
    joins: bool,
    transport: &'a dyn Transport,
    parts: Vec<Part>,
    open: Option<Part>,
    /// Bytes in the open part.
    bytes: usize,
}

impl<'a> Plan<'a> {
    pub(super) fn new(limits: Limits, joins: bool, transport: &'a dyn Transport) -> Self {
        Self {
            limits,
            joins,
            transport,
            parts: Vec::new(),
            open: None,
            bytes: 0,
        }
    }

    /// Adds the commands of one call.
    pub(super) fn add(
        &mut self,
        mode: Mode,
        entry: u32,
        commands: impl ExactSizeIterator<Item = Args>,
        context: &CommandContext,
    ) {
        let places = (0..).map(|slot| (entry, slot));
        if mode == Mode::Transaction {
            self.close();
            self.parts.push(Part {
                mode,
                places: places.take(commands.len()).collect(),
                contexts: vec![context.clone(); commands.len()],
                commands: commands.collect(),
            });
            return;
        }
        let mut left = commands.len();
        for (command, place) in commands.zip(places) {
            let bytes = weight(&command);
            let alone = !self.transport.can_batch(&command);
            let full = self.open.as_ref().is_some_and(|part| {
                part.commands.len() >= self.limits.commands
                    || self.bytes + bytes > self.limits.bytes
            });
            if alone || full {
                self.close();
            }
            let room = if alone {
                1
            } else {
                left.min(self.limits.commands)
            };
            let part = self.open.get_or_insert_with(|| Part {
                mode: Mode::Pipeline,
                commands: Vec::with_capacity(room),
                contexts: Vec::with_capacity(room),
                places: Vec::with_capacity(room),
            });
            left -= 1;
            part.commands.push(command);
            part.contexts.push(context.clone());
            part.places.push(place);
            self.bytes += bytes;
            if alone {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        self.bytes = 0;
        let Some(mut part) = self.open.take() else {
            return;
        };
        if self.joins {
            script_batch::join(&mut part.commands, &mut part.contexts);
        }
        if part.commands.len() == 1 {
            part.mode = Mode::Single;
        }
        self.parts.push(part);
    }

    pub(super) fn finish(mut self) -> Vec<Part> {
        self.close();
        self.parts
    }
}
