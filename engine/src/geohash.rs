//! Positions as sorted-set scores: 52-bit geohashes, distances and search areas, as Redis computes them.

/// Radius Redis uses for distances, in metres.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// Half the circumference at the equator in the projection the step estimate assumes.
const MERCATOR_MAX: f64 = 20_037_726.37;
/// Bits per axis of a stored position.
const STEPS: u32 = 26;

/// The directions of a cell and its neighbours, in the order Redis visits them.
const ORDER: [(i8, i8); 9] = [
    (0, 0),
    (0, 1),
    (0, -1),
    (1, 0),
    (-1, 0),
    (1, 1),
    (-1, 1),
    (1, -1),
    (-1, -1),
];

const LONGITUDE: Range = Range {
    min: -180.0,
    max: 180.0,
};
/// Web Mercator's limits: nearer to the poles nothing can be stored.
const LATITUDE: Range = Range {
    min: -85.051_128_78,
    max: 85.051_128_78,
};

/// A position in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) longitude: f64,
    pub(crate) latitude: f64,
}

/// The shape of a search, in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

#[derive(Debug, Clone, Copy)]
struct Range {
    min: f64,
    max: f64,
}

/// A cell of the grid with `2^step` columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    bits: u64,
    step: u32,
}

#[derive(Debug, Clone, Copy)]
struct Area {
    longitude: Range,
    latitude: Range,
}

impl Point {
    /// `None` outside what can be stored.
    pub(crate) fn new(longitude: f64, latitude: f64) -> Option<Self> {
        (LONGITUDE.contains(longitude) && LATITUDE.contains(latitude)).then_some(Self {
            longitude,
            latitude,
        })
    }

    /// The score under which a position is stored.
    pub(crate) fn score(self) -> f64 {
        Cell::at(self, LONGITUDE, LATITUDE, STEPS).bits as f64
    }

    /// The centre of the cell a score stands for.
    pub(crate) fn from_score(score: f64) -> Self {
        let area = Cell {
            bits: score as u64,
            step: STEPS,
        }
        .area(LONGITUDE, LATITUDE);
        Self {
            longitude: area.longitude.middle(LONGITUDE),
            latitude: area.latitude.middle(LATITUDE),
        }
    }

    /// The 11 characters of the standard geohash.
    pub(crate) fn geohash(self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        // The standard covers all latitudes, unlike the scores.
        let bits = Cell::at(
            self,
            LONGITUDE,
            Range {
                min: -90.0,
                max: 90.0,
            },
            STEPS,
        )
        .bits;
        let letter = |i: u32| {
            // 52 bits fill ten letters; the last one is always zero.
            let index = if i == 10 {
                0
            } else {
                (bits >> (52 - (i + 1) * 5)) & 0x1f
            };
            char::from(ALPHABET[index as usize])
        };
        (0..11).map(letter).collect()
    }

    /// Great-circle distance in metres.
    pub(crate) fn distance(self, other: Self) -> f64 {
        let v = ((other.longitude.to_radians() - self.longitude.to_radians()) / 2.0).sin();
        if v == 0.0 {
            return self.latitude_distance(other);
        }
        let (lat1, lat2) = (self.latitude.to_radians(), other.latitude.to_radians());
        let u = ((lat2 - lat1) / 2.0).sin();
        let a = u * u + lat1.cos() * lat2.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }

    fn latitude_distance(self, other: Self) -> f64 {
        EARTH_RADIUS * (other.latitude.to_radians() - self.latitude.to_radians()).abs()
    }
}

impl Shape {
    /// Distance of a point from the centre, if it lies within the shape.
    pub(crate) fn distance_within(self, centre: Point, point: Point) -> Option<f64> {
        match self {
            Self::Circle { radius } => {
                Some(centre.distance(point)).filter(|&distance| distance <= radius)
            }
            Self::Box { width, height } => {
                if point.latitude_distance(centre) > height / 2.0 {
                    return None;
                }
                let beside = Point {
                    longitude: centre.longitude,
                    latitude: point.latitude,
                };
                if point.distance(beside) > width / 2.0 {
                    return None;
                }
                Some(centre.distance(point))
            }
        }
    }

