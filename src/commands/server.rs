//! Server, connection, publish and access commands.
//! Source: <https://upstash.com/docs/redis/commands/server>.

use super::{
    options::{FlushMode, pairs},
    replies::Fields,
};
use crate::{FromReply, Pairs, Reply, Result, Surface, ToArg};

/// The text of `INFO`, by section and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info(Vec<(String, Vec<(String, String)>)>);

impl Info {
    /// One value, such as `("Server", "redis_version")`; the section's case does not matter.
    pub fn get(&self, section: &str, name: &str) -> Option<&str> {
        let mut fields = self.fields(section);
        fields.find(|(n, _)| *n == name).map(|(_, value)| value)
    }
    /// The names and values of a section, in order; nothing when there is no such section.
    pub fn fields(&self, section: &str) -> impl Iterator<Item = (&str, &str)> {
        let same = |(name, _): &&(String, _)| name.eq_ignore_ascii_case(section);
        let fields = self.0.iter().filter(same).flat_map(|(_, fields)| fields);
        fields.map(|(name, value)| (name.as_str(), value.as_str()))
    }
    /// The sections' names.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl FromReply for Info {
    fn from_reply(reply: Reply) -> Result<Self> {
        let text = String::from_reply(reply)?;
        let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('#') {
                sections.push((name.trim().to_owned(), Vec::new()));
            } else if let Some((name, value)) = line.split_once(':') {
                if sections.is_empty() {
                    sections.push((String::new(), Vec::new()));
                }
                if let Some((_, fields)) = sections.last_mut() {
                    fields.push((name.to_owned(), value.trim_end().to_owned()));
                }
            }
        }
        Ok(Self(sections))
    }
}

/// Connection commands that work over HTTP.
pub trait ConnectionCommands: Surface {
    /// `ECHO`: the message.
    fn echo<T: FromReply>(self, message: impl ToArg) -> Self::Out<T> {
        self.submit(command!("ECHO").arg(message))
    }
    /// `PING`: answers `PONG`.
    fn ping(self) -> Self::Out<String> {
        self.submit(command!("PING"))
    }
    /// `PING message`: answers the message.
    fn ping_message<T: FromReply>(self, message: impl ToArg) -> Self::Out<T> {
        self.submit(command!("PING").arg(message))
    }
    /// `SELECT`: only database 0 exists.
    fn select(self, database: i64) -> Self::Out<()> {
        self.submit(command!("SELECT").arg(database))
    }
}

impl<S: Surface> ConnectionCommands for S {}

/// Publishing; subscriptions are on [`Redis`](crate::Redis).
pub trait PubSubCommands: Surface {
    /// `PUBLISH`: how many subscribers got the message.
    fn publish(self, channel: impl ToArg, message: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("PUBLISH").arg(channel).arg(message))
    }
    /// `PUBSUB CHANNELS`: channels with subscribers.
    fn pubsub_channels<T: FromReply>(self) -> Self::Out<Vec<T>> {
        self.submit(command!("PUBSUB").arg("CHANNELS"))
    }
    /// `PUBSUB CHANNELS pattern`.
    fn pubsub_channels_matching<T: FromReply>(self, pattern: impl ToArg) -> Self::Out<Vec<T>> {
        self.submit(command!("PUBSUB").arg("CHANNELS").arg(pattern))
    }
    /// `PUBSUB NUMPAT`: the number of pattern subscriptions.
    fn pubsub_numpat(self) -> Self::Out<i64> {
        self.submit(command!("PUBSUB").arg("NUMPAT"))
    }
    /// `PUBSUB NUMSUB`: the number of subscribers of each channel.
    fn pubsub_numsub<T: FromReply>(
        self,
        channels: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Pairs<T, i64>> {
        self.submit(command!("PUBSUB").arg("NUMSUB").args(channels))
    }
}

impl<S: Surface> PubSubCommands for S {}

