//! Commands of one request as byte spans over the request's body.

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

/// Arguments of one command, borrowed from the request.
pub(crate) type Args<'a> = SmallVec<[&'a [u8]; 8]>;

/// Where one argument lies: in the body, or in the arena of decoded strings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

/// Set in `Span::len` when the argument lies in the arena.
const IN_ARENA: u32 = 1 << 31;

/// Why one row of a pipeline is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowError {
    /// The row is `[]`.
    Empty,
    /// An argument is `null`.
    Null,
    /// An argument is an array.
    Array,
    /// An argument is an object.
    Object,
}

impl RowError {
    /// The error line that answers such a command when it stands alone or in a row.
    pub(crate) fn line(self, in_pipeline: bool) -> &'static str {
        match (self, in_pipeline) {
            (Self::Empty, false) => "ERR empty command",
            (Self::Empty, true) => "ERR empty pipeline command",
            (Self::Null, _) => "ERR unsupported arg type: %!q(<nil>): <nil>",
            (Self::Array, _) => "ERR unsupported arg type: []interface {}",
            (Self::Object, _) => "ERR unsupported arg type: map[string]interface {}",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Row {
    end: u32,
    error: Option<RowError>,
}

/// The commands of one request body; arguments stay where they are.
#[derive(Debug)]
pub(crate) struct Commands {
    source: Bytes,
    arena: Vec<u8>,
    spans: Vec<Span>,
    rows: Vec<Row>,
}

impl Commands {
    pub(super) fn new(source: Bytes) -> Self {
        Self {
            arena: Vec::new(),
            // A short argument with its quotes and comma takes some 12 bytes.
            spans: Vec::with_capacity((source.len() / 12).clamp(4, 4096)),
            rows: Vec::with_capacity((source.len() / 48).clamp(1, 1024)),
            source,
        }
    }

    /// One command: segments of a path, the body unless it is empty, arguments of the query.
    pub(crate) fn of_path(path: &[Cow<'_, [u8]>], body: Bytes, query: &[Cow<'_, [u8]>]) -> Self {
        let end = body.len();
        let mut commands = Self::new(body);
        for argument in path {
            commands.push_copy(argument);
        }
        if end > 0 {
            commands.push_source(0, end);
        }
        for argument in query {
            commands.push_copy(argument);
        }
        commands.end_row(None);
        commands
    }

    fn push_copy(&mut self, argument: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(argument);
        self.push_arena(start);
    }

    pub(super) fn push_source(&mut self, start: usize, end: usize) {
        self.spans.push(Span {
            start: start as u32,
            len: (end - start) as u32,
        });
    }

    /// Adds the arena's bytes from `start` to its end as one argument.
    pub(super) fn push_arena(&mut self, start: usize) {
        self.spans.push(Span {
            start: start as u32,
            len: (self.arena.len() - start) as u32 | IN_ARENA,
        });
    }

    pub(super) fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// Ends the current row; a row in error keeps no arguments.
    pub(super) fn end_row(&mut self, error: Option<RowError>) {
        let start = self.rows.last().map_or(0, |row| row.end as usize);
        let error = match error {
            None if self.spans.len() == start => Some(RowError::Empty),
            other => other,
        };
        if error.is_some() {
            self.spans.truncate(start);
        }
        self.rows.push(Row {
            end: self.spans.len() as u32,
            error,
        });
    }

    /// Roughly the bytes of all arguments.
    pub(crate) fn bytes(&self) -> usize {
        self.source.len() + self.arena.len()
    }

    /// How many commands there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The arguments of command `index`, or why it is none.
    pub(crate) fn get(&self, index: usize) -> Result<Args<'_>, RowError> {
        let start = match index {
            0 => 0,
            _ => self.rows[index - 1].end as usize,
        };
        let row = self.rows[index];
        if let Some(error) = row.error {
            return Err(error);
        }
        let spans = &self.spans[start..row.end as usize];
        Ok(spans.iter().map(|span| self.slice(*span)).collect())
    }

    /// The name of command `index`; empty where it is none.
    pub(crate) fn name(&self, index: usize) -> &[u8] {
        let start = match index {
            0 => 0,
            _ => self.rows[index - 1].end as usize,
        };
        match self.spans.get(start) {
            Some(span) if self.rows[index].error.is_none() => self.slice(*span),
            _ => &[],
        }
    }

    fn slice(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        if span.len & IN_ARENA == 0 {
            &self.source[start..start + span.len as usize]
        } else {
            &self.arena[start..start + (span.len & !IN_ARENA) as usize]
        }
    }
}
