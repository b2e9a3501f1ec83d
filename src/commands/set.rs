//! Set commands. Source: <https://upstash.com/docs/redis/commands/set>.

use super::{
    options::{ScanOptions, counted},
    replies::Page,
};
use crate::{FromReply, Surface, ToArg};

/// Set commands.
pub trait SetCommands: Surface {
    /// `SADD`: adds members; how many are new.
    fn sadd(self, key: impl ToArg, members: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("SADD").arg(key).args(members))
    }
    /// `SCARD`: the number of members.
    fn scard(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("SCARD").arg(key))
    }
    /// `SDIFF`: members of the first set that no other has.
    fn sdiff<T: FromReply>(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<T>> {
        self.submit(command!("SDIFF").args(keys))
    }
    /// `SDIFFSTORE`: stores the difference; its size.
    fn sdiffstore(
        self,
        destination: impl ToArg,
        keys: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<i64> {
        self.submit(command!("SDIFFSTORE").arg(destination).args(keys))
    }
    /// `SINTER`: members that every set has.
    fn sinter<T: FromReply>(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<T>> {
        self.submit(command!("SINTER").args(keys))
    }
    /// `SINTERCARD`: the intersection's size, counted up to a limit if there is one.
    fn sintercard(
        self,
        keys: impl IntoIterator<Item: ToArg>,
        limit: Option<u64>,
    ) -> Self::Out<i64> {
        self.submit(command!("SINTERCARD").opt(counted(keys)).opt(|a| {
            if let Some(limit) = limit {
                super::options::word_and("LIMIT", limit, a);
            }
        }))
    }
    /// `SINTERSTORE`: stores the intersection; its size.
    fn sinterstore(
        self,
        destination: impl ToArg,
        keys: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<i64> {
        self.submit(command!("SINTERSTORE").arg(destination).args(keys))
    }
    /// `SISMEMBER`: whether the set has the member.
    fn sismember(self, key: impl ToArg, member: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("SISMEMBER").arg(key).arg(member))
    }
    /// `SMEMBERS`: every member.
    fn smembers<T: FromReply>(self, key: impl ToArg) -> Self::Out<Vec<T>> {
        self.submit(command!("SMEMBERS").arg(key))
    }
    /// `SMISMEMBER`: for each member whether the set has it.
    fn smismember(
        self,
        key: impl ToArg,
        members: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<bool>> {
        self.submit(command!("SMISMEMBER").arg(key).args(members))
    }
    /// `SMOVE`: moves a member to another set; whether it was there.
    fn smove(
        self,
        source: impl ToArg,
        destination: impl ToArg,
        member: impl ToArg,
    ) -> Self::Out<bool> {
        self.submit(command!("SMOVE").arg(source).arg(destination).arg(member))
    }
    /// `SPOP`: removes and gives a random member.
    fn spop<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("SPOP").arg(key))
    }
    /// `SPOP key count`: removes and gives up to `count` random members.
    fn spop_count<T: FromReply>(self, key: impl ToArg, count: u64) -> Self::Out<Vec<T>> {
        self.submit(command!("SPOP").arg(key).arg(count))
    }
    /// `SRANDMEMBER`: a random member.
    fn srandmember<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("SRANDMEMBER").arg(key))
    }
    /// `SRANDMEMBER key count`: random members; a negative count allows repeats.
    fn srandmember_count<T: FromReply>(self, key: impl ToArg, count: i64) -> Self::Out<Vec<T>> {
        self.submit(command!("SRANDMEMBER").arg(key).arg(count))
    }
    /// `SREM`: removes members; how many were there.
    fn srem(self, key: impl ToArg, members: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("SREM").arg(key).args(members))
    }
    /// `SSCAN`: one page of members.
    fn sscan<T: FromReply>(
        self,
        key: impl ToArg,
        cursor: impl ToArg,
        options: &ScanOptions,
    ) -> Self::Out<Page<Vec<T>>> {
        self.submit(
            command!("SSCAN")
                .arg(key)
                .arg(cursor)
                .opt(|a| options.write(a)),
        )
    }
    /// `SUNION`: members of any set.
    fn sunion<T: FromReply>(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<T>> {
        self.submit(command!("SUNION").args(keys))
    }
    /// `SUNIONSTORE`: stores the union; its size.
    fn sunionstore(
        self,
        destination: impl ToArg,
        keys: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<i64> {
        self.submit(command!("SUNIONSTORE").arg(destination).args(keys))
    }
}

impl<S: Surface> SetCommands for S {}
