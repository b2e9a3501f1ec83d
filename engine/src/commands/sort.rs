//! SORT.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;

use bytes::Bytes;

use crate::budget::Budget;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX, WRONGTYPE};
use crate::list::List;
use crate::num;
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::text::{Str, Text};
use crate::value::{Typed, Value};

const NO_DOUBLE: Error = Error::fixed("ERR One or more scores can't be converted into double");

/// A BY or GET pattern: which key, or field of a hash, belongs to an element.
#[derive(Clone, Copy, Debug)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// No `*`: belongs to no element.
    Constant,
    /// The element stands between these in the name of a key.
    Key {
        before: &'a [u8],
        after: &'a [u8],
        field: Option<&'a [u8]>,
    },
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Self {
        if text == b"#" {
            return Self::Element;
        }
        let Some(star) = text.iter().position(|byte| *byte == b'*') else {
            return Self::Constant;
        };
        let (before, after) = (&text[..star], &text[star + 1..]);
        let arrow = after.windows(2).position(|pair| pair == b"->");
        match arrow.filter(|at| at + 2 < after.len()) {
            Some(at) => Self::Key {
                before,
                after: &after[..at],
                field: Some(&after[at + 2..]),
            },
            None => Self::Key {
                before,
                after,
                field: None,
            },
        }
    }

    /// The value that belongs to an element.
    fn value(self, ctx: &mut Ctx<'_>, element: &Bytes) -> Result<Option<Bytes>, Error> {
        let Self::Key {
            before,
            after,
            field,
        } = self
        else {
            return Ok(matches!(self, Self::Element).then(|| element.clone()));
        };
        let key = [before, element, after].concat();
        ctx.side.budget.spend(1 + key.len() / 16)?;
        // A value of another type counts as missing.
        let value = match field {
            None => ctx
                .db
                .read::<Str>(&key)
                .unwrap_or_default()
                .map(Str::to_bytes),
            Some(field) => {
                let hash = ctx.db.read_hash(&key).unwrap_or_default();
                hash.and_then(|hash| hash.get(field))
                    .map(|text| text.to_bytes())
            }
        };
        Ok(value)
    }
}

/// What SORT is asked for.
#[derive(Debug)]
struct Request<'a> {
    by: Option<Pattern<'a>>,
    get: Vec<Pattern<'a>>,
    start: i64,
    count: i64,
    descending: bool,
    alpha: bool,
    store: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn parse(ctx: &Ctx<'_>, args: Args<'a>, may_store: bool) -> Result<Self, Error> {
        let mut request = Self {
            by: None,
            get: Vec::new(),
            start: 0,
            count: -1,
            descending: false,
            alpha: false,
            store: None,
        };
        let mut walk = Walk::new(args, 2);
        while !walk.is_empty() {
            if walk.word("ASC") {
                request.descending = false;
            } else if walk.word("DESC") {
                request.descending = true;
            } else if walk.word("ALPHA") {
                request.alpha = true;
            } else if walk.word("LIMIT") {
                let limit = walk.need_many(2)?;
                (request.start, request.count) = (parse::int(limit[0])?, parse::int(limit[1])?);
            } else if may_store && walk.word("STORE") {
                request.store = Some(walk.need()?);
            } else if walk.word("BY") {
                let pattern = Pattern::parse(walk.need()?);
                if matches!(pattern, Pattern::Key { .. }) {
                    check_access(ctx, "BY")?;
                }
                request.by = Some(pattern);
            } else if walk.word("GET") {
                check_access(ctx, "GET")?;
                request.get.push(Pattern::parse(walk.need()?));
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(request)
    }

    /// The range of positions that LIMIT asks for among `len` elements.
    fn range(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.start.max(0)).map_or(len, |start| start.min(len));
        let end = match usize::try_from(self.count) {
            Ok(count) => start.saturating_add(count).min(len),
            Err(_) => len,
        };
        start..end
    }
}

/// Patterns reach any key: who uses them must be allowed to read all.
fn check_access(ctx: &Ctx<'_>, option: &str) -> Result<(), Error> {
    if ctx.side.acl.may_read_prefixes(ctx.caller, &[b""]) {
        return Ok(());
    }
    Err(Error::new(format!(
        "ERR {option} option of SORT denied due to insufficient ACL permissions."
    )))
}

