//! The aggregation that groups documents by several fields and is read page by page.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::aggregate::{Options, Run, named};
use super::buckets::{Bucket, duration};
use super::date::{self, Unit};
use super::index::Doc;
use super::schema::{Kind, Value, float_of, float_order};
use crate::error::Error;
use crate::json::Node;
use crate::num;
use crate::reply::Reply;

/// Combinations one request may look at.
const MAX_GROUPS: usize = 65_536;

/// What one source says of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Missing,
    /// An integer, or a float by its order.
    Number(i128),
    Word(Box<str>),
}

/// How values are put together.
#[derive(Clone, Copy)]
enum Bins {
    Exact,
    Width(f64),
    Millis(i64),
    Calendar(Unit),
}

/// A field by which documents are grouped.
struct Source<'r> {
    name: &'r str,
    at: usize,
    kind: Kind,
    bins: Bins,
    descending: bool,
    takes_missing: bool,
    missing_first: bool,
}

pub(super) fn composite(run: &Run<'_>) -> Result<Vec<Reply>, Error> {
    let list = run.options.get("sources").and_then(Node::as_array);
    let sources: Vec<Source<'_>> = list
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|node| Source::parse(run, node))
        .collect::<Result<_, _>>()?;
    if sources.is_empty() {
        return Err(run
            .options
            .wrong("sources must be a list that is not empty"));
    }
    let compare = |a: &[Part], b: &[Part]| {
        let sides = sources.iter().zip(a.iter().zip(b));
        sides.fold(Ordering::Equal, |order, (source, (a, b))| {
            order.then_with(|| source.compare(a, b))
        })
    };
    let mut groups: Vec<_> = group(run, &sources)?.into_iter().collect();
    if let Some(after) = run.options.get("after") {
        let after = sources
            .iter()
            .map(|source| source.cursor(after))
            .collect::<Option<Vec<Part>>>()
            .ok_or_else(|| run.options.wrong("after must be the afterKey of a page"))?;
        groups.retain(|(parts, _)| compare(parts, &after) == Ordering::Greater);
    }
    groups.sort_by(|(a, _), (b, _)| compare(a, b));
    groups.truncate(run.size()?);
    let each = |parts: &[Part], show: &dyn Fn(&Source<'_>, &Part) -> Reply| {
        let parts = sources.iter().zip(parts);
        Reply::array(
            parts.flat_map(|(source, part)| [Reply::bulk(source.name), show(source, part)]),
        )
    };
    let after = groups
        .last()
        .map(|(parts, _)| each(parts, &|source, part| Reply::bulk(source.cursor_text(part))));
    let mut buckets = Vec::with_capacity(groups.len());
    for (parts, docs) in groups {
        let key = each(&parts, &|source, part| source.shown(part));
        let head = named([("key", key), ("docCount", Reply::len(docs.len()))]);
        buckets.push(run.bucket(Bucket { head, docs })?);
    }
    let mut replies = named([("buckets", Reply::Array(buckets))]);
    replies.extend(
        after
            .into_iter()
            .flat_map(|after| [Reply::bulk("afterKey"), after]),
    );
    Ok(replies)
}

/// The documents by what the sources say of them.
fn group<'r>(
    run: &Run<'r>,
    sources: &[Source<'_>],
) -> Result<BTreeMap<Vec<Part>, Vec<&'r Doc>>, Error> {
    let mut groups: BTreeMap<Vec<Part>, Vec<&Doc>> = BTreeMap::new();
    for &doc in run.docs {
        let mut combinations = vec![Vec::with_capacity(sources.len())];
        for source in sources {
            let parts = source.parts(doc);
            if combinations.len() * parts.len() > MAX_GROUPS {
                return Err(run.options.wrong("the sources make too many buckets"));
            }
            combinations = combinations
                .iter()
                .flat_map(|known: &Vec<Part>| {
                    let with = |part: &Part| known.iter().chain([part]).cloned().collect();
                    parts.iter().map(with).collect::<Vec<_>>()
                })
                .collect();
        }
        for combination in combinations {
            groups.entry(combination).or_default().push(doc);
        }
        if groups.len() > MAX_GROUPS {
            return Err(run.options.wrong("the sources make too many buckets"));
        }
    }
    Ok(groups)
}

