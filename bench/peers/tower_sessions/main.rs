//! The Redis store of `tower-sessions`, measured for `restis-bench sessions`: a line "WORK MILLISECONDS" in, a figure out.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use time::OffsetDateTime;
use tower_sessions_core::SessionStore as _;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};

type Store = RedisStore<Pool>;

fn expiry() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::days(1)
}

fn fresh(user: usize) -> Record {
    let data = serde_json::json!({
        "user": format!("user-{user}"), "organisation": "acme", "theme": "dark",
        "cart": ["a-1", "b-2", "c-3"], "n": 0,
    });
    let data = data.as_object().cloned().unwrap_or_default();
    Record {
        id: Id::default(),
        data: data.into_iter().collect(),
        expiry_date: expiry(),
    }
}

async fn load(store: &Store, id: Id) -> session_store::Result<Record> {
    let missing = || session_store::Error::Backend("no session".to_owned());
    store.load(&id).await?.ok_or_else(missing)
}

/// It has no way to extend a session but to save it.
async fn all(store: &Store, id: Id, n: u64) -> session_store::Result<()> {
    let mut record = load(store, id).await?;
    record.expiry_date = expiry();
    let mut changed = record.clone();
    changed.data.insert("n".to_owned(), n.into());
    try_join(store.save(&record), store.save(&changed)).await?;
    Ok(())
}

async fn rate(store: &Store, ids: &[Id], work: &str, time: Duration) -> session_store::Result<f64> {
    let (start, mut done) = (Instant::now(), 0_u64);
    loop {
        match work {
            "load" => drop(try_join_all(ids.iter().map(|id| load(store, *id))).await?),
            "all" => drop(try_join_all(ids.iter().map(|id| all(store, *id, done))).await?),
            _ => all(store, ids[done as usize % ids.len()], done).await?,
        }
        done += if work == "sequential" {
            1
        } else {
            ids.len() as u64
        };
        let passed = start.elapsed();
        if passed >= time {
            return Ok(done as f64 / passed.as_secs_f64());
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::from_url(&std::env::var("BENCH_URL")?)?;
    // As the store's documentation shows it.
    let pool = Pool::new(config, None, None, None, 6)?;
    let _connection = pool.connect();
    pool.wait_for_connect().await?;
    let store = RedisStore::new(pool);
    let mut ids = Vec::new();
    for user in 0..64 {
        let mut record = fresh(user);
        store.create(&mut record).await?;
        ids.push(record.id);
    }
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (work, ms) = line.split_once(' ').ok_or("no work")?;
        let figure = rate(&store, &ids, work, Duration::from_millis(ms.parse()?)).await?;
        writeln!(std::io::stdout(), "{figure}")?;
    }
    Ok(())
}
