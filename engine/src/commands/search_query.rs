//! Search indexes: querying, counting, aggregating.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::search::{counted, resolve, utf8, with_index};
use super::search_score::{ScoreFunction, fast_field};
use crate::budget::Budget;
use crate::command::{Args, Outcome};
use crate::ctx::Ctx;
use crate::db::Db;
use crate::error::{Error, SYNTAX};
use crate::json::{self, Node};
use crate::num;
use crate::parse::Walk;
use crate::reply::Reply;
use crate::search::{
    self, Doc, Index, Kind, Matches, Query, Retriever, Rrf, Value, at_path, entry_of, field_of,
    invalid,
};
use crate::value::Value as Stored;

/// The options of a query.
#[derive(Debug, Default)]
struct Options<'a> {
    limit: Option<usize>,
    offset: usize,
    /// Fields and whether the largest comes first.
    order: Vec<(&'a str, bool)>,
    select: Option<Vec<&'a str>>,
    no_content: bool,
    highlight: Option<Highlight<'a>>,
    score: Option<ScoreFunction<'a>>,
}

#[derive(Debug)]
struct Highlight<'a> {
    fields: Vec<&'a str>,
    open: &'a str,
    close: &'a str,
}

/// Types that ORDERBY takes.
const SORTABLE: [Kind; 5] = [Kind::U64, Kind::I64, Kind::F64, Kind::Bool, Kind::Date];

const OPTION_NAMES: [&[u8]; 8] = [
    b"LIMIT",
    b"OFFSET",
    b"ORDERBY",
    b"SORTBY",
    b"SELECT",
    b"NOCONTENT",
    b"HIGHLIGHT",
    b"SCOREFUNC",
];

impl<'a> Options<'a> {
    fn parse(mut walk: Walk<'a>) -> Result<Self, Error> {
        let mut options = Self::default();
        while !walk.is_empty() {
            if walk.word("LIMIT") {
                let limit = usize::try_from(walk.need_int()?)
                    .ok()
                    .filter(|limit| (1..=1000).contains(limit));
                options.limit = Some(limit.ok_or(Error::fixed(
                    "ERR limit should be a positive number less than 1000",
                ))?);
            } else if walk.word("OFFSET") {
                let offset = usize::try_from(walk.need_int()?)
                    .ok()
                    .filter(|&offset| offset <= 10_000);
                options.offset = offset.ok_or(Error::fixed(
                    "ERR offset should be a number from 0 to 10000",
                ))?;
            } else if walk.word("NOCONTENT") {
                options.no_content = true;
            } else if walk.word("ORDERBY") {
                options.order(&mut walk)?;
            } else if walk.word("SELECT") {
                options.select = Some(names(counted(&mut walk)?)?);
            } else if walk.word("HIGHLIGHT") {
                if !walk.word("FIELDS") {
                    return Err(SYNTAX);
                }
                let fields = names(counted(&mut walk)?)?;
                let (open, close) = if walk.word("TAGS") {
                    (utf8(walk.need()?)?, utf8(walk.need()?)?)
                } else {
                    ("<em>", "</em>")
                };
                options.highlight = Some(Highlight {
                    fields,
                    open,
                    close,
                });
            } else if walk.word("SCOREFUNC") {
                options.score = Some(ScoreFunction::parse(&mut walk)?);
            } else {
                return Err(SYNTAX);
            }
        }
        if options.no_content && (options.select.is_some() || options.highlight.is_some()) {
            return Err(Error::fixed(
                "ERR NOCONTENT cannot be combined with SELECT or HIGHLIGHT",
            ));
        }
        if options.score.is_some() && !options.order.is_empty() {
            return Err(Error::fixed(
                "ERR SCOREFUNC cannot be combined with ORDERBY",
            ));
        }
        Ok(options)
    }

    /// How many results are returned.
    fn limit(&self) -> usize {
        self.limit.unwrap_or(10)
    }

