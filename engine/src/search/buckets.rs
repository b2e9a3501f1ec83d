//! Aggregations that group documents.

use std::collections::BTreeMap;

use super::aggregate::{Run, aggregate, named};
use super::date;
use super::index::Doc;
use super::postings::path_and_ancestors;
use super::schema::{Kind, Value};
use crate::error::Error;
use crate::json::Node;
use crate::reply::Reply;

/// Buckets one histogram may have.
const MAX_BUCKETS: usize = 10_000;
/// Terms and children shown unless told otherwise.
const DEFAULT_SIZE: usize = 10;

/// Documents that belong together.
pub(super) struct Bucket<'r> {
    pub(super) head: Vec<Reply>,
    pub(super) docs: Vec<&'r Doc>,
}

impl Run<'_> {
    /// The reply of a bucket: key, count and what is aggregated within.
    pub(super) fn bucket(&self, bucket: Bucket<'_>) -> Result<Reply, Error> {
        let mut replies = bucket.head;
        if let Some(nested) = self.nested {
            replies.extend(aggregate(
                self.index,
                &bucket.docs,
                nested,
                self.nesting + 1,
                self.budget,
            )?);
        }
        Ok(Reply::Array(replies))
    }

    pub(super) fn size(&self) -> Result<usize, Error> {
        let size = self.options.number("size")?.unwrap_or(DEFAULT_SIZE as f64);
        if size >= 1.0 {
            Ok(size as usize)
        } else {
            Err(self.options.wrong("size must be positive"))
        }
    }

    pub(super) fn min_count(&self, default: usize) -> Result<usize, Error> {
        Ok(self
            .options
            .number("minDocCount")?
            .map_or(default, |count| count.max(0.0) as usize))
    }

    /// What to sort by, and whether the largest comes first.
    pub(super) fn order(&self) -> Result<(&str, bool), Error> {
        let Some(node) = self.options.get("order") else {
            return Ok(("count", true));
        };
        let wrong = || {
            self.options
                .wrong("order must name one key and a direction")
        };
        let members = node
            .as_object()
            .filter(|members| members.len() == 1)
            .ok_or_else(wrong)?;
        let (by, direction) = members.iter().next().ok_or_else(wrong)?;
        match direction.as_str() {
            Some("asc") => Ok((by, false)),
            Some("desc") => Ok((by, true)),
            _ => Err(wrong()),
        }
    }
}

pub(super) fn ranges(run: &Run<'_>) -> Result<Vec<Reply>, Error> {
    let (at, _) = run.field(true)?;
    let missing = run.options.number("missing")?;
    let ranges = run.options.get("ranges").and_then(Node::as_array);
    let ranges = ranges.ok_or_else(|| run.options.wrong("ranges must be a list"))?;
    let mut replies = Vec::with_capacity(ranges.len());
    for range in ranges {
        let bounds = range
            .as_object()
            .ok_or_else(|| run.options.wrong("a range must be an object"))?;
        let (from, to) = (
            bounds.get("from").and_then(Node::as_f64),
            bounds.get("to").and_then(Node::as_f64),
        );
        let inside = |n: f64| from.is_none_or(|from| n >= from) && to.is_none_or(|to| n < to);
        let docs: Vec<&Doc> = run
            .docs
            .iter()
            .copied()
            .filter(|doc| {
                doc.numbers(at).any(inside)
                    || doc.numbers(at).next().is_none() && missing.is_some_and(inside)
            })
            .collect();
        let name =
            |bound: Option<f64>| bound.map_or_else(|| "*".to_owned(), crate::num::double_text);
        let key = bounds
            .get("key")
            .and_then(Node::as_str)
            .map_or_else(|| format!("{}-{}", name(from), name(to)), str::to_owned);
        let mut head = named([
            ("key", Reply::bulk(key)),
            ("docCount", Reply::len(docs.len())),
        ]);
        for (name, bound) in [("from", from), ("to", to)] {
            if let Some(bound) = bound {
                head.extend([Reply::bulk(name), Reply::double(bound)]);
            }
        }
        replies.push(run.bucket(Bucket { head, docs })?);
    }
    Ok(named([("buckets", Reply::Array(replies))]))
}

pub(super) fn histogram(run: &Run<'_>) -> Result<Vec<Reply>, Error> {
    let interval = run
        .options
        .number("interval")?
        .filter(|&interval| interval > 0.0);
    let interval = interval.ok_or_else(|| run.options.wrong("interval must be positive"))?;
    let offset = run.options.number("offset")?.unwrap_or(0.0);
    by_interval(run, interval, offset, |key| {
        vec![Reply::bulk("key"), Reply::double(key)]
    })
}

pub(super) fn date_histogram(run: &Run<'_>) -> Result<Vec<Reply>, Error> {
    let (_, field) = run.field(true)?;
    if field.kind != Kind::Date {
        return Err(run.options.wrong("the field must be a DATE"));
    }
    let interval = run
        .options
        .text("fixedInterval")
        .and_then(duration)
        .filter(|&interval| interval > 0.0);
    let interval = interval.ok_or_else(|| {
        run.options
            .wrong("fixedInterval must be like 30s, 5m, 1h or 1d")
    })?;
    let offset = run.options.text("offset").map_or(Some(0.0), duration);
    let offset = offset.ok_or_else(|| run.options.wrong("offset must be like 30s or -1h"))?;
    by_interval(run, interval, offset, |key| {
        named([
            ("key", Reply::Int(key as i64)),
            ("keyAsString", Reply::bulk(date::format(key as i64))),
        ])
    })
}

