//! Searching positions by distance: GEOSEARCH and the older GEORADIUS.

use super::geo::{distance_reply, point, point_reply, unit};
use crate::command::{Args, Outcome};
use crate::ctx::Ctx;
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::geohash::{Point, Shape};
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::value::Value;
use crate::zset::ZSet;

const NO_MEMBER: Error = Error::fixed("ERR could not decode requested zset member");

/// Where a search starts.
#[derive(Clone, Copy, Debug)]
enum Centre<'a> {
    Point(Point),
    Member(&'a [u8]),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    None,
    Ascending,
    Descending,
}

/// What to search and how to answer.
#[derive(Debug, Default)]
struct Search<'a> {
    centre: Option<Centre<'a>>,
    shape: Option<Shape>,
    /// Metres in the unit of the shape, in which distances are answered.
    metres: f64,
    order: Order,
    count: Option<usize>,
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    store: Option<&'a [u8]>,
    store_distance: bool,
}

/// Which of the commands an option belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Radius,
    RadiusReadOnly,
    Search,
    SearchStore,
}

struct Hit {
    member: Vec<u8>,
    score: f64,
    distance: f64,
}

fn distance(text: &[u8], not_numeric: Error, negative: Error) -> Result<f64, Error> {
    let value = crate::num::parse_f64(text).ok_or(not_numeric)?;
    if value < 0.0 {
        Err(negative)
    } else {
        Ok(value)
    }
}

fn radius(text: &[u8]) -> Result<f64, Error> {
    distance(
        text,
        Error::fixed("ERR need numeric radius"),
        Error::fixed("ERR radius cannot be negative"),
    )
}

impl<'a> Search<'a> {
    fn circle(&mut self, size: &[u8], unit_name: &[u8]) -> Result<(), Error> {
        let size = radius(size)?;
        self.metres = unit(unit_name)?;
        self.shape = Some(Shape::Circle {
            radius: size * self.metres,
        });
        Ok(())
    }

    fn rectangle(&mut self, width: &[u8], height: &[u8], unit_name: &[u8]) -> Result<(), Error> {
        const NEGATIVE: Error = Error::fixed("ERR height or width cannot be negative");
        let number = |text, message| crate::num::parse_f64(text).ok_or(Error::fixed(message));
        let width = number(width, "ERR need numeric width")?;
        let height = number(height, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(NEGATIVE);
        }
        self.metres = unit(unit_name)?;
        self.shape = Some(Shape::Box {
            width: width * self.metres,
            height: height * self.metres,
        });
        Ok(())
    }

