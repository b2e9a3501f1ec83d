//! Stream commands. Source: <https://upstash.com/docs/redis/commands/stream>.

use super::{
    options::{counted, flag, pairs, word_and},
    stream_info::{ConsumerInfo, FullStreamInfo, GroupInfo, StreamInfo},
    stream_options::{
        RefPolicy, StreamTrim, XAddOptions, XAutoClaimOptions, XCfgSetOptions, XClaimOptions,
        XGroupOptions, XNackMode, XNackOptions, XPendingOptions,
    },
    stream_types::{AutoClaim, Pending, PendingSummary, StreamEntry, StreamRead},
};
use crate::{Args, FromReply, Surface, ToArg};

fn ids<I: ToArg>(ids: impl IntoIterator<Item = I>) -> impl FnOnce(&mut Args) {
    let write = counted(ids);
    move |a| {
        "IDS".write(a);
        write(a);
    }
}

fn count(count: Option<u64>) -> impl FnOnce(&mut Args) {
    move |a| {
        if let Some(count) = count {
            word_and("COUNT", count, a);
        }
    }
}

fn streams<K: ToArg, I: ToArg>(
    positions: impl IntoIterator<Item = (K, I)>,
) -> impl FnOnce(&mut Args) {
    let (keys, from): (Vec<K>, Vec<I>) = positions.into_iter().unzip();
    move |a| {
        "STREAMS".write(a);
        for key in keys {
            key.write(a);
        }
        for id in from {
            id.write(a);
        }
    }
}

