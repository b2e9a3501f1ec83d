//! Geo commands. Source: <https://upstash.com/docs/redis/commands/geo>.

use super::geo_options::{GeoAddOptions, GeoMatch, GeoOptions, GeoSearch, GeoUnit, LonLat};
use crate::{Args, Command, FromReply, Surface, ToArg};

fn places<M: ToArg>(items: impl IntoIterator<Item = (LonLat, M)>) -> impl FnOnce(&mut Args) {
    move |a| {
        for (position, member) in items {
            position.write(a);
            member.write(a);
        }
    }
}

fn around<T>(command: Command<T>, center: LonLat, radius: (f64, GeoUnit)) -> Command<T> {
    let command = command.opt(|a| center.write(a));
    command.arg(radius.0).arg(radius.1)
}

fn near<T>(command: Command<T>, member: impl ToArg, radius: (f64, GeoUnit)) -> Command<T> {
    command.arg(member).arg(radius.0).arg(radius.1)
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
    /// `GEORADIUS`: members within a radius; prefer [`geosearch`](Self::geosearch).
    fn georadius<M: FromReply>(
        self,
        key: impl ToArg,
        center: LonLat,
        radius: (f64, GeoUnit),
        options: GeoOptions,
    ) -> Self::Out<Vec<GeoMatch<M>>> {
        let command = around(command!("GEORADIUS").arg(key), center, radius);
        self.submit(command.opt(|a| options.write(a)))
    }
    /// `GEORADIUS_RO`: [`georadius`](Self::georadius) that can only read, for read-only tokens.
    fn georadius_ro<M: FromReply>(
        self,
        key: impl ToArg,
        center: LonLat,
        radius: (f64, GeoUnit),
        options: GeoOptions,
    ) -> Self::Out<Vec<GeoMatch<M>>> {
        let command = around(command!("GEORADIUS_RO").arg(key), center, radius);
        self.submit(command.opt(|a| options.write(a)))
    }
    /// `GEORADIUS … STORE`: stores the members within a radius; prefer [`geosearchstore`](Self::geosearchstore).
    fn georadius_store(
        self,
        key: impl ToArg,
        center: LonLat,
        radius: (f64, GeoUnit),
        options: GeoOptions,
        destination: impl ToArg,
    ) -> Self::Out<i64> {
        let command = around(command!("GEORADIUS").arg(key), center, radius);
        let command = command.opt(|a| options.write_order(a));
        self.submit(command.arg("STORE").arg(destination))
    }
    /// `GEORADIUS … STOREDIST`: stores distances as scores.
    fn georadius_store_dist(
        self,
        key: impl ToArg,
        center: LonLat,
        radius: (f64, GeoUnit),
        options: GeoOptions,
        destination: impl ToArg,
    ) -> Self::Out<i64> {
        let command = around(command!("GEORADIUS").arg(key), center, radius);
        let command = command.opt(|a| options.write_order(a));
        self.submit(command.arg("STOREDIST").arg(destination))
    }
    /// `GEORADIUSBYMEMBER`: members near a member; prefer [`geosearch`](Self::geosearch).
    fn georadiusbymember<M: FromReply>(
        self,
        key: impl ToArg,
        member: impl ToArg,
        radius: (f64, GeoUnit),
        options: GeoOptions,
    ) -> Self::Out<Vec<GeoMatch<M>>> {
        let command = near(command!("GEORADIUSBYMEMBER").arg(key), member, radius);
        self.submit(command.opt(|a| options.write(a)))
    }
    /// `GEORADIUSBYMEMBER_RO`: [`georadiusbymember`](Self::georadiusbymember) that can only read.
    fn georadiusbymember_ro<M: FromReply>(
        self,
        key: impl ToArg,
        member: impl ToArg,
        radius: (f64, GeoUnit),
        options: GeoOptions,
    ) -> Self::Out<Vec<GeoMatch<M>>> {
        let command = near(command!("GEORADIUSBYMEMBER_RO").arg(key), member, radius);
        self.submit(command.opt(|a| options.write(a)))
    }
    /// `GEORADIUSBYMEMBER … STORE`; prefer [`geosearchstore`](Self::geosearchstore).
    fn georadiusbymember_store(
        self,
        key: impl ToArg,
        member: impl ToArg,
        radius: (f64, GeoUnit),
        options: GeoOptions,
        destination: impl ToArg,
    ) -> Self::Out<i64> {
        let command = near(command!("GEORADIUSBYMEMBER").arg(key), member, radius);
        let command = command.opt(|a| options.write_order(a));
        self.submit(command.arg("STORE").arg(destination))
    }
    /// `GEORADIUSBYMEMBER … STOREDIST`: stores distances as scores.
    fn georadiusbymember_store_dist(
        self,
        key: impl ToArg,
        member: impl ToArg,
        radius: (f64, GeoUnit),
        options: GeoOptions,
        destination: impl ToArg,
    ) -> Self::Out<i64> {
        let command = near(command!("GEORADIUSBYMEMBER").arg(key), member, radius);
        let command = command.opt(|a| options.write_order(a));
        self.submit(command.arg("STOREDIST").arg(destination))
    }
    /// `GEOSEARCH`: members in an area.
    fn geosearch<M: FromReply>(
        self,
        key: impl ToArg,
        search: &GeoSearch<'_>,
    ) -> Self::Out<Vec<GeoMatch<M>>> {
        self.submit(command!("GEOSEARCH").arg(key).opt(|a| search.write(a)))
    }
    /// `GEOSEARCHSTORE`: stores the members in an area; how many.
    fn geosearchstore(
        self,
        destination: impl ToArg,
        source: impl ToArg,
        search: &GeoSearch<'_>,
    ) -> Self::Out<i64> {
        let command = command!("GEOSEARCHSTORE").arg(destination).arg(source);
        self.submit(command.opt(|a| search.write_stored(a)))
    }
    /// `GEOSEARCHSTORE … STOREDIST`: stores distances as scores.
    fn geosearchstore_dist(
        self,
        destination: impl ToArg,
        source: impl ToArg,
        search: &GeoSearch<'_>,
    ) -> Self::Out<i64> {
        let command = command!("GEOSEARCHSTORE").arg(destination).arg(source);
        self.submit(command.opt(|a| search.write_stored(a)).arg("STOREDIST"))
    }
}

impl<S: Surface> GeoCommands for S {}
