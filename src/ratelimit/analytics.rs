//! What was allowed and refused, by hour, in the format of `@upstash/ratelimit`.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    decision::{Decision, Reason},
    request::RateLimitRequest,
};
use crate::{
    ErrorKind, Redis, Result,
    commands::{GenericCommands as _, SortedSetCommands as _, ZRange},
    identity,
};

const HOUR_MS: u64 = 3_600_000;
/// Hours are kept for ninety days; the JavaScript client keeps them for ever.
const KEPT_SECONDS: i64 = 90 * 86_400;
/// Members of an hour that are read at once.
const PAGE: i64 = 1000;
/// Pages of an hour that are read, the busiest members first.
const PAGES: i64 = 10;

/// One member of an hour's sorted set; compact JSON in this order, as other readers expect it.
#[derive(Serialize, Deserialize)]
struct Event<'a> {
    identifier: std::borrow::Cow<'a, str>,
    success: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<std::borrow::Cow<'a, str>>,
}

fn key(prefix: &str, hour: u64) -> String {
    format!("{prefix}:events:{}", hour * HOUR_MS)
}

/// The name under which a request is counted; no identifier alone has the name of one in an organisation.
pub(super) fn name<'a>(request: &RateLimitRequest<'a>) -> Cow<'a, str> {
    match request.organisation {
        Some(organisation) => {
            let name = identity::join([organisation, request.identifier]);
            Cow::Owned(format!("#org:{name}"))
        }
        None if request.identifier.starts_with('#') => {
            Cow::Owned(format!("#{}", identity::join([request.identifier])))
        }
        None => Cow::Borrowed(request.identifier),
    }
}

pub(super) async fn record(
    redis: &Redis,
    prefix: &str,
    identifier: &str,
    country: Option<&str>,
    decision: &Decision,
) -> Result<()> {
    let success = match decision.reason {
        Reason::DenyList => "denied".into(),
        _ => decision.allowed.into(),
    };
    let named = decision
        .listed
        .as_deref()
        .filter(|_| decision.reason == Reason::DenyList);
    let event = Event {
        identifier: named.unwrap_or(identifier).into(),
        success,
        country: country.map(Into::into),
    };
    let member = serde_json::to_string(&event).map_err(|_| {
        crate::Error::invalid_input("the analytics event cannot be written as JSON")
    })?;
    let key = key(prefix, decision.now_ms / HOUR_MS);
    let (count, ttl) =
        futures_util::future::join(async { redis.zincrby(&key, 1.0, &member).await }, async {
            redis.expire(&key, KEPT_SECONDS).await
        })
        .await;
    count.and(ttl.map(drop))
}

/// Usage of the last hours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Each hour, oldest first.
    pub hours: Vec<UsageHour>,
    /// Identifiers that were allowed most, most first.
    pub most_allowed: Vec<(String, u64)>,
    /// Identifiers that were refused most, most first.
    pub most_refused: Vec<(String, u64)>,
    /// List members that denied most, most first.
    pub most_denied: Vec<(String, u64)>,
}

/// One hour of usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UsageHour {
    /// Start of the hour in unix milliseconds.
    pub start_ms: u64,
    /// Requests that went on.
    pub allowed: u64,
    /// Requests over a limit.
    pub refused: u64,
    /// Requests that a list denied.
    pub denied: u64,
    /// Whether only its 10,000 busiest entries, each an identifier with an outcome, are counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Entries that cannot be read, such as those of another program.
    #[serde(skip_serializing_if = "none")]
    pub unreadable: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn none(n: &u64) -> bool {
    *n == 0
}

impl UsageHour {
    /// Adds members; `tops` are the allowed, refused and denied by name.
    fn count(&mut self, members: Vec<(Bytes, f64)>, tops: &mut [BTreeMap<String, u64>; 3]) {
        for (member, score) in members {
            // Foreign members, as of newer clients, are passed over.
            let Ok(event) = serde_json::from_slice::<Event<'_>>(&member) else {
                self.unreadable += 1;
                continue;
            };
            let count = score.max(0.0) as u64;
            let (total, top) = match event.success.as_bool() {
                Some(true) => (&mut self.allowed, 0),
                Some(false) => (&mut self.refused, 1),
                None => (&mut self.denied, 2),
            };
            *total = total.saturating_add(count);
            if let Some(top) = tops.get_mut(top) {
                let sum = top.entry(event.identifier.into_owned()).or_insert(0);
                *sum = sum.saturating_add(count);
            }
        }
    }
}

pub(super) async fn usage(redis: &Redis, prefix: &str, now_ms: u64, hours: u32) -> Result<Usage> {
    let last = now_ms / HOUR_MS;
    let first = last.saturating_sub(u64::from(hours.clamp(1, 24 * 90)) - 1);
    let mut usage = Usage::default();
    usage.hours.extend((first..=last).map(|hour| UsageHour {
        start_ms: hour * HOUR_MS,
        ..UsageHour::default()
    }));
    let mut tops = [BTreeMap::new(), BTreeMap::new(), BTreeMap::new()];
    let mut unread: Vec<&mut UsageHour> = usage.hours.iter_mut().collect();
    for page in 0..PAGES {
        let range = ZRange::by_rank(page * PAGE, (page + 1) * PAGE - 1).rev();
        let mut pipeline = redis.pipeline();
        let read: Vec<_> = unread
            .into_iter()
            .map(|hour| {
                let key = key(prefix, hour.start_ms / HOUR_MS);
                (hour, pipeline.zrange_withscores::<Bytes>(key, range))
            })
            .collect();
        let mut replies = pipeline.exec().await?;
        unread = Vec::new();
        for (hour, handle) in read {
            let members = match replies.take(handle) {
                // What is no sorted set was written by another program.
                Err(error) if error.kind() == ErrorKind::WrongType => {
                    hour.unreadable += 1;
                    continue;
                }
                read => read?.0,
            };
            hour.truncated = members.len() as i64 == PAGE;
            hour.count(members, &mut tops);
            if hour.truncated {
                unread.push(hour);
            }
        }
        if unread.is_empty() {
            break;
        }
    }
    let [allowed, refused, denied] = tops.map(most);
    (usage.most_allowed, usage.most_refused, usage.most_denied) = (allowed, refused, denied);
    Ok(usage)
}

fn most(counts: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut most: Vec<_> = counts.into_iter().collect();
    most.sort_by_key(|entry| std::cmp::Reverse(entry.1));
    most.truncate(10);
    most
}
