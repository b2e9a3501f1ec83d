//! The first tier, the time without a store, many writes.
use super::*;
use restis::{
    Delivery, Error, ErrorKind, Result,
    cache::{Invalidated, Lifetime, Source},
    transport::{BoxFuture, Exchange, Transport, TransportResponse},
};
use std::sync::atomic::AtomicBool;

const HELD: Keyspace<(String,), String> = Keyspace::new("held:{orgId}")
    .tag("org:{orgId}")
    .lifetime(Lifetime::new(Duration::from_secs(60)).stale(Duration::from_secs(60)))
    .local(Duration::from_secs(60));

#[tokio::test]
async fn a_value_is_held_for_five_seconds_a_third_of_its_time_and_what_is_left_of_it() {
    for (fresh, age, held) in [(60, 0, 5), (9, 0, 3), (60, 58, 2)] {
        let world = World::engine();
        let (writer, reader) = (world.cache(), world.cache());
        let key = HELD.fresh_for(fresh * SECOND).key(("acme",));
        writer.put(&key, &"1".to_owned()).await.unwrap();
        world.advance(age * SECOND);
        cached_only(&reader, &key).await;
        world.counts.reset();
        world.advance(Duration::from_millis(u64::from(held) * 1000 - 1));
        let found = reader.get(&key).await.unwrap().unwrap();
        assert_eq!(world.counts.requests(), 0, "{fresh} {age}");
        // The age goes on.
        let age_ms = u64::from(age + held) * 1000 - 1;
        assert_eq!(found.age(), Duration::from_millis(age_ms));
        world.advance(SECOND / 1000);
        reader.get(&key).await.unwrap();
        assert_eq!(world.counts.requests(), 1, "{fresh} {age}");
    }
}

