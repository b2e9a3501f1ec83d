//! A command is data: a name, arguments, and the type of its reply.
use std::{borrow::Cow, fmt, marker::PhantomData, sync::Arc};

use bytes::Bytes;
use serde::Serialize;
use smallvec::SmallVec;

use crate::protocol::{
    buffer::Buffer,
    command_table,
    error::{Error, Result},
    reply::Json,
};

/// A command of the table, found in it when this is compiled.
macro_rules! command {
    ($name:literal) => {
        $crate::protocol::command::Command::known(
            $name,
            const { $crate::protocol::command_table::place($name) },
        )
    };
}

/// The name and arguments of one command, any bytes, in one buffer.
#[derive(Clone, Default)]
pub struct Args {
    buf: Buffer,
    ends: SmallVec<[u32; 6]>,
    /// One more than the position in the table of commands; 0 when it is not known yet.
    place: u16,
    problem: Option<Box<Error>>,
}

impl Args {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for more.
    pub(crate) fn reserve(&mut self, arguments: usize, bytes: usize) {
        self.ends.reserve(arguments);
        self.buf.reserve(bytes);
    }

    /// Appends one argument.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buf.extend(bytes);
        match u32::try_from(self.buf.len()) {
            Ok(end) => self.ends.push(end),
            Err(_) => self.fail(Error::invalid_input("command longer than 4 GiB")),
        }
    }

    /// Appends some arguments of another command, with one copy.
    pub(crate) fn append(&mut self, from: &Self, places: std::ops::Range<usize>) {
        if places.is_empty() {
            return;
        }
        let start = match places.start.checked_sub(1) {
            Some(before) => from.ends.get(before).copied().unwrap_or_default(),
            None => 0,
        };
        let (Some(ends), base) = (from.ends.get(places.clone()), self.buf.len() as u64) else {
            return self.fail(Error::invalid_input("no such arguments"));
        };
        let end = ends.last().copied().unwrap_or(start);
        if base + u64::from(end) > u64::from(u32::MAX) {
            return places.for_each(|place| self.push(from.get(place).unwrap_or_default()));
        }
        if self.is_empty() && places.start == 0 {
            self.place = from.place;
        }
        let moved = ends.iter().map(|at| at - start + base as u32);
        self.ends.extend(moved);
        let bytes = from.all().get(start as usize..end as usize);
        self.buf.extend(bytes.unwrap_or_default());
    }

    /// Appends one value as exactly one argument.
    pub fn add(&mut self, value: impl ToArg) -> &mut Self {
        value.write(self);
        self
    }

    /// Position in the table of commands; its length for unknown ones.
    pub(crate) fn index(&self) -> usize {
        match self.place {
            0 => command_table::index_of(self.get(0).unwrap_or_default()),
            place => usize::from(place) - 1,
        }
    }

    /// Notes that an argument cannot be encoded; the command then fails unsent.
    pub fn fail(&mut self, problem: Error) {
        self.problem.get_or_insert_with(|| Box::new(problem));
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.problem.as_ref().map_or(Ok(()), |e| Err((**e).clone()))
    }

    /// Number of arguments, the name included.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all arguments together.
    pub fn bytes(&self) -> usize {
        self.buf.len()
    }

    /// The bytes of all arguments, one after the other.
    pub(crate) fn all(&self) -> &[u8] {
        self.buf.as_slice()
    }

    /// One argument; 0 is the name.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.all().get(start..end)
    }

    /// All arguments, the name first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        (0..self.len()).map(|i| self.get(i).unwrap_or_default())
    }

    /// The name as it was given.
    pub fn name(&self) -> &str {
        self.get(0)
            .and_then(|n| std::str::from_utf8(n).ok())
            .unwrap_or_default()
    }

    /// Whether every argument is valid UTF-8.
    pub fn is_utf8(&self) -> bool {
        // One pass over the buffer; only a multi-byte character that spans two
        // arguments makes the whole valid and a part invalid.
        self.all().is_ascii() || self.iter().all(|a| std::str::from_utf8(a).is_ok())
    }

    /// The same command with another name and first argument.
    pub(crate) fn with_head(&self, name: &str, first: &str) -> Self {
        let mut next = Self {
            place: command_table::index_of(name.as_bytes()) as u16 + 1,
            ..Self::default()
        };
        next.reserve(self.len(), self.bytes() + name.len() + first.len());
        next.push(name.as_bytes());
        next.push(first.as_bytes());
        for arg in self.iter().skip(2) {
            next.push(arg);
        }
        next
    }
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}(+{} arguments)",
            self.name(),
            self.len().saturating_sub(1)
        )
    }
}

