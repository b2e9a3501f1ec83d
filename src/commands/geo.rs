//! Geo commands. Source: <https://upstash.com/docs/redis/commands/geo>.

use super::options::{flag, word_and};
use crate::{Args, Error, FromReply, Reply, Result, Surface, ToArg};

/// Unit of a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeoUnit {
    /// Metres.
    Meters,
    /// Kilometres.
    Kilometers,
    /// Feet.
    Feet,
    /// Miles.
    Miles,
}

impl ToArg for GeoUnit {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Meters => "m",
            Self::Kilometers => "km",
            Self::Feet => "ft",
            Self::Miles => "mi",
        }
        .write(a);
    }
}

/// A position: longitude, then latitude, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LonLat(pub f64, pub f64);

impl FromReply for LonLat {
    fn from_reply(reply: Reply) -> Result<Self> {
        <(f64, f64)>::from_reply(reply).map(|(lon, lat)| Self(lon, lat))
    }
}

/// The centre of a search.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum GeoCenter<'a> {
    /// A member's position.
    Member(&'a str),
    /// Any position.
    LonLat(LonLat),
}

/// The area of a search.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum GeoShape {
    /// Within a radius.
    Radius(f64, GeoUnit),
    /// Within a box of this width and height.
    Box(f64, f64, GeoUnit),
}

/// A search by centre and area.
#[derive(Debug, Clone)]
#[must_use]
pub struct GeoSearch<'a> {
    center: GeoCenter<'a>,
    shape: GeoShape,
    order: Option<&'static str>,
    count: Option<(u64, bool)>,
    coord: bool,
    dist: bool,
    hash: bool,
}

impl<'a> GeoSearch<'a> {
    /// A search that gives members only, in any order.
    pub fn new(center: GeoCenter<'a>, shape: GeoShape) -> Self {
        Self {
            center,
            shape,
            order: None,
            count: None,
            coord: false,
            dist: false,
            hash: false,
        }
    }
    /// Nearest first.
    pub fn nearest_first(mut self) -> Self {
        self.order = Some("ASC");
        self
    }
    /// Farthest first.
    pub fn farthest_first(mut self) -> Self {
        self.order = Some("DESC");
        self
    }
    /// At most this many.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some((count, false));
        self
    }
    /// At most this many, whichever are found first: `COUNT n ANY`.
    pub fn count_any(mut self, count: u64) -> Self {
        self.count = Some((count, true));
        self
    }
    /// With positions.
    pub fn with_coord(mut self) -> Self {
        self.coord = true;
        self
    }
    /// With distances from the centre, in the area's unit.
    pub fn with_dist(mut self) -> Self {
        self.dist = true;
        self
    }
    /// With the 52-bit geohash.
    pub fn with_hash(mut self) -> Self {
        self.hash = true;
        self
    }
    fn write_area(&self, a: &mut Args) {
        match self.center {
            GeoCenter::Member(member) => word_and("FROMMEMBER", member, a),
            GeoCenter::LonLat(LonLat(lon, lat)) => {
                word_and("FROMLONLAT", lon, a);
                lat.write(a);
            }
        }
        match self.shape {
            GeoShape::Radius(radius, unit) => {
                word_and("BYRADIUS", radius, a);
                unit.write(a);
            }
            GeoShape::Box(width, height, unit) => {
                word_and("BYBOX", width, a);
                height.write(a);
                unit.write(a);
            }
        }
        self.write_order(a);
    }
    fn write_order(&self, a: &mut Args) {
        if let Some(order) = self.order {
            order.write(a);
        }
        if let Some((count, any)) = self.count {
            word_and("COUNT", count, a);
            flag(any, "ANY", a);
        }
    }
    fn write_with(&self, a: &mut Args) {
        flag(self.coord, "WITHCOORD", a);
        flag(self.dist, "WITHDIST", a);
        flag(self.hash, "WITHHASH", a);
    }
}

/// One match of a search; what was not asked for is `None`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GeoMatch<M> {
    /// The member.
    pub member: M,
    /// Distance from the centre.
    pub distance: Option<f64>,
    /// The 52-bit geohash.
    pub hash: Option<i64>,
    /// The position.
    pub position: Option<LonLat>,
}

impl<M: FromReply> FromReply for GeoMatch<M> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let Reply::Array(parts) = reply else {
            return Ok(Self {
                member: M::from_reply(reply)?,
                distance: None,
                hash: None,
                position: None,
            });
        };
        let mut parts = parts.into_iter();
        let member = parts
            .next()
            .ok_or_else(|| Error::decode("expected a match, got an empty array"))?;
        let mut found = Self {
            member: M::from_reply(member).map_err(|e| e.at(0))?,
            distance: None,
            hash: None,
            position: None,
        };
        // The parts tell what they are: an integer is the hash, an array the position, text the distance.
        for (i, part) in (1..).zip(parts) {
            let at = |e: Error| e.at(i);
            match part {
                Reply::Int(hash) => found.hash = Some(hash),
                Reply::Array(_) => found.position = Some(LonLat::from_reply(part).map_err(at)?),
                _ => found.distance = Some(f64::from_reply(part).map_err(at)?),
            }
        }
        Ok(found)
    }
}

/// Options of [`GeoCommands::geoadd_with`].
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct GeoAddOptions {
    condition: Option<&'static str>,
    changed: bool,
}

impl GeoAddOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Only adds: `NX`.
    pub fn nx(mut self) -> Self {
        self.condition = Some("NX");
        self
    }
    /// Only updates: `XX`.
    pub fn xx(mut self) -> Self {
        self.condition = Some("XX");
        self
    }
    /// Counts moved members too: `CH`.
    pub fn ch(mut self) -> Self {
        self.changed = true;
        self
    }
    fn write(self, a: &mut Args) {
        if let Some(condition) = self.condition {
            condition.write(a);
        }
        flag(self.changed, "CH", a);
    }
}

