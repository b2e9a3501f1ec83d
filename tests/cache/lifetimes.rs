//! How long values live: fresh, stale, for errors, absent.
use super::*;
use restis::cache::{Lifetime, Loaded, Source};

const SUMMARIES: Keyspace<(String,), Option<String>> = Keyspace::new("summaries:{orgId}")
    .lifetime(
        Lifetime::new(Duration::from_secs(10))
            .stale(Duration::from_secs(20))
            .on_error(Duration::from_secs(50)),
    )
    .absent_for(Duration::from_secs(2));

type Summary = restis::cache::Key<Option<String>>;

async fn summary(
    cache: &Cache,
    key: &Summary,
    text: Result<&str, &'static str>,
) -> Answer<Option<String>> {
    let text = text.map(|text| Some(text.to_owned()));
    cache.get_or_load(key, |_| async { text }).await
}

#[tokio::test]
async fn a_value_is_fresh_then_stale_then_for_errors_then_gone() {
    let world = World::engine();
    let cache = world.cache();
    let key = SUMMARIES.key(("acme",));
    summary(&cache, &key, Ok("1")).await.unwrap();
    for (after, source) in [
        (0, Some(Source::Fresh)),
        (9_999, Some(Source::Fresh)),
        (1, Some(Source::Stale)),
        (19_999, Some(Source::Stale)),
        (1, None),
    ] {
        world.advance(Duration::from_millis(after));
        let found = cache.get(&key).await.unwrap();
        assert_eq!(found.map(|found| found.source()), source);
    }
    // It is kept for errors still.
    let served = summary(&cache, &key, Err("down")).await.unwrap();
    assert_eq!(
        (served.source(), served.age()),
        (Source::Stale, 30 * SECOND)
    );
    world.advance(30 * SECOND);
    summary(&cache, &key, Err("down")).await.unwrap_err();
}

#[tokio::test]
async fn a_loader_that_failed_is_not_asked_for_a_while() {
    let world = World::engine();
    let cache = world.cache();
    let key = SUMMARIES.key(("acme",));
    summary(&cache, &key, Ok("1")).await.unwrap();
    world.advance(11 * SECOND);
    let served = summary(&cache, &key, Err("down")).await.unwrap();
    assert_eq!(served.source(), Source::Stale);
    world.advance(4_999 * SECOND / 1000);
    let served = summary(&cache, &key, Ok("2")).await.unwrap();
    assert_eq!(served.source(), Source::Stale);
    world.advance(SECOND / 1000);
    let loaded = summary(&cache, &key, Ok("2")).await.unwrap();
    assert_eq!(
        (loaded.source(), loaded.as_deref()),
        (Source::Loaded, Some("2"))
    );
}

#[tokio::test]
async fn an_error_without_an_old_value_reaches_the_caller() {
    let world = World::engine();
    let cache = world.cache();
    let failed = summary(&cache, &SUMMARIES.key(("acme",)), Err("down"))
        .await
        .unwrap_err();
    assert_eq!(failed.loader_error().unwrap().to_string(), "down");
    assert!(!failed.is_timeout());
    // It is not cached.
    let loaded = summary(&cache, &SUMMARIES.key(("acme",)), Ok("1"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Loaded);
}

#[tokio::test]
async fn that_there_is_nothing_is_remembered_for_its_own_time() {
    let world = World::engine();
    let cache = world.cache();
    let key = SUMMARIES.key(("nobody",));
    let absent = cache.get_or_load(&key, |_| async { Ok::<_, restis::Error>(None) });
    assert_eq!(absent.await.unwrap().into_value(), None);
    let known = cache.get(&key).await.unwrap().unwrap();
    assert_eq!(
        (known.source(), known.fresh_for()),
        (Source::Fresh, 2 * SECOND)
    );
    world.advance(2 * SECOND);
    let found = summary(&cache, &key, Ok("1")).await.unwrap();
    assert_eq!(found.into_value().as_deref(), Some("1"));
}

#[tokio::test]
async fn a_loader_chooses_how_long_its_value_lives() {
    let world = World::engine();
    let cache = world.cache();
    let key = report("acme", "p1");
    let long = Loaded::new("1".to_owned()).lifetime(Lifetime::new(3600 * SECOND));
    let loaded = cache.get_or_load(&key, |_| async { Ok::<_, restis::Error>(long) });
    assert_eq!(loaded.await.unwrap().fresh_for(), 3600 * SECOND);
    world.advance(3599 * SECOND);
    assert_eq!(cached_only(&cache, &key).await, "1");
    // Never longer than markers live.
    let longer = Loaded::new("2".to_owned()).lifetime(Lifetime::new(864_000 * SECOND));
    let key = report("acme", "p2");
    let loaded = cache.get_or_load(&key, |_| async { Ok::<_, restis::Error>(longer) });
    assert_eq!(loaded.await.unwrap().fresh_for(), 86_400 * SECOND);
}

#[tokio::test]
async fn the_time_of_a_load_is_part_of_the_age() {
    let world = World::engine();
    let cache = world.cache();
    let key = report("acme", "p1");
    let slow = async |seconds: u32, text: &str| {
        let (clock, text) = (world.clock.clone(), text.to_owned());
        let millis = Arc::clone(&world.millis);
        let load = cache.get_or_load(&key, move |_| async move {
            clock.advance(seconds * SECOND);
            millis.fetch_add(u64::from(seconds) * 1000, Ordering::SeqCst);
            Ok::<_, restis::Error>(text)
        });
        load.await.unwrap()
    };
    let loaded = slow(10, "1").await;
    assert_eq!(
        (loaded.age(), loaded.fresh_for()),
        (10 * SECOND, 50 * SECOND)
    );
    let left: i64 = world
        .redis
        .pttl("cache:reports:{acme}:p1:2026-01-31")
        .await
        .unwrap();
    assert_eq!(left, 50_000);
    world.advance(50 * SECOND);
    assert!(cache.get(&key).await.unwrap().is_none());
    // Nobody can tell what was invalidated during a load of more than a minute.
    assert_eq!(slow(61, "2").await.into_value(), "2");
    assert!(cache.get(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn early_refresh_is_the_likelier_the_longer_a_load_takes() {
    let world = World::engine();
    let early = async |cost: u64, before_end: u64| {
        let cache = world.cache_with(|config| config.early_refresh = 1.0);
        let key = report("acme", &format!("{cost}-{before_end}"));
        let (clock, millis) = (world.clock.clone(), Arc::clone(&world.millis));
        let load = cache.get_or_load(&key, move |_| async move {
            clock.advance(Duration::from_millis(cost));
            millis.fetch_add(cost, Ordering::SeqCst);
            Ok::<_, restis::Error>("v".to_owned())
        });
        load.await.unwrap();
        world.advance(Duration::from_millis(60_000 - cost - before_end));
        let before = world.counter("cache_early_refreshes");
        // A refresh that fails leaves the value as it was, and is not tried again for a while.
        for _ in 0..200 {
            let refresh = cache.get_or_load(&key, |_| async { Err::<String, _>("down") });
            assert_eq!(refresh.await.unwrap().into_value(), "v");
        }
        world.counter("cache_early_refreshes") - before
    };
    // P(-ln(u) * 1 s >= 30 s) is below 1e-13, and P(no one of 200 does at 10 ms) below 1e-300.
    assert_eq!(early(1_000, 30_000).await, 0);
    assert_eq!(early(1_000, 10).await, 1);
    assert_eq!(early(0, 1).await, 0);
}
