//! `restis check`: whether a database does what the functions need, and what to do if not.

mod blocks;
mod diagnose;
mod latency;
mod network;
mod report;
mod store;
mod watch;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use restis::Redis;
use restis::events::Environment;
use restis::prelude::*;
use restis::variables::{Variables, get};

use self::network::Place;
use self::report::{Outcome, Report};
use self::store::Facts;
use crate::failure::Failure;
use crate::target::{DatabaseArgs, Target};

pub(crate) const EXAMPLES: &str = "\
Each check is shown as it runs, a failure with its remedy. Keys have a prefix of their own, live for
a minute at most and are deleted; nothing else is written.

Examples:
  restis check                                    everything, of the database that is configured
  restis check sessions                           the connection, and a session's life
  restis check --url http://127.0.0.1:8079 --token secret
  restis check --json | jq '.checks[] | select(.state == \"failed\")'
  restis check --watch                            tell which alerts fire and clear, until Ctrl-C

Exit codes:
  0  nothing failed; there may be warnings     4  not reachable: name, connection, certificate, no answer
  1  another check failed                      5  refused: token, permission, read-only
  2  wrong usage or configuration              6  limited: requests, plan, memory, connections
The first failure decides. 130: interrupted

With --watch the thresholds of GET /api/metrics/alerts are compared every 10 seconds (--watch 60: every
minute) with what the database tells and how it answers. METRICS_ALERT_WEBHOOK names an endpoint that is
told, too. Exit codes at Ctrl-C, or after --count evaluations:
  0  no alert fires     1  one fires     2  wrong usage or configuration";

/// What to check beside the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// A session's life
    Sessions,
    /// A limit's decision
    Ratelimit,
    /// Publishing, history, and the isolation of environments
    Events,
    /// A value's life
    Cache,
}

/// Options of `restis check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Only this, and the connection; everything when absent
    pub(crate) group: Option<Group>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Commands that are timed one after another
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) requests: u32,
    /// Print JSON at the end; with --watch an object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Tell which alerts fire and clear, every so many seconds, instead of checking once
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10", value_parser = interval, conflicts_with_all = ["group", "requests"])]
    pub(crate) watch: Option<f64>,
    /// End --watch after so many evaluations
    #[arg(long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s| (0.1..=3600.0).contains(s));
    seconds.ok_or_else(|| "expected seconds from 0.1 to 3600".to_owned())
}

/// Checks, prints, and cleans up also when it is interrupted.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let Target { builder, url } = args.database.target()?;
    if let Some(every) = args.watch {
        return watch::run(args, builder, every);
    }
    let mut vars = Variables::new(&get);
    let environment = Environment::of_events(&mut vars);
    if let Some(problem) = vars.problems().first() {
        return Err(Failure::usage(problem));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop: {error}")))?;
    // A check tells the first answer, not the third.
    let redis = builder
        .max_retries(0)
        .breaker_failures(0)
        .build()
        .map_err(Failure::usage)?;
    let id = restis_server::random_token().map_err(Failure::new)?;
    let id: String = id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect();
    let run = Run {
        args,
        place: Place::of(&url).ok_or_else(|| Failure::usage("the REST address has no host"))?,
        redis,
        prefix: format!("restis:check:{id}:"),
        id,
        environment: environment.unwrap_or(Environment::Development),
    };
    let mut report = Report::new(args.json);
    report.heading(&format!("{}\n", run.name()));
    let ended = runtime.block_on(async {
        tokio::select! {
            () = run.all(&mut report) => true,
            _ = tokio::signal::ctrl_c() => false,
        }
    });
    if !ended {
        runtime.block_on(run.clean());
        return Ok(ExitCode::from(130));
    }
    Ok(ExitCode::from(report.end(&run.name())))
}

struct Run<'a> {
    args: &'a CheckArgs,
    place: Place,
    redis: Redis,
    /// What the names of all keys begin with.
    prefix: String,
    id: String,
    environment: Environment,
}

