//! Writes and invalidations, without and with eviction.
use super::*;
use restis::{Error, ErrorKind, cache::Source};

#[tokio::test]
async fn what_is_put_is_read_by_all_in_one_command() {
    for world in World::all() {
        let (writer, reader) = (world.cache(), world.cache());
        let key = report("acme", "p1");
        assert!(reader.get(&key).await.unwrap().is_none());
        writer.put(&key, &"42".to_owned()).await.unwrap();
        world.counts.reset();
        let found = reader.get(&key).await.unwrap().unwrap();
        assert_eq!((world.counts.requests(), world.counts.commands()), (1, 1));
        assert_eq!((&**found, found.source()), ("42", Source::Fresh));
        assert_eq!(found.fresh_for(), 60 * SECOND);
        // It leaves by itself, and so does the marker.
        let left: i64 = world
            .redis
            .pttl("cache:reports:{acme}:p1:2026-01-31")
            .await
            .unwrap();
        assert!((1..=60_000).contains(&left), "{left}");
        let left: i64 = world
            .redis
            .pttl("cache:#key:reports:{acme}:p1:2026-01-31")
            .await
            .unwrap();
        assert!(left > 86_400_000, "{left}");
    }
}

#[tokio::test]
async fn many_keys_are_read_by_one_command() {
    for world in World::all() {
        let cache = world.cache();
        let keys: Vec<_> = (0..1000).map(|n| report("acme", &n.to_string())).collect();
        for n in [0, 7, 999] {
            cache.put(&keys[n], &n.to_string()).await.unwrap();
        }
        world.counts.reset();
        let found = cache.get_many(&keys).await.unwrap();
        assert_eq!(world.counts.commands(), 1);
        let found: Vec<_> = found.into_iter().filter_map(value).collect();
        assert_eq!(found, ["0", "7", "999"]);
        let more = [keys, vec![report("acme", "more")]].concat();
        let refused = cache.get_many(&more).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_removal_takes_what_its_tag_names_by_one_command_each() {
    for world in World::all() {
        let cache = world.cache();
        let all = [("acme", "p1"), ("acme", "p2"), ("zeta", "p1")];
        let put = async || {
            for (organisation, property) in all {
                let key = report(organisation, property);
                cache.put(&key, &property.to_owned()).await.unwrap();
            }
        };
        let left = async || {
            let keys = all.map(|(organisation, property)| report(organisation, property));
            let found = cache.get_many(&keys).await.unwrap();
            found.iter().map(Option::is_some).collect::<Vec<_>>()
        };
        put().await;
        assert_eq!(left().await, [true, true, true]);
        world.counts.reset();
        cache
            .remove_tag(&PROPERTY.of(("acme", "p2")))
            .await
            .unwrap();
        // A script that the server does not know yet is sent a second time.
        assert!(world.counts.commands() <= 3);
        assert_eq!(left().await, [true, false, true]);
        cache.remove_tag(&ORGANISATION.of(("acme",))).await.unwrap();
        assert_eq!(left().await, [false, false, true]);
        // A value that is put afterwards stays.
        put().await;
        assert_eq!(left().await, [true, true, true]);
        cache.delete(&report("zeta", "p1")).await.unwrap();
        assert_eq!(left().await, [true, true, false]);
        world.counts.reset();
        cache.clear(&REPORTS).await.unwrap();
        assert_eq!(world.counts.commands(), 1);
        assert_eq!(left().await, [false, false, false]);
    }
}

#[tokio::test]
async fn an_expired_value_is_stale_and_a_removed_one_stays_removed() {
    const STALE: Keyspace<(String,), String> = Keyspace::new("summaries:{orgId}")
        .tag("org:{orgId}")
        .lifetime(restis::cache::Lifetime::new(SECOND).stale(SECOND));
    for world in World::all() {
        let cache = world.cache();
        let (key, tag) = (STALE.key(("acme",)), ORGANISATION.of(("acme",)));
        let source = async || Some(cache.get(&key).await.unwrap()?.source());
        let put = async || cache.put(&key, &"v".to_owned()).await.unwrap();
        put().await;
        cache.expire_tag(&tag).await.unwrap();
        assert_eq!(source().await, Some(Source::Stale));
        cache.remove_tag(&tag).await.unwrap();
        assert_eq!(source().await, None);
        // An expiry after the removal revives nothing.
        cache.expire_tag(&tag).await.unwrap();
        assert_eq!(source().await, None);
        put().await;
        assert_eq!(source().await, Some(Source::Fresh));
        cache.expire(&key).await.unwrap();
        assert_eq!(source().await, Some(Source::Stale));
        put().await;
        cache.expire_all(&STALE).await.unwrap();
        assert_eq!(source().await, Some(Source::Stale));
        cache.delete(&key).await.unwrap();
        cache.expire(&key).await.unwrap();
        assert_eq!(source().await, None);
    }
}

#[tokio::test]
async fn a_marker_that_is_lost_is_a_miss_where_the_store_evicts() {
    for world in World::all() {
        let cache = world.cache_with(|config| config.evicts = true);
        let key = report("acme", "p1");
        for lost in [
            "cache:#tag:org:{acme}",
            "cache:#tag:prop:{acme}:p1",
            "cache:#key:reports:{acme}:p1:2026-01-31",
            "cache:#all:reports",
        ] {
            cache.put(&key, &"put".to_owned()).await.unwrap();
            assert!(cache.get(&key).await.unwrap().is_some(), "{lost}");
            assert_eq!(world.redis.del([lost]).await.unwrap(), 1, "{lost}");
            assert!(cache.get(&key).await.unwrap().is_none(), "{lost}");
            // A load creates it again.
            let loaded = load(&cache, &key, "loaded").await.unwrap();
            assert_eq!(loaded.source(), Source::Loaded);
            assert_eq!(cached_only(&cache, &key).await, "loaded");
            world.redis.del([lost]).await.unwrap();
            assert!(cache.get(&key).await.unwrap().is_none(), "{lost}");
        }
    }
}

#[tokio::test]
async fn without_eviction_a_marker_that_was_seen_and_is_gone_is_a_miss() {
    for world in World::all() {
        let cache = world.cache();
        let key = report("acme", "p1");
        cache.remove_tag(&ORGANISATION.of(("acme",))).await.unwrap();
        load(&cache, &key, "loaded").await.unwrap();
        assert_eq!(cached_only(&cache, &key).await, "loaded");
        world.redis.del(["cache:#tag:org:{acme}"]).await.unwrap();
        assert!(cache.get(&key).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn markers_outlive_every_value_that_remembers_them() {
    let world = World::engine();
    let cache = world.cache_with(|config| {
        config.max_lifetime = 100 * SECOND;
        config.max_load = 10 * SECOND;
    });
    let key = report("acme", "p1");
    cache.remove_tag(&ORGANISATION.of(("acme",))).await.unwrap();
    // Near the end of the marker, a load keeps it.
    world.advance(165 * SECOND);
    load(&cache, &key, "loaded").await.unwrap();
    world.advance(59 * SECOND);
    assert_eq!(cached_only(&cache, &key).await, "loaded");
}

const NUMBERS: Keyspace<ReportKey, u64> = Keyspace::new("reports:{orgId}:{propertyId}:{date}")
    .tag("org:{orgId}")
    .tag("prop:{orgId}:{propertyId}");

#[tokio::test]
async fn what_cannot_be_read_is_a_miss_and_is_counted() {
    for world in World::all() {
        let cache = world.cache();
        let key = report("acme", "p1");
        let name = "cache:reports:{acme}:p1:2026-01-31";
        for (nth, foreign) in ["", "plain", "1|j-|0|9|9|9|9|9|1|0|"]
            .into_iter()
            .enumerate()
        {
            world.redis.set(name, foreign).await.unwrap();
            assert!(cache.get(&key).await.unwrap().is_none(), "{foreign}");
            assert_eq!(world.counter("cache_unreadable"), nth as u64 + 1);
        }
        // The type of the value has changed.
        cache.put(&key, &"text".to_owned()).await.unwrap();
        let number = NUMBERS.key(("acme", "p1", "2026-01-31"));
        assert!(cache.get(&number).await.unwrap().is_none());
        let newer = NUMBERS.schema(2).key(("acme", "p1", "2026-01-31"));
        assert!(cache.get(&newer).await.unwrap().is_none());
        assert_eq!(world.counter("cache_unreadable"), 5);
        // Another type under a key or a marker.
        world.redis.del([name]).await.unwrap();
        world.redis.lpush(name, ["x"]).await.unwrap();
        assert!(cache.get(&key).await.unwrap().is_none());
        assert_eq!(
            load(&cache, &key, "loaded").await.unwrap().into_value(),
            "loaded"
        );
    }
}

#[tokio::test]
async fn what_is_no_marker_is_replaced_by_the_next_write_or_load() {
    for world in World::all() {
        let cache = world.cache();
        let key = report("acme", "p1");
        for marker in [
            "cache:#tag:org:{acme}",
            "cache:#key:reports:{acme}:p1:2026-01-31",
        ] {
            for text in [true, false] {
                let damage = async || {
                    world.redis.del([marker]).await.unwrap();
                    if text {
                        world.redis.set(marker, "garbage").await.unwrap();
                    } else {
                        world.redis.lpush(marker, ["x"]).await.unwrap();
                    }
                };
                damage().await;
                cache.put(&key, &"put".to_owned()).await.unwrap();
                assert_eq!(cached_only(&cache, &key).await, "put");
                damage().await;
                cache.remove_tag(&ORGANISATION.of(("acme",))).await.unwrap();
                cache.delete(&key).await.unwrap();
                assert!(cache.get(&key).await.unwrap().is_none());
                damage().await;
                load(&cache, &key, "loaded").await.unwrap();
                assert_eq!(cached_only(&cache, &key).await, "loaded");
            }
        }
    }
}

#[tokio::test]
async fn large_values_are_refused_and_loaded_values_still_returned() {
    let world = World::engine();
    let cache = world.cache_with(|config| config.max_value_bytes = 100);
    let (key, long) = (report("acme", "p1"), "x".repeat(200));
    let refused = cache.put(&key, &long).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert_eq!(load(&cache, &key, &long).await.unwrap().into_value(), long);
    assert!(cache.get(&key).await.unwrap().is_none());
    assert_eq!(world.counter("cache_unwritable"), 1);
}

const DAY: Tag<(String,)> = Tag::new("day:{day}");

#[tokio::test]
async fn a_value_may_have_tags_that_readers_do_not_know() {
    for world in World::all() {
        for evicts in [false, true] {
            let cache = world.cache_with(|config| config.evicts = evicts);
            let keys = ["put", "many", "missing", "loaded", "loaded many", "other"];
            let keys = keys.map(|name| report("acme", name));
            let day = DAY.of(("1",));
            let tagged = |n: usize| keys[n].clone().tagged(&DAY.of(("0",))).tagged(&day);
            let text = || "v".to_owned();
            let store = async || {
                cache.put(&tagged(0), &text()).await.unwrap();
                cache.put_many(&[(tagged(1), text())]).await.unwrap();
                assert_eq!(cache.put_missing(&[(tagged(2), text())]).await.unwrap(), 1);
                load(&cache, &tagged(3), "v").await.unwrap();
                let many = [tagged(4)];
                let many = cache
                    .get_or_load_many(&many, |_| async { Ok::<_, Error>(vec!["v".to_owned()]) });
                many.await.unwrap();
                cache.put(&keys[5], &text()).await.unwrap();
            };
            let left = async || {
                let found = cache.get_many(&keys).await.unwrap();
                found.iter().filter(|found| found.is_some()).count()
            };
            store().await;
            assert_eq!(left().await, 6);
            cache.remove_tag(&DAY.of(("2",))).await.unwrap();
            assert_eq!(left().await, 6);
            cache.remove_tag(&day).await.unwrap();
            assert_eq!(left().await, 1);
            store().await;
            assert_eq!(left().await, 6);
            cache.clear(&REPORTS).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_value_with_too_many_tags_is_not_stored() {
    let world = World::engine();
    let cache = world.cache();
    let tags = (0..17).map(|n| DAY.of((n.to_string(),)));
    let key = tags.fold(report("acme", "p1"), |key, tag| key.tagged(&tag));
    let refused = cache.put(&key, &"v".to_owned()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    cache
        .put_many(&[(key.clone(), "v".to_owned())])
        .await
        .unwrap_err();
    cache
        .put_missing(&[(key.clone(), "v".to_owned())])
        .await
        .unwrap_err();
    assert_eq!(load(&cache, &key, "v").await.unwrap().into_value(), "v");
    assert!(cache.get(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn filling_keeps_what_is_fresh_and_undoes_nothing() {
    for world in World::all() {
        let cache = world.cache();
        let keys = ["a", "b", "c"].map(|name| report("acme", name));
        cache.put(&keys[0], &"put".to_owned()).await.unwrap();
        cache.put(&keys[1], &"put".to_owned()).await.unwrap();
        cache.expire(&keys[1]).await.unwrap();
        let values: Vec<_> = keys
            .iter()
            .map(|key| (key.clone(), "filled".to_owned()))
            .collect();
        let trips = world.counter("cache_trips");
        assert_eq!(cache.put_missing(&values).await.unwrap(), 2);
        assert_eq!(world.counter("cache_trips") - trips, 3);
        for (key, expected) in keys.iter().zip(["put", "filled", "filled"]) {
            assert_eq!(cached_only(&cache, key).await, expected);
        }
        assert_eq!(cache.put_missing(&values).await.unwrap(), 0);
        assert_eq!(cache.put_missing::<String>(&[]).await.unwrap(), 0);
        cache.remove_tag(&ORGANISATION.of(("acme",))).await.unwrap();
        assert_eq!(cache.put_missing(&values).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn loads_are_counted_and_timed_by_their_outcome() {
    let world = World::engine();
    let cache = world.cache();
    load(&cache, &report("acme", "1"), "v").await.unwrap();
    let fails = |_| async { Err::<String, _>("down") };
    cache
        .get_or_load(&report("acme", "2"), fails)
        .await
        .unwrap_err();
    {
        let key = report("acme", "3");
        let hangs = |_| std::future::pending::<restis::Result<String>>();
        let mut hangs = std::pin::pin!(cache.get_or_load(&key, hangs));
        while world.counter("cache_misses") < 3 {
            futures_util::future::FutureExt::now_or_never(hangs.as_mut());
        }
    }
    for outcome in ["cache_loads", "cache_load_errors", "cache_dropped_loads"] {
        assert_eq!(world.counter(outcome), 1, "{outcome}");
    }
    assert_eq!(
        world.redis.metrics().snapshot().timings["cache_load"].count,
        3
    );
}