/// Stream commands. Reading never blocks: HTTP has no blocking commands.
pub trait StreamCommands: Surface {
    /// `XACK`: acknowledges entries; how many were pending.
    fn xack(
        self,
        key: impl ToArg,
        group: impl ToArg,
        ids: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<i64> {
        self.submit(command!("XACK").arg(key).arg(group).args(ids))
    }
    /// `XACKDEL`: acknowledges and deletes; a code an id: -1 none, 1 deleted, 2 still referenced.
    fn xackdel(
        self,
        key: impl ToArg,
        group: impl ToArg,
        policy: RefPolicy,
        entries: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(
            command!("XACKDEL")
                .arg(key)
                .arg(group)
                .arg(policy)
                .opt(ids(entries)),
        )
    }
    /// `XADD key *`: adds an entry; its id.
    fn xadd(
        self,
        key: impl ToArg,
        fields: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
    ) -> Self::Out<String> {
        self.submit(command!("XADD").arg(key).arg("*").opt(pairs(fields)))
    }
    /// `XADD` with options and id; `None` when the stream does not exist and may not be made.
    fn xadd_with(
        self,
        key: impl ToArg,
        options: &XAddOptions,
        id: impl ToArg,
        fields: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
    ) -> Self::Out<Option<String>> {
        self.submit(
            command!("XADD")
                .arg(key)
                .opt(|a| options.write(a))
                .arg(id)
                .opt(pairs(fields)),
        )
    }
    /// `XAUTOCLAIM`: claims entries that are idle for long enough.
    fn xautoclaim<T: FromReply>(
        self,
        key: impl ToArg,
        group: impl ToArg,
        consumer: impl ToArg,
        options: &XAutoClaimOptions,
    ) -> Self::Out<AutoClaim<StreamEntry<T>>> {
        let command = command!("XAUTOCLAIM").arg(key).arg(group).arg(consumer);
        self.submit(command.opt(|a| options.write(a)))
    }
    /// `XAUTOCLAIM … JUSTID`: claims, gives ids only and counts no delivery.
    fn xautoclaim_justid(
        self,
        key: impl ToArg,
        group: impl ToArg,
        consumer: impl ToArg,
        options: &XAutoClaimOptions,
    ) -> Self::Out<AutoClaim<String>> {
        let command = command!("XAUTOCLAIM").arg(key).arg(group).arg(consumer);
        self.submit(command.opt(|a| options.write(a)).arg("JUSTID"))
    }
    /// `XCFGSET`: what the stream remembers of its producers; other settings forget their ids.
    fn xcfgset(self, key: impl ToArg, options: XCfgSetOptions) -> Self::Out<()> {
        self.submit(command!("XCFGSET").arg(key).opt(|a| options.write(a)))
    }
    /// `XCLAIM`: claims entries by id.
    fn xclaim<T: FromReply>(
        self,
        key: impl ToArg,
        group: impl ToArg,
        consumer: impl ToArg,
        options: &XClaimOptions,
    ) -> Self::Out<Vec<StreamEntry<T>>> {
        let command = command!("XCLAIM").arg(key).arg(group).arg(consumer);
        self.submit(command.opt(|a| options.write(a)))
    }
    /// `XCLAIM … JUSTID`: claims and gives ids only.
    fn xclaim_justid(
        self,
        key: impl ToArg,
        group: impl ToArg,
        consumer: impl ToArg,
        options: &XClaimOptions,
    ) -> Self::Out<Vec<String>> {
        let command = command!("XCLAIM").arg(key).arg(group).arg(consumer);
        self.submit(command.opt(|a| options.write(a)).arg("JUSTID"))
    }
    /// `XDEL`: deletes entries; how many existed.
    fn xdel(self, key: impl ToArg, ids: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("XDEL").arg(key).args(ids))
    }
    /// `XDELEX`: deletes entries; a code an id: -1 none, 1 deleted, 2 still referenced.
    fn xdelex(
        self,
        key: impl ToArg,
        policy: RefPolicy,
        entries: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(command!("XDELEX").arg(key).arg(policy).opt(ids(entries)))
    }
    /// `XGROUP CREATE … MKSTREAM`: makes a group that starts after `id` (`$` is the end).
    fn xgroup_create(self, key: impl ToArg, group: impl ToArg, id: impl ToArg) -> Self::Out<()> {
        self.submit(
            command!("XGROUP")
                .arg("CREATE")
                .arg(key)
                .arg(group)
                .arg(id)
                .arg("MKSTREAM"),
        )
    }
    /// `XGROUP CREATE`: an error when the stream does not exist.
    fn xgroup_create_existing(
        self,
        key: impl ToArg,
        group: impl ToArg,
        id: impl ToArg,
    ) -> Self::Out<()> {
        self.submit(command!("XGROUP").arg("CREATE").arg(key).arg(group).arg(id))
    }
    /// `XGROUP CREATE` with options.
    fn xgroup_create_with(
        self,
        key: impl ToArg,
        group: impl ToArg,
        id: impl ToArg,
        options: XGroupOptions,
    ) -> Self::Out<()> {
        let command = command!("XGROUP").arg("CREATE").arg(key).arg(group).arg(id);
        self.submit(command.opt(|a| options.write_create(a)))
    }
    /// `XGROUP CREATECONSUMER`: whether the consumer is new.
    fn xgroup_createconsumer(
        self,
        key: impl ToArg,
        group: impl ToArg,
        consumer: impl ToArg,
    ) -> Self::Out<bool> {
        self.submit(
            command!("XGROUP")
                .arg("CREATECONSUMER")
                .arg(key)
                .arg(group)
                .arg(consumer),
        )
    }
    /// `XGROUP DELCONSUMER`: how many pending entries it had.
    fn xgroup_delconsumer(
        self,
        key: impl ToArg,
        group: impl ToArg,
        consumer: impl ToArg,
    ) -> Self::Out<i64> {
        self.submit(
            command!("XGROUP")
                .arg("DELCONSUMER")
                .arg(key)
                .arg(group)
                .arg(consumer),
        )
    }
    /// `XGROUP DESTROY`: whether the group existed.
    fn xgroup_destroy(self, key: impl ToArg, group: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("XGROUP").arg("DESTROY").arg(key).arg(group))
    }
    /// `XGROUP SETID`: sets the last delivered id.
    fn xgroup_setid(self, key: impl ToArg, group: impl ToArg, id: impl ToArg) -> Self::Out<()> {
        self.submit(command!("XGROUP").arg("SETID").arg(key).arg(group).arg(id))
    }
    /// `XGROUP SETID` with options.
    fn xgroup_setid_with(
        self,
        key: impl ToArg,
        group: impl ToArg,
        id: impl ToArg,
        options: XGroupOptions,
    ) -> Self::Out<()> {
        let command = command!("XGROUP").arg("SETID").arg(key).arg(group).arg(id);
        self.submit(command.opt(|a| options.write_setid(a)))
    }
    /// `XINFO CONSUMERS`: the group's consumers.
    fn xinfo_consumers(self, key: impl ToArg, group: impl ToArg) -> Self::Out<Vec<ConsumerInfo>> {
        self.submit(command!("XINFO").arg("CONSUMERS").arg(key).arg(group))
    }
    /// `XINFO GROUPS`: the stream's groups.
    fn xinfo_groups(self, key: impl ToArg) -> Self::Out<Vec<GroupInfo>> {
        self.submit(command!("XINFO").arg("GROUPS").arg(key))
    }
    /// `XINFO STREAM`: what the stream looks like.
    fn xinfo_stream<T: FromReply>(self, key: impl ToArg) -> Self::Out<StreamInfo<T>> {
        self.submit(command!("XINFO").arg("STREAM").arg(key))
    }
    /// `XINFO STREAM … FULL`: with entries, groups and pending entries, up to a limit of each
    /// list; 10 without one, all with 0.
    fn xinfo_stream_full<T: FromReply>(
        self,
        key: impl ToArg,
        limit: Option<u64>,
    ) -> Self::Out<FullStreamInfo<T>> {
        self.submit(
            command!("XINFO")
                .arg("STREAM")
                .arg(key)
                .arg("FULL")
                .opt(count(limit)),
        )
    }
    /// `XLEN`: the number of entries.
    fn xlen(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("XLEN").arg(key))
    }
    /// `XNACK`: gives pending entries back, so that any consumer may claim them at once; how many
    /// were pending. Redis 8.8.
    fn xnack(
        self,
        key: impl ToArg,
        group: impl ToArg,
        mode: XNackMode,
        entries: impl IntoIterator<Item: ToArg>,
        options: &XNackOptions,
    ) -> Self::Out<i64> {
        let command = command!("XNACK").arg(key).arg(group).arg(mode);
        self.submit(command.opt(ids(entries)).opt(|a| options.write(a)))
    }
    /// `XPENDING`: a summary of the group's pending entries.
    fn xpending(self, key: impl ToArg, group: impl ToArg) -> Self::Out<PendingSummary> {
        self.submit(command!("XPENDING").arg(key).arg(group))
    }
    /// `XPENDING` in a range of ids: from, to, and at most how many.
    fn xpending_range(
        self,
        key: impl ToArg,
        group: impl ToArg,
        range: (impl ToArg, impl ToArg, u64),
        options: &XPendingOptions,
    ) -> Self::Out<Vec<Pending>> {
        let command = command!("XPENDING").arg(key).arg(group);
        self.submit(command.opt(|a| options.write(range, a)))
    }
    /// `XRANGE`: entries from `start` (`-`) to `end` (`+`), oldest first.
    fn xrange<T: FromReply>(
        self,
        key: impl ToArg,
        start: impl ToArg,
        end: impl ToArg,
        limit: Option<u64>,
    ) -> Self::Out<Vec<StreamEntry<T>>> {
        self.submit(
            command!("XRANGE")
                .arg(key)
                .arg(start)
                .arg(end)
                .opt(count(limit)),
        )
    }
    /// `XREAD`: entries after an id of each stream; `None` when there are none.
    fn xread<K: FromReply, T: FromReply>(
        self,
        positions: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
        limit: Option<u64>,
    ) -> Self::Out<Option<Vec<StreamRead<K, T>>>> {
        self.submit(command!("XREAD").opt(count(limit)).opt(streams(positions)))
    }
    /// `XREADGROUP`: entries for a consumer; `>` asks for new ones.
    fn xreadgroup<K: FromReply, T: FromReply>(
        self,
        group: impl ToArg,
        consumer: impl ToArg,
        positions: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
        limit: Option<u64>,
    ) -> Self::Out<Option<Vec<StreamRead<K, T>>>> {
        let command = command!("XREADGROUP").arg("GROUP").arg(group).arg(consumer);
        self.submit(command.opt(count(limit)).opt(streams(positions)))
    }
    /// `XREADGROUP … NOACK`: entries count as acknowledged at once.
    fn xreadgroup_noack<K: FromReply, T: FromReply>(
        self,
        group: impl ToArg,
        consumer: impl ToArg,
        positions: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
        limit: Option<u64>,
    ) -> Self::Out<Option<Vec<StreamRead<K, T>>>> {
        let command = command!("XREADGROUP").arg("GROUP").arg(group).arg(consumer);
        self.submit(
            command
                .opt(count(limit))
                .opt(|a| flag(true, "NOACK", a))
                .opt(streams(positions)),
        )
    }
    /// `XREVRANGE`: entries from `end` down to `start`, newest first.
    fn xrevrange<T: FromReply>(
        self,
        key: impl ToArg,
        end: impl ToArg,
        start: impl ToArg,
        limit: Option<u64>,
    ) -> Self::Out<Vec<StreamEntry<T>>> {
        self.submit(
            command!("XREVRANGE")
                .arg(key)
                .arg(end)
                .arg(start)
                .opt(count(limit)),
        )
    }
    /// `XTRIM`: removes old entries; how many.
    fn xtrim(self, key: impl ToArg, trim: &StreamTrim) -> Self::Out<i64> {
        self.submit(command!("XTRIM").arg(key).opt(|a| trim.write(a)))
    }
}

impl<S: Surface> StreamCommands for S {}
