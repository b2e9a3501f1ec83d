//! What is counted, seen from outside.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use restis::{Args, Redis, ToArg, prelude::*};
use restis_engine::{Engine, Options};

#[tokio::test]
async fn what_does_not_fit_and_what_is_not_sent_is_counted_by_kind() {
    struct Unwritable;
    impl ToArg for Unwritable {
        fn write(&self, out: &mut Args) {
            out.push(b"");
            out.fail(Error::new(
                ErrorKind::InvalidInput,
                Delivery::NotSent,
                "unwritable",
            ));
        }
    }
    let redis = Redis::embedded(Engine::new(Options::default()));
    redis.set("k", "text").await.unwrap();
    redis.get::<u64>("k").await.unwrap_err();
    let mut p = redis.pipeline();
    let (get, incr) = (p.get::<u64>("k"), p.incr("k"));
    let mut replies = p.exec().await.unwrap();
    replies.take(get).unwrap_err();
    replies.take(incr).unwrap_err();
    redis.set("k", Unwritable).await.unwrap_err();
    Script::new("return 'text'")
        .call()
        .run::<u64>(&redis)
        .await
        .unwrap_err();

    let snapshot = redis.metrics().snapshot();
    let errors = |command| &*snapshot.commands[command].errors_by_kind;
    assert_eq!(errors("GET"), [(ErrorKind::Decode, 2)]);
    assert_eq!(errors("INCR"), [(ErrorKind::Server, 1)]);
    assert_eq!(errors("SET"), [(ErrorKind::InvalidInput, 1)]);
    assert_eq!(errors("EVALSHA"), [(ErrorKind::Decode, 1)]);
    let set = &snapshot.commands["SET"];
    assert_eq!((set.count, set.errors), (1, 1));
    let kinds = [
        (ErrorKind::InvalidInput, 1),
        (ErrorKind::Server, 1),
        (ErrorKind::Decode, 3),
    ];
    assert_eq!(snapshot.errors, kinds);
    let line = "restis_command_failures_total{command=\"get\",kind=\"decode\"} 2\n";
    assert!(snapshot.to_string().contains(line));
}
