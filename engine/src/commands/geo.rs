//! Positions in sorted sets: adding them and asking about single members.

use super::geo_search as search;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::geohash::Point;
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::zset::ZSet;

/// Longitude and latitude arguments.
pub(super) fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point, Error> {
    let (longitude, latitude) = (parse::float(longitude)?, parse::float(latitude)?);
    Point::new(longitude, latitude).ok_or_else(|| {
        Error::new(format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        ))
    })
}

/// Metres in a unit.
pub(super) fn unit(text: &[u8]) -> Result<f64, Error> {
    [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)]
        .into_iter()
        .find_map(|(name, metres)| parse::is(text, name).then_some(metres))
        .ok_or(Error::fixed(
            "ERR unsupported unit provided. please use M, KM, FT, MI",
        ))
}

/// A distance with four decimals.
pub(super) fn distance_reply(distance: f64) -> Reply {
    let scaled = (distance * 10_000.0).round_ties_even();
    // Redis formats what fits an integer this way, so the last digit agrees.
    if scaled.abs() < 9e18 {
        let scaled = scaled as i64;
        return Reply::bulk(format!(
            "{}.{:04}",
            scaled / 10_000,
            (scaled % 10_000).abs()
        ));
    }
    Reply::bulk(format!("{distance:.4}"))
}

/// `[longitude, latitude]`
pub(super) fn point_reply(point: Point) -> Reply {
    Reply::Array(vec![
        Reply::double(point.longitude),
        Reply::double(point.latitude),
    ])
}

fn geoadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let (mut missing_only, mut present_only, mut changed) = (false, false, false);
    let mut walk = Walk::new(args, 2);
    loop {
        if walk.word("NX") {
            missing_only = true;
        } else if walk.word("XX") {
            present_only = true;
        } else if walk.word("CH") {
            changed = true;
        } else {
            break;
        }
    }
    let rest = walk.rest();
    if rest.is_empty() || !rest.len().is_multiple_of(3) || missing_only && present_only {
        return Err(SYNTAX);
    }
    // All positions are checked before any is stored.
    let mut members = Vec::with_capacity(rest.len() / 3);
    for triple in rest.chunks_exact(3) {
        members.push((triple[2], point(triple[0], triple[1])?.score()));
    }
    let (mut added, mut updated) = (0, 0);
    if present_only && ctx.db.read::<ZSet>(key)?.is_none() {
        return Ok(Reply::Int(0));
    }
    let zset = ctx.db.create::<ZSet>(key)?;
    for (member, score) in members {
        match zset.score(member) {
            Some(old) if !missing_only && old != score => {
                zset.insert(member, score);
                updated += 1;
            }
            None if !present_only => {
                zset.insert(member, score);
                added += 1;
            }
            _ => {}
        }
    }
    if added + updated > 0 {
        ctx.db.notify(Event::ZSET, "zadd", key);
    }
    Ok(Reply::Int(if changed { added + updated } else { added }))
}

fn geodist(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let metres = match args.get(4..) {
        Some([name]) => unit(name)?,
        Some([]) | None => 1.0,
        Some(_) => return Err(SYNTAX),
    };
    let Some(zset) = ctx.db.read::<ZSet>(args[1])? else {
        return Ok(Reply::Nil);
    };
    let (Some(a), Some(b)) = (zset.score(args[2]), zset.score(args[3])) else {
        return Ok(Reply::Nil);
    };
    Ok(distance_reply(
        Point::from_score(a).distance(Point::from_score(b)) / metres,
    ))
}

/// One reply for each member named; `missing` for those that are not there.
fn each_member(
    ctx: &Ctx<'_>,
    args: Args<'_>,
    missing: &Reply,
    found: fn(Point) -> Reply,
) -> Outcome {
    let zset = ctx.db.read::<ZSet>(args[1])?;
    Ok(Reply::array(args[2..].iter().map(|member| {
        let score = zset.and_then(|zset| zset.score(member));
        score.map_or_else(|| missing.clone(), |score| found(Point::from_score(score)))
    })))
}

fn geohash(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    each_member(ctx, args, &Reply::Nil, |point| Reply::bulk(point.geohash()))
}

fn geopos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    each_member(ctx, args, &Reply::NilArray, point_reply)
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("GEOADD", -5, Keys::ONE, Category::Geo, geoadd).denyoom(),
    Spec::read("GEODIST", -4, Keys::ONE, Category::Geo, geodist),
    Spec::read("GEOHASH", -2, Keys::ONE, Category::Geo, geohash),
    Spec::read("GEOPOS", -2, Keys::ONE, Category::Geo, geopos),
    Spec::write(
        "GEORADIUS",
        -6,
        Keys::Found(search::radius_keys),
        Category::Geo,
        search::georadius,
    )
    .denyoom(),
    Spec::write(
        "GEORADIUSBYMEMBER",
        -5,
        Keys::Found(search::radius_keys),
        Category::Geo,
        search::georadiusbymember,
    )
    .denyoom(),
    Spec::read(
        "GEORADIUS_RO",
        -6,
        Keys::ONE,
        Category::Geo,
        search::georadius_ro,
    ),
    Spec::read(
        "GEORADIUSBYMEMBER_RO",
        -5,
        Keys::ONE,
        Category::Geo,
        search::georadiusbymember_ro,
    ),
    Spec::read("GEOSEARCH", -7, Keys::ONE, Category::Geo, search::geosearch),
    Spec::write(
        "GEOSEARCHSTORE",
        -8,
        Keys::TWO,
        Category::Geo,
        search::geosearchstore,
    )
    .denyoom(),
];
