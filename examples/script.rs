//! A Lua script: read, decide and write as one atomic step.
//!
//! `cargo run -p restis-examples --example script`, as in `quickstart.rs`.

use restis::prelude::*;

/// Takes ARGV[1] from the stock in KEYS[1] if there is enough; returns what is left, or nil.
static TAKE: Script = Script::new(
    "local left = tonumber(redis.call('GET', KEYS[1]) or '0') - tonumber(ARGV[1])
     if left < 0 then return false end
     redis.call('SET', KEYS[1], left)
     return left",
);

#[tokio::main(flavor = "current_thread")]
async fn main() -> restis::Result<()> {
    let redis = Redis::from_env()?;
    redis.set("example:stock", 5).await?;
    for wanted in [3, 3, 2] {
        let left: Option<i64> = TAKE.key("example:stock").arg(wanted).run(&redis).await?;
        match left {
            Some(left) => println!("took {wanted}, {left} left"),
            None => println!("not enough for {wanted}"),
        }
    }
    Ok(())
}