    /// Fields with their directions, up to the next option.
    fn order(&mut self, walk: &mut Walk<'a>) -> Result<(), Error> {
        loop {
            let field = utf8(walk.need()?)?;
            let ascending = walk.word("ASC");
            if !ascending {
                walk.word("DESC");
            }
            self.order.push((field, !ascending));
            let is_option = |next: &[u8]| {
                OPTION_NAMES
                    .iter()
                    .any(|name| next.eq_ignore_ascii_case(name))
            };
            if walk.peek().is_none_or(is_option) {
                return Ok(());
            }
        }
    }
}

fn names<'a>(texts: &[&'a [u8]]) -> Result<Vec<&'a str>, Error> {
    texts.iter().map(|text| utf8(text)).collect()
}

fn retriever(index: &Index, text: &[u8]) -> Result<Retriever, Error> {
    let node = json::parse(text).map_err(|error| invalid(&error.to_string()))?;
    Retriever::parse(&index.definition, &node)
}

/// Documents that match and whose keys are still there.
fn alive<'i, 'm>(
    index: &'i Index,
    db: &'m Db,
    matches: &'m Matches,
) -> impl Iterator<Item = (&'i Doc, f64)> + use<'i, 'm> {
    let docs = matches
        .iter()
        .filter_map(|(id, score)| Some((index.docs.get(id)?, *score)));
    // The entries of a stream were all looked at a moment ago.
    let stream = index.definition.stream().is_some();
    docs.filter(move |(doc, _)| stream || db.exists(&doc.key))
}

/// Runs `use_it` on an index with everything in it; `missing` if there is none of that name.
fn on_index(
    ctx: &mut Ctx<'_>,
    name: &[u8],
    missing: Reply,
    use_it: impl FnOnce(&Index, &Db, &Budget) -> Outcome,
) -> Outcome {
    let Some(name) = resolve(ctx, name)? else {
        return Ok(missing);
    };
    Ok(with_index(ctx, &name, use_it)?.unwrap_or(missing))
}

pub(super) fn count(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    on_index(ctx, args[1], Reply::Int(-1), |index, db, budget| {
        let matches = index.search(&retriever(index, args[2])?.into_query(), budget);
        Ok(Reply::len(alive(index, db, &matches).count()))
    })
}

pub(super) fn aggregate(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let spec = json::parse(args[3]).map_err(|error| invalid(&error.to_string()))?;
    on_index(ctx, args[1], Reply::NilArray, |index, db, budget| {
        let matches = index.search(&retriever(index, args[2])?.into_query(), budget);
        let docs: Vec<&Doc> = alive(index, db, &matches).map(|(doc, _)| doc).collect();
        search::aggregate(index, &docs, &spec, 0, budget).map(Reply::Array)
    })
}

pub(super) fn query(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(Walk::new(args, 3))?;
    if ctx.script.is_some() && !options.no_content {
        return Err(Error::fixed(
            "ERR within a script the query needs NOCONTENT",
        ));
    }
    on_index(ctx, args[1], Reply::NilArray, |index, db, budget| {
        let retriever = retriever(index, args[2])?;
        let find = |query: &Query| find(index, db, query, &options, budget);
        let hits = match &retriever {
            Retriever::Standard(query) => find(query)?,
            Retriever::Rrf(_) if !options.order.is_empty() => {
                return Err(Error::fixed("ERR ORDERBY cannot be combined with $rrf"));
            }
            Retriever::Rrf(rrf) => merge(rrf, options.limit(), find)?,
        };
        let query = retriever.into_query();
        let sorted = sort(index, hits, &options.order)?;
        let page = sorted
            .into_iter()
            .skip(options.offset)
            .take(options.limit());
        let mut replies = Vec::new();
        for (doc, score) in page {
            let mut hit = vec![Reply::Bulk(doc.key.clone()), score];
            if !options.no_content {
                let content = content(index, db, doc, &query, &options)?;
                budget.hold(content.size())?;
                hit.push(content);
            }
            replies.push(Reply::Array(hit));
        }
        Ok(Reply::Array(replies))
    })
}

/// Documents that match a query, with their scores.
fn find<'i>(
    index: &'i Index,
    db: &Db,
    query: &Query,
    options: &Options<'_>,
    budget: &Budget,
) -> Result<Vec<(&'i Doc, f64)>, Error> {
    let matches = index.search(query, budget);
    let mut hits: Vec<(&Doc, f64)> = alive(index, db, &matches).collect();
    if let Some(function) = &options.score {
        for (doc, score) in &mut hits {
            *score = function.score(index, doc, *score)?;
        }
    }
    Ok(hits)
}

