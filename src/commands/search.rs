//! Search commands, Upstash only: typed where the shape is fixed, arguments as documented.
//! Source: <https://upstash.com/docs/redis/commands/search>.

use super::replies::Fields;
use crate::{Error, FromReply, Reply, Result, Surface, ToArg};

/// One match of a query.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchMatch {
    /// The key.
    pub key: String,
    /// How well it matches.
    pub score: f64,
    /// Field and value pairs; JSON documents come under `$`. Empty with `NOCONTENT`.
    pub fields: Vec<(String, String)>,
}

impl FromReply for SearchMatch {
    fn from_reply(reply: Reply) -> Result<Self> {
        let Reply::Array(parts) = reply else {
            return Err(Error::decode("expected a match of key, score and fields"));
        };
        let mut parts = parts.into_iter();
        let (Some(key), Some(score)) = (parts.next(), parts.next()) else {
            return Err(Error::decode("expected a match of key, score and fields"));
        };
        let fields = parts.next().map_or(Ok(Vec::new()), Vec::from_reply);
        Ok(Self {
            key: String::from_reply(key).map_err(|e| e.at(0))?,
            score: f64::from_reply(score).map_err(|e| e.at(1))?,
            fields: fields.map_err(|e| e.at(2))?,
        })
    }
}

/// Search commands.
pub trait SearchCommands: Surface {
    /// `SEARCH.AGGREGATE`: aggregations as JSON; `None` without such an index.
    fn search_aggregate(
        self,
        index: impl ToArg,
        filter: impl ToArg,
        aggregations: impl ToArg,
    ) -> Self::Out<Option<Reply>> {
        self.submit(
            command!("SEARCH.AGGREGATE")
                .arg(index)
                .arg(filter)
                .arg(aggregations),
        )
    }
    /// `SEARCH.ALIASADD`: 1 when the alias is new, 2 when it was moved.
    fn search_aliasadd(self, alias: impl ToArg, index: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("SEARCH.ALIASADD").arg(alias).arg(index))
    }
    /// `SEARCH.ALIASDEL`: whether the alias existed.
    fn search_aliasdel(self, alias: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("SEARCH.ALIASDEL").arg(alias))
    }
    /// `SEARCH.COUNT`: how many match; -1 without such an index.
    fn search_count(self, index: impl ToArg, filter: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("SEARCH.COUNT").arg(index).arg(filter))
    }
    /// `SEARCH.CREATE name …`: whether the index is new.
    fn search_create(
        self,
        index: impl ToArg,
        definition: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<bool> {
        self.submit(command!("SEARCH.CREATE").arg(index).args(definition))
    }
    /// `SEARCH.DESCRIBE`: the index's definition; `None` when absent.
    fn search_describe(self, index: impl ToArg) -> Self::Out<Option<Fields>> {
        self.submit(command!("SEARCH.DESCRIBE").arg(index))
    }
    /// `SEARCH.DROP`: whether the index existed.
    fn search_drop(self, index: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("SEARCH.DROP").arg(index))
    }
    /// `SEARCH.LISTALIASES`: (alias, index) pairs.
    fn search_listaliases(self) -> Self::Out<Vec<(String, String)>> {
        self.submit(command!("SEARCH.LISTALIASES"))
    }
    /// `SEARCH.LISTINDEXES` with its options.
    fn search_listindexes(self, options: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<Fields>> {
        self.submit(command!("SEARCH.LISTINDEXES").args(options))
    }
    /// `SEARCH.QUERY name query …`: the matches; `None` without such an index.
    fn search_query(
        self,
        index: impl ToArg,
        query: impl ToArg,
        options: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Option<Vec<SearchMatch>>> {
        self.submit(command!("SEARCH.QUERY").arg(index).arg(query).args(options))
    }
    /// `SEARCH.REINDEX`: whether the index exists.
    fn search_reindex(self, index: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("SEARCH.REINDEX").arg(index))
    }
    /// `SEARCH.WAITINDEXING`: waits until every write is indexed.
    fn search_waitindexing(self, index: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("SEARCH.WAITINDEXING").arg(index))
    }
}

impl<S: Surface> SearchCommands for S {}
