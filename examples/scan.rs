//! Walks over keys without blocking the store.
//!
//! `cargo run -p restis-examples --example scan`, as in `quickstart.rs`.

use restis::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> restis::Result<()> {
    let redis = Redis::from_env()?;
    let mut pipeline = redis.pipeline();
    for n in 0..250 {
        pipeline.set(format!("example:scan:{n}"), n);
    }
    pipeline.exec().await?;

    let options = ScanOptions::new().matching("example:scan:*").count(100);
    let mut keys = redis.scan_iter::<String>(options);
    let mut found = Vec::new();
    while let Some(key) = keys.next().await {
        found.push(key?);
    }
    // A key that moves during the scan may be returned twice.
    found.sort();
    found.dedup();
    println!("keys: {}", found.len());
    println!("deleted: {}", redis.unlink(&found).await?);
    Ok(())
}
