//! HyperLogLog commands. Source: <https://upstash.com/docs/redis/commands/hyperloglog>.

use crate::{Surface, ToArg};

/// HyperLogLog commands: counting distinct elements with a standard error of 0.81 %.
pub trait HyperLogLogCommands: Surface {
    /// `PFADD`: adds elements; whether the estimate may have changed.
    fn pfadd(self, key: impl ToArg, elements: impl IntoIterator<Item: ToArg>) -> Self::Out<bool> {
        self.submit(command!("PFADD").arg(key).args(elements))
    }
    /// `PFCOUNT`: the estimated number of distinct elements of all keys.
    fn pfcount(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("PFCOUNT").args(keys))
    }
    /// `PFMERGE`: merges sources into a destination.
    fn pfmerge(
        self,
        destination: impl ToArg,
        sources: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<()> {
        self.submit(command!("PFMERGE").arg(destination).args(sources))
    }
}

impl<S: Surface> HyperLogLogCommands for S {}
