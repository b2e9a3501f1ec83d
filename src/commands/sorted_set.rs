//! Sorted set commands. Source: <https://upstash.com/docs/redis/commands/zset>.

use super::{
    options::{ScanOptions, counted, pairs, word_and},
    replies::Page,
    sorted_set_options::{Lex, Score, ZAddOptions, ZCombine, ZEnd, ZRange, write_limit},
};
use crate::{FromReply, Pairs, Surface, ToArg};

/// A key and what was popped of it; `None` when every set is empty.
pub type Popped<K, T> = Option<(K, Pairs<T, f64>)>;

/// Sorted set commands. Ranks and scores count from the smallest score.
pub trait SortedSetCommands: Surface {
    /// `ZADD`: adds or updates members by (score, member); how many are new.
    fn zadd(
        self,
        key: impl ToArg,
        items: impl IntoIterator<Item = (f64, impl ToArg)>,
    ) -> Self::Out<i64> {
        self.submit(command!("ZADD").arg(key).opt(pairs(items)))
    }
    /// `ZADD` with options; how many are new, with [`ch`](ZAddOptions::ch) how many changed.
    fn zadd_with(
        self,
        key: impl ToArg,
        options: ZAddOptions,
        items: impl IntoIterator<Item = (f64, impl ToArg)>,
    ) -> Self::Out<i64> {
        self.submit(
            command!("ZADD")
                .arg(key)
                .opt(|a| options.write(a))
                .opt(pairs(items)),
        )
    }
    /// `ZADD … INCR`: adds to one score; `None` when the condition stopped it.
    fn zadd_incr(
        self,
        key: impl ToArg,
        options: ZAddOptions,
        increment: f64,
        member: impl ToArg,
    ) -> Self::Out<Option<f64>> {
        let command = command!("ZADD")
            .arg(key)
            .opt(|a| options.write(a))
            .arg("INCR");
        self.submit(command.arg(increment).arg(member))
    }
    /// `ZCARD`: the number of members.
    fn zcard(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("ZCARD").arg(key))
    }
    /// `ZCOUNT`: members with a score in a range.
    fn zcount(
        self,
        key: impl ToArg,
        min: impl Into<Score>,
        max: impl Into<Score>,
    ) -> Self::Out<i64> {
        self.submit(command!("ZCOUNT").arg(key).arg(min.into()).arg(max.into()))
    }
    /// `ZDIFF`: members of the first set that no other has.
    fn zdiff<T: FromReply>(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<T>> {
        self.submit(command!("ZDIFF").opt(counted(keys)))
    }
    /// `ZDIFF … WITHSCORES`.
    fn zdiff_withscores<T: FromReply>(
        self,
        keys: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Pairs<T, f64>> {
        self.submit(command!("ZDIFF").opt(counted(keys)).arg("WITHSCORES"))
    }
    /// `ZDIFFSTORE`: stores the difference; its size.
    fn zdiffstore(
        self,
        destination: impl ToArg,
        keys: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<i64> {
        self.submit(command!("ZDIFFSTORE").arg(destination).opt(counted(keys)))
    }
    /// `ZINCRBY`: adds to a member's score; the new one.
    fn zincrby(self, key: impl ToArg, increment: f64, member: impl ToArg) -> Self::Out<f64> {
        self.submit(command!("ZINCRBY").arg(key).arg(increment).arg(member))
    }
    /// `ZINTER`: members that every set has.
    fn zinter<T: FromReply>(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        combine: &ZCombine,
    ) -> Self::Out<Vec<T>> {
        self.submit(
            command!("ZINTER")
                .opt(counted(keys))
                .opt(|a| combine.write(a)),
        )
    }
    /// `ZINTER … WITHSCORES`.
    fn zinter_withscores<T: FromReply>(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        combine: &ZCombine,
    ) -> Self::Out<Pairs<T, f64>> {
        self.submit(
            command!("ZINTER")
                .opt(counted(keys))
                .opt(|a| combine.write(a))
                .arg("WITHSCORES"),
        )
    }
    /// `ZINTERCARD`: the intersection's size, counted up to a limit if there is one.
    fn zintercard(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        limit: Option<u64>,
    ) -> Self::Out<i64> {
        self.submit(command!("ZINTERCARD").opt(counted(keys)).opt(|a| {
            if let Some(limit) = limit {
                word_and("LIMIT", limit, a);
            }
        }))
    }
    /// `ZINTERSTORE`: stores the intersection; its size.
    fn zinterstore(
        self,
        destination: impl ToArg,
        keys: impl IntoIterator<Item: ToArg>,
        combine: &ZCombine,
    ) -> Self::Out<i64> {
        self.submit(
            command!("ZINTERSTORE")
                .arg(destination)
                .opt(counted(keys))
                .opt(|a| combine.write(a)),
        )
    }
    /// `ZLEXCOUNT`: members in a range of members.
    fn zlexcount(self, key: impl ToArg, min: Lex<'_>, max: Lex<'_>) -> Self::Out<i64> {
        self.submit(command!("ZLEXCOUNT").arg(key).arg(min).arg(max))
    }
    /// `ZMPOP`: pops up to `count` members of the first set that has any.
    fn zmpop<K: FromReply, T: FromReply>(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        end: ZEnd,
        count: u64,
    ) -> Self::Out<Popped<K, T>> {
        self.submit(
            command!("ZMPOP")
                .opt(counted(keys))
                .arg(end)
                .arg("COUNT")
                .arg(count),
        )
    }
    /// `ZMSCORE`: a score for each member; `None` where absent.
    fn zmscore(
        self,
        key: impl ToArg,
        members: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<Option<f64>>> {
        self.submit(command!("ZMSCORE").arg(key).args(members))
    }
    /// `ZPOPMAX`: pops the members with the greatest scores.
    fn zpopmax<T: FromReply>(self, key: impl ToArg, count: u64) -> Self::Out<Pairs<T, f64>> {
        self.submit(command!("ZPOPMAX").arg(key).arg(count))
    }
    /// `ZPOPMIN`: pops the members with the smallest scores.
    fn zpopmin<T: FromReply>(self, key: impl ToArg, count: u64) -> Self::Out<Pairs<T, f64>> {
        self.submit(command!("ZPOPMIN").arg(key).arg(count))
    }
    /// `ZRANDMEMBER`: a random member.
    fn zrandmember<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("ZRANDMEMBER").arg(key))
    }
    /// `ZRANDMEMBER key count`: random members; a negative count allows repeats.
    fn zrandmember_count<T: FromReply>(self, key: impl ToArg, count: i64) -> Self::Out<Vec<T>> {
        self.submit(command!("ZRANDMEMBER").arg(key).arg(count))
    }
    /// `ZRANDMEMBER key count WITHSCORES`.
    fn zrandmember_withscores<T: FromReply>(
        self,
        key: impl ToArg,
        count: i64,
    ) -> Self::Out<Pairs<T, f64>> {
        self.submit(
            command!("ZRANDMEMBER")
                .arg(key)
                .arg(count)
                .arg("WITHSCORES"),
        )
    }
    /// `ZRANGE`: members in a range.
    fn zrange<T: FromReply>(self, key: impl ToArg, range: ZRange<'_>) -> Self::Out<Vec<T>> {
        self.submit(command!("ZRANGE").arg(key).opt(|a| range.write(a)))
    }
    /// `ZRANGE … WITHSCORES`.
    fn zrange_withscores<T: FromReply>(
        self,
        key: impl ToArg,
        range: ZRange<'_>,
    ) -> Self::Out<Pairs<T, f64>> {
        self.submit(
            command!("ZRANGE")
                .arg(key)
                .opt(|a| range.write(a))
                .arg("WITHSCORES"),
        )
    }
    /// `ZRANGEBYLEX`: members in a range of members.
    fn zrangebylex<T: FromReply>(
        self,
        key: impl ToArg,
        min: Lex<'_>,
        max: Lex<'_>,
        limit: Option<(i64, i64)>,
    ) -> Self::Out<Vec<T>> {
        self.submit(
            command!("ZRANGEBYLEX")
                .arg(key)
                .arg(min)
                .arg(max)
                .opt(|a| write_limit(limit, a)),
        )
    }
    /// `ZRANGEBYSCORE`: members with a score in a range.
    fn zrangebyscore<T: FromReply>(
        self,
        key: impl ToArg,
        min: impl Into<Score>,
        max: impl Into<Score>,
        limit: Option<(i64, i64)>,
    ) -> Self::Out<Vec<T>> {
        let command = command!("ZRANGEBYSCORE")
            .arg(key)
            .arg(min.into())
            .arg(max.into());
        self.submit(command.opt(|a| write_limit(limit, a)))
    }
    /// `ZRANGEBYSCORE … WITHSCORES`.
    fn zrangebyscore_withscores<T: FromReply>(
        self,
        key: impl ToArg,
        min: impl Into<Score>,
        max: impl Into<Score>,
        limit: Option<(i64, i64)>,
    ) -> Self::Out<Pairs<T, f64>> {
        let command = command!("ZRANGEBYSCORE")
            .arg(key)
            .arg(min.into())
            .arg(max.into());
        self.submit(command.arg("WITHSCORES").opt(|a| write_limit(limit, a)))
    }
    /// `ZRANGESTORE`: stores a range of another set; its size.
    fn zrangestore(
        self,
        destination: impl ToArg,
        source: impl ToArg,
        range: ZRange<'_>,
    ) -> Self::Out<i64> {
        self.submit(
            command!("ZRANGESTORE")
                .arg(destination)
                .arg(source)
                .opt(|a| range.write(a)),
        )
    }
    /// `ZRANK`: the member's rank; `None` when absent.
    fn zrank(self, key: impl ToArg, member: impl ToArg) -> Self::Out<Option<i64>> {
        self.submit(command!("ZRANK").arg(key).arg(member))
    }
    /// `ZRANK … WITHSCORE`.
    fn zrank_withscore(self, key: impl ToArg, member: impl ToArg) -> Self::Out<Option<(i64, f64)>> {
        self.submit(command!("ZRANK").arg(key).arg(member).arg("WITHSCORE"))
    }
    /// `ZREM`: removes members; how many were there.
    fn zrem(self, key: impl ToArg, members: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("ZREM").arg(key).args(members))
    }
    /// `ZREMRANGEBYLEX`: removes members in a range of members.
    fn zremrangebylex(self, key: impl ToArg, min: Lex<'_>, max: Lex<'_>) -> Self::Out<i64> {
        self.submit(command!("ZREMRANGEBYLEX").arg(key).arg(min).arg(max))
    }
    /// `ZREMRANGEBYRANK`: removes members in a range of ranks.
    fn zremrangebyrank(self, key: impl ToArg, start: i64, stop: i64) -> Self::Out<i64> {
        self.submit(command!("ZREMRANGEBYRANK").arg(key).arg(start).arg(stop))
    }
    /// `ZREMRANGEBYSCORE`: removes members with a score in a range.
    fn zremrangebyscore(
        self,
        key: impl ToArg,
        min: impl Into<Score>,
        max: impl Into<Score>,
    ) -> Self::Out<i64> {
        self.submit(
            command!("ZREMRANGEBYSCORE")
                .arg(key)
                .arg(min.into())
                .arg(max.into()),
        )
    }
    /// `ZREVRANGE`: members by rank from the greatest score.
    fn zrevrange<T: FromReply>(self, key: impl ToArg, start: i64, stop: i64) -> Self::Out<Vec<T>> {
        self.submit(command!("ZREVRANGE").arg(key).arg(start).arg(stop))
    }
    /// `ZREVRANGE … WITHSCORES`.
    fn zrevrange_withscores<T: FromReply>(
        self,
        key: impl ToArg,
        start: i64,
        stop: i64,
    ) -> Self::Out<Pairs<T, f64>> {
        self.submit(
            command!("ZREVRANGE")
                .arg(key)
                .arg(start)
                .arg(stop)
                .arg("WITHSCORES"),
        )
    }
    /// `ZREVRANGEBYLEX`: members in a range of members, from the greatest.
    fn zrevrangebylex<T: FromReply>(
        self,
        key: impl ToArg,
        max: Lex<'_>,
        min: Lex<'_>,
        limit: Option<(i64, i64)>,
    ) -> Self::Out<Vec<T>> {
        self.submit(
            command!("ZREVRANGEBYLEX")
                .arg(key)
                .arg(max)
                .arg(min)
                .opt(|a| write_limit(limit, a)),
        )
    }
    /// `ZREVRANGEBYSCORE`: members with a score in a range, from the greatest.
    fn zrevrangebyscore<T: FromReply>(
        self,
        key: impl ToArg,
        max: impl Into<Score>,
        min: impl Into<Score>,
        limit: Option<(i64, i64)>,
    ) -> Self::Out<Vec<T>> {
        let command = command!("ZREVRANGEBYSCORE")
            .arg(key)
            .arg(max.into())
            .arg(min.into());
        self.submit(command.opt(|a| write_limit(limit, a)))
    }
    /// `ZREVRANGEBYSCORE … WITHSCORES`.
    fn zrevrangebyscore_withscores<T: FromReply>(
        self,
        key: impl ToArg,
        max: impl Into<Score>,
        min: impl Into<Score>,
        limit: Option<(i64, i64)>,
    ) -> Self::Out<Pairs<T, f64>> {
        let command = command!("ZREVRANGEBYSCORE")
            .arg(key)
            .arg(max.into())
            .arg(min.into());
        self.submit(command.arg("WITHSCORES").opt(|a| write_limit(limit, a)))
    }
    /// `ZREVRANK`: the member's rank from the greatest score.
    fn zrevrank(self, key: impl ToArg, member: impl ToArg) -> Self::Out<Option<i64>> {
        self.submit(command!("ZREVRANK").arg(key).arg(member))
    }
    /// `ZREVRANK … WITHSCORE`.
    fn zrevrank_withscore(
        self,
        key: impl ToArg,
        member: impl ToArg,
    ) -> Self::Out<Option<(i64, f64)>> {
        self.submit(command!("ZREVRANK").arg(key).arg(member).arg("WITHSCORE"))
    }
    /// `ZSCAN`: one page of members with scores.
    fn zscan<T: FromReply>(
        self,
        key: impl ToArg,
        cursor: impl ToArg,
        options: &ScanOptions,
    ) -> Self::Out<Page<Pairs<T, f64>>> {
        self.submit(
            command!("ZSCAN")
                .arg(key)
                .arg(cursor)
                .opt(|a| options.write(a)),
        )
    }
    /// `ZSCORE`: the member's score; `None` when absent.
    fn zscore(self, key: impl ToArg, member: impl ToArg) -> Self::Out<Option<f64>> {
        self.submit(command!("ZSCORE").arg(key).arg(member))
    }
    /// `ZUNION`: members of any set.
    fn zunion<T: FromReply>(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        combine: &ZCombine,
    ) -> Self::Out<Vec<T>> {
        self.submit(
            command!("ZUNION")
                .opt(counted(keys))
                .opt(|a| combine.write(a)),
        )
    }
    /// `ZUNION … WITHSCORES`.
    fn zunion_withscores<T: FromReply>(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        combine: &ZCombine,
    ) -> Self::Out<Pairs<T, f64>> {
        self.submit(
            command!("ZUNION")
                .opt(counted(keys))
                .opt(|a| combine.write(a))
                .arg("WITHSCORES"),
        )
    }
    /// `ZUNIONSTORE`: stores the union; its size.
    fn zunionstore(
        self,
        destination: impl ToArg,
        keys: impl IntoIterator<Item: ToArg>,
        combine: &ZCombine,
    ) -> Self::Out<i64> {
        self.submit(
            command!("ZUNIONSTORE")
                .arg(destination)
                .opt(counted(keys))
                .opt(|a| combine.write(a)),
        )
    }
}

impl<S: Surface> SortedSetCommands for S {}
