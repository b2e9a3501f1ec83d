//! Sets, reads and counts: the first program.
//!
//! ```sh
//! cargo run                                             # in one terminal: a store; copy its export line
//! cargo run -p restis-examples --example quickstart     # in another
//! ```
//!
//! Without a database in the environment it works on a store in the process.

use restis::{Json, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
struct User {
    name: String,
    visits: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> restis::Result<()> {
    let redis = Redis::from_env()?;

    let a_minute = SetOptions::new().ex(Duration::from_secs(60));
    redis
        .set_with("example:greeting", "hello", a_minute)
        .await?;
    let greeting: Option<String> = redis.get("example:greeting").await?;
    println!("greeting: {}", greeting.unwrap_or_default());

    let ada = User {
        name: "Ada".into(),
        visits: 1,
    };
    redis.set("example:user", Json(&ada)).await?;
    let user: Option<Json<User>> = redis.get("example:user").await?;
    if let Some(Json(user)) = user {
        println!("user: {} with {} visit", user.name, user.visits);
    }

    let missing: Option<String> = redis.get("example:nothing").await?;
    println!("missing: {missing:?}");

    let deleted = redis.del(["example:greeting", "example:user"]).await?;
    println!("deleted: {deleted}");
    Ok(())
}
