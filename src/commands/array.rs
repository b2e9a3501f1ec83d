//! Array commands. Source: <https://upstash.com/docs/redis/commands/array/overview>.

use super::options::word_and;
use super::replies::Fields;
use crate::{Args, FromReply, Surface, ToArg};

/// What [`ArrayCommands::argrep`] looks for.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ArrayGrep {
    predicates: Vec<(&'static str, String)>,
    all: bool,
    no_case: bool,
    limit: Option<u64>,
}

impl ArrayGrep {
    /// Looks for nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
    fn and(mut self, word: &'static str, text: impl Into<String>) -> Self {
        self.predicates.push((word, text.into()));
        self
    }
    /// Values equal to this.
    pub fn exact(self, text: impl Into<String>) -> Self {
        self.and("EXACT", text)
    }
    /// Values that contain this.
    pub fn contains(self, text: impl Into<String>) -> Self {
        self.and("MATCH", text)
    }
    /// Values that fit a glob pattern.
    pub fn glob(self, pattern: impl Into<String>) -> Self {
        self.and("GLOB", pattern)
    }
    /// Values that fit a regular expression.
    pub fn regex(self, pattern: impl Into<String>) -> Self {
        self.and("RE", pattern)
    }
    /// Everything must hold instead of anything.
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }
    /// Upper and lower case are the same.
    pub fn no_case(mut self) -> Self {
        self.no_case = true;
        self
    }
    /// At most this many matches.
    pub fn limit(mut self, most: u64) -> Self {
        self.limit = Some(most);
        self
    }
}

impl ToArg for ArrayGrep {
    fn write(&self, a: &mut Args) {
        for (word, text) in &self.predicates {
            word_and(word, text, a);
        }
        for (word, wanted) in [("AND", self.all), ("NOCASE", self.no_case)] {
            if wanted {
                word.write(a);
            }
        }
        if let Some(limit) = self.limit {
            word_and("LIMIT", limit, a);
        }
    }
}

/// What [`ArrayCommands::arop`] makes of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArrayOp {
    /// Their sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their common bits.
    And,
    /// All their bits.
    Or,
    /// Bits of an odd number of them.
    Xor,
    /// How many there are.
    Used,
}

impl ToArg for ArrayOp {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Sum => "SUM",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::And => "AND",
            Self::Or => "OR",
            Self::Xor => "XOR",
            Self::Used => "USED",
        }
        .write(a);
    }
}

