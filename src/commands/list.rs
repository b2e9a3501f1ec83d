//! List commands. Source: <https://upstash.com/docs/redis/commands/list>.

use super::options::{Side, counted, word_and};
use crate::{Args, FromReply, Surface, ToArg};

/// Options of [`ListCommands::lpos_with`].
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct LPosOptions {
    rank: Option<i64>,
    max_len: Option<u64>,
}

impl LPosOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Starts with the n-th match; negative searches from the tail.
    pub fn rank(mut self, rank: i64) -> Self {
        self.rank = Some(rank);
        self
    }
    /// Compares at most this many elements; 0 compares all.
    pub fn max_len(mut self, len: u64) -> Self {
        self.max_len = Some(len);
        self
    }
    fn write(self, a: &mut Args) {
        if let Some(rank) = self.rank {
            word_and("RANK", rank, a);
        }
        if let Some(len) = self.max_len {
            word_and("MAXLEN", len, a);
        }
    }
}

/// Where [`ListCommands::linsert`] puts the element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insert {
    /// Before the pivot.
    Before,
    /// After the pivot.
    After,
}

impl ToArg for Insert {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Before => "BEFORE",
            Self::After => "AFTER",
        }
        .write(a);
    }
}

/// List commands.
pub trait ListCommands: Surface {
    /// `LINDEX`: the element at an index; negative counts from the tail.
    fn lindex<T: FromReply>(self, key: impl ToArg, index: i64) -> Self::Out<Option<T>> {
        self.submit(command!("LINDEX").arg(key).arg(index))
    }
    /// `LINSERT`: the new length, 0 without a key, -1 without the pivot.
    fn linsert(
        self,
        key: impl ToArg,
        place: Insert,
        pivot: impl ToArg,
        element: impl ToArg,
    ) -> Self::Out<i64> {
        self.submit(
            command!("LINSERT")
                .arg(key)
                .arg(place)
                .arg(pivot)
                .arg(element),
        )
    }
    /// `LLEN`: the length; 0 when the key is absent.
    fn llen(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("LLEN").arg(key))
    }
    /// `LMOVE`: moves one element between lists; `None` when the source is empty.
    fn lmove<T: FromReply>(
        self,
        source: impl ToArg,
        destination: impl ToArg,
        from: Side,
        to: Side,
    ) -> Self::Out<Option<T>> {
        self.submit(
            command!("LMOVE")
                .arg(source)
                .arg(destination)
                .arg(from)
                .arg(to),
        )
    }
    /// `LMPOP`: the key and up to `count` elements popped of the first list that has any.
    fn lmpop<K: FromReply, T: FromReply>(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        from: Side,
        count: u64,
    ) -> Self::Out<Option<(K, Vec<T>)>> {
        self.submit(
            command!("LMPOP")
                .opt(counted(keys))
                .arg(from)
                .arg("COUNT")
                .arg(count),
        )
    }
    /// `LPOP`: the first element; `None` when the list is empty.
    fn lpop<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("LPOP").arg(key))
    }
    /// `LPOP key count`: up to `count` first elements.
    fn lpop_count<T: FromReply>(self, key: impl ToArg, count: u64) -> Self::Out<Option<Vec<T>>> {
        self.submit(command!("LPOP").arg(key).arg(count))
    }
    /// `LPOS`: the index of the first match.
    fn lpos(self, key: impl ToArg, element: impl ToArg) -> Self::Out<Option<i64>> {
        self.submit(command!("LPOS").arg(key).arg(element))
    }
    /// `LPOS` with options: the index of one match.
    fn lpos_with(
        self,
        key: impl ToArg,
        element: impl ToArg,
        options: LPosOptions,
    ) -> Self::Out<Option<i64>> {
        self.submit(
            command!("LPOS")
                .arg(key)
                .arg(element)
                .opt(|a| options.write(a)),
        )
    }
    /// `LPOS … COUNT`: the indexes of up to `count` matches; 0 gives all.
    fn lpos_count(
        self,
        key: impl ToArg,
        element: impl ToArg,
        count: u64,
        options: LPosOptions,
    ) -> Self::Out<Vec<i64>> {
        self.submit(
            command!("LPOS")
                .arg(key)
                .arg(element)
                .opt(|a| options.write(a))
                .arg("COUNT")
                .arg(count),
        )
    }
    /// `LPUSH`: adds to the head; the new length.
    fn lpush(self, key: impl ToArg, elements: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("LPUSH").arg(key).args(elements))
    }
    /// `LPUSHX`: adds to the head if the list exists; the new length.
    fn lpushx(self, key: impl ToArg, elements: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("LPUSHX").arg(key).args(elements))
    }
    /// `LRANGE`: elements from `start` to `stop`, both included.
    fn lrange<T: FromReply>(self, key: impl ToArg, start: i64, stop: i64) -> Self::Out<Vec<T>> {
        self.submit(command!("LRANGE").arg(key).arg(start).arg(stop))
    }
    /// `LREM`: removes matches, `count` from the head, negative from the tail, 0 all.
    fn lrem(self, key: impl ToArg, count: i64, element: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("LREM").arg(key).arg(count).arg(element))
    }
    /// `LSET`: replaces the element at an index.
    fn lset(self, key: impl ToArg, index: i64, element: impl ToArg) -> Self::Out<()> {
        self.submit(command!("LSET").arg(key).arg(index).arg(element))
    }
    /// `LTRIM`: keeps elements from `start` to `stop`.
    fn ltrim(self, key: impl ToArg, start: i64, stop: i64) -> Self::Out<()> {
        self.submit(command!("LTRIM").arg(key).arg(start).arg(stop))
    }
    /// `RPOP`: the last element; `None` when the list is empty.
    fn rpop<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("RPOP").arg(key))
    }
    /// `RPOP key count`: up to `count` last elements.
    fn rpop_count<T: FromReply>(self, key: impl ToArg, count: u64) -> Self::Out<Option<Vec<T>>> {
        self.submit(command!("RPOP").arg(key).arg(count))
    }
    /// `RPOPLPUSH`: moves the last element to another list's head.
    fn rpoplpush<T: FromReply>(
        self,
        source: impl ToArg,
        destination: impl ToArg,
    ) -> Self::Out<Option<T>> {
        self.submit(command!("RPOPLPUSH").arg(source).arg(destination))
    }
    /// `RPUSH`: adds to the tail; the new length.
    fn rpush(self, key: impl ToArg, elements: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("RPUSH").arg(key).args(elements))
    }
    /// `RPUSHX`: adds to the tail if the list exists; the new length.
    fn rpushx(self, key: impl ToArg, elements: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("RPUSHX").arg(key).args(elements))
    }
}

impl<S: Surface> ListCommands for S {}