/// Takes steps and memory for so many elements.
fn take(budget: &Budget, elements: usize, bytes: usize) -> Result<(), Error> {
    budget.spend(elements)?;
    budget.hold(
        elements
            .saturating_mul(size_of::<Item>())
            .saturating_add(bytes),
    )
}

/// The elements of a list, set or sorted set in their own order.
fn elements(ctx: &Ctx<'_>, key: &[u8]) -> Result<(Vec<Bytes>, bool), Error> {
    let budget = &ctx.side.budget;
    let copied = |members: &mut dyn Iterator<Item = Text<'_>>, len: usize| {
        let mut all = Vec::with_capacity(len);
        for member in members {
            take(budget, 1, member.len())?;
            all.push(member.to_bytes());
        }
        Ok(all)
    };
    Ok(match ctx.db.value(key) {
        None => (Vec::new(), true),
        Some(Value::List(list)) => {
            take(budget, list.len(), list.weight())?;
            (list.iter().map(|item| item.to_bytes()).collect(), true)
        }
        Some(Value::Set(set)) => (copied(&mut set.iter(), set.len())?, false),
        Some(Value::ZSet(zset)) => {
            let mut members = zset.iter().map(|(member, _)| member);
            (copied(&mut members, zset.len())?, true)
        }
        Some(_) => return Err(WRONGTYPE),
    })
}

/// What an element is compared by.
#[derive(Debug, PartialEq)]
enum Weight {
    Number(f64),
    Text(Option<Bytes>),
}

