//! How many HTTP requests an operation is.

use crate::{World, config, on_every_backend};
use restis::session::*;

on_every_backend! {
    operations_are_one_request_each: config().max_per_user(2, LimitPolicy::Evict);
}

async fn operations_are_one_request_each(w: World) {
    // The first round uploads the scripts, which is a request more for each.
    round(&w, "u1").await;
    let done = round(&w, "u2").await;
    let expected = [
        ("create", 1),
        ("load", 1),
        ("touch", 1),
        ("update", 1),
        ("rotate", 1),
        ("count", 1),
        ("create", 1),
        ("create, one over the cap", 2),
        ("list", 2),
        ("logout", 1),
        ("revoke all", 2),
    ];
    assert_eq!(done, expected);
}

async fn round(w: &World, user: &str) -> Vec<(&'static str, u64)> {
    let sent = || w.redis.metrics().snapshot().requests;
    let (mut before, mut done) = (sent(), Vec::new());
    let mut note = |what| done.push((what, sent() - std::mem::replace(&mut before, sent())));
    let mut session = w.login(user).await;
    note("create");
    assert!(w.is_live(&session).await);
    note("load");
    w.sessions.touch_now(&mut session).await.unwrap();
    note("touch");
    let change = Changes::new().set("a", &1).if_version(session.version());
    w.sessions.update(&mut session, &change).await.unwrap();
    note("update");
    w.rotated(&session, &Rotation::privilege()).await;
    note("rotate");
    assert_eq!(w.sessions.count(user).await.unwrap(), 1);
    note("count");
    w.login(user).await;
    note("create");
    let last = w.login(user).await;
    note("create, one over the cap");
    assert_eq!(w.sessions.list(user, None).await.unwrap().len(), 2);
    note("list");
    w.sessions.logout(&last).await.unwrap();
    note("logout");
    w.sessions.revoke_all(user).await.unwrap();
    note("revoke all");
    done
}