/// Array commands; ranges include their end and go backwards if it comes first.
pub trait ArrayCommands: Surface {
    /// `ARCOUNT`: how many values there are.
    fn arcount(self, key: impl ToArg) -> Self::Out<u64> {
        self.submit(command!("ARCOUNT").arg(key))
    }
    /// `ARDEL`: how many of the indexes held a value.
    fn ardel(self, key: impl ToArg, indexes: impl IntoIterator<Item = u64>) -> Self::Out<u64> {
        self.submit(command!("ARDEL").arg(key).args(indexes))
    }
    /// `ARDELRANGE`: how many values the ranges held.
    fn ardelrange(
        self,
        key: impl ToArg,
        ranges: impl IntoIterator<Item = (u64, u64)>,
    ) -> Self::Out<u64> {
        let bounds = ranges.into_iter().flat_map(|(start, end)| [start, end]);
        self.submit(command!("ARDELRANGE").arg(key).args(bounds))
    }
    /// `ARGET`: the value at an index.
    fn arget<T: FromReply>(self, key: impl ToArg, index: u64) -> Self::Out<Option<T>> {
        self.submit(command!("ARGET").arg(key).arg(index))
    }
    /// `ARGETRANGE`: every slot of a range; at most a million.
    fn argetrange<T: FromReply>(
        self,
        key: impl ToArg,
        start: u64,
        end: u64,
    ) -> Self::Out<Vec<Option<T>>> {
        self.submit(command!("ARGETRANGE").arg(key).arg(start).arg(end))
    }
    /// `ARGREP … WITHVALUES`: matching indexes with their values.
    fn argrep<T: FromReply>(
        self,
        key: impl ToArg,
        start: u64,
        end: u64,
        grep: ArrayGrep,
    ) -> Self::Out<Vec<(u64, T)>> {
        self.submit(
            command!("ARGREP")
                .arg(key)
                .arg(start)
                .arg(end)
                .arg(grep)
                .arg("WITHVALUES"),
        )
    }
    /// `ARINFO`: length, count and layout; an error without a key.
    fn arinfo(self, key: impl ToArg) -> Self::Out<Fields> {
        self.submit(command!("ARINFO").arg(key))
    }
    /// `ARINSERT`: appends values; the index of the last.
    fn arinsert(self, key: impl ToArg, values: impl IntoIterator<Item: ToArg>) -> Self::Out<u64> {
        self.submit(command!("ARINSERT").arg(key).args(values))
    }
    /// `ARLASTITEMS`: the values written last, the oldest of them first.
    fn arlastitems<T: FromReply>(self, key: impl ToArg, most: u64) -> Self::Out<Vec<Option<T>>> {
        self.submit(command!("ARLASTITEMS").arg(key).arg(most))
    }
    /// `ARLASTITEMS … REV`: the values written last, the newest first.
    fn arlastitems_rev<T: FromReply>(
        self,
        key: impl ToArg,
        most: u64,
    ) -> Self::Out<Vec<Option<T>>> {
        self.submit(command!("ARLASTITEMS").arg(key).arg(most).arg("REV"))
    }
    /// `ARLEN`: one more than the highest index that holds a value.
    fn arlen(self, key: impl ToArg) -> Self::Out<u64> {
        self.submit(command!("ARLEN").arg(key))
    }
    /// `ARMGET`: the values at several indexes.
    fn armget<T: FromReply>(
        self,
        key: impl ToArg,
        indexes: impl IntoIterator<Item = u64>,
    ) -> Self::Out<Vec<Option<T>>> {
        self.submit(command!("ARMGET").arg(key).args(indexes))
    }
    /// `ARMSET`: sets values at several indexes; how many of them were empty.
    fn armset<V: ToArg>(
        self,
        key: impl ToArg,
        values: impl IntoIterator<Item = (u64, V)>,
    ) -> Self::Out<u64> {
        let command = command!("ARMSET").arg(key);
        let values = values.into_iter();
        self.submit(values.fold(command, |command, (index, value)| {
            command.arg(index).arg(value)
        }))
    }
    /// `ARNEXT`: where the next value is appended; `None` at the very end.
    fn arnext(self, key: impl ToArg) -> Self::Out<Option<u64>> {
        self.submit(command!("ARNEXT").arg(key))
    }
    /// `AROP`: what a range comes to; `None` without a value that counts.
    fn arop<N: FromReply>(
        self,
        key: impl ToArg,
        start: u64,
        end: u64,
        op: ArrayOp,
    ) -> Self::Out<Option<N>> {
        self.submit(command!("AROP").arg(key).arg(start).arg(end).arg(op))
    }
    /// `AROP … MATCH`: how often a range holds a value.
    fn arop_match(
        self,
        key: impl ToArg,
        start: u64,
        end: u64,
        value: impl ToArg,
    ) -> Self::Out<u64> {
        self.submit(
            command!("AROP")
                .arg(key)
                .arg(start)
                .arg(end)
                .arg("MATCH")
                .arg(value),
        )
    }
    /// `ARRING`: appends values within so many slots; the index of the last.
    fn arring(
        self,
        key: impl ToArg,
        slots: u64,
        values: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<u64> {
        self.submit(command!("ARRING").arg(key).arg(slots).args(values))
    }
    /// `ARSCAN`: values of a range with their indexes.
    fn arscan<T: FromReply>(
        self,
        key: impl ToArg,
        start: u64,
        end: u64,
        most: u64,
    ) -> Self::Out<Vec<(u64, T)>> {
        self.submit(
            command!("ARSCAN")
                .arg(key)
                .arg(start)
                .arg(end)
                .arg("LIMIT")
                .arg(most),
        )
    }
    /// `ARSEEK`: appends at this index from now on; whether the key exists.
    fn arseek(self, key: impl ToArg, index: u64) -> Self::Out<bool> {
        self.submit(command!("ARSEEK").arg(key).arg(index))
    }
    /// `ARSET`: sets values from an index on; how many slots were empty.
    fn arset(
        self,
        key: impl ToArg,
        index: u64,
        values: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<u64> {
        self.submit(command!("ARSET").arg(key).arg(index).args(values))
    }
}

impl<S: Surface> ArrayCommands for S {}
