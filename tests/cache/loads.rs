//! Loads: one at a time, handed over, never lost, never revived.
use super::*;
use futures_util::{FutureExt as _, future::join_all};
use restis::cache::{Invalidated, Lifetime, Source};
use std::{
    future::pending,
    panic::AssertUnwindSafe,
    sync::{Mutex, atomic::AtomicUsize},
};
use tokio::sync::oneshot;

#[tokio::test]
async fn a_thousand_cold_reads_make_one_load() {
    for world in World::all() {
        let cache = world.cache();
        let key = report("acme", "p1");
        let loads = Arc::new(AtomicUsize::new(0));
        let reads = (0..1000).map(|_| {
            let loads = Arc::clone(&loads);
            cache.get_or_load(&key, move |_| async move {
                tokio::task::yield_now().await;
                let load = loads.fetch_add(1, Ordering::SeqCst);
                Ok::<_, restis::Error>(load.to_string())
            })
        });
        let values = join_all(reads).await;
        assert!(values.iter().all(|value| **value.as_ref().unwrap() == "0"));
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_on_several_threads_make_one_load_too() {
    let world = World::engine();
    let cache = world.cache();
    let loads = Arc::new(AtomicUsize::new(0));
    let tasks = (0..500).map(|_| {
        let (cache, loads) = (cache.clone(), Arc::clone(&loads));
        tokio::spawn(async move {
            let key = report("acme", "p1");
            let load = cache.get_or_load(&key, move |_| async move {
                tokio::task::yield_now().await;
                loads.fetch_add(1, Ordering::SeqCst);
                Ok::<_, restis::Error>("v".to_owned())
            });
            load.await.unwrap().into_value()
        })
    });
    for value in join_all(tasks).await {
        assert_eq!(value.unwrap(), "v");
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_load_that_is_dropped_or_panics_goes_to_a_reader_that_waits() {
    let world = World::engine();
    let cache = world.cache();
    for panics in [false, true] {
        let key = report("acme", if panics { "panics" } else { "dropped" });
        let first = cache.get_or_load(&key, move |_| async move {
            tokio::task::yield_now().await;
            assert!(!panics, "the loader panics");
            pending::<Result<String, restis::Error>>().await
        });
        let mut first = Box::pin(AssertUnwindSafe(first).catch_unwind());
        while world.counter("cache_misses") == u64::from(panics) * 2 {
            assert!((&mut first).now_or_never().is_none());
        }
        let second = load(&cache, &key, "second");
        tokio::pin!(second);
        let turn = async {
            tokio::select! {
                biased;
                second = &mut second => return second,
                () = async { for _ in 0..100 { tokio::task::yield_now().await } } => {}
            }
            if panics {
                assert!(first.await.is_err());
            } else {
                drop(first);
            }
            second.await
        };
        assert_eq!(turn.await.unwrap().into_value(), "second");
    }
}

/// Starts a load that ends when it is told to, and waits until its loader runs.
async fn paused(
    cache: &Cache,
    key: &restis::cache::Key<String>,
) -> (
    oneshot::Sender<&'static str>,
    tokio::task::JoinHandle<String>,
) {
    let (running, runs) = oneshot::channel();
    let (end, ended) = oneshot::channel::<&str>();
    let (cache, key) = (cache.clone(), key.clone());
    let task = tokio::spawn(async move {
        let load = cache.get_or_load(&key, |_| async {
            running.send(()).unwrap();
            Ok::<_, restis::Error>(ended.await.unwrap().to_owned())
        });
        load.await.unwrap().into_value()
    });
    runs.await.unwrap();
    (end, task)
}

#[tokio::test]
async fn an_invalidation_during_a_load_is_not_lost() {
    for world in World::all() {
        let (cache, other) = (world.cache(), world.cache());
        let key = report("acme", "p1");
        for how in 0..6 {
            let (end, task) = paused(&cache, &key).await;
            let how_far = match how {
                0 => other.delete(&key).await,
                1 => other.remove_tag(&ORGANISATION.of(("acme",))).await,
                2 => other.clear(&REPORTS).await,
                3 => other.expire(&key).await,
                4 => other.expire_tag(&PROPERTY.of(("acme", "p1"))).await,
                _ => other.expire_all(&REPORTS).await,
            };
            assert_eq!(how_far.unwrap(), Invalidated::Everywhere);
            end.send("old").unwrap();
            // Who asked before gets it; nobody else does.
            assert_eq!(task.await.unwrap(), "old");
            assert!(cache.get(&key).await.unwrap().is_none(), "{how}");
            assert_eq!(load(&other, &key, "new").await.unwrap().into_value(), "new");
            assert_eq!(cached_only(&cache, &key).await, "new");
            cache.delete(&key).await.unwrap();
        }
        assert_eq!(world.counter("cache_voided_loads"), 6);
    }
}

#[tokio::test]
async fn a_put_during_a_load_wins() {
    for world in World::all() {
        let (cache, other) = (world.cache(), world.cache());
        let key = report("acme", "p1");
        let (end, task) = paused(&cache, &key).await;
        other.put(&key, &"put".to_owned()).await.unwrap();
        end.send("old").unwrap();
        assert_eq!(task.await.unwrap(), "old");
        assert_eq!(cached_only(&cache, &key).await, "put");
    }
}

#[tokio::test]
async fn who_comes_after_an_invalidation_does_not_share_the_load_of_before() {
    let world = World::engine();
    let cache = world.cache();
    let key = report("acme", "p1");
    let (end, task) = paused(&cache, &key).await;
    cache.delete(&key).await.unwrap();
    let late = load(&cache, &key, "new");
    tokio::pin!(late);
    for _ in 0..100 {
        assert!((&mut late).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    end.send("old").unwrap();
    assert_eq!(late.await.unwrap().into_value(), "new");
    assert_eq!(task.await.unwrap(), "old");
    assert_eq!(cached_only(&cache, &key).await, "new");
}

const STALE: Keyspace<(String,), String> = Keyspace::new("summaries:{orgId}")
    .lifetime(Lifetime::new(Duration::from_secs(10)).stale(Duration::from_secs(20)));

type Later = Arc<Mutex<Vec<futures_util::future::BoxFuture<'static, ()>>>>;

#[tokio::test]
async fn a_stale_value_is_answered_at_once_and_loaded_later() {
    let world = World::engine();
    let later = Later::default();
    let kept = Arc::clone(&later);
    let cache = Cache::builder(world.redis.clone(), CacheConfig::new())
        .clock(world.clock.clone())
        .defer(move |load| kept.lock().unwrap().push(load))
        .build()
        .unwrap();
    let key = STALE.key(("acme",));
    load(&cache, &key, "1").await.unwrap();
    world.advance(11 * SECOND);
    for _ in 0..10 {
        let stale = load(&cache, &key, "2").await.unwrap();
        assert_eq!((&**stale, stale.source()), ("1", Source::Stale));
    }
    let deferred = std::mem::take(&mut *later.lock().unwrap());
    assert_eq!(deferred.len(), 1);
    join_all(deferred).await;
    assert_eq!(cached_only(&cache, &key).await, "2");
}

#[tokio::test]
async fn without_deferral_one_reader_of_a_stale_value_loads_and_the_others_do_not_wait() {
    let world = World::engine();
    let cache = world.cache();
    let key = STALE.key(("acme",));
    load(&cache, &key, "1").await.unwrap();
    world.advance(11 * SECOND);
    let (end, task) = paused(&cache, &key).await;
    assert_eq!(
        load(&cache, &key, "x").await.unwrap().source(),
        Source::Stale
    );
    end.send("2").unwrap();
    assert_eq!(task.await.unwrap(), "2");
    assert_eq!(cached_only(&cache, &key).await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_load_ends_at_its_time_and_an_old_value_is_served_before() {
    let world = World::engine();
    let cache = world.cache_with(|config| config.stale_after = Some(SECOND));
    let key = STALE.key(("acme",));
    let hangs = || cache.get_or_load(&key, |_| pending::<Result<String, restis::Error>>());
    let began = tokio::time::Instant::now();
    assert!(hangs().await.unwrap_err().is_timeout());
    assert_eq!(began.elapsed().as_secs(), 30);
    load(&cache, &key, "1").await.unwrap();
    world.advance(11 * SECOND);
    let began = tokio::time::Instant::now();
    assert_eq!(hangs().await.unwrap().source(), Source::Stale);
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn under_a_lease_one_process_loads_and_the_others_take_its_value() {
    const LEASED: Keyspace<(String,), String> =
        Keyspace::new("balances:{orgId}").lease(Duration::from_secs(5));
    let world = World::engine();
    let (cache, other) = (world.cache(), world.cache());
    let key = LEASED.key(("acme",));
    let (end, task) = paused(&cache, &key).await;
    let waits = load(&other, &key, "other");
    tokio::pin!(waits);
    assert!(tokio::time::timeout(SECOND, &mut waits).await.is_err());
    end.send("1").unwrap();
    assert_eq!(task.await.unwrap(), "1");
    assert_eq!(waits.await.unwrap().into_value(), "1");
    let left = world.redis.exists(["cache:#lease:balances:{acme}"]);
    assert_eq!(left.await.unwrap(), 0);
    // A holder that is gone delays the others, and no more.
    let gone = LEASED.key(("gone",));
    world
        .redis
        .set("cache:#lease:balances:{gone}", "x")
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(load(&cache, &gone, "2").await.unwrap().into_value(), "2");
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn many_keys_take_one_read_and_one_load() {
    for world in World::all() {
        let cache = world.cache();
        let keys: Vec<_> = (0..100).map(|n| report("acme", &n.to_string())).collect();
        cache.put(&keys[3], &"put".to_owned()).await.unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let read = async || {
            let all = cache.get_or_load_many(&keys, |places| {
                asked.lock().unwrap().push(places.len());
                async move { Ok::<_, restis::Error>(places.iter().map(usize::to_string).collect()) }
            });
            let all = all.await.unwrap().into_iter().map(Cached::into_value);
            all.collect::<Vec<String>>()
        };
        let first = read().await;
        assert_eq!((&*first[2], &*first[3], &*first[99]), ("2", "put", "99"));
        world.counts.reset();
        assert_eq!(read().await, first);
        assert_eq!(world.counts.commands(), 1);
        assert_eq!(*asked.lock().unwrap(), [99]);
    }
}

#[tokio::test]
async fn a_loader_of_many_that_fails_or_miscounts_serves_nothing_new() {
    let world = World::engine();
    let cache = world.cache();
    let keys = [report("acme", "p1"), report("acme", "p2")];
    let few = cache.get_or_load_many(&keys, |_| async {
        Ok::<_, restis::Error>(vec!["1".to_owned()])
    });
    few.await.unwrap_err();
    let fails = cache.get_or_load_many(&keys, |_| async { Err::<Vec<String>, _>("down") });
    assert_eq!(
        fails.await.unwrap_err().loader_error().unwrap().to_string(),
        "down"
    );
    assert!(
        cache
            .get_many(&keys)
            .await
            .unwrap()
            .iter()
            .all(Option::is_none)
    );
}

#[tokio::test]
async fn a_tag_that_the_loader_chose_voids_its_value_from_the_start() {
    const REGION: Tag<(String,)> = Tag::new("region:{name}");
    for world in World::all() {
        let cache = world.cache();
        let key = report("acme", "p1");
        let tagged = async |during: bool| {
            let other = cache.clone();
            let load = cache.get_or_load(&key, move |load| async move {
                load.tag(&REGION.of(("eu",))).await?;
                if during {
                    other.remove_tag(&REGION.of(("eu",))).await?;
                }
                Ok::<_, restis::Error>("v".to_owned())
            });
            load.await.unwrap()
        };
        tagged(false).await;
        assert_eq!(cached_only(&cache, &key).await, "v");
        cache.remove_tag(&REGION.of(("us",))).await.unwrap();
        assert_eq!(cached_only(&cache, &key).await, "v");
        cache.remove_tag(&REGION.of(("eu",))).await.unwrap();
        assert!(cache.get(&key).await.unwrap().is_none());
        tagged(true).await;
        assert!(cache.get(&key).await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_nobody_runs_holds_others_up_for_the_time_of_a_load_at_most() {
    let world = World::engine();
    let later = Later::default();
    let kept = Arc::clone(&later);
    let mut config = CacheConfig::new();
    config.early_refresh = 0.0;
    let cache = Cache::builder(world.redis.clone(), config)
        .clock(world.clock.clone())
        .defer(move |load| kept.lock().unwrap().push(load))
        .build()
        .unwrap();
    let key = STALE.key(("acme",));
    load(&cache, &key, "1").await.unwrap();
    world.advance(11 * SECOND);
    load(&cache, &key, "2").await.unwrap();
    world.advance(20 * SECOND);
    // There is nothing to serve any more, and the load does not move.
    let began = tokio::time::Instant::now();
    let loaded = load(&cache, &key, "3").await.unwrap();
    assert_eq!((&**loaded, loaded.source()), ("3", Source::Loaded));
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(cached_only(&cache, &key).await, "3");
    assert_eq!(later.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_shared_each_caller_loads_for_itself() {
    let world = World::engine();
    let cache = world.cache_with(|config| config.max_value_bytes = 10);
    let key = report("acme", "p1");
    let (end, task) = paused(&cache, &key).await;
    let other = load(&cache, &key, "of the other caller");
    tokio::pin!(other);
    for _ in 0..100 {
        assert!((&mut other).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    end.send("of the first caller").unwrap();
    assert_eq!(task.await.unwrap(), "of the first caller");
    assert_eq!(other.await.unwrap().into_value(), "of the other caller");
}

#[tokio::test(start_paused = true)]
async fn many_keys_respect_leases_and_deferral() {
    const LEASED: Keyspace<(String,), String> = Keyspace::new("balances:{orgId}")
        .lifetime(Lifetime::new(Duration::from_secs(10)).stale(Duration::from_secs(20)))
        .lease(Duration::from_secs(5));
    let world = World::engine();
    let (cache, other) = (world.cache(), world.cache());
    let keys = ["a", "b"].map(|name| LEASED.key((name,)));
    let many = async |cache: &Cache, text: &'static str| {
        let found = cache.get_or_load_many(&keys, |places| async move {
            let each = places.iter().map(|place| format!("{text}{place}"));
            Ok::<_, restis::Error>(each.collect::<Vec<_>>())
        });
        let found = found.await.unwrap();
        found
            .into_iter()
            .map(Cached::into_value)
            .collect::<Vec<_>>()
    };
    // Another process loads one of them: it is waited for, and its value is taken.
    let (end, task) = paused(&other, &keys[0]).await;
    let both = many(&cache, "own ");
    tokio::pin!(both);
    assert!(tokio::time::timeout(SECOND, &mut both).await.is_err());
    end.send("other").unwrap();
    assert_eq!(task.await.unwrap(), "other");
    assert_eq!(both.await, ["other", "own 1"]);
    let left: Vec<String> = world.redis.keys("cache:#lease:*").await.unwrap();
    assert_eq!(left, Vec::<String>::new());
    // What is stale is served while another process holds the lease.
    world.advance(11 * SECOND);
    let (end, task) = paused(&other, &keys[0]).await;
    assert_eq!(many(&cache, "new ").await, ["other", "new 1"]);
    end.send("later").unwrap();
    task.await.unwrap();
    assert_eq!(many(&cache, "x").await, ["later", "new 1"]);
    // Deferred, stale values are answered at once and loaded by one call.
    let later = Later::default();
    let kept = Arc::clone(&later);
    let deferring = Cache::builder(world.redis.clone(), CacheConfig::new())
        .clock(world.clock.clone())
        .defer(move |load| kept.lock().unwrap().push(load))
        .build()
        .unwrap();
    world.advance(11 * SECOND);
    for _ in 0..3 {
        assert_eq!(many(&deferring, "third ").await, ["later", "new 1"]);
    }
    let deferred = std::mem::take(&mut *later.lock().unwrap());
    assert_eq!(deferred.len(), 1);
    join_all(deferred).await;
    assert_eq!(many(&cache, "x").await, ["third 0", "third 1"]);
}

#[tokio::test]
async fn a_value_that_is_kept_for_errors_is_not_served_while_another_caller_loads() {
    const KEPT: Keyspace<(String,), String> = Keyspace::new("kept:{orgId}")
        .lifetime(Lifetime::new(Duration::from_secs(10)).on_error(Duration::from_secs(60)));
    let world = World::engine();
    let cache = world.cache();
    let keys = [KEPT.key(("a",))];
    load(&cache, &keys[0], "old").await.unwrap();
    world.advance(11 * SECOND);
    let (end, task) = paused(&cache, &keys[0]).await;
    let many = cache.get_or_load_many(&keys, |_| async { Err::<Vec<String>, _>("down") });
    tokio::pin!(many);
    for _ in 0..100 {
        assert!((&mut many).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    end.send("new").unwrap();
    task.await.unwrap();
    assert_eq!(many.await.unwrap().pop().unwrap().into_value(), "new");
    // Its own load fails: now it is.
    world.advance(11 * SECOND);
    let many = cache.get_or_load_many(&keys, |_| async { Err::<Vec<String>, _>("down") });
    assert_eq!(many.await.unwrap().pop().unwrap().source(), Source::Stale);
}

#[tokio::test]
async fn a_reload_brings_and_stores_the_present_value() {
    let world = World::engine();
    let cache = world.cache();
    let key = report("acme", "p1");
    load(&cache, &key, "1").await.unwrap();
    let reloaded = cache.reload(&key, |_| async { Ok::<_, restis::Error>("2".to_owned()) });
    assert_eq!(reloaded.await.unwrap().source(), Source::Loaded);
    assert_eq!(cached_only(&cache, &key).await, "2");
    let failed = cache.reload(&key, |_| async { Err::<String, _>("down") });
    failed.await.unwrap_err();
    assert_eq!(cached_only(&cache, &key).await, "2");
}
