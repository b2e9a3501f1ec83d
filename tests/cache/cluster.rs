//! A Redis Cluster of three nodes behind the REST server: one read is one command.
#![allow(dead_code, reason = "the processes have more than a cluster")]

#[path = "../../server/tests/support/redis.rs"]
mod processes;

use super::*;
use restis_server::Server;

const ALONE: Keyspace<(String, String), String> = Keyspace::new("alone:{orgId}:{propertyId}")
    .tag("org:{orgId}")
    .tag("prop:{orgId}:{propertyId}")
    .never_cleared();

fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if check() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("not in time: {what}");
}

fn commands(redis: &Redis, name: &str) -> u64 {
    let all = redis.metrics().snapshot().commands;
    all.get(name).map_or(0, |command| command.count)
}

#[tokio::test]
async fn on_a_cluster_one_read_is_one_command_and_invalidations_reach_every_slot() {
    let Some(cluster) = processes::ClusterProcess::start() else {
        return;
    };
    let server = Server::builder().redis("TOKEN", &cluster.url()).threads(1);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let redis = Redis::builder(server.url(), "TOKEN").build().unwrap();
    for evicts in [false, true] {
        let mut config = CacheConfig::new();
        (config.cluster, config.evicts) = (true, evicts);
        let cache = Cache::builder(redis.clone(), config).build().unwrap();

        // Alone: entry and markers are in the slot of the organisation.
        let key = ALONE.key(("acme", "p1"));
        cache.put(&key, &"1".to_owned()).await.unwrap();
        let (reads, requests) = (
            commands(&redis, "MGET"),
            redis.metrics().snapshot().requests,
        );
        assert_eq!(value(cache.get(&key).await.unwrap()).as_deref(), Some("1"));
        assert_eq!(commands(&redis, "MGET") - reads, 1);
        assert_eq!(redis.metrics().snapshot().requests - requests, 1);

        // With the marker of all, which lies elsewhere: two commands of one request.
        let keys: Vec<_> = (0..50)
            .map(|n| report(&format!("org{}", n % 5), &n.to_string()))
            .collect();
        let values: Vec<_> = keys
            .iter()
            .map(|key| (key.clone(), key.name().to_owned()))
            .collect();
        cache.put_many(&values).await.unwrap();
        let (reads, requests) = (
            commands(&redis, "MGET"),
            redis.metrics().snapshot().requests,
        );
        let found = cache.get_many(&keys).await.unwrap();
        assert_eq!(found.into_iter().filter_map(value).count(), 50);
        assert_eq!(commands(&redis, "MGET") - reads, 6);
        assert_eq!(redis.metrics().snapshot().requests - requests, 1);

        cache.remove_tag(&ORGANISATION.of(("org3",))).await.unwrap();
        let left = cache.get_many(&keys).await.unwrap();
        assert_eq!(left.iter().filter(|found| found.is_some()).count(), 40);
        cache.put(&keys[3], &"put".to_owned()).await.unwrap();
        assert_eq!(cached_only(&cache, &keys[3]).await, "put");
        cache.clear(&REPORTS).await.unwrap();
        let left = cache.get_many(&keys).await.unwrap();
        assert!(left.iter().all(Option::is_none));
        assert_eq!(
            load(&cache, &keys[7], "loaded").await.unwrap().into_value(),
            "loaded"
        );
        assert_eq!(cached_only(&cache, &keys[7]).await, "loaded");
        cache.delete(&keys[7]).await.unwrap();
        assert!(cache.get(&keys[7]).await.unwrap().is_none());
    }
}
