//! Databases that live in a Redis: standalone, cluster, or behind sentinels.

mod address;
mod apart;
mod cluster;
mod convert;
mod link;
mod order;
mod plan;
mod reads;
mod report;
mod scan;
mod scripts;
mod streams;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};
use restis_engine::{Caller, Reply};
use tokio::sync::OnceCell;

use super::{Frames, Guard};
use crate::backlog::Pool;
use crate::reply::List;
use crate::request::commands::{Args, Commands};
use crate::texts::{self, Failure};
use address::Address;
use apart::Apart;
pub(crate) use apart::RULES;
use link::{Links, Trouble};
use plan::{After, Plan};
use reads::Reads;
pub(crate) use report::Report;
use scripts::Scripts;

/// Commands sent in one piece of a pipeline.
const PIECE: usize = 512;
/// Commands of a pipeline that a cluster works on at a time.
const CLUSTER_WINDOW: usize = 64;

/// A Redis that REST requests are passed on to.
pub(crate) struct RedisBackend {
    places: Vec<String>,
    user: Option<String>,
    links: Links,
    scripts: Scripts,
    reads: OnceCell<Reads>,
    apart: Apart,
}

impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisBackend")
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unreachable(error) => convert::unreachable(&error),
            Trouble::Broken(error) => convert::no_answer(&error),
        }
    }
}

