//! The aggregation that groups documents by the values of a field.

use std::collections::BTreeMap;

use regex_lite::{Regex, RegexBuilder};

use super::aggregate::{Run, aggregate, named};
use super::buckets::Bucket;
use super::index::Doc;
use super::schema::{Kind, Value, float_of};
use super::ties;
use crate::error::Error;
use crate::json::Node;
use crate::reply::Reply;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i128),
    Word(String),
}

impl Key {
    /// The number of a field of the type F64.
    fn number(&self) -> f64 {
        match self {
            Self::Number(order) => float_of(*order),
            Self::Word(_) => f64::NAN,
        }
    }
}

/// Keys that `include` or `exclude` names.
enum Choice {
    Listed(Vec<Key>),
    Pattern(Regex),
}

impl Choice {
    /// A list of values or, for words, one pattern for the whole word.
    fn of(run: &Run<'_>, name: &str, kind: Kind) -> Result<Option<Self>, Error> {
        let Some(node) = run.options.get(name) else {
            return Ok(None);
        };
        if let (Some(pattern), Kind::Keyword) = (node.as_str(), kind) {
            let pattern = RegexBuilder::new(&format!("^(?:{pattern})$"))
                .size_limit(1 << 20)
                .build()
                .map_err(|_| run.options.wrong(&format!("{name} is no valid pattern")))?;
            return Ok(Some(Self::Pattern(pattern)));
        }
        let items = node
            .as_array()
            .map_or(std::slice::from_ref(node), Vec::as_slice);
        let keys = items.iter().filter_map(|item| told_key(kind, item));
        Ok(Some(Self::Listed(keys.map(|(key, _)| key).collect())))
    }

    fn has(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::Listed(keys), _) => keys.contains(key),
            (Self::Pattern(pattern), Key::Word(word)) => pattern.is_match(word),
            (Self::Pattern(_), Key::Number(_)) => false,
        }
    }
}

/// The key of a value that is told in the request instead of held by a document.
fn told_key(kind: Kind, node: &Node) -> Option<(Key, Reply)> {
    match (kind.value(node), node.as_str()) {
        (Some(value), _) => Some(key_of(kind, &value)),
        (None, Some(text)) => Some((Key::Word(text.to_owned()), Reply::bulk(text))),
        (None, None) => None,
    }
}

pub(super) fn terms(run: &Run<'_>) -> Result<Vec<Reply>, Error> {
    let (at, field) = run.field(false)?;
    if field.kind == Kind::Facet {
        return Err(run.options.wrong("facets are aggregated by $facet"));
    }
    let missing = match run.options.get("missing") {
        None => None,
        Some(node) => Some(told_key(field.kind, node).ok_or_else(|| {
            run.options
                .wrong("missing must be a string or fit the field")
        })?),
    };
    let mut groups: BTreeMap<Key, (Reply, Vec<&Doc>)> = BTreeMap::new();
    for &doc in run.docs {
        let values = doc.values.get(at).map(Vec::as_slice).unwrap_or_default();
        let mut keys: Vec<(Key, Reply)> = values
            .iter()
            .map(|value| key_of(field.kind, value))
            .collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        keys.dedup_by(|a, b| a.0 == b.0);
        if keys.is_empty() {
            keys.extend(missing.clone());
        }
        for (key, reply) in keys {
            groups
                .entry(key)
                .or_insert_with(|| (reply, Vec::new()))
                .1
                .push(doc);
        }
    }
    let (include, exclude) = (
        Choice::of(run, "include", field.kind)?,
        Choice::of(run, "exclude", field.kind)?,
    );
    groups.retain(|key, _| {
        include.as_ref().is_none_or(|choice| choice.has(key))
            && !exclude.as_ref().is_some_and(|choice| choice.has(key))
    });
    let total: usize = groups.values().map(|(_, docs)| docs.len()).sum();
    let min = run.min_count(1)?;
    let order = run.order()?;
    let mut groups: Vec<_> = groups.into_iter().collect();
    if field.kind == Kind::F64 && !matches!(order.0, "key" | "_key") {
        let keys: Vec<f64> = groups.iter().map(|(key, _)| key.number()).collect();
        groups = ties::arrange(groups, &keys);
    }
    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|(_, group)| group)
        .filter(|(_, docs)| docs.len() >= min)
        .collect();
    // Sorting is stable: what was arranged above decides between equals.
    match order {
        ("key" | "_key", descending) => {
            if descending {
                groups.reverse();
            }
        }
        ("count" | "_count", true) => groups.sort_by_key(|(_, docs)| std::cmp::Reverse(docs.len())),
        ("count" | "_count", false) => groups.sort_by_key(|(_, docs)| docs.len()),
        (alias, descending) => sort_by_metric(run, &mut groups, alias, descending)?,
    }
    groups.truncate(run.size()?);
    let shown: usize = groups.iter().map(|(_, docs)| docs.len()).sum();
    let mut replies = Vec::with_capacity(groups.len());
    for (key, docs) in groups {
        let head = named([("key", key), ("docCount", Reply::len(docs.len()))]);
        replies.push(run.bucket(Bucket { head, docs })?);
    }
    Ok(named([
        ("buckets", Reply::Array(replies)),
        ("sumOtherDocCount", Reply::len(total - shown)),
        // Counts are exact here.
        ("docCountErrorUpperBound", Reply::Int(0)),
    ]))
}

/// Sorts by the value of a nested aggregation.
fn sort_by_metric(
    run: &Run<'_>,
    groups: &mut Vec<(Reply, Vec<&Doc>)>,
    alias: &str,
    descending: bool,
) -> Result<(), Error> {
    let spec = run.nested.and_then(|nested| nested.as_object()?.get(alias));
    let spec = spec.ok_or_else(|| {
        run.options
            .wrong(&format!("order by '{alias}', which is not in $aggs"))
    })?;
    let spec = Node::Object(std::iter::once((alias.into(), spec.clone())).collect());
    let mut keyed = Vec::with_capacity(groups.len());
    for group in groups.drain(..) {
        let metric = match &*aggregate(run.index, &group.1, &spec, run.nesting + 1, run.budget)? {
            [_, Reply::Array(parts)] => parts.get(1).map_or(f64::NAN, metric_value),
            _ => f64::NAN,
        };
        keyed.push((metric, group));
    }
    keyed.sort_by(|a, b| {
        if descending {
            b.0.total_cmp(&a.0)
        } else {
            a.0.total_cmp(&b.0)
        }
    });
    groups.extend(keyed.into_iter().map(|(_, group)| group));
    Ok(())
}

fn metric_value(reply: &Reply) -> f64 {
    match reply {
        Reply::Int(n) => *n as f64,
        Reply::Bulk(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

fn key_of(kind: Kind, value: &Value) -> (Key, Reply) {
    match value {
        Value::Word(word) => (Key::Word(word.to_string()), Reply::bulk(&**word)),
        Value::Int(number) => {
            let reply =
                i64::try_from(*number).map_or_else(|_| Reply::bulk(number.to_string()), Reply::Int);
            let reply = if kind == Kind::Bool {
                Reply::bulk(if *number == 1 { "true" } else { "false" })
            } else {
                reply
            };
            (Key::Number(*number), reply)
        }
        Value::Float(number) => (
            Key::Number(value.order().unwrap_or(0)),
            Reply::double(*number),
        ),
    }
}
