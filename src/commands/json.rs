//! JSON commands. Source: <https://upstash.com/docs/redis/commands/json>.
//!
//! Values are JSON text: pass [`Json`](crate::Json) or text that is JSON already. Paths are
//! JSONPath (`$.a[0]`), with one result a match, or legacy paths (`.a`), with one result. Where a
//! path may be left out, `None` is the whole document as a legacy path.

use super::{
    options::word_and,
    replies::{ObjectKeys, PerPath},
};
use crate::{Args, FromReply, Reply, Surface, ToArg};

/// Layout of [`JsonCommands::json_get_formatted`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct JsonFormat {
    indent: Option<String>,
    newline: Option<String>,
    space: Option<String>,
}

impl JsonFormat {
    /// Compact.
    pub fn new() -> Self {
        Self::default()
    }
    /// Text for each level of nesting.
    pub fn indent(mut self, text: impl Into<String>) -> Self {
        self.indent = Some(text.into());
        self
    }
    /// Text after each line.
    pub fn newline(mut self, text: impl Into<String>) -> Self {
        self.newline = Some(text.into());
        self
    }
    /// Text between a key and its value.
    pub fn space(mut self, text: impl Into<String>) -> Self {
        self.space = Some(text.into());
        self
    }
    fn write(&self, a: &mut Args) {
        for (word, text) in [
            ("INDENT", &self.indent),
            ("NEWLINE", &self.newline),
            ("SPACE", &self.space),
        ] {
            if let Some(text) = text {
                word_and(word, text, a);
            }
        }
    }
}

/// Condition of [`JsonCommands::json_set_if`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonSetCondition {
    /// Only if the path is absent: `NX`.
    Absent,
    /// Only if the path is present: `XX`.
    Present,
}

