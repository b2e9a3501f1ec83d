//! Options and matches of the geo commands.

use super::options::{flag, word_and};
use crate::{Args, Error, FromReply, Reply, Result, ToArg};

/// Unit of a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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

impl LonLat {
    pub(super) fn write(self, a: &mut Args) {
        self.0.write(a);
        self.1.write(a);
    }
}

impl FromReply for LonLat {
    fn from_reply(reply: Reply) -> Result<Self> {
        <(f64, f64)>::from_reply(reply).map(|(lon, lat)| Self(lon, lat))
    }
}

/// The centre of a search.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum GeoCenter<'a> {
    /// A member's position; see [`member`](Self::member).
    Member(&'a [u8]),
    /// Any position.
    LonLat(LonLat),
}

impl<'a> GeoCenter<'a> {
    /// A member's position; text or any bytes.
    pub fn member(member: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Member(member.as_ref())
    }
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

/// Order, number and details of the matches of a search.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct GeoOptions {
    order: Option<&'static str>,
    count: Option<(u64, bool)>,
    coord: bool,
    dist: bool,
    hash: bool,
}

impl GeoOptions {
    /// All members, nothing else, in any order.
    pub fn new() -> Self {
        Self::default()
    }
    /// Nearest first: `ASC`.
    pub fn nearest_first(mut self) -> Self {
        self.order = Some("ASC");
        self
    }
    /// Farthest first: `DESC`.
    pub fn farthest_first(mut self) -> Self {
        self.order = Some("DESC");
        self
    }
    /// At most this many: `COUNT n`.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some((count, false));
        self
    }
    /// At most this many, whichever are found first: `COUNT n ANY`.
    pub fn count_any(mut self, count: u64) -> Self {
        self.count = Some((count, true));
        self
    }
    /// With positions: `WITHCOORD`; nothing when the matches are stored.
    pub fn with_coord(mut self) -> Self {
        self.coord = true;
        self
    }
    /// With distances from the centre, in the area's unit: `WITHDIST`; nothing when stored.
    pub fn with_dist(mut self) -> Self {
        self.dist = true;
        self
    }
    /// With the 52-bit geohash: `WITHHASH`; nothing when stored.
    pub fn with_hash(mut self) -> Self {
        self.hash = true;
        self
    }
    pub(super) fn write_order(self, a: &mut Args) {
        if let Some(order) = self.order {
            order.write(a);
        }
        if let Some((count, any)) = self.count {
            word_and("COUNT", count, a);
            flag(any, "ANY", a);
        }
    }
    pub(super) fn write(self, a: &mut Args) {
        self.write_order(a);
        flag(self.coord, "WITHCOORD", a);
        flag(self.dist, "WITHDIST", a);
        flag(self.hash, "WITHHASH", a);
    }
}

/// A search by centre and area.
#[derive(Debug, Clone)]
#[must_use]
pub struct GeoSearch<'a> {
    center: GeoCenter<'a>,
    shape: GeoShape,
    options: GeoOptions,
}

impl<'a> GeoSearch<'a> {
    /// A search that gives members only, in any order.
    pub fn new(center: GeoCenter<'a>, shape: GeoShape) -> Self {
        Self {
            center,
            shape,
            options: GeoOptions::new(),
        }
    }
    /// With other options; they replace all that were set before.
    pub fn options(mut self, options: GeoOptions) -> Self {
        self.options = options;
        self
    }
    fn change(self, change: impl FnOnce(GeoOptions) -> GeoOptions) -> Self {
        let options = change(self.options);
        self.options(options)
    }
    /// Nearest first.
    pub fn nearest_first(self) -> Self {
        self.change(GeoOptions::nearest_first)
    }
    /// Farthest first.
    pub fn farthest_first(self) -> Self {
        self.change(GeoOptions::farthest_first)
    }
    /// At most this many.
    pub fn count(self, count: u64) -> Self {
        self.change(|o| o.count(count))
    }
    /// At most this many, whichever are found first.
    pub fn count_any(self, count: u64) -> Self {
        self.change(|o| o.count_any(count))
    }
    /// With positions.
    pub fn with_coord(self) -> Self {
        self.change(GeoOptions::with_coord)
    }
    /// With distances from the centre, in the area's unit.
    pub fn with_dist(self) -> Self {
        self.change(GeoOptions::with_dist)
    }
    /// With the 52-bit geohash.
    pub fn with_hash(self) -> Self {
        self.change(GeoOptions::with_hash)
    }
    fn write_area(&self, a: &mut Args) {
        match self.center {
            GeoCenter::Member(member) => word_and("FROMMEMBER", member, a),
            GeoCenter::LonLat(position) => {
                "FROMLONLAT".write(a);
                position.write(a);
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
    }
    pub(super) fn write(&self, a: &mut Args) {
        self.write_area(a);
        self.options.write(a);
    }
    /// Without what cannot be stored.
    pub(super) fn write_stored(&self, a: &mut Args) {
        self.write_area(a);
        self.options.write_order(a);
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

/// Options of [`GeoCommands::geoadd_with`](super::GeoCommands::geoadd_with).
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
    pub(super) fn write(self, a: &mut Args) {
        if let Some(condition) = self.condition {
            condition.write(a);
        }
        flag(self.changed, "CH", a);
    }
}