impl RedisBackend {
    /// Prepares for the Redis at `url`; connects when first needed.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let address = Address::parse(url)?;
        let (places, user) = address.places();
        Ok(Self {
            places,
            user,
            links: Links::new(address)?,
            scripts: Scripts::default(),
            reads: OnceCell::new(),
            apart: Apart::default(),
        })
    }

    /// The hosts or sockets of the Redis.
    pub(crate) fn places(&self) -> &[String] {
        &self.places
    }

    /// Whether both are one Redis and nothing but database numbers would keep them apart.
    ///
    /// A script can select any database, so that only rules of different users do.
    pub(crate) fn is_open_to(&self, other: &Self) -> bool {
        let shared = self.places.iter().any(|place| other.places.contains(place));
        shared && (self.user.is_none() || other.user.is_none() || self.user == other.user)
    }

    /// Names the databases of others on the same Redis, before the first command.
    pub(crate) fn set_others<'d>(&self, others: impl Iterator<Item = &'d Self>) {
        let shared = |other: &&Self| {
            other.user != self.user && self.places.iter().any(|place| other.places.contains(place))
        };
        let users = others.filter(shared).filter_map(|other| other.user.clone());
        self.apart.set_others(users.collect());
    }

    /// Fails while the rules of the Redis let this database reach those of others.
    pub(crate) async fn check_apart(&self) -> Result<(), Failure> {
        self.apart.check(self.user.as_deref(), &self.links).await
    }

    pub(crate) async fn ping(&self) -> bool {
        let mut ping = Cmd::new();
        ping.arg("PING");
        self.links.command(&ping).await.is_ok()
    }

    pub(crate) async fn command(&self, caller: &Caller, args: &[&[u8]]) -> Result<Reply, Failure> {
        let plan = Plan::new(args, &self.scripts).map_err(Failure::bad_request)?;
        if let Some(line) = self.refusal(caller, args).await? {
            return Err(Failure::bad_request(line));
        }
        match plan {
            Plan::Here(reply) => Ok(reply),
            Plan::Send(cmd, after) => Ok(after.apply(self.send(&cmd).await?)),
        }
    }

    async fn send(&self, cmd: &Cmd) -> Result<Reply, Failure> {
        match self.links.command(cmd).await {
            Ok(value) => Ok(convert::reply(value)),
            Err(Trouble::Broken(error)) => convert::failure(error),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Why this caller may not run a command, if so.
    async fn refusal(&self, caller: &Caller, args: &[&[u8]]) -> Result<Option<String>, Failure> {
        if !caller.is_read_only() {
            return Ok(None);
        }
        let reads = self.reads.get_or_try_init(|| async {
            let mut cmd = Cmd::new();
            cmd.arg("COMMAND");
            self.links
                .command(&cmd)
                .await
                .map(|value| Reads::new(&value))
        });
        let reads = reads.await?;
        let allowed = reads.allows(args);
        Ok((!allowed).then(|| texts::no_permission(args[0])))
    }

    pub(crate) async fn pipeline(
        &self,
        caller: &Caller,
        commands: &Commands,
        list: &mut List,
    ) -> Result<(), Failure> {
        let mut next = 0;
        while next < commands.len() {
            let end = commands.len().min(next + PIECE);
            let mut steps = Vec::with_capacity(end - next);
            for index in next..end {
                steps.push(self.step(caller, commands, index).await?);
            }
            if self.links.is_cluster() {
                self.run_on_cluster(steps, list).await?;
            } else {
                self.run_in_one_piece(steps, list).await?;
            }
            next = end;
        }
        Ok(())
    }

    async fn step(
        &self,
        caller: &Caller,
        commands: &Commands,
        index: usize,
    ) -> Result<Step, Failure> {
        let args = match commands.get(index) {
            Ok(args) => args,
            Err(error) => return Ok(Step::Refused(error.line(true).to_owned())),
        };
        let plan = match Plan::new(&args, &self.scripts) {
            Ok(plan) => plan,
            Err(line) => return Ok(Step::Refused(line)),
        };
        if let Some(line) = self.refusal(caller, &args).await? {
            return Ok(Step::Refused(line));
        }
        Ok(match plan {
            Plan::Here(reply) => Step::Here(reply),
            Plan::Send(cmd, after) => Step::Send(cmd, after),
        })
    }

    async fn run_in_one_piece(&self, steps: Vec<Step>, list: &mut List) -> Result<(), Failure> {
        let mut pipeline = Pipeline::with_capacity(steps.len());
        let mut waiting = Vec::with_capacity(steps.len());
        for step in steps {
            waiting.push(match step {
                Step::Send(cmd, after) => {
                    pipeline.add_command(cmd);
                    Step::Send(Cmd::new(), after)
                }
                other => other,
            });
        }
        let values = if pipeline.is_empty() {
            Vec::new()
        } else {
            self.links.pipeline(&pipeline).await?
        };
        let mut values = values.into_iter();
        for step in waiting {
            match step {
                Step::Refused(line) => list.error(&line),
                Step::Here(reply) => list.reply(&reply),
                Step::Send(_, after) => {
                    let value = values.next().unwrap_or(Value::Nil);
                    list.reply(&after.apply(convert::reply(value)));
                }
            }
        }
        Ok(())
    }

    /// A cluster has no common order: commands for one key run one after the other, others meanwhile.
    async fn run_on_cluster(&self, steps: Vec<Step>, list: &mut List) -> Result<(), Failure> {
        use futures_util::stream::{self, StreamExt as _};
        let mut replies: Vec<Option<Result<Reply, String>>> = Vec::new();
        replies.resize_with(steps.len(), || None);
        let mut waves = order::Waves::default();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Refused(line) => replies[at] = Some(Err(line)),
                Step::Here(reply) => replies[at] = Some(Ok(reply)),
                Step::Send(cmd, after) => waves.add(at, cmd, after),
            }
        }
        for wave in waves.into_groups() {
            let chains = wave.into_iter().map(|chain| async move {
                let mut answered = Vec::with_capacity(chain.len());
                for (at, cmd, after) in chain {
                    let reply = self.send(&cmd).await?;
                    answered.push((at, after.apply(reply)));
                }
                Ok::<_, Failure>(answered)
            });
            let mut answers = stream::iter(chains).buffer_unordered(CLUSTER_WINDOW);
            while let Some(answered) = answers.next().await {
                for (at, reply) in answered? {
                    replies[at] = Some(Ok(reply));
                }
            }
        }
        for reply in replies {
            match reply.unwrap_or(Ok(Reply::Nil)) {
                Ok(reply) => list.reply(&reply),
                Err(line) => list.error(&line),
            }
        }
        Ok(())
    }

    /// `MULTI … EXEC` in one piece on a shared connection: nothing comes between.
    pub(crate) async fn transaction(
        &self,
        caller: &Caller,
        rows: &[Args<'_>],
    ) -> Result<Vec<Reply>, Failure> {
        let mut pipeline = Pipeline::with_capacity(rows.len() + 2);
        let mut afters = Vec::with_capacity(rows.len());
        pipeline.cmd("MULTI");
        for row in rows {
            let plan = Plan::new(row, &self.scripts).map_err(Failure::bad_request)?;
            if let Some(line) = self.refusal(caller, row).await? {
                return Err(Failure::bad_request(line));
            }
            match plan {
                Plan::Send(cmd, after) => {
                    pipeline.add_command(cmd);
                    afters.push(after);
                }
                Plan::Here(reply) => {
                    pipeline.cmd("PING");
                    afters.push(After::Replace(reply));
                }
            }
        }
        pipeline.cmd("EXEC");
        let values = match self.links.pipeline(&pipeline).await {
            Ok(values) => values,
            Err(Trouble::Broken(error)) => {
                // Commands for different slots of a cluster are refused before they are sent.
                return match convert::failure(error)? {
                    Reply::Error(error) => Err(Failure::bad_request(error.message().to_owned())),
                    other => Ok(vec![other]),
                };
            }
            Err(trouble) => return Err(trouble.into()),
        };
        match values.into_iter().next_back() {
            Some(Value::Array(items)) => Ok(items
                .into_iter()
                .zip(afters)
                .map(|(item, after)| after.apply(convert::reply(item)))
                .collect()),
            Some(Value::ServerError(error)) => {
                let error = convert::server_error(&error);
                Err(Failure::bad_request(error.message().to_owned()))
            }
            _ => Err(super::unavailable(
                "ERR the Redis behind this server answered EXEC unexpectedly",
            )),
        }
    }

    pub(crate) async fn subscribe(
        &self,
        channels: Vec<Bytes>,
        patterns: Vec<Bytes>,
        pool: &Arc<Pool>,
    ) -> Result<(Frames, Guard), Failure> {
        streams::subscribe(&self.links, channels, patterns, pool).await
    }

    pub(crate) async fn monitor(&self) -> Result<(Frames, Guard), Failure> {
        streams::monitor(&self.links).await
    }
}

/// What happens with one command of a pipeline.
enum Step {
    Refused(String),
    Here(Reply),
    Send(Cmd, After),
}
