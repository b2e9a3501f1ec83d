//! Typed replies of commands that have several forms.

use std::collections::HashMap;

use bytes::Bytes;
use restis::{HashRecord, prelude::*};

pub(crate) async fn every_form_of_a_geo_search_agrees(redis: &Redis) {
    let palermo = LonLat(13.361_389, 38.115_556);
    let catania = LonLat(15.087_269, 37.502_669);
    let items = [(palermo, "palermo"), (catania, "catania")];
    redis.geoadd("geo", items).await.unwrap();
    let (center, radius) = (LonLat(15.0, 37.0), (200.0, GeoUnit::Kilometers));
    let options = GeoOptions::new()
        .nearest_first()
        .count(1)
        .with_coord()
        .with_dist()
        .with_hash();
    let area = GeoShape::Radius(radius.0, radius.1);
    let search = GeoSearch::new(GeoCenter::LonLat(center), area).options(options);
    let found = redis.geosearch::<String>("geo", &search).await.unwrap();
    assert_eq!((found.len(), &*found[0].member), (1, "catania"));
    assert!(found[0].distance.is_some_and(|d| (56.0..57.0).contains(&d)));
    assert!(found[0].hash.is_some() && found[0].position.is_some());
    let by_radius = redis.georadius("geo", center, radius, options);
    assert_eq!(by_radius.await.unwrap(), found);
    let read_only = redis.georadius_ro("geo", center, radius, options);
    assert_eq!(read_only.await.unwrap(), found);

    let far = GeoOptions::new().farthest_first();
    for near in [
        redis.georadiusbymember::<String>("geo", "catania", radius, far),
        redis.georadiusbymember_ro("geo", "catania", radius, far),
    ] {
        let near = near.await.unwrap();
        let names: Vec<&str> = near.iter().map(|m| &*m.member).collect();
        assert_eq!(names, ["palermo", "catania"]);
        assert!(near.iter().all(|m| m.distance.is_none()));
    }
    let one = options.farthest_first();
    let stored = redis.georadius_store_dist("geo", center, radius, one, "far");
    assert_eq!(stored.await.unwrap(), 1);
    let distance = redis.zscore("far", "palermo").await.unwrap();
    assert!(distance.is_some_and(|d| (190.0..191.0).contains(&d)));
    let stored = redis.georadiusbymember_store("geo", "catania", radius, one, "far");
    assert_eq!(stored.await.unwrap(), 1);
    assert!(redis.zscore("far", "palermo").await.unwrap() > Some(1e15));
}

pub(crate) async fn forms_without_an_option_leave_things_alone(redis: &Redis) {
    redis.setex("s", 100, "\u{0}\u{0}a").await.unwrap();
    let value = redis.getex::<String>("s", None).await.unwrap();
    assert_eq!(value.as_deref(), Some("\u{0}\u{0}a"));
    assert!(redis.ttl("s").await.unwrap() > 0, "the expiry stays");
    assert_eq!(redis.bitpos_from("s", true, 1).await.unwrap(), 17);
    assert_eq!(redis.substr::<String>("s", 2, 2).await.unwrap(), "a");
    let options = CopyOptions::new().db(0).replace();
    assert!(redis.copy_with("s", "t", options).await.unwrap());
    redis.zadd("z", [(1.0, "a"), (2.0, "b")]).await.unwrap();
    let scored = redis.zrevrangebyscore_withscores::<String>("z", Score::Max, 1.0, Some((0, 1)));
    assert_eq!(scored.await.unwrap().0, [("b".to_owned(), 2.0)]);
    redis.flushdb_with(FlushMode::Async).await.unwrap();
    redis.flushall_with(FlushMode::Sync).await.unwrap();
    assert_eq!(redis.dbsize().await.unwrap(), 0);
}

pub(crate) async fn a_group_starts_where_it_is_told(redis: &Redis) {
    let (none, entry) = (XAddOptions::new(), [("f", "v")]);
    let id = redis.xadd_with("x", &none, "5-1", entry).await.unwrap();
    assert_eq!(id.as_deref(), Some("5-1"));
    let read = XGroupOptions::new().mkstream().entries_read(1);
    redis
        .xgroup_create_with("x", "g", "5-1", read)
        .await
        .unwrap();
    let groups = redis.xinfo_groups("x").await.unwrap();
    assert_eq!((groups[0].entries_read, groups[0].lag), (Some(1), Some(0)));
    let unread = XGroupOptions::new().entries_read(0);
    redis
        .xgroup_setid_with("x", "g", "0", unread)
        .await
        .unwrap();
    let groups = redis.xinfo_groups("x").await.unwrap();
    assert_eq!((groups[0].entries_read, groups[0].lag), (Some(0), Some(1)));
}

