//! A cached report that is loaded once, shared, and invalidated with its organisation.
//!
//! `cargo run -p restis-examples --example cache`, as in `quickstart.rs`.

use restis::{
    Redis,
    cache::{Cache, Keyspace, Tag},
};
use std::time::Duration;

const REPORTS: Keyspace<(String, String), Vec<u64>> = Keyspace::new("reports:{orgId}:{date}")
    .tag("org:{orgId}")
    .fresh_for(Duration::from_secs(60));
const ORGANISATION: Tag<(String,)> = Tag::new("org:{orgId}");

async fn query_database() -> Result<Vec<u64>, std::io::Error> {
    println!("loading");
    Ok(vec![3, 1, 4])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = Cache::new(Redis::from_env()?)?;
    let key = REPORTS.key(("acme", "2026-01-31"));
    cache.delete(&key).await?;

    for _ in 0..2 {
        let report = cache.get_or_load(&key, |_| query_database()).await?;
        println!("{:?}: {:?}", report.source(), *report);
    }

    cache.remove_tag(&ORGANISATION.of(("acme",))).await?;
    println!("after the invalidation: {:?}", cache.get(&key).await?);
    Ok(())
}
