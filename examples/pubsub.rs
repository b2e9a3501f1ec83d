//! Publishes and receives messages; waits until the subscription holds before it publishes.
//!
//! `cargo run -p restis-examples --example pubsub`, as in `quickstart.rs`.

use restis::{prelude::*, pubsub::SubscriptionEvent};

#[tokio::main(flavor = "current_thread")]
async fn main() -> restis::Result<()> {
    let redis = Redis::from_env()?;
    let mut news = redis.subscribe(["example:news"]);
    // The subscription starts when it is polled; until `Subscribed` messages pass it by.
    while let Some(event) = news.next().await {
        match event? {
            SubscriptionEvent::Subscribed { name, .. } => {
                println!("subscribed to {name}");
                redis.publish("example:news", "hello").await?;
            }
            SubscriptionEvent::Message(message) => {
                println!("{}: {}", message.channel, message.decode::<String>()?);
                break;
            }
            // Redis keeps no messages: after a break read again what must not be missed.
            SubscriptionEvent::Lost(error) => println!("connecting again: {error}"),
            _ => {}
        }
    }
    Ok(())
}