async fn a_group_with_bytes_in_its_names(redis: &Redis, name: &'static [u8]) {
    redis.xgroup_create("groups", name, "0").await.unwrap();
    redis.xadd("groups", [("n", 1)]).await.unwrap();
    let read = redis.xreadgroup::<String, ()>(name, name, [("groups", ">")], None);
    assert!(read.await.unwrap().is_some());
    let all = XPendingOptions::new();
    let pending = redis.xpending_range("groups", name, ("-", "+", 1), &all);
    assert_eq!(pending.await.unwrap()[0].consumer, name);
    let summary = redis.xpending("groups", name).await.unwrap();
    assert_eq!(summary.consumers, [(Bytes::from_static(name), 1)]);
    assert_eq!(redis.xinfo_groups("groups").await.unwrap()[0].name, name);
    let consumers = redis.xinfo_consumers("groups", name).await.unwrap();
    assert_eq!(consumers[0].name, name);
    let full = redis.xinfo_stream_full::<()>("groups", None).await.unwrap();
    assert_eq!(full.groups[0].consumers[0].pending[0].consumer, name);
}

/// Names that are no text arrive as they were sent.
pub(crate) async fn bytes_in_names_survive(redis: &Redis) {
    const NAME: &[u8] = b"\xff\x00name";
    let name = || Bytes::from_static(NAME);
    redis.xadd(NAME, [(NAME, NAME)]).await.unwrap();
    let entries = redis.xrange::<Pairs<Bytes, Bytes>>(NAME, "-", "+", None);
    assert_eq!(entries.await.unwrap()[0].fields.0, [(name(), name())]);
    let read = redis.xread::<Bytes, Pairs<Bytes, Bytes>>([(NAME, "0")], None);
    let read = read.await.unwrap().unwrap();
    assert_eq!((&read[0].key, read[0].entries.len()), (&name(), 1));
    redis.xgroup_create(NAME, "g", "0").await.unwrap();
    let read = redis.xreadgroup::<Bytes, ()>("g", "c", [(NAME, ">")], None);
    assert_eq!(read.await.unwrap().unwrap()[0].key, name());
    let pending = |consumer: &[u8]| {
        let options = XPendingOptions::new().consumer(consumer).min_idle_ms(0);
        async move {
            let pending = redis.xpending_range(NAME, "g", ("-", "+", 10), &options);
            pending.await.unwrap().len()
        }
    };
    assert_eq!((pending(b"c").await, pending(NAME).await), (1, 0));
    a_group_with_bytes_in_its_names(redis, NAME).await;

    redis.rpush("\u{1}list", [NAME]).await.unwrap();
    redis
        .rename("\u{1}list", [NAME, b"l"].concat())
        .await
        .unwrap();
    let popped = redis.lmpop::<Bytes, Bytes>([[NAME, b"l"].concat()], Side::Left, 1);
    let (key, items) = popped.await.unwrap().unwrap();
    assert_eq!((&key[..], items), (&b"\xff\x00namel"[..], vec![name()]));
    let set = [NAME, b"z"].concat();
    redis.zadd(&set, [(1.0, NAME)]).await.unwrap();
    let popped = redis.zmpop::<Vec<u8>, Bytes>([&set], ZEnd::Max, 1);
    let (key, items) = popped.await.unwrap().unwrap();
    assert_eq!((key, items.0), (set, vec![(name(), 1.0)]));

    let place = LonLat(13.0, 38.0);
    redis.geoadd("geo", [(place, NAME)]).await.unwrap();
    let area = GeoShape::Radius(1.0, GeoUnit::Meters);
    let search = GeoSearch::new(GeoCenter::member(NAME), area);
    let found = redis.geosearch::<Bytes>("geo", &search).await.unwrap();
    assert_eq!(found[0].member, name());
    let options = ScanOptions::new().matching(b"\xff*");
    let keys = redis.scan_iter::<Bytes>(options).all().await.unwrap();
    assert_eq!(keys, [name()]);
    let counts = redis.pubsub_numsub::<Bytes>([NAME]).await.unwrap();
    assert_eq!(counts.0, [(name(), 0)]);
    assert!(
        redis
            .pubsub_channels_matching::<Bytes>(NAME)
            .await
            .unwrap()
            .is_empty()
    );

    let library =
        "#!lua name=bytes\nredis.register_function('both', function(k, a) return {k[1], a[1]} end)";
    redis.function_load_replace(library).await.unwrap();
    let both = redis.fcall::<(Bytes, Bytes)>("both", [NAME], [NAME]).await;
    assert_eq!(both.unwrap(), (name(), name()));
    redis.function_delete("bytes").await.unwrap();
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Number {
    n: i64,
}

pub(crate) async fn the_fields_of_an_entry_become_any_type(redis: &Redis) {
    redis
        .xadd_with("x", &XAddOptions::new(), "1-1", [("n", "1")])
        .await
        .unwrap();
    redis
        .xadd_with("x", &XAddOptions::new(), "1-2", [("n", "2")])
        .await
        .unwrap();
    let maps = redis.xrange::<HashMap<String, i64>>("x", "-", "+", None);
    assert_eq!(maps.await.unwrap()[1].fields["n"], 2);
    let numbers = redis.xrevrange::<HashRecord<Number>>("x", "+", "-", Some(1));
    assert_eq!(
        numbers.await.unwrap()[0].fields,
        HashRecord(Number { n: 2 })
    );

    redis.xgroup_create("x", "g", "0").await.unwrap();
    let all = redis.xreadgroup::<String, ()>("g", "c", [("x", ">")], None);
    assert_eq!(all.await.unwrap().unwrap()[0].entries.len(), 2);
    redis.xdel("x", ["1-1"]).await.unwrap();
    let again =
        redis.xreadgroup::<String, Option<HashRecord<Number>>>("g", "c", [("x", "0")], None);
    let again = &again.await.unwrap().unwrap()[0].entries;
    assert_eq!((&*again[0].id, &again[0].fields), ("1-1", &None));
    assert_eq!(again[1].fields, Some(HashRecord(Number { n: 2 })));
    let again = redis.xreadgroup::<String, Pairs<String, i64>>("g", "c", [("x", "0")], None);
    assert!(
        again.await.unwrap().unwrap()[0].entries[0]
            .fields
            .0
            .is_empty()
    );
}

pub(crate) async fn a_stream_is_told_in_full(redis: &Redis) {
    for n in 1..=3 {
        let id = format!("1-{n}");
        let options = XAddOptions::new();
        redis
            .xadd_with("x", &options, id, [("n", n)])
            .await
            .unwrap();
    }
    redis.xgroup_create("x", "g", "0").await.unwrap();
    for (consumer, count) in [("a", 2), ("b", 1)] {
        let read = redis.xreadgroup::<String, ()>("g", consumer, [("x", ">")], Some(count));
        assert!(read.await.unwrap().is_some());
    }
    let short = redis.xinfo_stream::<HashRecord<Number>>("x").await.unwrap();
    assert_eq!((short.length, short.groups), (3, 1));
    let last = short.last_entry.unwrap();
    assert_eq!(
        (&*last.id, last.fields),
        ("1-3", HashRecord(Number { n: 3 }))
    );

    let full = redis.xinfo_stream_full::<HashRecord<Number>>("x", Some(2));
    let full = full.await.unwrap();
    assert_eq!((full.length, &*full.last_generated_id), (3, "1-3"));
    let ids: Vec<&str> = full.entries.iter().map(|e| &*e.id).collect();
    assert_eq!(ids, ["1-1", "1-2"]);
    let group = &full.groups[0];
    assert_eq!(group.name, "g");
    assert_eq!(&group.last_delivered_id, "1-3");
    assert_eq!((group.pending_count, group.lag), (3, Some(0)));
    let who: Vec<_> = group
        .pending
        .iter()
        .map(|p| (&*p.id, &p.consumer[..]))
        .collect();
    assert_eq!(who, [("1-1", &b"a"[..]), ("1-2", b"a")]);
    let (a, b) = (&group.consumers[0], &group.consumers[1]);
    assert_eq!(
        (&a.name[..], a.pending_count, a.pending.len()),
        (&b"a"[..], 2, 2)
    );
    assert_eq!(
        (&*b.pending[0].id, &b.pending[0].consumer[..]),
        ("1-3", &b"b"[..])
    );
    assert_eq!(b.pending[0].deliveries, 1);
    assert!(b.seen_at_ms >= b.pending[0].delivered_at_ms && b.pending[0].delivered_at_ms > 0);
    assert!(redis.xinfo_stream_full::<()>("none", None).await.is_err());
}

pub(crate) async fn iterators_find_every_page(redis: &Redis) {
    for n in 0..25 {
        redis.xadd("entries", [("n", n)]).await.unwrap();
    }
    let back = redis.xrevrange_iter::<HashRecord<Number>>("entries", "+", "-", 5);
    let back: Vec<i64> = back
        .all()
        .await
        .unwrap()
        .into_iter()
        .map(|e| e.fields.0.n)
        .collect();
    assert_eq!(back, (0..25).rev().collect::<Vec<_>>());
    let fields = (0..1000).map(|n| (format!("f{n}"), "value"));
    redis.hset("h", fields).await.unwrap();
    let options = ScanOptions::new().count(50);
    // Redis 7.4 and later.
    match redis
        .hscan_novalues_iter::<String>("h", options)
        .all()
        .await
    {
        Ok(mut names) => {
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), 1000);
            assert!(names.iter().all(|n| n.starts_with('f')));
        }
        Err(error) => assert_eq!(error.server_message(), Some("syntax error"), "{error}"),
    }
}

pub(crate) async fn a_section_of_info_lists_its_fields(redis: &Redis) {
    let info = redis.info_section("server").await.unwrap();
    let fields: Vec<_> = info.fields("SERVER").collect();
    let version = info.get("Server", "redis_version").unwrap();
    assert!(fields.contains(&("redis_version", version)), "{fields:?}");
    assert!(fields.len() > 3);
    assert_eq!(info.fields("none").count(), 0);
}
