//! Compiles the guide and the pages on migration: each page is a module here, its code a doctest.

macro_rules! pages {
    ($($name:ident: $file:literal;)*) => {$(
        #[cfg(doctest)]
        #[doc = include_str!(concat!("../../docs/guide/", $file))]
        pub mod $name {}
    )*};
}

pages! {
    cache: "cache.md";
    connect: "connect.md";
    edge: "edge.md";
    events: "events.md";
    offline: "offline.md";
    operate: "operate.md";
    pipelines: "pipelines.md";
    pubsub: "pubsub.md";
    ratelimit: "ratelimit.md";
    scanning: "scanning.md";
    scripts: "scripts.md";
    sessions: "sessions.md";
    testing: "testing.md";
    values: "values.md";
}

pages! {
    migrate_connect_redis: "../migrate/connect-redis.md";
    migrate_redis_rs: "../migrate/redis-rs.md";
    migrate_tower_sessions: "../migrate/tower-sessions.md";
    migrate_upstash: "../migrate/upstash.md";
}
