//! Publishes an event and reads the history with a cursor that proves nothing was missed.
//!
//! `cargo run -p restis-examples --example events`, as in `quickstart.rs`.

use restis::{
    Redis,
    events::{Environment, Event, Events, HistoryQuery},
};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> restis::Result<()> {
    let events = Events::new(Redis::from_env()?, Environment::Development);
    let start = events.begin().await?;

    for id in 1..=2 {
        let event = Event::new("booking.created", "/example", json!({ "id": id }))?;
        // The key makes a repeated call harmless: the event is stored once.
        let key = format!("{}-{id}", start.epoch());
        events.publish_once(&event, &key).await?;
        events.publish_once(&event, &key).await?;
    }

    let page = events.history(&HistoryQuery::new().after(start)).await?;
    match page.reset {
        Some(reset) => println!("start over: {reset:?}"),
        None => println!("events: {}", page.events.len()),
    }
    Ok(())
}