/// JSON commands.
pub trait JsonCommands: Surface {
    /// `JSON.ARRAPPEND`: adds to arrays; the new lengths.
    fn json_arrappend(
        self,
        key: impl ToArg,
        path: &str,
        values: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<PerPath<i64>> {
        self.submit(command!("JSON.ARRAPPEND").arg(key).arg(path).args(values))
    }
    /// `JSON.ARRINDEX`: the index of a value in arrays; -1 when absent.
    fn json_arrindex(
        self,
        key: impl ToArg,
        path: &str,
        value: impl ToArg,
    ) -> Self::Out<PerPath<i64>> {
        self.submit(command!("JSON.ARRINDEX").arg(key).arg(path).arg(value))
    }
    /// `JSON.ARRINDEX` from `start` up to before `stop`; a `stop` of 0 is the end.
    fn json_arrindex_range(
        self,
        key: impl ToArg,
        path: &str,
        value: impl ToArg,
        range: (i64, i64),
    ) -> Self::Out<PerPath<i64>> {
        self.submit(
            command!("JSON.ARRINDEX")
                .arg(key)
                .arg(path)
                .arg(value)
                .arg(range.0)
                .arg(range.1),
        )
    }
    /// `JSON.ARRINSERT`: inserts before an index; the new lengths.
    fn json_arrinsert(
        self,
        key: impl ToArg,
        path: &str,
        index: i64,
        values: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<PerPath<i64>> {
        self.submit(
            command!("JSON.ARRINSERT")
                .arg(key)
                .arg(path)
                .arg(index)
                .args(values),
        )
    }
    /// `JSON.ARRLEN`: the lengths of arrays.
    fn json_arrlen<'a>(
        self,
        key: impl ToArg,
        path: impl Into<Option<&'a str>>,
    ) -> Self::Out<PerPath<i64>> {
        self.submit(command!("JSON.ARRLEN").arg(key).args(path.into()))
    }
    /// `JSON.ARRPOP`: removes and gives the last element.
    fn json_arrpop<'a, T: FromReply>(
        self,
        key: impl ToArg,
        path: impl Into<Option<&'a str>>,
    ) -> Self::Out<PerPath<T>> {
        self.submit(command!("JSON.ARRPOP").arg(key).args(path.into()))
    }
    /// `JSON.ARRPOP key path index`: removes and gives the element at an index; -1 is the last.
    fn json_arrpop_at<T: FromReply>(
        self,
        key: impl ToArg,
        path: &str,
        index: i64,
    ) -> Self::Out<PerPath<T>> {
        self.submit(command!("JSON.ARRPOP").arg(key).arg(path).arg(index))
    }
    /// `JSON.ARRTRIM`: keeps elements from `start` to `stop`; the new lengths.
    fn json_arrtrim(
        self,
        key: impl ToArg,
        path: &str,
        start: i64,
        stop: i64,
    ) -> Self::Out<PerPath<i64>> {
        self.submit(
            command!("JSON.ARRTRIM")
                .arg(key)
                .arg(path)
                .arg(start)
                .arg(stop),
        )
    }
    /// `JSON.CLEAR`: empties containers and zeroes numbers; how many changed.
    fn json_clear<'a>(self, key: impl ToArg, path: impl Into<Option<&'a str>>) -> Self::Out<i64> {
        self.submit(command!("JSON.CLEAR").arg(key).args(path.into()))
    }
    /// `JSON.DEBUG MEMORY`: bytes each match takes.
    fn json_debug_memory<'a>(
        self,
        key: impl ToArg,
        path: impl Into<Option<&'a str>>,
    ) -> Self::Out<PerPath<i64>> {
        let command = command!("JSON.DEBUG").arg("MEMORY").arg(key);
        self.submit(command.args(path.into()))
    }
    /// `JSON.DEBUG HELP`: what `JSON.DEBUG` can do, a line each.
    fn json_debug_help(self) -> Self::Out<Vec<String>> {
        self.submit(command!("JSON.DEBUG").arg("HELP"))
    }
    /// `JSON.DEL`: deletes matches; how many.
    fn json_del<'a>(self, key: impl ToArg, path: impl Into<Option<&'a str>>) -> Self::Out<i64> {
        self.submit(command!("JSON.DEL").arg(key).args(path.into()))
    }
    /// `JSON.FORGET`: the same as [`json_del`](Self::json_del).
    fn json_forget<'a>(self, key: impl ToArg, path: impl Into<Option<&'a str>>) -> Self::Out<i64> {
        self.submit(command!("JSON.FORGET").arg(key).args(path.into()))
    }
    /// `JSON.GET`: JSON text of the paths; an array of matches for a JSONPath.
    fn json_get<T: FromReply>(
        self,
        key: impl ToArg,
        paths: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Option<T>> {
        self.submit(command!("JSON.GET").arg(key).args(paths))
    }
    /// `JSON.GET` with a layout; JSON text.
    fn json_get_formatted(
        self,
        key: impl ToArg,
        format: &JsonFormat,
        paths: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Option<String>> {
        self.submit(
            command!("JSON.GET")
                .arg(key)
                .opt(|a| format.write(a))
                .args(paths),
        )
    }
    /// `JSON.MERGE`: merges as RFC 7396 says.
    fn json_merge(self, key: impl ToArg, path: &str, value: impl ToArg) -> Self::Out<()> {
        self.submit(command!("JSON.MERGE").arg(key).arg(path).arg(value))
    }
    /// `JSON.MGET`: the path of several keys; `None` where absent.
    fn json_mget<T: FromReply>(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        path: &str,
    ) -> Self::Out<Vec<Option<T>>> {
        self.submit(command!("JSON.MGET").args(keys).arg(path))
    }
    /// `JSON.MSET`: sets (key, path, value) triplets at once.
    fn json_mset(
        self,
        items: impl IntoIterator<Item = (impl ToArg, impl ToArg, impl ToArg)>,
    ) -> Self::Out<()> {
        self.submit(command!("JSON.MSET").opt(|a| {
            for (key, path, value) in items {
                key.write(a);
                path.write(a);
                value.write(a);
            }
        }))
    }
    /// `JSON.NUMINCRBY`: adds; JSON text of the new numbers. Integers stay exact.
    fn json_numincrby<T: FromReply>(
        self,
        key: impl ToArg,
        path: &str,
        value: impl ToArg,
    ) -> Self::Out<T> {
        self.submit(command!("JSON.NUMINCRBY").arg(key).arg(path).arg(value))
    }
    /// `JSON.NUMMULTBY`: multiplies; JSON text of the new numbers.
    fn json_nummultby<T: FromReply>(
        self,
        key: impl ToArg,
        path: &str,
        value: impl ToArg,
    ) -> Self::Out<T> {
        self.submit(command!("JSON.NUMMULTBY").arg(key).arg(path).arg(value))
    }
    /// `JSON.OBJKEYS`: the keys of each object.
    fn json_objkeys<'a>(
        self,
        key: impl ToArg,
        path: impl Into<Option<&'a str>>,
    ) -> Self::Out<ObjectKeys> {
        self.submit(command!("JSON.OBJKEYS").arg(key).args(path.into()))
    }
    /// `JSON.OBJLEN`: how many keys objects have.
    fn json_objlen<'a>(
        self,
        key: impl ToArg,
        path: impl Into<Option<&'a str>>,
    ) -> Self::Out<PerPath<i64>> {
        self.submit(command!("JSON.OBJLEN").arg(key).args(path.into()))
    }
    /// `JSON.RESP`: the value as nested replies.
    fn json_resp<'a>(self, key: impl ToArg, path: impl Into<Option<&'a str>>) -> Self::Out<Reply> {
        self.submit(command!("JSON.RESP").arg(key).args(path.into()))
    }
    /// `JSON.SET`: sets the value at a path.
    fn json_set(self, key: impl ToArg, path: &str, value: impl ToArg) -> Self::Out<()> {
        self.submit(command!("JSON.SET").arg(key).arg(path).arg(value))
    }
    /// `JSON.SET` with a condition; whether the value was set.
    fn json_set_if(
        self,
        key: impl ToArg,
        path: &str,
        value: impl ToArg,
        condition: JsonSetCondition,
    ) -> Self::Out<super::SetOutcome> {
        let word = match condition {
            JsonSetCondition::Absent => "NX",
            JsonSetCondition::Present => "XX",
        };
        self.submit(command!("JSON.SET").arg(key).arg(path).arg(value).arg(word))
    }
    /// `JSON.STRAPPEND`: adds to strings (a JSON string); the new lengths.
    fn json_strappend(
        self,
        key: impl ToArg,
        path: &str,
        value: impl ToArg,
    ) -> Self::Out<PerPath<i64>> {
        self.submit(command!("JSON.STRAPPEND").arg(key).arg(path).arg(value))
    }
    /// `JSON.STRLEN`: the lengths of strings.
    fn json_strlen<'a>(
        self,
        key: impl ToArg,
        path: impl Into<Option<&'a str>>,
    ) -> Self::Out<PerPath<i64>> {
        self.submit(command!("JSON.STRLEN").arg(key).args(path.into()))
    }
    /// `JSON.TOGGLE`: flips booleans; the new ones as 0 or 1 (legacy path: text).
    fn json_toggle(self, key: impl ToArg, path: &str) -> Self::Out<PerPath<Reply>> {
        self.submit(command!("JSON.TOGGLE").arg(key).arg(path))
    }
    /// `JSON.TYPE`: the type names.
    fn json_type<'a>(
        self,
        key: impl ToArg,
        path: impl Into<Option<&'a str>>,
    ) -> Self::Out<PerPath<String>> {
        self.submit(command!("JSON.TYPE").arg(key).args(path.into()))
    }
}

impl<S: Surface> JsonCommands for S {}