impl<'r> Source<'r> {
    /// Reads `{"name": {"$terms": {…}}}` or another kind of source.
    fn parse(run: &Run<'r>, node: &'r Node) -> Result<Self, Error> {
        let only = |node: &'r Node| {
            let members = node.as_object().filter(|members| members.len() == 1)?;
            members.iter().next()
        };
        let (name, (operator, node)) = only(node)
            .and_then(|(name, node)| Some((name, only(node)?)))
            .ok_or_else(|| run.options.wrong("a source is one name with one operator"))?;
        let options = Options::new(operator, node);
        let run = Run { options, ..*run };
        let (at, field) = run.field(&**operator != "$terms")?;
        let bins = match &**operator {
            "$terms" if field.kind == Kind::Facet => {
                return Err(options.wrong("facets are aggregated by $facet"));
            }
            "$terms" => Bins::Exact,
            "$histogram" => match options.number("interval")? {
                Some(width) if width > 0.0 => Bins::Width(width),
                _ => return Err(options.wrong("interval must be positive")),
            },
            "$dateHistogram" if field.kind == Kind::Date => Self::dates(options)?,
            "$dateHistogram" => return Err(options.wrong("the field must be a DATE")),
            _ => return Err(run.options.wrong("this is no kind of source")),
        };
        let word = |name: &str, default: &'static str| options.text(name).unwrap_or(default);
        let descending = match word("order", "asc") {
            "asc" => false,
            "desc" => true,
            _ => return Err(options.wrong("order must be asc or desc")),
        };
        let missing_first = match word("missingOrder", "default") {
            "default" => !descending,
            "first" => true,
            "last" => false,
            _ => return Err(options.wrong("missingOrder must be default, first or last")),
        };
        Ok(Self {
            name,
            at,
            kind: field.kind,
            bins,
            descending,
            takes_missing: options.flag("missingBucket").unwrap_or(false),
            missing_first,
        })
    }

    fn dates(options: Options<'_>) -> Result<Bins, Error> {
        if let Some(unit) = options.text("calendarInterval") {
            return Unit::parse(unit)
                .map(Bins::Calendar)
                .ok_or_else(|| options.wrong("calendarInterval must be year, month or week"));
        }
        let interval = options.text("fixedInterval").and_then(duration);
        interval
            .filter(|&interval| interval >= 1.0)
            .map(|interval| Bins::Millis(interval as i64))
            .ok_or_else(|| options.wrong("fixedInterval must be like 30s, 5m, 1h or 1d"))
    }

    /// What is said of a document, each once; nothing if it is left out.
    fn parts(&self, doc: &Doc) -> Vec<Part> {
        let values = doc
            .values
            .get(self.at)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut parts: Vec<Part> = values.iter().map(|value| self.part(value)).collect();
        if parts.is_empty() && self.takes_missing {
            parts.push(Part::Missing);
        }
        parts.sort();
        parts.dedup();
        parts
    }

    fn part(&self, value: &Value) -> Part {
        let number = value.as_f64().unwrap_or(f64::NAN);
        let millis = number as i64;
        match self.bins {
            Bins::Width(width) => Part::Number(float_order((number / width).floor() * width)),
            Bins::Millis(width) => Part::Number((millis - millis.rem_euclid(width)).into()),
            Bins::Calendar(unit) => Part::Number(date::start_of(millis, unit).into()),
            Bins::Exact => match (value.order(), value.as_word()) {
                (Some(order), _) => Part::Number(order),
                (None, word) => Part::Word(word.unwrap_or_default().into()),
            },
        }
    }

    fn compare(&self, a: &Part, b: &Part) -> Ordering {
        let missing = |part: &Part| *part == Part::Missing;
        match (missing(a), missing(b)) {
            (false, false) if self.descending => b.cmp(a),
            (false, false) => a.cmp(b),
            (a, b) if self.missing_first => b.cmp(&a),
            (a, b) => a.cmp(&b),
        }
    }

    /// The type of the numbers, as cursors name it.
    fn form(&self) -> &'static str {
        match (self.bins, self.kind) {
            (Bins::Width(_), _) | (Bins::Exact, Kind::F64) => "f64",
            (Bins::Exact, Kind::U64) => "u64",
            (Bins::Exact, Kind::I64) => "i64",
            (Bins::Exact, Kind::Bool) => "bool",
            _ => "date",
        }
    }

    fn shown(&self, part: &Part) -> Reply {
        match part {
            Part::Missing => Reply::Nil,
            Part::Word(word) => Reply::bulk(&**word),
            Part::Number(order) => match self.form() {
                "f64" => Reply::double(float_of(*order)),
                "bool" => Reply::bulk((*order == 1).to_string()),
                _ => i64::try_from(*order)
                    .map_or_else(|_| Reply::bulk(order.to_string()), Reply::Int),
            },
        }
    }

    fn cursor_text(&self, part: &Part) -> String {
        match part {
            Part::Missing => "null:".to_owned(),
            Part::Word(word) => format!("str:{word}"),
            Part::Number(order) => {
                let form = self.form();
                let number = match form {
                    "f64" => num::double_text(float_of(*order)),
                    _ => order.to_string(),
                };
                format!("{form}:{number}")
            }
        }
    }

    /// This source's part of a cursor.
    fn cursor(&self, after: &Node) -> Option<Part> {
        let text = after.as_object()?.get(self.name)?.as_str()?;
        let (form, text) = text.split_once(':')?;
        match form {
            "null" => Some(Part::Missing),
            "str" if self.kind == Kind::Keyword => Some(Part::Word(text.into())),
            "f64" if self.form() == form => Some(Part::Number(float_order(text.parse().ok()?))),
            _ if self.form() == form => Some(Part::Number(text.parse().ok()?)),
            _ => None,
        }
    }
}