/// A value that becomes exactly one argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an argument of a command",
    label = "neither text, bytes, a number nor `Json`",
    note = "to store a struct as JSON, derive `serde::Serialize` and pass `Json(&value)` of this crate"
)]
pub trait ToArg {
    /// Appends it: one call of [`Args::push`] or of another `ToArg`.
    fn write(&self, out: &mut Args);
}

impl<T: ToArg + ?Sized> ToArg for &T {
    fn write(&self, out: &mut Args) {
        (**self).write(out);
    }
}
impl<T: ToArg + ?Sized> ToArg for Box<T> {
    fn write(&self, out: &mut Args) {
        (**self).write(out);
    }
}
impl<T: ToArg + ?Sized> ToArg for Arc<T> {
    fn write(&self, out: &mut Args) {
        (**self).write(out);
    }
}
impl<T: ToArg + ToOwned + ?Sized> ToArg for Cow<'_, T> {
    fn write(&self, out: &mut Args) {
        (**self).write(out);
    }
}
impl ToArg for str {
    fn write(&self, out: &mut Args) {
        out.push(self.as_bytes());
    }
}
impl ToArg for String {
    fn write(&self, out: &mut Args) {
        out.push(self.as_bytes());
    }
}
impl ToArg for [u8] {
    fn write(&self, out: &mut Args) {
        out.push(self);
    }
}
impl<const N: usize> ToArg for [u8; N] {
    fn write(&self, out: &mut Args) {
        out.push(self);
    }
}
impl ToArg for Vec<u8> {
    fn write(&self, out: &mut Args) {
        out.push(self);
    }
}
impl ToArg for Bytes {
    fn write(&self, out: &mut Args) {
        out.push(self);
    }
}

macro_rules! integers {
    ($($t:ty),+) => {$(
        impl ToArg for $t {
            fn write(&self, out: &mut Args) {
                out.push(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )+};
}
integers!(
    i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize
);

macro_rules! floats {
    ($($t:ty),+) => {$(
        /// Shortest text that reads back as the same number; `inf`, `-inf`, `nan`.
        impl ToArg for $t {
            fn write(&self, out: &mut Args) {
                if self.is_finite() {
                    let mut buffer = zmij::Buffer::new();
                    let text = buffer.format_finite(*self);
                    out.push(text.strip_suffix(".0").unwrap_or(text).as_bytes());
                } else if self.is_nan() {
                    out.push(b"nan");
                } else {
                    out.push(if *self > 0.0 { b"inf" } else { b"-inf" });
                }
            }
        }
    )+};
}
floats!(f32, f64);

impl<T: Serialize> ToArg for Json<T> {
    fn write(&self, out: &mut Args) {
        if let Ok(text) = serde_json::to_vec(&self.0) {
            out.push(&text);
        } else {
            out.push(b"null");
            out.fail(Error::invalid_input("value cannot be written as JSON"));
        }
    }
}

/// One command with a typed reply.
#[must_use = "a command does nothing until it is sent"]
pub struct Command<T> {
    pub(crate) args: Args,
    reply: PhantomData<fn() -> T>,
}

impl<T> Command<T> {
    /// Starts a command by name.
    pub fn new(name: &str) -> Self {
        Self::known(name, command_table::index_of(name.as_bytes()))
    }

    /// Starts a command whose position in the table is known.
    pub(crate) fn known(name: &str, index: usize) -> Self {
        let mut args = Args {
            place: index as u16 + 1,
            ..Args::default()
        };
        args.push(name.as_bytes());
        Self {
            args,
            reply: PhantomData,
        }
    }

    /// Appends one argument.
    pub fn arg(mut self, value: impl ToArg) -> Self {
        value.write(&mut self.args);
        self
    }

    /// Appends every item as one argument.
    pub fn args<A: ToArg>(mut self, values: impl IntoIterator<Item = A>) -> Self {
        for value in values {
            value.write(&mut self.args);
        }
        self
    }

    /// Appends what an options value writes.
    pub fn opt(mut self, write: impl FnOnce(&mut Args)) -> Self {
        write(&mut self.args);
        self
    }

    /// The same command with another type of reply.
    pub fn returning<U>(self) -> Command<U> {
        Command {
            args: self.args,
            reply: PhantomData,
        }
    }

    /// Name and arguments.
    pub fn as_args(&self) -> &Args {
        &self.args
    }

    /// The name as it was given.
    pub fn name(&self) -> &str {
        self.args.name()
    }
}

impl<T> Clone for Command<T> {
    fn clone(&self) -> Self {
        Self {
            args: self.args.clone(),
            reply: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Command<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.args.fmt(f)
    }
}