/// Documents that some query found, with what their ranks add up to.
fn merge<'i>(
    rrf: &Rrf,
    limit: usize,
    find: impl Fn(&Query) -> Result<Vec<(&'i Doc, f64)>, Error>,
) -> Result<Vec<(&'i Doc, f64)>, Error> {
    let window = rrf.window.unwrap_or(limit);
    let mut merged: Vec<(&Doc, f64)> = Vec::new();
    let mut places: HashMap<&Bytes, usize> = HashMap::new();
    for (query, weight) in &rrf.parts {
        let mut hits = find(query)?;
        best_first(&mut hits);
        for (at, (doc, _)) in hits.into_iter().take(window).enumerate() {
            let place = *places.entry(&doc.key).or_insert_with(|| {
                merged.push((doc, 0.0));
                merged.len() - 1
            });
            if let Some((_, score)) = merged.get_mut(place) {
                *score += rrf.points(*weight, at + 1);
            }
        }
    }
    best_first(&mut merged);
    merged.truncate(window);
    Ok(merged)
}

/// Sorts by score; what has the same one stays in order.
fn best_first(hits: &mut [(&Doc, f64)]) {
    hits.sort_by(|a, b| b.1.total_cmp(&a.1));
}

/// Documents in the order asked for, each with what it is sorted by.
fn sort<'i>(
    index: &Index,
    mut hits: Vec<(&'i Doc, f64)>,
    order: &[(&str, bool)],
) -> Result<Vec<(&'i Doc, Reply)>, Error> {
    let Some((first, _)) = order.first() else {
        best_first(&mut hits);
        return Ok(hits
            .into_iter()
            .map(|(doc, score)| (doc, Reply::double(score)))
            .collect());
    };
    let mut fields = Vec::with_capacity(order.len());
    for (name, descending) in order {
        fields.push((fast_field(index, name, &SORTABLE)?, *descending));
    }
    let key = |doc: &Doc, at: usize| {
        doc.values
            .get(at)
            .and_then(|values| values.first())
            .and_then(Value::order)
    };
    hits.sort_by(|(a, _), (b, _)| {
        let each = fields
            .iter()
            .map(|&(at, descending)| match (key(a, at), key(b, at)) {
                (Some(a), Some(b)) if descending => b.cmp(&a),
                (Some(a), Some(b)) => a.cmp(&b),
                // Documents without a value come last either way.
                (a, b) => b.is_some().cmp(&a.is_some()),
            });
        each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    let at = fast_field(index, first, &SORTABLE)?;
    let shown = |doc: &Doc| match doc.values.get(at).and_then(|values| values.first()) {
        Some(Value::Int(number)) => Reply::bulk(number.to_string()),
        Some(Value::Float(number)) => Reply::bulk(num::double_text(*number)),
        _ => Reply::Nil,
    };
    Ok(hits.into_iter().map(|(doc, _)| (doc, shown(doc))).collect())
}

/// The fields of a document: all, or those selected, matches marked if asked for.
fn content(index: &Index, db: &Db, doc: &Doc, query: &Query, options: &Options<'_>) -> Outcome {
    let mut marks = Vec::new();
    for name in options
        .highlight
        .iter()
        .flat_map(|highlight| &highlight.fields)
    {
        let found = index.definition.field(name);
        let (at, field) =
            found.ok_or_else(|| invalid(&format!("field '{name}' is not in the schema")))?;
        let mut terms = HashSet::new();
        Index::named_terms(query, at, &mut terms);
        marks.push((field, terms));
    }
    // The text of a field with its matches marked, if it is to be marked.
    let mark = |path: &str, text: &str| {
        let highlight = options.highlight.as_ref()?;
        let (field, terms) = marks.iter().find(|(field, _)| field.path() == path)?;
        let tokens = index.definition.analysis(field).tokens(text);
        let mut out = String::with_capacity(text.len() + 16);
        let mut plain = 0;
        for token in tokens.iter().filter(|token| terms.contains(&token.term)) {
            out.push_str(text.get(plain..token.start)?);
            out.push_str(highlight.open);
            out.push_str(text.get(token.start..token.end)?);
            out.push_str(highlight.close);
            plain = token.end;
        }
        out.push_str(text.get(plain..)?);
        Some(out)
    };
    let pair = |name: &[u8], value: Reply| Reply::Array(vec![Reply::bulk(name), value]);
    let shown = |name: &[u8], value: &Bytes| {
        let marked = std::str::from_utf8(name)
            .ok()
            .zip(std::str::from_utf8(value).ok());
        let marked = marked.and_then(|(name, value)| mark(name, value));
        pair(
            name,
            marked.map_or_else(|| Reply::Bulk(value.clone()), Reply::bulk),
        )
    };
    let selected = |value: &dyn Fn(&[u8]) -> Option<Bytes>| {
        let fields = options.select.as_ref()?;
        let pairs = fields
            .iter()
            .filter_map(|name| Some(shown(name.as_bytes(), &value(name.as_bytes())?)));
        Some(Reply::array(pairs))
    };
    let tree: Cow<'_, Node> = match db.value(index.definition.stream().unwrap_or(&doc.key)) {
        Some(Stored::Hash(hash)) => {
            let all = || {
                Reply::array(
                    hash.iter()
                        .map(|(name, value)| shown(&name, &value.to_bytes())),
                )
            };
            return Ok(
                selected(&|name| hash.get(name).map(|text| text.to_bytes())).unwrap_or_else(all)
            );
        }
        Some(Stored::Stream(stream)) => {
            let Some(entry) = entry_of(Some(stream), &doc.key) else {
                return Ok(Reply::empty());
            };
            let parts: Vec<Bytes> = entry.fields.iter().collect();
            let all = || {
                Reply::array(
                    parts
                        .as_chunks::<2>()
                        .0
                        .iter()
                        .map(|[name, value]| shown(name, value)),
                )
            };
            return Ok(selected(&|name| field_of(entry, name)).unwrap_or_else(all));
        }
        Some(Stored::Json(json)) => Cow::Borrowed(json.root()),
        Some(Stored::Str(text)) => Cow::Owned(json::parse(text).unwrap_or_default()),
        _ => return Ok(Reply::empty()),
    };
    let mut tree = tree;
    for (field, _) in &marks {
        if let Some(node) = at_path(&tree, field.path()) {
            let marked = marked_node(node, &|text| mark(field.path(), text));
            put_at(tree.to_mut(), field.path(), marked);
        }
    }
    Ok(match &options.select {
        None => Reply::Array(vec![pair(b"$", Reply::bulk(tree.to_text()))]),
        Some(fields) => Reply::array(fields.iter().filter_map(|name| {
            let node = at_path(&tree, name)?;
            let text = node
                .as_str()
                .map_or_else(|| Reply::bulk(node.to_text()), Reply::bulk);
            Some(pair(name.as_bytes(), text))
        })),
    })
}

/// A string, or the strings of a list, with matches marked.
fn marked_node(node: &Node, mark: &impl Fn(&str) -> Option<String>) -> Node {
    match node {
        Node::Str(text) => mark(text).map_or_else(|| node.clone(), |text| Node::Str(text.into())),
        Node::Array(items) => {
            Node::Array(items.iter().map(|item| marked_node(item, mark)).collect())
        }
        other => other.clone(),
    }
}

/// Replaces what is at a dotted path.
fn put_at(node: &mut Node, path: &str, value: Node) {
    let Some(members) = node.as_object_mut() else {
        return;
    };
    if let Some(slot) = members.get_mut(path) {
        *slot = value;
        return;
    }
    for (dot, _) in path.match_indices('.') {
        let (head, rest) = (
            path.get(..dot).unwrap_or_default(),
            path.get(dot + 1..).unwrap_or_default(),
        );
        if let Some(inner) = members.get_mut(head)
            && at_path(inner, rest).is_some()
        {
            put_at(inner, rest, value);
            return;
        }
    }
}
