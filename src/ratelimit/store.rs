//! Decides in the store: one script call for each decision.

use std::borrow::Cow;

use super::{
    decision::{Decision, LimitState, Reason},
    identifier::numbered_part,
    limit::{EXACT, Kind, Limit},
    limiter::{KeyParts, RateLimiter},
    lists::{self, Members},
    policy::ClockSource,
    request::RateLimitRequest,
};
use crate::{Error, FromReply, Reply, Result, Script, script::ScriptCall};

/// A script after the algorithms that it uses, one fragment each.
macro_rules! script {
    ($($fragment:literal),+) => {
        Script::new(concat!(
            include_str!("lua/common.lua"),
            $(include_str!(concat!("lua/", $fragment))),+
        ))
    };
}

static LIMIT: Script = script!(
    "fixed.lua",
    "sliding.lua",
    "bucket.lua",
    "gcra.lua",
    "lists.lua",
    "judge.lua",
    "limit.lua"
)
.key_locking();
static WINDOW: Script = script!("sliding.lua", "window.lua").key_locking();
/// The same text without the flag: with the server's clock it computes key names.
static LIMIT_BY_SERVER_CLOCK: Script = script!(
    "fixed.lua",
    "sliding.lua",
    "bucket.lua",
    "gcra.lua",
    "lists.lua",
    "judge.lua",
    "limit.lua"
);