    fn options(&mut self, mut walk: Walk<'a>, kind: Kind) -> Result<(), Error> {
        let is_search = matches!(kind, Kind::Search | Kind::SearchStore);
        while !walk.is_empty() {
            let more = walk.len() - 1;
            if walk.word("WITHDIST") {
                self.with_distance = true;
            } else if walk.word("WITHHASH") {
                self.with_hash = true;
            } else if walk.word("WITHCOORD") {
                self.with_point = true;
            } else if walk.word("ANY") {
                self.any = true;
            } else if walk.word("ASC") {
                self.order = Order::Ascending;
            } else if walk.word("DESC") {
                self.order = Order::Descending;
            } else if more >= 1 && walk.word("COUNT") {
                let count = parse::int(walk.need()?)?;
                let count = usize::try_from(count).ok().filter(|&count| count > 0);
                self.count = Some(count.ok_or(Error::fixed("ERR COUNT must be > 0"))?);
            } else if kind == Kind::Radius && more >= 1 && walk.word("STORE") {
                self.store = Some(walk.need()?);
                self.store_distance = false;
            } else if kind == Kind::Radius && more >= 1 && walk.word("STOREDIST") {
                self.store = Some(walk.need()?);
                self.store_distance = true;
            } else if is_search && self.may_centre(false) && more >= 1 && walk.word("FROMMEMBER") {
                self.centre = Some(Centre::Member(walk.need()?));
            } else if is_search && self.may_centre(true) && more >= 2 && walk.word("FROMLONLAT") {
                self.centre = Some(Centre::Point(point(walk.need()?, walk.need()?)?));
            } else if is_search && self.may_shape(true) && more >= 2 && walk.word("BYRADIUS") {
                self.circle(walk.need()?, walk.need()?)?;
            } else if is_search && self.may_shape(false) && more >= 3 && walk.word("BYBOX") {
                self.rectangle(walk.need()?, walk.need()?, walk.need()?)?;
            } else if kind == Kind::SearchStore && walk.word("STOREDIST") {
                self.store_distance = true;
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(())
    }

    /// The same kind of centre may be given again, the other may not.
    fn may_centre(&self, by_point: bool) -> bool {
        self.centre
            .is_none_or(|centre| matches!(centre, Centre::Point(_)) == by_point)
    }

    fn may_shape(&self, by_circle: bool) -> bool {
        self.shape
            .is_none_or(|shape| matches!(shape, Shape::Circle { .. }) == by_circle)
    }

    fn check(&self, kind: Kind) -> Result<(), Error> {
        let name = if kind == Kind::SearchStore {
            "GEOSEARCHSTORE"
        } else {
            "GEOSEARCH"
        };
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_point) {
            let what = if kind == Kind::SearchStore {
                name
            } else {
                "STORE option in GEORADIUS"
            };
            return Err(Error::new(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if self.centre.is_none() {
            return Err(Error::new(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if self.shape.is_none() {
            return Err(Error::new(format!(
                "ERR exactly one of BYRADIUS and BYBOX can be specified for {name}"
            )));
        }
        if self.any && self.count.is_none() {
            return Err(Error::fixed("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// What lies within the shape.
    fn hits(&self, zset: &ZSet) -> Result<Vec<Hit>, Error> {
        let centre = match self.centre {
            Some(Centre::Point(point)) => point,
            Some(Centre::Member(member)) => Point::from_score(zset.score(member).ok_or(NO_MEMBER)?),
            None => return Err(SYNTAX),
        };
        let shape = self.shape.ok_or(SYNTAX)?;
        let enough = if self.any {
            self.count.unwrap_or(usize::MAX)
        } else {
            usize::MAX
        };
        let mut hits = Vec::new();
        'cells: for (low, high) in shape.score_ranges(centre) {
            let ranks =
                zset.partition(|_, score| score < low)..zset.partition(|_, score| score < high);
            for (member, score) in zset.range(ranks) {
                if let Some(distance) = shape.distance_within(centre, Point::from_score(score)) {
                    hits.push(Hit {
                        member: member.to_vec(),
                        score,
                        distance,
                    });
                    if hits.len() == enough {
                        break 'cells;
                    }
                }
            }
        }
        // The nearest are wanted, unless any will do.
        let order = match self.order {
            Order::None if self.count.is_some() && !self.any => Order::Ascending,
            order => order,
        };
        match order {
            Order::None => {}
            Order::Ascending => hits.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Order::Descending => hits.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
        }
        hits.truncate(self.count.unwrap_or(usize::MAX));
        Ok(hits)
    }

    fn reply(&self, hits: Vec<Hit>) -> Reply {
        let plain = !(self.with_distance || self.with_hash || self.with_point);
        Reply::array(hits.into_iter().map(|hit| {
            let member = Reply::bulk(&hit.member);
            if plain {
                return member;
            }
            let mut parts = vec![member];
            if self.with_distance {
                parts.push(distance_reply(hit.distance / self.metres));
            }
            if self.with_hash {
                parts.push(Reply::Int(hit.score as i64));
            }
            if self.with_point {
                parts.push(point_reply(Point::from_score(hit.score)));
            }
            Reply::Array(parts)
        }))
    }

    fn run(&self, ctx: &mut Ctx<'_>, key: &[u8], event: &'static str) -> Outcome {
        let hits = match ctx.db.read::<ZSet>(key)? {
            Some(zset) => self.hits(zset)?,
            None => Vec::new(),
        };
        let Some(target) = self.store else {
            return Ok(self.reply(hits));
        };
        if hits.is_empty() {
            if ctx.db.remove(target) {
                ctx.db.notify(Event::GENERIC, "del", target);
            }
            return Ok(Reply::Int(0));
        }
        let stored = Reply::len(hits.len());
        let mut zset = ZSet::default();
        for hit in hits {
            zset.insert(
                &hit.member,
                if self.store_distance {
                    hit.distance / self.metres
                } else {
                    hit.score
                },
            );
        }
        let zset = Value::ZSet(zset);
        ctx.keep(&zset)?;
        ctx.db.put(target, zset);
        ctx.db.notify(Event::ZSET, event, target);
        Ok(stored)
    }
}

fn by_point(ctx: &mut Ctx<'_>, args: Args<'_>, kind: Kind) -> Outcome {
    ctx.db.expect::<ZSet>(args[1])?;
    let mut search = Search {
        centre: Some(Centre::Point(point(args[2], args[3])?)),
        ..Search::default()
    };
    search.circle(args[4], args[5])?;
    search.options(Walk::new(args, 6), kind)?;
    search.check(kind)?;
    search.run(ctx, args[1], "georadiusstore")
}

fn by_member(ctx: &mut Ctx<'_>, args: Args<'_>, kind: Kind) -> Outcome {
    let zset = ctx.db.read::<ZSet>(args[1])?;
    if zset.is_some_and(|zset| !zset.contains(args[2])) {
        return Err(NO_MEMBER);
    }
    let exists = zset.is_some();
    let mut search = Search {
        centre: Some(Centre::Member(args[2])),
        ..Search::default()
    };
    // Redis does not look at the radius if there is nothing to search.
    if exists {
        search.circle(args[3], args[4])?;
    } else {
        search.shape = Some(Shape::Circle { radius: 0.0 });
    }
    search.options(Walk::new(args, 5), kind)?;
    search.check(kind)?;
    search.run(ctx, args[1], "georadiusstore")
}

pub(super) fn georadius(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    by_point(ctx, args, Kind::Radius)
}

pub(super) fn georadius_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    by_point(ctx, args, Kind::RadiusReadOnly)
}

pub(super) fn georadiusbymember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    by_member(ctx, args, Kind::Radius)
}

pub(super) fn georadiusbymember_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    by_member(ctx, args, Kind::RadiusReadOnly)
}

pub(super) fn geosearch(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    ctx.db.expect::<ZSet>(args[1])?;
    let mut search = Search::default();
    search.options(Walk::new(args, 2), Kind::Search)?;
    search.check(Kind::Search)?;
    search.run(ctx, args[1], "geosearchstore")
}

pub(super) fn geosearchstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    ctx.db.expect::<ZSet>(args[2])?;
    let mut search = Search {
        store: Some(args[1]),
        ..Search::default()
    };
    search.options(Walk::new(args, 3), Kind::SearchStore)?;
    search.check(Kind::SearchStore)?;
    search.run(ctx, args[2], "geosearchstore")
}

/// The source and, after STORE or STOREDIST, the destination.
pub(super) fn radius_keys(args: Args<'_>, visit: &mut dyn FnMut(usize)) {
    visit(1);
    let fixed = if args
        .first()
        .is_some_and(|name| name.len() > "GEORADIUS".len())
    {
        5
    } else {
        6
    };
    for (at, arg) in args.iter().enumerate().skip(fixed) {
        if at + 1 < args.len() && (parse::is(arg, "STORE") || parse::is(arg, "STOREDIST")) {
            visit(at + 1);
        }
    }
}
