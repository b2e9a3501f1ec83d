//! The question to the store: one script call a decision.

use std::borrow::Cow;

use super::{
    decision::{Decision, LimitState, Reason},
    limit::{Kind, Limit},
    limiter::{ClockSource, RateLimiter},
    lists,
    query::Query,
};
use crate::{Error, FromReply, Reply, Result, Script, script::ScriptCall};

static LIMIT: Script = Script::new(include_str!("lua/limit.lua")).key_locking();
static WINDOW: Script = Script::new(include_str!("lua/window.lua")).key_locking();
/// The same text without the flag: with the server's clock it computes key names.
static LIMIT_BY_SERVER_CLOCK: Script = Script::new(include_str!("lua/limit.lua"));

impl RateLimiter {
    /// The keys that a limit counts in; a base for each with the server's clock.
    pub(super) fn counters(
        &self,
        limit: &Limit,
        id: &str,
        now: u64,
        base: bool,
        keys: &mut Vec<String>,
    ) {
        let prefix = &self.0.prefix;
        match limit.kind {
            Kind::Fixed | Kind::Sliding if base => keys.push(format!("{prefix}:{id}")),
            Kind::Fixed => keys.push(format!("{prefix}:{id}:{}", now / limit.window_ms)),
            Kind::Sliding => {
                let index = now / limit.window_ms;
                keys.push(format!("{prefix}:{id}:{index}"));
                keys.push(format!("{prefix}:{id}:{}", index.saturating_sub(1)));
            }
            Kind::Bucket => keys.push(format!("{prefix}:{id}")),
            Kind::Gcra => keys.push(format!(
                "{prefix}:gcra:{}:{}:{id}",
                limit.window_ms, limit.amount
            )),
            Kind::Calendar(calendar) => {
                keys.push(format!("{prefix}:{id}:{}", calendar.period(now).0));
            }
        }
    }

    pub(super) async fn ask(
        &self,
        id: &str,
        cost: i64,
        take: bool,
        query: Option<&Query<'_>>,
        now: u64,
    ) -> Result<Decision> {
        let server = self.0.source == ClockSource::Server;
        if let [limit] = &self.0.limits[..]
            && matches!(limit.kind, Kind::Fixed | Kind::Sliding)
            && take
            && cost > 0
            && !(server || self.0.dynamic || self.0.protection)
        {
            return self.take_from_window(limit, id, cost, now).await;
        }
        let script = if server {
            &LIMIT_BY_SERVER_CLOCK
        } else {
            &LIMIT
        };
        let members = match query {
            Some(query) if self.0.protection => {
                lists::members(query.identifier, query.ip, query.user_agent, query.country)
            }
            _ => Vec::new(),
        };
        let mut keys = Vec::with_capacity(self.0.limits.len() * 2 + 2);
        let mut call = script.call().arg(if server { 0 } else { now }).arg(cost);
        call = call
            .arg(if take { "take" } else { "peek" })
            .arg(members.len())
            .args(members.iter().map(AsRef::as_ref));
        let overrides = u64::from(self.0.dynamic) * 2;
        for limit in &self.0.limits {
            self.counters(limit, id, now, server, &mut keys);
            let window = match limit.kind {
                Kind::Calendar(calendar) => calendar.period(now).1,
                _ => limit.window_ms,
            };
            if self.0.dynamic {
                keys.push(format!("{}:dynamic:global", self.0.prefix));
                keys.push(format!("{}:dynamic:of:{id}", self.0.prefix));
            }
            call = call
                .arg(limit.letter())
                .arg(limit.amount)
                .arg(window)
                .arg(limit.rate)
                .arg(overrides);
        }
        if !members.is_empty() {
            keys.push(lists::deny_key(&self.0.prefix));
            keys.push(lists::allow_key(&self.0.prefix));
        }
        let reply: Vec<i64> = self.run(call.keys(keys)).await?;
        self.read(&reply, &members)
    }

    /// One window and nothing else to look up: most decisions, at a third of the cost.
    async fn take_from_window(
        &self,
        limit: &Limit,
        id: &str,
        cost: i64,
        now: u64,
    ) -> Result<Decision> {
        let mut keys = Vec::with_capacity(2);
        self.counters(limit, id, now, false, &mut keys);
        let call = WINDOW.call().keys(keys).arg(now).arg(cost);
        let reply: Reply = self
            .run(call.arg(limit.amount).arg(limit.window_ms))
            .await?;
        let (allowed, remaining, retry_at) = match reply {
            Reply::Int(left) => (true, left, -1),
            refused => {
                let (left, retry_at) = <(i64, i64)>::from_reply(refused)?;
                (false, left, retry_at)
            }
        };
        Ok(Decision {
            allowed,
            shadowed: self.0.shadow,
            reason: Reason::Limit,
            now_ms: now,
            retry_at_ms: u64::try_from(retry_at).ok(),
            states: smallvec::smallvec![LimitState {
                limit: limit.amount,
                remaining: unsigned(remaining),
                reset_ms: now - now % limit.window_ms + limit.window_ms,
            }],
            listed: None,
        })
    }

    async fn run<T: FromReply>(&self, mut call: ScriptCall<'_>) -> Result<T> {
        if let Some(timeout) = self.0.timeout {
            call = call.timeout(timeout);
        }
        call.run(&self.0.redis).await
    }

    fn read(&self, reply: &[i64], members: &[Cow<'_, str>]) -> Result<Decision> {
        let &[verdict, second, now, ref rest @ ..] = reply else {
            return Err(Error::protocol("the limit script answered too little"));
        };
        let listed = |reason| Decision {
            allowed: reason == Reason::AllowList,
            shadowed: self.0.shadow,
            reason,
            now_ms: unsigned(now),
            retry_at_ms: None,
            states: smallvec::SmallVec::new(),
            listed: usize::try_from(second - 1)
                .ok()
                .and_then(|i| members.get(i))
                .map(|m| m.clone().into_owned()),
        };
        match verdict {
            2 => return Ok(listed(Reason::DenyList)),
            3 => return Ok(listed(Reason::AllowList)),
            _ => {}
        }
        let state = |part: &[i64]| match *part {
            [limit, remaining, reset, _] => Some(LimitState {
                limit: unsigned(limit),
                remaining: unsigned(remaining),
                reset_ms: unsigned(reset),
            }),
            _ => None,
        };
        Ok(Decision {
            allowed: verdict == 1,
            shadowed: self.0.shadow,
            reason: Reason::Limit,
            now_ms: unsigned(now),
            retry_at_ms: u64::try_from(second).ok().filter(|_| verdict == 0),
            states: rest.chunks_exact(4).filter_map(state).collect(),
            listed: None,
        })
    }
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
