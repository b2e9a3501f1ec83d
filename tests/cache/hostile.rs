//! Attacks: hostile parameters, poisoned entries, wrong clocks, loaders that misbehave.
use super::*;
use base64_simd::STANDARD_NO_PAD;
use futures_util::{FutureExt as _, future::join_all};
use restis::cache::Lifetime;
use std::panic::AssertUnwindSafe;

#[tokio::test]
async fn hostile_parameters_are_keys_like_others() {
    let long = "x".repeat(65_536);
    let texts = [
        "/",
        ":",
        ",",
        "*",
        ".",
        "..",
        "{}",
        "{",
        "}",
        "",
        " ",
        "\0",
        "\n",
        "\r\n",
        "%",
        "%2F",
        "#",
        "#tag:org:{acme}",
        "a:b",
        "é",
        "\u{202e}",
        "\u{feff}",
        "🦀",
        &long,
    ];
    for world in World::all() {
        let cache = world.cache();
        for (n, text) in texts.iter().enumerate() {
            cache.put(&report(text, "p"), &n.to_string()).await.unwrap();
            cache
                .put(&report("o", text), &format!("p{n}"))
                .await
                .unwrap();
        }
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(cached_only(&cache, &report(text, "p")).await, n.to_string());
            assert_eq!(
                cached_only(&cache, &report("o", text)).await,
                format!("p{n}")
            );
        }
        // Each invalidates itself alone.
        for (n, text) in texts.iter().enumerate() {
            cache.remove_tag(&ORGANISATION.of((*text,))).await.unwrap();
            let keys: Vec<_> = texts.iter().map(|text| report(text, "p")).collect();
            let left = cache.get_many(&keys).await.unwrap();
            assert_eq!(
                left.iter().filter(|found| found.is_some()).count(),
                texts.len() - n - 1
            );
        }
        let names: Vec<String> = world.redis.keys("*").await.unwrap();
        assert!(names.iter().all(|name| name.len() < 600 && name.is_ascii()));
    }
}

/// An entry whose markers were never replaced, with any form and payload.
fn entry(form: &str, markers: usize, tags: &str, payload: &str) -> String {
    let seen = ".".repeat(24 * markers);
    let length = tags.len();
    format!("1|{form}|0|{NOON}|60000|0|0|0|{markers}|{length}|{seen}{tags}{payload}")
}