    /// Half-open ranges of scores that cover the shape, in the order Redis visits them.
    pub(crate) fn score_ranges(self, centre: Point) -> Vec<(f64, f64)> {
        let bounds = self.bounds(centre);
        let mut step = steps_for(self.reach(), centre.latitude);
        let mut cell = Cell::at(centre, LONGITUDE, LATITUDE, step);
        if step > 1 && !cell.neighbours_cover(bounds) {
            step -= 1;
            cell = Cell::at(centre, LONGITUDE, LATITUDE, step);
        }
        let area = cell.area(LONGITUDE, LATITUDE);
        // Directions that the bounding box does not reach.
        let skip = |dx: i8, dy: i8| {
            step >= 2
                && (dy < 0 && area.latitude.min < bounds.latitude.min
                    || dy > 0 && area.latitude.max > bounds.latitude.max
                    || dx < 0 && area.longitude.min < bounds.longitude.min
                    || dx > 0 && area.longitude.max > bounds.longitude.max)
        };
        let mut cells: Vec<Cell> = Vec::with_capacity(9);
        for (dx, dy) in ORDER {
            let neighbour = cell.moved(dx, dy);
            // With huge shapes the grid is so coarse that neighbours coincide.
            if !skip(dx, dy) && !cells.contains(&neighbour) {
                cells.push(neighbour);
            }
        }
        cells.into_iter().map(Cell::scores).collect()
    }

    /// Distance from the centre to the farthest point.
    fn reach(self) -> f64 {
        match self {
            Self::Circle { radius } => radius,
            Self::Box { width, height } => ((width / 2.0).powi(2) + (height / 2.0).powi(2)).sqrt(),
        }
    }

    fn bounds(self, centre: Point) -> Area {
        let (half_width, half_height) = match self {
            Self::Circle { radius } => (radius, radius),
            Self::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let dy = (half_height / EARTH_RADIUS).to_degrees();
        // A degree of longitude is shortest at the edge towards the pole.
        let edge = if centre.latitude < 0.0 {
            centre.latitude - dy
        } else {
            centre.latitude + dy
        };
        let dx = (half_width / EARTH_RADIUS / edge.to_radians().cos()).to_degrees();
        Area {
            longitude: Range {
                min: centre.longitude - dx,
                max: centre.longitude + dx,
            },
            latitude: Range {
                min: centre.latitude - dy,
                max: centre.latitude + dy,
            },
        }
    }
}

impl Range {
    fn contains(self, value: f64) -> bool {
        value >= self.min && value <= self.max
    }

    fn middle(self, limits: Self) -> f64 {
        f64::midpoint(self.min, self.max).clamp(limits.min, limits.max)
    }

    /// Index of the slice of `2^step` equal slices that holds `value`.
    fn index(self, value: f64, step: u32) -> u64 {
        let slices = (1u64 << step) as f64;
        ((value - self.min) / (self.max - self.min) * slices) as u64
    }

    fn slice(self, index: u64, step: u32) -> Self {
        let slices = (1u64 << step) as f64;
        let width = self.max - self.min;
        Self {
            min: self.min + index as f64 / slices * width,
            max: self.min + (index + 1) as f64 / slices * width,
        }
    }
}

impl Cell {
    fn at(point: Point, longitude: Range, latitude: Range, step: u32) -> Self {
        let x = longitude.index(point.longitude, step);
        let y = latitude.index(point.latitude, step);
        Self {
            bits: spread(y) | spread(x) << 1,
            step,
        }
    }

    fn area(self, longitude: Range, latitude: Range) -> Area {
        Area {
            longitude: longitude.slice(gather(self.bits >> 1), self.step),
            latitude: latitude.slice(gather(self.bits), self.step),
        }
    }

    /// The neighbour in that direction; the grid wraps around.
    fn moved(self, dx: i8, dy: i8) -> Self {
        // A position on the upper edge lies in a cell beyond the grid, which only a move along that
        // axis leaves.
        let along = |place: u64, by: i8| match by {
            0 => place,
            by => place.wrapping_add_signed(by.into()) & ((1u64 << self.step) - 1),
        };
        let x = along(gather(self.bits >> 1), dx);
        let y = along(gather(self.bits), dy);
        Self {
            bits: spread(y) | spread(x) << 1,
            ..self
        }
    }