#[tokio::test]
async fn this_process_sees_its_invalidations_at_once_and_those_of_others_after_five_seconds() {
    let world = World::engine();
    let (cache, other) = (world.cache(), world.cache());
    let (key, tag) = (HELD.key(("acme",)), ORGANISATION.of(("acme",)));
    for how in 0..4 {
        assert_eq!(load(&cache, &key, "1").await.unwrap().into_value(), "1");
        assert_eq!(cached_only(&cache, &key).await, "1");
        match how {
            0 => cache.delete(&key).await.map(drop).unwrap(),
            1 => cache.remove_tag(&tag).await.map(drop).unwrap(),
            2 => cache.clear(&HELD).await.map(drop).unwrap(),
            _ => cache.put(&key, &"2".to_owned()).await.unwrap(),
        }
        let found = value(cache.get(&key).await.unwrap());
        assert_eq!(found.as_deref(), (how == 3).then_some("2"), "{how}");
        cache.delete(&key).await.unwrap();
    }
    load(&cache, &key, "1").await.unwrap();
    other.remove_tag(&tag).await.unwrap();
    world.advance(Duration::from_millis(4999));
    assert!(cache.get(&key).await.unwrap().is_some());
    world.advance(SECOND / 1000);
    assert!(cache.get(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn many_reads_ask_for_what_is_not_held() {
    let world = World::engine();
    let cache = world.cache();
    let keys = ["a", "b", "c"].map(|name| HELD.key((name,)));
    let values: Vec<_> = keys
        .iter()
        .map(|key| (key.clone(), "v".to_owned()))
        .collect();
    cache.put_many(&values).await.unwrap();
    cache.get(&keys[1]).await.unwrap();
    assert!(
        cache
            .get_many(&keys)
            .await
            .unwrap()
            .iter()
            .all(Option::is_some)
    );
    world.counts.reset();
    assert!(
        cache
            .get_many(&keys)
            .await
            .unwrap()
            .iter()
            .all(Option::is_some)
    );
    assert_eq!(world.counts.requests(), 0);
}

/// A store that can be out of reach.
#[derive(Debug, Clone)]
struct Switch(Arc<EmbeddedTransport>, Arc<AtomicBool>);

impl Transport for Switch {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        if self.1.load(Ordering::SeqCst) {
            let error = Error::new(ErrorKind::Connect, Delivery::NotSent, "out of reach");
            return Box::pin(async { Err(error) });
        }
        self.0.execute(exchange)
    }
}

fn switched(max_queued: usize) -> (Cache, Cache, Arc<AtomicBool>, ManualClock) {
    let away = Arc::new(AtomicBool::new(false));
    let transport = EmbeddedTransport::new(Engine::new(Options::default()));
    let transport = Arc::new(transport);
    let clock = ManualClock::new(NOON);
    let cache = |away: &Arc<AtomicBool>| {
        let transport = Switch(Arc::clone(&transport), Arc::clone(away));
        let builder = restis::config::Builder::over(transport)
            .max_retries(0)
            .breaker_failures(0);
        let mut config = CacheConfig::new();
        config.early_refresh = 0.0;
        config.max_queued = max_queued;
        let cache = Cache::builder(builder.build().unwrap(), config);
        cache.clock(clock.clone()).build().unwrap()
    };
    let (here, there) = (cache(&away), cache(&Arc::default()));
    (here, there, away, clock)
}

#[tokio::test]
async fn while_the_store_is_away_held_values_are_served_by_their_rule_and_loaders_run() {
    let (cache, _, away, clock) = switched(0);
    let key = HELD.key(("acme",));
    load(&cache, &key, "1").await.unwrap();
    away.store(true, Ordering::SeqCst);
    clock.advance(59 * SECOND);
    let served = load(&cache, &key, "2").await.unwrap();
    assert_eq!((&**served, served.source()), ("1", Source::Fresh));
    clock.advance(60 * SECOND);
    let served = cache.get(&key).await.unwrap().unwrap();
    assert_eq!(served.source(), Source::Stale);
    clock.advance(SECOND);
    assert_eq!(
        cache.get(&key).await.unwrap_err().kind(),
        ErrorKind::Connect
    );
    let loaded = load(&cache, &key, "3").await.unwrap();
    assert_eq!((&**loaded, loaded.source()), ("3", Source::Loaded));
    cache.put(&key, &"4".to_owned()).await.unwrap_err();
    let refused = cache.delete(&key).await.unwrap_err();
    assert!(refused.is_unavailable());
    // An invalidation that failed may have happened: nothing of it is held.
    away.store(false, Ordering::SeqCst);
    load(&cache, &key, "5").await.unwrap();
    away.store(true, Ordering::SeqCst);
    cache.delete(&key).await.unwrap_err();
    cache.get(&key).await.unwrap_err();
}

#[tokio::test]
async fn a_queued_invalidation_is_sent_before_the_next_read() {
    let (cache, other, away, clock) = switched(2);
    let (key, tag) = (HELD.key(("acme",)), ORGANISATION.of(("acme",)));
    load(&cache, &key, "1").await.unwrap();
    away.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(cache.remove_tag(&tag).await.unwrap(), Invalidated::Queued);
    }
    assert_eq!(cache.delete(&key).await.unwrap(), Invalidated::Queued);
    cache.clear(&HELD).await.unwrap_err();
    cache.get(&key).await.unwrap_err();
    assert_eq!(other.get(&key).await.unwrap().unwrap().into_value(), "1");
    away.store(false, Ordering::SeqCst);
    assert!(cache.get(&key).await.unwrap().is_none());
    clock.advance(5 * SECOND);
    assert!(other.get(&key).await.unwrap().is_none());
    // Once.
    load(&cache, &key, "2").await.unwrap();
    assert_eq!(cached_only(&other, &key).await, "2");
    assert_eq!(
        cache.remove_tag(&tag).await.unwrap(),
        Invalidated::Everywhere
    );
}

#[tokio::test]
async fn many_puts_are_two_commands_where_the_store_has_msetex() {
    for world in World::all() {
        let cache = world.cache();
        let keys: Vec<_> = (0..500).map(|n| report("acme", &n.to_string())).collect();
        let values: Vec<_> = keys
            .iter()
            .map(|key| (key.clone(), key.name().to_owned()))
            .collect();
        // Which commands the server has is known after the first time.
        cache.put_many(&values[..1]).await.unwrap();
        world.counts.reset();
        cache.put_many(&values).await.unwrap();
        let expected = if world.server.is_some() { 1001 } else { 3 };
        assert_eq!(
            (world.counts.requests(), world.counts.commands()),
            (2, expected)
        );
        let found = cache.get_many(&keys).await.unwrap();
        let found: Vec<_> = found.into_iter().filter_map(value).collect();
        assert_eq!(found.len(), 500);
        assert_eq!(found[77], keys[77].name());
        let left: i64 = world
            .redis
            .pttl(format!("cache:{}", keys[0].name()))
            .await
            .unwrap();
        assert!((1..=60_000).contains(&left), "{left}");
        cache.remove_tag(&ORGANISATION.of(("acme",))).await.unwrap();
        assert!(
            cache
                .get_many(&keys)
                .await
                .unwrap()
                .iter()
                .all(Option::is_none)
        );
        let many = vec![values[0].clone(); 1001];
        assert_eq!(
            cache.put_many(&many).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}

#[tokio::test]
async fn jitter_only_shortens() {
    let world = World::engine();
    let cache = world.cache();
    let jittered = Lifetime::new(1000 * SECOND).jitter(10);
    let mut times = std::collections::BTreeSet::new();
    for n in 0..50 {
        let key = report("acme", &n.to_string()).lives(jittered);
        times.insert(load(&cache, &key, "v").await.unwrap().fresh_for());
    }
    let (first, last) = (*times.first().unwrap(), *times.last().unwrap());
    assert!(
        first >= 900 * SECOND && last <= 1000 * SECOND,
        "{first:?} {last:?}"
    );
    assert!(times.len() > 10);
}

#[tokio::test]
async fn hints_tell_a_process_at_once_what_another_one_invalidated() {
    let redis = Redis::embedded(Engine::new(Options::default()));
    let clock = ManualClock::new(NOON);
    let made = |hints: bool| {
        let mut config = CacheConfig::new();
        config.early_refresh = 0.0;
        config.hints = hints;
        let cache = Cache::builder(redis.clone(), config);
        cache.clock(clock.clone()).build().unwrap()
    };
    let (cache, other) = (made(false), made(true));
    let (key, tag) = (HELD.key(("acme",)), ORGANISATION.of(("acme",)));
    let follower = cache.clone();
    let following = tokio::spawn(async move { follower.follow_hints().await });
    // Until it listens, a hint reaches nobody.
    loop {
        assert!(!following.is_finished(), "it does not listen");
        let ask = redis.command("PUBSUB").arg("NUMSUB").arg("cache:#hints");
        let listeners: (String, i64) = ask.query().await.unwrap();
        if listeners.1 == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let heard = || {
        let counters = redis.metrics().snapshot().counters;
        counters.get("cache_hints").copied().unwrap_or_default()
    };
    for how in 0..6 {
        load(&cache, &key, "1").await.unwrap();
        assert_eq!(cached_only(&cache, &key).await, "1");
        let before = heard();
        match how {
            0 => drop(other.remove_tag(&tag).await.unwrap()),
            1 => drop(other.clear(&HELD).await.unwrap()),
            2 => drop(other.delete(&key).await.unwrap()),
            3 => other.put(&key, &"2".to_owned()).await.unwrap(),
            4 => {
                let value = [(key.clone(), "2".to_owned())];
                other.put_many(&value).await.unwrap();
            }
            _ => drop(other.expire(&key).await.unwrap()),
        }
        while heard() == before {
            assert!(!following.is_finished(), "it does not listen any more");
            tokio::task::yield_now().await;
        }
        let found = cache.get(&key).await.unwrap();
        let expected = match how {
            0..=2 => None,
            3 | 4 => Some(("2", Source::Fresh)),
            _ => Some(("1", Source::Stale)),
        };
        let found = found.as_ref().map(|found| (found.as_str(), found.source()));
        assert_eq!(found, expected, "{how}");
        cache.delete(&key).await.unwrap();
    }
    following.abort();
}

#[tokio::test]
async fn the_bytes_of_a_value_are_what_its_codec_wrote() {
    for world in World::all() {
        let cache = world.cache();
        for text in ["short".to_owned(), "long ".repeat(1000)] {
            for keys in [HELD, HELD.local(Duration::ZERO)] {
                let key = keys.key((text.len().to_string(),));
                assert!(cache.get_bytes(&key).await.unwrap().is_none());
                cache.put(&key, &text).await.unwrap();
                let expected = serde_json::to_vec(&text).unwrap();
                for _ in 0..2 {
                    let bytes = cache.get_bytes(&key).await.unwrap().unwrap();
                    assert_eq!((&bytes[..], bytes.source()), (&expected[..], Source::Fresh));
                    assert_eq!(cached_only(&cache, &key).await, text);
                }
                cache.delete(&key).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn keyspaces_of_one_pattern_do_not_share_what_is_held_under_other_tags() {
    const UNTAGGED: Keyspace<(String,), String> =
        Keyspace::new("held:{orgId}").local(Duration::from_secs(60));
    let world = World::engine();
    let cache = world.cache();
    cache
        .put(&UNTAGGED.key(("acme",)), &"v".to_owned())
        .await
        .unwrap();
    assert_eq!(cached_only(&cache, &UNTAGGED.key(("acme",))).await, "v");
    // The entry remembers nothing of the tag that this keyspace has.
    assert!(cache.get(&HELD.key(("acme",))).await.unwrap().is_none());
}

#[tokio::test]
async fn a_store_that_goes_away_during_a_load_costs_the_entry_alone() {
    let (cache, other, away, _) = switched(0);
    let key = report("acme", "p1");
    let goes = Arc::clone(&away);
    let first = cache.get_or_load(&key, |_| async move {
        goes.store(true, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok::<_, Error>("1".to_owned())
    });
    let waits = load(&cache, &key, "2");
    let (first, second) = futures_util::future::join(first, waits).await;
    assert_eq!((&**first.unwrap(), &**second.unwrap()), ("1", "1"));
    away.store(false, Ordering::SeqCst);
    assert!(other.get(&key).await.unwrap().is_none());
    assert_eq!(load(&cache, &key, "3").await.unwrap().into_value(), "3");
    assert_eq!(cached_only(&other, &key).await, "3");
}