impl Run<'_> {
    fn name(&self) -> String {
        format!("{}:{}", self.place.host, self.place.port)
    }

    fn wants(&self, group: Group) -> bool {
        self.args.group.is_none_or(|only| only == group)
    }

    async fn all(&self, report: &mut Report) {
        // What needs a connection or a token that works cannot be told without.
        if !self.connection(report).await || !self.access(report).await {
            return;
        }
        if self.args.group.is_none() {
            self.database(report).await;
        }
        let (redis, prefix) = (&self.redis, &*self.prefix);
        if self.wants(Group::Sessions) {
            report
                .check("sessions", blocks::sessions(redis, prefix))
                .await;
        }
        if self.wants(Group::Ratelimit) {
            report
                .check("rate limit", blocks::rate_limit(redis, prefix))
                .await;
        }
        if self.wants(Group::Cache) {
            report.check("cache", blocks::cache(redis, prefix)).await;
        }
        if self.wants(Group::Events) {
            let events = blocks::events(redis, &self.id, self.environment);
            report.check("events", events).await;
        }
    }

    async fn connection(&self, report: &mut Report) -> bool {
        let place = &self.place;
        let mut addresses = Vec::new();
        if !report.check("name", place.resolve(&mut addresses)).await {
            return false;
        }
        let mut stream = None;
        let connect = place.connect(&addresses, &mut stream);
        if !report.check("connection", connect).await {
            return false;
        }
        let authorities = get("REDIS_CA_FILE").filter(|path| !path.trim().is_empty());
        match stream {
            Some(stream) if place.tls => {
                let tls = place.tls(stream, authorities.as_deref().map(str::trim));
                report.check("certificate", tls).await
            }
            _ => true,
        }
    }

    async fn access(&self, report: &mut Report) -> bool {
        let (redis, prefix) = (&self.redis, &*self.prefix);
        report.check("token", store::token(redis)).await
            && report
                .check("commands", store::commands(redis, prefix))
                .await
            && report.check("scripts", store::scripts(redis, prefix)).await
            && report.check("clock", store::clock(redis)).await
    }

    async fn database(&self, report: &mut Report) {
        let (redis, prefix) = (&self.redis, &*self.prefix);
        report
            .check("messages", store::messages(redis, prefix))
            .await;
        let requests = self.args.requests as usize;
        report
            .check("latency", latency::one_by_one(redis, requests))
            .await;
        report.check("merged", latency::merged(redis, 50)).await;
        report.check("pipeline", latency::pipeline(redis, 50)).await;
        let facts = match Facts::read(redis).await {
            Ok(facts) => facts,
            Err(error) => {
                report
                    .check("server", async { diagnose::outcome(&error) })
                    .await;
                return;
            }
        };
        let policy = self.policy().await;
        report
            .check("server", async { store::version(&facts) })
            .await;
        let outcomes: [(&str, Outcome); 4] = [
            ("memory", store::memory(&facts)),
            ("eviction", store::eviction(&facts, policy.as_deref())),
            ("clients", store::clients(&facts)),
            ("hit rate", store::hit_rate(&facts)),
        ];
        for (name, outcome) in outcomes {
            report.check(name, async { outcome }).await;
        }
    }

    /// The eviction policy where `INFO` does not tell it and `CONFIG` does.
    async fn policy(&self) -> Option<String> {
        let read = self.redis.config_get(["maxmemory-policy"]).await.ok()?;
        read.into_iter().next().map(|(_, value)| value)
    }

    /// Deletes what an interrupted check may have left.
    async fn clean(&self) {
        let names = ["value", "script"].map(|name| format!("{}{name}", self.prefix));
        let _ = self.redis.unlink(names).await;
        let _ = blocks::clean(&self.redis, &format!("check-{}", self.id)).await;
    }
}