    fn neighbours_cover(self, bounds: Area) -> bool {
        let area = |dx, dy| self.moved(dx, dy).area(LONGITUDE, LATITUDE);
        area(0, 1).latitude.max >= bounds.latitude.max
            && area(0, -1).latitude.min <= bounds.latitude.min
            && area(1, 0).longitude.max >= bounds.longitude.max
            && area(-1, 0).longitude.min <= bounds.longitude.min
    }

    /// All scores within the cell, half open.
    fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS - self.step);
        (
            (self.bits << shift) as f64,
            ((self.bits + 1) << shift) as f64,
        )
    }
}

/// How fine a grid may be so that nine cells cover the distance.
fn steps_for(mut reach: f64, latitude: f64) -> u32 {
    if reach == 0.0 {
        return STEPS;
    }
    let mut step: i32 = 1;
    while reach < MERCATOR_MAX {
        reach *= 2.0;
        step += 1;
    }
    step -= 2;
    // Cells get narrow towards the poles.
    if latitude.abs() > 66.0 {
        step -= 1;
        if latitude.abs() > 80.0 {
            step -= 1;
        }
    }
    step.clamp(1, STEPS as i32) as u32
}

/// Moves the lower 32 bits to the even positions.
fn spread(value: u64) -> u64 {
    let mut x = value & 0xffff_ffff;
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x << 2) & 0x3333_3333_3333_3333;
    (x | x << 1) & 0x5555_5555_5555_5555
}

/// Collects the even bits.
fn gather(value: u64) -> u64 {
    let mut x = value & 0x5555_5555_5555_5555;
    x = (x | x >> 1) & 0x3333_3333_3333_3333;
    x = (x | x >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x >> 4) & 0x00ff_00ff_00ff_00ff;
    x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
    (x | x >> 16) & 0xffff_ffff
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documented_examples_come_out_exactly() {
        // The example of Redis' own documentation.
        let palermo = Point::new(13.361_389, 38.115_556).unwrap();
        let catania = Point::new(15.087_269, 37.502_669).unwrap();
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        assert_eq!(catania.score(), 3_479_447_370_796_909.0);
        assert_eq!(Point::from_score(palermo.score()).geohash(), "sqc8b49rny0");
        assert_eq!(Point::from_score(catania.score()).geohash(), "sqdtr74hyu0");
        let (a, b) = (
            Point::from_score(palermo.score()),
            Point::from_score(catania.score()),
        );
        assert_eq!(format!("{:.4}", a.distance(b)), "166274.1516");
        assert_eq!(format!("{:.17}", a.longitude), "13.36138933897018433");
    }

    #[test]
    fn positions_beyond_the_limits_are_refused() {
        assert!(Point::new(180.0, 85.051_128_78).is_some());
        assert!(Point::new(180.1, 0.0).is_none());
        assert!(Point::new(0.0, 86.0).is_none());
        assert!(Point::new(f64::NAN, 0.0).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn spreading_is_reversible(value in any::<u32>()) {
            prop_assert_eq!(gather(spread(value.into())), u64::from(value));
        }

        #[test]
        fn whatever_lies_within_a_shape_lies_within_its_scores(
            (x, y) in (-179.0..179.0f64, -80.0..80.0f64),
            (dx, dy) in (-2.0..2.0f64, -2.0..2.0f64),
            size in 1.0..300_000.0f64,
            round in any::<bool>(),
        ) {
            let centre = Point::new(x, y).unwrap();
            let Some(point) = Point::new(x + dx, y + dy) else { return Ok(()) };
            let shape = if round { Shape::Circle { radius: size } } else { Shape::Box { width: size, height: size / 2.0 } };
            let stored = Point::from_score(point.score());
            if shape.distance_within(centre, stored).is_some() {
                let score = point.score();
                prop_assert!(shape.score_ranges(centre).iter().any(|&(low, high)| score >= low && score < high));
            }
        }
    }
}
