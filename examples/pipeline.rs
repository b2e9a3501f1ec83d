//! Several commands in one request: awaited together, as a pipeline, as a transaction.
//!
//! `cargo run -p restis-examples --example pipeline`, as in `quickstart.rs`.

use restis::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> restis::Result<()> {
    let redis = Redis::from_env()?;
    redis.del(["example:n", "example:list"]).await?;

    // Calls that are awaited at the same time leave in one request, in this order.
    let (first, second) = tokio::try_join!(redis.incr("example:n"), redis.incr("example:n"))?;
    println!("together: {first}, {second}");

    // A pipeline: one request; each command has its own result.
    let mut pipeline = redis.pipeline();
    let count = pipeline.incr("example:n");
    let wrong = pipeline.lpush("example:n", ["no list"]);
    let length = pipeline.rpush("example:list", ["a", "b"]);
    let mut replies = pipeline.exec().await?;
    println!("count: {}", replies.take(count)?);
    println!("wrong type: {}", replies.take(wrong).is_err());
    println!("length: {}", replies.take(length)?);

    // A transaction: nobody sees a state in between.
    let mut transaction = redis.transaction();
    let left = transaction.decrby("example:n", 3);
    let all = transaction.lrange::<String>("example:list", 0, -1);
    let mut replies = transaction.exec().await?;
    println!("left: {}", replies.take(left)?);
    println!("all: {}", replies.take(all)?.join(" "));
    Ok(())
}