#[tokio::test]
async fn a_poisoned_entry_is_a_miss_of_bounded_cost() {
    let bomb = |claimed: u32, bytes: &[u8]| {
        let packed = [&claimed.to_le_bytes()[..], bytes].concat();
        STANDARD_NO_PAD.encode_to_string(packed)
    };
    // A run of LZ4 that repeats one byte: 255 of them are 65,000 bytes more.
    let run: Vec<u8> = [&[0x1f, b'0', 1, 0][..], &vec![255; 40_000], &[0]].concat();
    let many: String = (0..50_000).map(|_| "t\n").collect();
    let sixty = "t\n".repeat(60);
    let nested = "[".repeat(100_000);
    for world in World::all() {
        let cache = world.cache();
        let key = report("acme", "p1");
        let name = "cache:reports:{acme}:p1:2026-01-31";
        world
            .redis
            .set(name, entry("j-", 4, "", "\"good\""))
            .await
            .unwrap();
        assert_eq!(cached_only(&cache, &key).await, "good");
        for (what, poison) in [
            ("garbage", "\u{1}\u{2}\u{3}|||||||||||".to_owned()),
            (
                "a version of the future",
                entry("j-", 4, "", "\"v\"").replacen('1', "2", 1),
            ),
            ("another codec", entry("x-", 4, "", "\"v\"")),
            ("another compression", entry("jz", 4, "", "\"v\"")),
            (
                "a bomb that claims 4 GiB",
                entry("jl", 4, "", &bomb(u32::MAX, &run)),
            ),
            (
                "a bomb that claims little",
                entry("jl", 4, "", &bomb(100, &run)),
            ),
            (
                "a bomb that claims what it is",
                entry("jl", 4, "", &bomb(10_200_000, &run)),
            ),
            ("no base64", entry("jl", 4, "", "####")),
            ("an empty payload", entry("j-", 4, "", "")),
            ("deep JSON", entry("j-", 4, "", &nested)),
            ("fewer markers", entry("j-", 3, "", "\"v\"")),
            ("more markers", entry("j-", 64, "", "\"v\"")),
            ("tags without markers", entry("j-", 4, &many, "\"v\"")),
            ("too many markers", entry("j-", 65, "", "\"v\"")),
            (
                "sixty tags of which none is valid",
                entry("j-", 64, &sixty, "\"v\"").replace("....", "AAAA"),
            ),
            (
                "lengths beyond the end",
                entry("j-", 4, "", "\"v\"").replace("|4|0|", "|4|999999|"),
            ),
        ] {
            world.redis.set(name, &poison).await.unwrap();
            world.counts.reset();
            assert!(cache.get(&key).await.unwrap().is_none(), "{what}");
            assert!(world.counts.commands() <= 2, "{what}");
            let loaded = load(&cache, &key, "loaded").await.unwrap();
            assert_eq!(loaded.into_value(), "loaded", "{what}");
            assert_eq!(cached_only(&cache, &key).await, "loaded", "{what}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_jumps_lengthens_no_life() {
    const LIVES: Keyspace<(String,), String> = Keyspace::new("lives:{orgId}")
        .lifetime(Lifetime::new(Duration::from_secs(60)).stale(Duration::from_secs(60)))
        .local(Duration::from_secs(60));
    let quarter = 900 * SECOND;
    let world = World::engine();
    let at = |ms: u64| {
        let clock = ManualClock::new(ms);
        let cache = Cache::builder(world.redis.clone(), CacheConfig::new());
        (cache.clock(clock.clone()).build().unwrap(), clock)
    };
    let (ahead, _) = at(NOON + 900_000);
    let (behind, behind_clock) = at(NOON - 900_000);
    let (right, _) = at(NOON);
    for writer in [&ahead, &behind, &right] {
        let key = LIVES.key(("acme",));
        writer.put(&key, &"v".to_owned()).await.unwrap();
        // Whatever readers make of it, it ends by the store's clock, and by an invalidation at once.
        world.millis.fetch_add(120_001, Ordering::SeqCst);
        behind_clock.advance(6 * SECOND);
        for reader in [at(NOON).0, at(NOON + 900_000).0, at(NOON - 900_000).0] {
            assert!(reader.get(&key).await.unwrap().is_none());
        }
        writer.put(&key, &"v".to_owned()).await.unwrap();
        right.delete(&key).await.unwrap();
        for reader in [at(NOON).0, at(NOON + 900_000).0, at(NOON - 900_000).0] {
            assert!(reader.get(&key).await.unwrap().is_none());
        }
    }
    // The wall clock of a process jumps while it holds a value: the monotonic one ends it.
    let (cache, clock) = at(NOON);
    let key = LIVES.key(("jumps",));
    load(&cache, &key, "v").await.unwrap();
    clock.set_unix_ms(NOON - u64::try_from(quarter.as_millis()).unwrap());
    world.redis.del(["cache:lives:{jumps}"]).await.unwrap();
    clock.advance(5 * SECOND);
    assert!(cache.get(&key).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn loaders_that_panic_hang_or_fail_hold_nobody_up_for_long() {
    let world = World::engine();
    let cache = world.cache();
    let key = report("acme", "p1");
    let panics = (0..20).map(|_| {
        let load = cache.get_or_load(&key, |_| async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "a loader panics");
            Ok::<_, restis::Error>(String::new())
        });
        AssertUnwindSafe(load).catch_unwind()
    });
    assert!(join_all(panics).await.iter().all(Result::is_err));
    // Behind a thousand that never end there is one whose turn comes.
    let began = tokio::time::Instant::now();
    let hangs = (0..1000)
        .map(|_| cache.get_or_load(&key, |_| std::future::pending::<restis::Result<String>>()));
    let ended = join_all(hangs).await;
    assert!(
        ended
            .iter()
            .all(|ended| ended.as_ref().unwrap_err().is_timeout())
    );
    assert!(began.elapsed() <= 61 * SECOND, "{:?}", began.elapsed());
    assert_eq!(load(&cache, &key, "v").await.unwrap().into_value(), "v");
    assert_eq!(world.counter("cache_dropped_loads"), 20);
}

#[tokio::test]
async fn a_put_that_is_replayed_after_a_removal_is_a_put() {
    // Whoever puts says that its value is the newest; what a load found before is never replayed.
    for world in World::all() {
        let cache = world.cache();
        let key = report("acme", "p1");
        for _ in 0..3 {
            cache.put(&key, &"v".to_owned()).await.unwrap();
        }
        cache.remove_tag(&ORGANISATION.of(("acme",))).await.unwrap();
        assert!(cache.get(&key).await.unwrap().is_none());
        // The bytes of the entry come back, as by a restored backup: the marker tells.
        let name = "cache:reports:{acme}:p1:2026-01-31";
        cache.put(&key, &"old".to_owned()).await.unwrap();
        let stored: Option<String> = world.redis.get(name).await.unwrap();
        cache.delete(&key).await.unwrap();
        world.redis.set(name, stored.unwrap()).await.unwrap();
        assert!(cache.get(&key).await.unwrap().is_none());
    }
}