/// The script's verdict where the server's time is in another day or month than was asked for.
const OTHER_PERIOD: i64 = 4;
/// How often a period is asked for: with this machine's time, the server's, and once at midnight.
const PERIODS: usize = 3;

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
        let id = numbered_part(id, limit.ordinal);
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

    /// Runs one operation on the counters of a request.
    pub(super) async fn decide_in_store(
        &self,
        parts: KeyParts<'_>,
        operation: Operation,
        request: Option<&RateLimitRequest<'_>>,
        now: u64,
    ) -> Result<Decision> {
        if let Some((limit, cost)) = self.one_window(operation) {
            let call = self.window_call(limit, parts.of(limit), cost, now);
            let reply = self.run(call).await?;
            return self.read_window(limit, cost, now, reply);
        }
        let members = match request {
            Some(request) if self.0.policy.protection => lists::members(request),
            _ => Members::default(),
        };
        let mut at = now;
        for _ in 0..PERIODS {
            let reply: Vec<i64> = self
                .run(self.limit_call(parts, operation, &members, at))
                .await?;
            match reply[..] {
                [OTHER_PERIOD, server] => at = unsigned(server),
                _ => return self.read(&reply, &members.all),
            }
        }
        Err(Error::protocol("the store's time jumps from day to day"))
    }

    /// One window, a cost that it can hold and nothing else to look up: most decisions.
    fn one_window(&self, operation: Operation) -> Option<(&Limit, u64)> {
        let more = self.0.policy.clock == ClockSource::Server
            || self.0.policy.dynamic
            || self.0.policy.protection;
        match (&self.0.policy.limits[..], operation) {
            ([limit], Operation::Take(cost @ 1.., most))
                if matches!(limit.kind, Kind::Fixed | Kind::Sliding)
                    && cost == most
                    && !more
                    // What is counted before it is judged stays exact in a Lua number.
                    && cost <= limit.amount
                    && cost <= EXACT - limit.amount =>
            {
                Some((limit, cost))
            }
            _ => None,
        }
    }

    fn window_call(&self, limit: &Limit, id: &str, cost: u64, now: u64) -> ScriptCall<'static> {
        let index = now / limit.window_ms;
        let indices = match limit.kind {
            Kind::Sliding => &[index, index.saturating_sub(1)][..],
            _ => &[index],
        };
        let (prefix, window) = (&*self.0.prefix, &*self.0.window);
        let mut call = WINDOW.call();
        for index in indices {
            call = call.key(format!("{prefix}:{id}:{index}"));
        }
        // Most that ask at the same time ask in the same millisecond, for the same.
        let mut call = call.arg(format!("{window}{now} {cost}"));
        call.item();
        call
    }

    fn limit_call(
        &self,
        parts: KeyParts<'_>,
        operation: Operation,
        members: &Members<'_>,
        now: u64,
    ) -> ScriptCall<'static> {
        let server = self.0.policy.clock == ClockSource::Server;
        let script = if server {
            &LIMIT_BY_SERVER_CLOCK
        } else {
            &LIMIT
        };
        let mut keys = Vec::with_capacity(self.0.policy.limits.len() * 2 + 2);
        let (what, cost, most) = match operation {
            Operation::Take(cost, most) => ("take", signed(cost), signed(most)),
            Operation::Peek => ("peek", 1, 1),
            Operation::Refund(cost) => ("take", -signed(cost), -signed(cost)),
        };
        let (members, allowing) = (&members.all, members.allowing);
        let call = script.call().arg(what).arg(members.len()).arg(allowing);
        let mut call = call.arg(self.0.policy.limits.len());
        let overrides = u64::from(self.0.policy.dynamic) * 2;
        for limit in &self.0.policy.limits {
            let id = parts.of(limit);
            self.counters(limit, id, now, server, &mut keys);
            let (window, rate) = match limit.kind {
                Kind::Calendar(calendar) => (calendar.period(now).1, calendar.start(now)),
                _ => (limit.window_ms, limit.rate),
            };
            if self.0.policy.dynamic {
                keys.push(format!("{}:dynamic:global", self.0.prefix));
                keys.push(format!("{}:dynamic:of:{id}", self.0.prefix));
            }
            call = call
                .arg(limit.letter())
                .arg(limit.amount)
                .arg(window)
                .arg(rate)
                .arg(overrides);
        }
        if !members.is_empty() {
            keys.push(lists::deny_key(&self.0.prefix));
            keys.push(lists::allow_key(&self.0.prefix));
        }
        let mut call = call.keys(keys);
        let own = call.item();
        own.add(if server { 0 } else { now }).add(cost).add(most);
        for member in members {
            own.add(member);
        }
        call
    }

    fn run<T: FromReply>(&self, mut call: ScriptCall<'_>) -> impl Future<Output = Result<T>> {
        if let Some(timeout) = self.0.policy.timeout {
            call = call.timeout(timeout);
        }
        call.run(&self.0.redis)
    }

    fn read_window(&self, limit: &Limit, cost: u64, now: u64, reply: Reply) -> Result<Decision> {
        let (allowed, remaining, retry_at) = match reply {
            Reply::Int(left) => (true, left, -1),
            refused => {
                let (left, retry_at) = <(i64, i64)>::from_reply(refused)?;
                (false, left, retry_at)
            }
        };
        Ok(Decision {
            allowed,
            shadowed: self.0.policy.shadow,
            reason: Reason::Limit,
            taken: if allowed { cost } else { 0 },
            now_ms: now,
            retry_at_ms: u64::try_from(retry_at).ok(),
            states: smallvec::smallvec![LimitState {
                limit: limit.amount,
                remaining: unsigned(remaining),
                reset_ms: now - now % limit.window_ms + limit.window_ms,
                exceeded: !allowed,
            }],
            listed: None,
        })
    }

    fn read(&self, reply: &[i64], members: &[Cow<'_, str>]) -> Result<Decision> {
        let &[verdict, second, now, ref rest @ ..] = reply else {
            return Err(Error::protocol("the limit script answered too little"));
        };
        let listed = |reason| Decision {
            allowed: reason == Reason::AllowList,
            shadowed: self.0.policy.shadow,
            reason,
            taken: 0,
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
            [limit, remaining, reset, retry] => Some(LimitState {
                limit: unsigned(limit),
                remaining: unsigned(remaining),
                reset_ms: unsigned(reset),
                exceeded: retry != 0,
            }),
            _ => None,
        };
        Ok(Decision {
            allowed: verdict == 1,
            shadowed: self.0.policy.shadow,
            reason: Reason::Limit,
            taken: if verdict == 1 { unsigned(second) } else { 0 },
            now_ms: unsigned(now),
            retry_at_ms: u64::try_from(second).ok().filter(|_| verdict == 0),
            states: rest.chunks_exact(4).filter_map(state).collect(),
            listed: None,
        })
    }
}

/// What a call does with the counters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    /// Takes the first amount at least and the second at most.
    Take(u64, u64),
    /// Judges a cost of 1 and takes nothing.
    Peek,
    /// Gives an amount back.
    Refund(u64),
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
