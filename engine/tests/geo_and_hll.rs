//! Positions and HyperLogLog through commands; the figures are those Redis answers.

mod shell;

use shell::Shell;

#[test]
fn positions_are_stored_and_measured() {
    Shell::new().script(
        "
        GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => :2
        GEOADD s NX XX 13 38 Palermo => -ERR syntax error
        GEOADD s NX CH 13 38 Palermo => :0
        GEOADD s XX CH 13.5 38 Palermo 1 1 New => :1
        GEOADD s CH 13.361389 38.115556 Palermo => :1
        GEOADD none XX 1 1 a => :0
        EXISTS none => :0
        GEOADD s 200 38 P => -ERR invalid longitude,latitude pair 200.000000,38.000000
        GEOADD s x 38 P => -ERR value is not a valid float
        GEOADD s 1 38 => -ERR wrong number of arguments for 'geoadd' command
        GEODIST s Palermo Catania => 166274.1516
        GEODIST s Palermo Catania KM => 166.2742
        GEODIST s Palermo Catania mi => 103.3182
        GEODIST s Palermo Catania ft => 545518.8700
        GEODIST s Palermo Catania foo => -ERR unsupported unit provided. please use M, KM, FT, MI
        GEODIST s Palermo None => nil
        GEOHASH s Palermo Catania None => [sqc8b49rny0, sqdtr74hyu0, nil]
        GEOPOS s Palermo None => [[13.361389338970184, 38.1155563954963], nil[]]
        GEOPOS none a => [nil[]]
        SET k v
        GEOADD k 1 1 a => -WRONGTYPE Operation against a key holding the wrong kind of value
        GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 1 m => -WRONGTYPE Operation against a key holding the wrong kind of value
    ",
    );
}

#[test]
fn searches_find_sort_and_store() {
    Shell::new().script(
        "
        GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 0 0 Null
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC => [Catania, Palermo]
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km DESC WITHDIST => [[Palermo, 190.4424], [Catania, 56.4413]]
        GEOSEARCH s FROMMEMBER Palermo BYBOX 400 400 km COUNT 1 WITHHASH WITHCOORD => [[Palermo, :3479099956230698, [13.361389338970184, 38.1155563954963]]]
        GEOSEARCH s FROMMEMBER Nobody BYBOX 400 400 km => -ERR could not decode requested zset member
        GEOSEARCH none FROMMEMBER Nobody BYBOX 400 400 km => []
        GEOSEARCH s BYRADIUS 1 m ASC ASC ASC => -ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH
        GEOSEARCH s FROMMEMBER Palermo ASC ASC ASC => -ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH
        GEOSEARCH s FROMMEMBER Palermo BYRADIUS 1 km ANY => -ERR the ANY argument requires COUNT argument
        GEOSEARCH s FROMMEMBER Palermo BYRADIUS -1 km => -ERR radius cannot be negative
        GEOSEARCH s FROMMEMBER Palermo BYRADIUS 1 km COUNT 0 => -ERR COUNT must be > 0
        GEORADIUS s 15 37 200 km WITHDIST COUNT 1 => [[Catania, 56.4413]]
        GEORADIUS_RO s 15 37 200 km STORE x => -ERR syntax error
        GEORADIUSBYMEMBER s Palermo 200 km => [Palermo, Catania]
        GEORADIUSBYMEMBER_RO s Nobody 200 km => -ERR could not decode requested zset member
        GEORADIUS s 15 37 200 km STORE out => :2
        GEOPOS out Palermo => [[13.361389338970184, 38.1155563954963]]
        GEORADIUS s 15 37 200 km STOREDIST out => :2
        ZSCORE out Catania => 56.4412578701582
        GEOSEARCHSTORE out s FROMLONLAT 15 37 BYBOX 400 400 km COUNT 1 => :1
        GEOSEARCHSTORE out s FROMLONLAT 15 37 BYBOX 400 400 km WITHDIST => -ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        GEOSEARCHSTORE out s FROMLONLAT 100 37 BYBOX 1 1 km => :0
        EXISTS out => :0
    ",
    );
}

#[test]
fn distinct_elements_are_counted() {
    Shell::new().script(
        "
        PFADD h a b c => :1
        PFADD h a b c => :0
        PFADD h => :0
        PFADD e => :1
        PFCOUNT e => :0
        PFADD e c d e f => :1
        PFCOUNT h => :3
        PFCOUNT h e none => :6
        PFCOUNT none => :0
        PFMERGE m h e => +OK
        PFCOUNT m => :6
        PFMERGE h => +OK
        PFCOUNT h => :3
        SET k v
        PFADD k a => -WRONGTYPE Key is not a valid HyperLogLog string value.
        PFMERGE h k => -WRONGTYPE Key is not a valid HyperLogLog string value.
        GEOADD z 1 1 a
        PFCOUNT z => -WRONGTYPE Operation against a key holding the wrong kind of value
        EXPIRE h 100
        PFADD h z
        PFMERGE h m
        TTL h => :100
    ",
    );
}