/// An element that is sorted. Those that are equal keep their order.
#[derive(Debug)]
struct Item {
    weight: Weight,
    element: Bytes,
    place: usize,
    descending: bool,
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = match (&self.weight, &other.weight) {
            (Weight::Number(one), Weight::Number(other_one)) => one
                .total_cmp(other_one)
                .then_with(|| self.element.cmp(&other.element)),
            (Weight::Text(one), Weight::Text(other)) => one.cmp(other),
            // All elements are compared by the same.
            _ => Ordering::Equal,
        };
        let order = if self.descending {
            order.reverse()
        } else {
            order
        };
        order.then(self.place.cmp(&other.place))
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Item {}

/// A number as C's `strtod` reads it; nothing is 0.
fn number(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    // -0 and 0 are equal.
    num::parse_f64(text.trim_ascii_start()).map(|number| number + 0.0)
}

/// Sorts elements; returns those of the range.
fn sorted(
    ctx: &mut Ctx<'_>,
    elements: Vec<Bytes>,
    request: &Request<'_>,
    range: Range<usize>,
) -> Result<Vec<Bytes>, Error> {
    let mut failed = false;
    let mut items = Vec::with_capacity(elements.len());
    for (place, element) in elements.into_iter().enumerate() {
        let by = match request.by {
            Some(pattern) => pattern.value(ctx, &element)?,
            None => Some(element.clone()),
        };
        let weight = if request.alpha {
            Weight::Text(by)
        } else {
            let weight = by.map_or(Some(0.0), |text| number(&text));
            failed |= weight.is_none();
            Weight::Number(weight.unwrap_or(0.0))
        };
        items.push(Reverse(Item {
            weight,
            element,
            place,
            descending: request.descending,
        }));
    }
    if failed {
        return Err(NO_DOUBLE);
    }
    // A heap, because it can be stopped at any time and sorts no more than is asked for.
    let mut heap = BinaryHeap::from(items);
    let mut found = Vec::with_capacity(range.len());
    for place in 0..range.end {
        let Some(Reverse(item)) = heap.pop() else {
            break;
        };
        let steps = heap.len().checked_ilog2().unwrap_or(0) as usize;
        ctx.side
            .budget
            .spend(4 * (1 + steps) + item.element.len() / 16)?;
        if place >= range.start {
            found.push(item.element);
        }
    }
    Ok(found)
}

/// Elements in their own order or the reverse of it.
fn unsorted(mut elements: Vec<Bytes>, reverse: bool, range: Range<usize>) -> Vec<Bytes> {
    if reverse {
        elements.reverse();
    }
    elements.truncate(range.end);
    elements.drain(..range.start.min(elements.len()));
    elements
}

fn sort_with(ctx: &mut Ctx<'_>, args: Args<'_>, may_store: bool) -> Outcome {
    let mut request = Request::parse(ctx, args, may_store)?;
    let (elements, ordered) = elements(ctx, args[1])?;
    let range = request.range(elements.len());
    let mut sorts = !matches!(request.by, Some(Pattern::Constant));
    if !sorts && !ordered && (request.store.is_some() || ctx.script.is_some()) {
        // Members of a set come in no order that another server would have, too.
        (sorts, request.alpha, request.by) = (true, true, None);
    }
    let found = if sorts {
        sorted(ctx, elements, &request, range)?
    } else {
        unsorted(elements, request.descending && ordered, range)
    };
    let found = gathered(ctx, found, &request.get)?;
    match request.store {
        Some(key) => store(ctx, key, found),
        None => Ok(Reply::array(
            found
                .into_iter()
                .map(|item| item.map_or(Reply::Nil, Reply::Bulk)),
        )),
    }
}

/// What is asked for about each element.
fn gathered(
    ctx: &mut Ctx<'_>,
    found: Vec<Bytes>,
    get: &[Pattern<'_>],
) -> Result<Vec<Option<Bytes>>, Error> {
    if get.is_empty() {
        return Ok(found.into_iter().map(Some).collect());
    }
    let mut values = Vec::new();
    for element in &found {
        for pattern in get {
            let value = pattern.value(ctx, element)?;
            let bytes = value.as_ref().map_or(0, Bytes::len);
            take(&ctx.side.budget, 1, bytes)?;
            values.push(value);
        }
    }
    Ok(values)
}

fn store(ctx: &mut Ctx<'_>, key: &[u8], found: Vec<Option<Bytes>>) -> Outcome {
    let len = found.len();
    if len > 0 {
        let items = found.iter().map(|item| item.as_deref().unwrap_or_default());
        let list = items.collect::<List>().into_value();
        ctx.keep(&list)?;
        // Equal elements are in the order of the set's entries, which another process has not.
        ctx.db.effects.record_values();
        ctx.db.put(key, list);
        ctx.db.notify(Event::LIST, "sortstore", key);
    } else if ctx.db.remove(key) {
        ctx.db.notify(Event::GENERIC, "del", key);
    }
    Ok(Reply::len(len))
}

fn sort(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    sort_with(ctx, args, true)
}

fn sort_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    sort_with(ctx, args, false)
}

/// The key that is sorted, and the last one that STORE names.
fn sort_keys(args: Args<'_>, visit: &mut dyn FnMut(usize)) {
    if args.len() > 1 {
        visit(1);
    }
    let mut store = None;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        if parse::is(word, "LIMIT") {
            at += 2;
        } else if parse::is(word, "GET") || parse::is(word, "BY") {
            at += 1;
        } else if parse::is(word, "STORE") && at + 1 < args.len() {
            at += 1;
            store = Some(at);
        }
        at += 1;
    }
    if let Some(at) = store {
        visit(at);
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("SORT", -2, Keys::Found(sort_keys), Category::Keyspace, sort)
        .denyoom()
        .redis_only(),
    Spec::read("SORT_RO", -2, Keys::ONE, Category::Keyspace, sort_ro).redis_only(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_keys_and_fields() {
        let parts = |text: &'static str| match Pattern::parse(text.as_bytes()) {
            Pattern::Key {
                before,
                after,
                field,
            } => Some((before, after, field)),
            _ => None,
        };
        assert_eq!(parts("w_*"), Some((&b"w_"[..], &b""[..], None)));
        assert_eq!(
            parts("o_*:x->f"),
            Some((&b"o_"[..], &b":x"[..], Some(&b"f"[..])))
        );
        assert_eq!(parts("x:*->"), Some((&b"x:"[..], &b"->"[..], None)));
        assert_eq!(parts("a->*"), Some((&b"a->"[..], &b""[..], None)));
        assert_eq!(parts("#"), None);
        assert_eq!(parts("nosort"), None);
    }

    #[test]
    fn numbers_are_read_as_strtod_reads_them() {
        assert_eq!(number(b""), Some(0.0));
        assert_eq!(number(b" 1.5"), Some(1.5));
        assert_eq!(number(b"0x10"), Some(16.0));
        assert_eq!(number(b"1x"), None);
        assert_eq!(number(b"nan"), None);
    }
}