/// Milliseconds of `250ms`, `30s`, `5m`, `1h` or `1d`.
pub(super) fn duration(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (count, unit) = text.split_at(split);
    let unit = match unit {
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    count
        .parse::<i32>()
        .ok()
        .map(|count| f64::from(count) * unit)
}

fn by_interval(
    run: &Run<'_>,
    interval: f64,
    offset: f64,
    head: impl Fn(f64) -> Vec<Reply>,
) -> Result<Vec<Reply>, Error> {
    let (at, _) = run.field(true)?;
    let bounds = |name: &str| {
        let node = run.options.get(name)?;
        let bound = |name: &str| node.as_object()?.get(name)?.as_f64();
        Some((bound("min")?, bound("max")?))
    };
    let hard = bounds("hardBounds");
    let slot = |n: f64| ((n - offset) / interval).floor();
    let mut groups: BTreeMap<i64, Vec<&Doc>> = BTreeMap::new();
    for &doc in run.docs {
        for number in doc
            .numbers(at)
            .filter(|&n| hard.is_none_or(|(min, max)| n >= min && n <= max))
        {
            let docs = groups.entry(slot(number) as i64).or_default();
            if !docs.last().is_some_and(|last| std::ptr::eq(*last, doc)) {
                docs.push(doc);
            }
        }
    }
    let min = run.min_count(0)?;
    if let Some((low, high)) = bounds("extendedBounds") {
        groups.entry(slot(low) as i64).or_default();
        groups.entry(slot(high) as i64).or_default();
    }
    if let (0, Some((&first, _)), Some((&last, _))) =
        (min, groups.first_key_value(), groups.last_key_value())
    {
        if last.abs_diff(first) >= MAX_BUCKETS as u64 {
            return Err(run.options.wrong("the interval makes too many buckets"));
        }
        for slot in first..=last {
            groups.entry(slot).or_default();
        }
    }
    if groups.len() > MAX_BUCKETS {
        return Err(run.options.wrong("the interval makes too many buckets"));
    }
    let keyed = run.options.flag("keyed").unwrap_or(false);
    let mut replies = Vec::with_capacity(groups.len());
    for (slot, docs) in groups.into_iter().filter(|(_, docs)| docs.len() >= min) {
        let key = slot as f64 * interval + offset;
        let mut head = head(key);
        head.extend([Reply::bulk("docCount"), Reply::len(docs.len())]);
        if keyed {
            replies.push(Reply::double(key));
        }
        replies.push(run.bucket(Bucket { head, docs })?);
    }
    Ok(named([("buckets", Reply::Array(replies))]))
}

pub(super) fn facet(run: &Run<'_>) -> Result<Vec<Reply>, Error> {
    let (at, field) = run.field(false)?;
    if field.kind != Kind::Facet {
        return Err(run.options.wrong("the field must be a FACET"));
    }
    if run.nested.is_some() {
        return Err(run.options.wrong("$aggs cannot be used within"));
    }
    let path = run
        .options
        .text("path")
        .filter(|path| path.starts_with('/'));
    let path = path.ok_or_else(|| run.options.wrong("path must start with /"))?;
    let depth = run.options.number("depth")?.unwrap_or(1.0).clamp(1.0, 32.0) as usize;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for doc in run.docs {
        let mut paths: Vec<&str> = doc
            .values
            .get(at)
            .into_iter()
            .flatten()
            .filter_map(Value::as_word)
            .flat_map(path_and_ancestors)
            .collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            *counts.entry(path).or_default() += 1;
        }
    }
    let path = path.trim_end_matches('/');
    let mut replies = vec![
        Reply::bulk("path"),
        Reply::bulk(if path.is_empty() { "/" } else { path }),
    ];
    replies.extend(children(run, &counts, path, depth)?);
    Ok(replies)
}

/// `sumOtherDocCount` and the children of a path.
fn children(
    run: &Run<'_>,
    counts: &BTreeMap<&str, usize>,
    path: &str,
    depth: usize,
) -> Result<Vec<Reply>, Error> {
    let min = run.min_count(1)?;
    let prefix = format!("{path}/");
    let mut found: Vec<(&str, usize)> = counts
        .range(prefix.as_str()..)
        .take_while(|(child, _)| child.starts_with(&prefix))
        .filter(|(child, count)| !child[prefix.len()..].contains('/') && **count >= min)
        .map(|(child, count)| (*child, *count))
        .collect();
    match run.order()? {
        ("path" | "key" | "_key", true) => found.reverse(),
        ("path" | "key" | "_key", false) => {}
        (_, true) => found.sort_by_key(|(_, count)| std::cmp::Reverse(*count)),
        (_, false) => found.sort_by_key(|(_, count)| *count),
    }
    let others = found.split_off(found.len().min(run.size()?));
    let other: usize = others.iter().map(|(_, count)| count).sum();
    let mut items = Vec::with_capacity(found.len());
    for (child, count) in found {
        let mut item = vec![
            Reply::bulk("docCount"),
            Reply::len(count),
            Reply::bulk("path"),
            Reply::bulk(child),
        ];
        if depth > 1 {
            item.extend(children(run, counts, child, depth - 1)?);
        } else {
            item.extend([Reply::bulk("sumOtherDocCount"), Reply::Int(0)]);
        }
        items.push(Reply::Array(item));
    }
    let mut replies = vec![Reply::bulk("sumOtherDocCount"), Reply::len(other)];
    if !items.is_empty() {
        replies.extend([Reply::bulk("children"), Reply::Array(items)]);
    }
    Ok(replies)
}