fn places<M: ToArg>(items: impl IntoIterator<Item = (LonLat, M)>) -> impl FnOnce(&mut Args) {
    move |a| {
        for (LonLat(lon, lat), member) in items {
            lon.write(a);
            lat.write(a);
            member.write(a);
        }
    }
}

/// Geo commands.
pub trait GeoCommands: Surface {
    /// `GEOADD`: adds or moves members; how many are new.
    fn geoadd(
        self,
        key: impl ToArg,
        items: impl IntoIterator<Item = (LonLat, impl ToArg)>,
    ) -> Self::Out<i64> {
        self.submit(command!("GEOADD").arg(key).opt(places(items)))
    }
    /// `GEOADD` with options.
    fn geoadd_with(
        self,
        key: impl ToArg,
        options: GeoAddOptions,
        items: impl IntoIterator<Item = (LonLat, impl ToArg)>,
    ) -> Self::Out<i64> {
        self.submit(
            command!("GEOADD")
                .arg(key)
                .opt(|a| options.write(a))
                .opt(places(items)),
        )
    }
    /// `GEODIST`: distance of two members; `None` when one is absent.
    fn geodist(
        self,
        key: impl ToArg,
        first: impl ToArg,
        second: impl ToArg,
        unit: GeoUnit,
    ) -> Self::Out<Option<f64>> {
        self.submit(
            command!("GEODIST")
                .arg(key)
                .arg(first)
                .arg(second)
                .arg(unit),
        )
    }
    /// `GEOHASH`: the 11-letter geohash of each member.
    fn geohash(
        self,
        key: impl ToArg,
        members: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<Option<String>>> {
        self.submit(command!("GEOHASH").arg(key).args(members))
    }
    /// `GEOPOS`: the position of each member; `None` where absent.
    fn geopos(
        self,
        key: impl ToArg,
        members: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<Option<LonLat>>> {
        self.submit(command!("GEOPOS").arg(key).args(members))
    }
    /// `GEOSEARCH`: members in an area.
    fn geosearch<M: FromReply>(
        self,
        key: impl ToArg,
        search: &GeoSearch<'_>,
    ) -> Self::Out<Vec<GeoMatch<M>>> {
        self.submit(command!("GEOSEARCH").arg(key).opt(|a| {
            search.write_area(a);
            search.write_with(a);
        }))
    }
    /// `GEOSEARCHSTORE`: stores the members in an area; how many.
    fn geosearchstore(
        self,
        destination: impl ToArg,
        source: impl ToArg,
        search: &GeoSearch<'_>,
    ) -> Self::Out<i64> {
        self.submit(
            command!("GEOSEARCHSTORE")
                .arg(destination)
                .arg(source)
                .opt(|a| search.write_area(a)),
        )
    }
    /// `GEOSEARCHSTORE … STOREDIST`: stores distances as scores.
    fn geosearchstore_dist(
        self,
        destination: impl ToArg,
        source: impl ToArg,
        search: &GeoSearch<'_>,
    ) -> Self::Out<i64> {
        let command = command!("GEOSEARCHSTORE").arg(destination).arg(source);
        self.submit(command.opt(|a| search.write_area(a)).arg("STOREDIST"))
    }
    /// `GEORADIUS … STORE`: stores the members within a radius; prefer [`geosearchstore`](Self::geosearchstore).
    fn georadius_store(
        self,
        key: impl ToArg,
        center: LonLat,
        radius: (f64, GeoUnit),
        destination: impl ToArg,
    ) -> Self::Out<i64> {
        let command = command!("GEORADIUS")
            .arg(key)
            .arg(center.0)
            .arg(center.1)
            .arg(radius.0)
            .arg(radius.1);
        self.submit(command.arg("STORE").arg(destination))
    }
    /// `GEORADIUSBYMEMBER … STORE`; prefer [`geosearchstore`](Self::geosearchstore).
    fn georadiusbymember_store(
        self,
        key: impl ToArg,
        member: impl ToArg,
        radius: (f64, GeoUnit),
        destination: impl ToArg,
    ) -> Self::Out<i64> {
        let command = command!("GEORADIUSBYMEMBER")
            .arg(key)
            .arg(member)
            .arg(radius.0)
            .arg(radius.1);
        self.submit(command.arg("STORE").arg(destination))
    }
    /// `GEORADIUS_RO`: members within a radius, with distance and position; prefer [`geosearch`](Self::geosearch).
    fn georadius_ro<M: FromReply>(
        self,
        key: impl ToArg,
        center: LonLat,
        radius: (f64, GeoUnit),
    ) -> Self::Out<Vec<GeoMatch<M>>> {
        let command = command!("GEORADIUS_RO")
            .arg(key)
            .arg(center.0)
            .arg(center.1)
            .arg(radius.0)
            .arg(radius.1);
        self.submit(command.arg("WITHCOORD").arg("WITHDIST"))
    }
    /// `GEORADIUSBYMEMBER_RO`: members near a member; prefer [`geosearch`](Self::geosearch).
    fn georadiusbymember_ro<M: FromReply>(
        self,
        key: impl ToArg,
        member: impl ToArg,
        radius: (f64, GeoUnit),
    ) -> Self::Out<Vec<GeoMatch<M>>> {
        let command = command!("GEORADIUSBYMEMBER_RO")
            .arg(key)
            .arg(member)
            .arg(radius.0)
            .arg(radius.1);
        self.submit(command.arg("WITHCOORD").arg("WITHDIST"))
    }
}

impl<S: Surface> GeoCommands for S {}