/// Server commands.
pub trait ServerCommands: Surface {
    /// `COMMAND`: Upstash answers an empty list.
    fn command_list(self) -> Self::Out<Vec<Reply>> {
        self.submit(command!("COMMAND"))
    }
    /// `CONFIG GET`: Upstash knows `notify-keyspace-events` only.
    fn config_get(
        self,
        parameters: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Pairs<String, String>> {
        self.submit(command!("CONFIG").arg("GET").args(parameters))
    }
    /// `CONFIG SET`: sets (parameter, value) pairs, all or none.
    fn config_set(
        self,
        parameters: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
    ) -> Self::Out<()> {
        self.submit(command!("CONFIG").arg("SET").opt(pairs(parameters)))
    }
    /// `DBSIZE`: the number of keys.
    fn dbsize(self) -> Self::Out<i64> {
        self.submit(command!("DBSIZE"))
    }
    /// `FLUSHALL`: deletes everything.
    fn flushall(self) -> Self::Out<()> {
        self.submit(command!("FLUSHALL"))
    }
    /// `FLUSHALL ASYNC|SYNC`.
    fn flushall_with(self, mode: FlushMode) -> Self::Out<()> {
        self.submit(command!("FLUSHALL").arg(mode))
    }
    /// `FLUSHDB`: deletes everything in the database.
    fn flushdb(self) -> Self::Out<()> {
        self.submit(command!("FLUSHDB"))
    }
    /// `FLUSHDB ASYNC|SYNC`.
    fn flushdb_with(self, mode: FlushMode) -> Self::Out<()> {
        self.submit(command!("FLUSHDB").arg(mode))
    }
    /// `INFO`: every section.
    fn info(self) -> Self::Out<Info> {
        self.submit(command!("INFO"))
    }
    /// `INFO section`.
    fn info_section(self, section: impl ToArg) -> Self::Out<Info> {
        self.submit(command!("INFO").arg(section))
    }
    /// `TIME`: unix seconds, and microseconds of the second.
    fn time(self) -> Self::Out<(u64, u32)> {
        self.submit(command!("TIME"))
    }
}

impl<S: Surface> ServerCommands for S {}

/// Access control commands; paid databases only.
pub trait AclCommands: Surface {
    /// `ACL CAT`: the categories.
    fn acl_cat(self) -> Self::Out<Vec<String>> {
        self.submit(command!("ACL").arg("CAT"))
    }
    /// `ACL CAT category`: the category's commands.
    fn acl_cat_of(self, category: impl ToArg) -> Self::Out<Vec<String>> {
        self.submit(command!("ACL").arg("CAT").arg(category))
    }
    /// `ACL DELUSER`: deletes users; how many existed.
    fn acl_deluser(self, names: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("ACL").arg("DELUSER").args(names))
    }
    /// `ACL GENPASS`: a random password of 64 hexadecimal digits.
    fn acl_genpass(self) -> Self::Out<String> {
        self.submit(command!("ACL").arg("GENPASS"))
    }
    /// `ACL GENPASS bits`: a random password of this many bits, 1 to 4096.
    fn acl_genpass_bits(self, bits: u32) -> Self::Out<String> {
        self.submit(command!("ACL").arg("GENPASS").arg(bits))
    }
    /// `ACL GENTOKEN`: a token for a user; Upstash only.
    fn acl_gentoken(self, name: impl ToArg) -> Self::Out<String> {
        self.submit(command!("ACL").arg("GENTOKEN").arg(name))
    }
    /// `ACL GENTOKEN … password`: a token made of a password; Upstash only.
    fn acl_gentoken_with(self, name: impl ToArg, password: impl ToArg) -> Self::Out<String> {
        self.submit(command!("ACL").arg("GENTOKEN").arg(name).arg(password))
    }
    /// `ACL GETUSER`: the user's rules; `None` when absent.
    fn acl_getuser(self, name: impl ToArg) -> Self::Out<Option<Fields>> {
        self.submit(command!("ACL").arg("GETUSER").arg(name))
    }
    /// `ACL LIST`: every user's rules as text.
    fn acl_list(self) -> Self::Out<Vec<String>> {
        self.submit(command!("ACL").arg("LIST"))
    }
    /// `ACL LOAD`.
    fn acl_load(self) -> Self::Out<()> {
        self.submit(command!("ACL").arg("LOAD"))
    }
    /// `ACL LOG`: refused commands; Upstash answers an empty list.
    fn acl_log(self) -> Self::Out<Vec<Fields>> {
        self.submit(command!("ACL").arg("LOG"))
    }
    /// `ACL LOG count`: the newest of them.
    fn acl_log_count(self, count: u64) -> Self::Out<Vec<Fields>> {
        self.submit(command!("ACL").arg("LOG").arg(count))
    }
    /// `ACL LOG RESET`: forgets them.
    fn acl_log_reset(self) -> Self::Out<()> {
        self.submit(command!("ACL").arg("LOG").arg("RESET"))
    }
    /// `ACL RESTTOKEN`: the REST token of a user; Upstash only.
    fn acl_resttoken(self, name: impl ToArg, password: impl ToArg) -> Self::Out<String> {
        self.submit(command!("ACL").arg("RESTTOKEN").arg(name).arg(password))
    }
    /// `ACL SAVE`.
    fn acl_save(self) -> Self::Out<()> {
        self.submit(command!("ACL").arg("SAVE"))
    }
    /// `ACL SETUSER`: makes or changes a user by rules.
    fn acl_setuser(self, name: impl ToArg, rules: impl IntoIterator<Item: ToArg>) -> Self::Out<()> {
        self.submit(command!("ACL").arg("SETUSER").arg(name).args(rules))
    }
    /// `ACL USERS`: the users' names.
    fn acl_users(self) -> Self::Out<Vec<String>> {
        self.submit(command!("ACL").arg("USERS"))
    }
    /// `ACL WHOAMI`: the name of the token's user.
    fn acl_whoami(self) -> Self::Out<String> {
        self.submit(command!("ACL").arg("WHOAMI"))
    }
}

impl<S: Surface> AclCommands for S {}
