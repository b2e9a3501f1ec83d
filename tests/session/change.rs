//! Extending sessions and changing their values.

use crate::{World, config, created, on_every_backend};
use http::{HeaderMap, HeaderValue};
use restis::session::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

on_every_backend! {
    touch_extends_and_is_throttled: config();
    touch_never_passes_the_absolute_end: config().idle(Duration::from_secs(60)).absolute(Duration::from_secs(90));
    touch_after_logout_is_gone: config();
    a_shrunk_idle_time_keeps_score_and_ttl_equal: config();
    update_merges_fields: config();
    update_checks_the_version: config();
    update_never_revives: config();
    update_respects_the_field_limit: config().limits(2, 100);
    counters_are_exact_and_bounded: config();
    flash_is_read_once: config();
    typed_data_round_trips_by_differences: config();
}

async fn touch_extends_and_is_throttled(w: World) {
    let mut session = w.login("u1").await;
    assert_eq!(
        w.sessions.touch(&mut session).await.unwrap(),
        Touched::NotYet
    );
    w.clock.advance(Duration::from_secs(3600));
    let expires_ms = w.sessions.now_ms() + 86_400_000;
    assert_eq!(
        w.sessions.touch(&mut session).await.unwrap(),
        Touched::Extended { expires_ms }
    );
    assert_eq!(
        w.sessions.touch(&mut session).await.unwrap(),
        Touched::NotYet
    );
    assert_eq!(
        w.load(&session).await.session().unwrap().expires_ms(),
        expires_ms
    );
    w.assert_ttls().await;
}

async fn touch_never_passes_the_absolute_end(w: World) {
    let mut session = w.login("u1").await;
    w.clock.advance(Duration::from_secs(50));
    let end = session.ends_ms();
    assert_eq!(
        w.sessions.touch(&mut session).await.unwrap(),
        Touched::Extended { expires_ms: end }
    );
    w.clock.advance(Duration::from_secs(39));
    assert!(w.is_live(&session).await);
    w.clock.advance(Duration::from_secs(1));
    assert!(matches!(
        w.load(&session).await,
        Loaded::Absent(Absence::Ended)
    ));
    assert_eq!(
        w.sessions.touch_now(&mut session).await.unwrap(),
        Touched::Gone
    );
    assert_eq!(w.index("u1").await, Vec::<String>::new());
}

async fn touch_after_logout_is_gone(w: World) {
    let mut session = w.login("u1").await;
    w.sessions.logout(&session).await.unwrap();
    assert_eq!(
        w.sessions.touch_now(&mut session).await.unwrap(),
        Touched::Gone
    );
    assert!(!w.is_live(&session).await);
    assert_eq!(w.sessions.count("u1").await.unwrap(), 0);
}

async fn a_shrunk_idle_time_keeps_score_and_ttl_equal(w: World) {
    let session = w.login("u1").await;
    let short = World::new(&w.redis, config().idle(Duration::from_secs(600)));
    let mut session = short.load(&session).await.session().unwrap();
    short.sessions.touch_now(&mut session).await.unwrap();
    let score: f64 = w
        .redis
        .command("ZSCORE")
        .arg("user:u1:sessions")
        .arg(session.sid().to_string())
        .query()
        .await
        .unwrap();
    let key = format!("session:{}", session.sid());
    let ttl: i64 = w
        .redis
        .command("PEXPIRETIME")
        .arg(key)
        .query()
        .await
        .unwrap();
    assert_eq!(score as i64, ttl);
}

async fn update_merges_fields(w: World) {
    let mut one = w.login("u1").await;
    let mut two = w.load(&one).await.session().unwrap();
    let done = w
        .sessions
        .update(&mut one, &Changes::new().set("a", &1).set("b", &2))
        .await
        .unwrap();
    assert_eq!(
        done,
        Updated::Done {
            version: 2,
            counters: vec![]
        }
    );
    w.sessions
        .update(&mut two, &Changes::new().set("c", &3).remove("b"))
        .await
        .unwrap();
    let loaded = w.load(&one).await.session().unwrap();
    assert_eq!(loaded.names().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!((loaded.version(), one.version(), two.version()), (3, 2, 3));
    assert_eq!(
        one.get::<i32>("a").unwrap(),
        Some(1),
        "the snapshot follows its own change"
    );
    assert!(
        loaded.get::<String>("a").is_err(),
        "another type is an error, not nothing"
    );
    let nothing = w.sessions.update(&mut one, &Changes::new()).await.unwrap();
    assert!(matches!(nothing, Updated::Done { version: 2, .. }));
}

async fn update_checks_the_version(w: World) {
    let mut one = w.login("u1").await;
    let mut two = one.clone();
    let change = Changes::new().set("a", &1).if_version(1);
    assert!(matches!(
        w.sessions.update(&mut one, &change).await.unwrap(),
        Updated::Done { .. }
    ));
    assert_eq!(
        w.sessions.update(&mut two, &change).await.unwrap(),
        Updated::Conflict { version: 2 }
    );
    let fresh = w.sessions.reload(&two).await.unwrap().unwrap();
    assert_eq!(fresh.version(), 2);
    assert_eq!(w.sessions.count_of(EventKind::Conflict), 1);
}

async fn update_never_revives(w: World) {
    let mut session = w.login("u1").await;
    w.sessions.logout(&session).await.unwrap();
    let changes = Changes::new()
        .set("a", &1)
        .increment("n", 1)
        .flash("f", "x");
    assert_eq!(
        w.sessions.update(&mut session, &changes).await.unwrap(),
        Updated::Gone
    );
    assert!(
        w.keys()
            .await
            .iter()
            .all(|k| !k.contains(&session.sid().to_string()))
    );
    assert!(w.heard.kinds().contains(&EventKind::Gone));
}

async fn update_respects_the_field_limit(w: World) {
    let mut session = w.login("u1").await;
    let many = (0..32).fold(Changes::new(), |c, i| c.set(&format!("f{i}"), &i));
    assert_eq!(
        w.sessions.update(&mut session, &many).await.unwrap(),
        Updated::Full
    );
    assert_eq!(
        w.load(&session).await.session().unwrap().names().count(),
        0,
        "nothing of it was written"
    );
    let long = Changes::new().set("a", &"x".repeat(101));
    let error = w.sessions.update(&mut session, &long).await.unwrap_err();
    assert_eq!(error.kind(), restis::ErrorKind::TooLarge);
    for name in ["", "a\nb", &"n".repeat(65)] {
        let error = w
            .sessions
            .update(&mut session, &Changes::new().set(name, &1))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), restis::ErrorKind::InvalidInput);
    }
}

async fn counters_are_exact_and_bounded(w: World) {
    let mut session = w.login("u1").await;
    let step = Changes::new()
        .increment("visits", 2)
        .increment("errors", -1);
    for _ in 0..3 {
        w.sessions.update(&mut session, &step).await.unwrap();
    }
    let loaded = w.load(&session).await.session().unwrap();
    assert_eq!(
        (
            loaded.counter("visits"),
            loaded.counter("errors"),
            loaded.counter("none")
        ),
        (6, -3, 0)
    );
    let over = Changes::new()
        .increment("errors", 1)
        .increment("visits", i64::MAX);
    assert_eq!(
        w.sessions.update(&mut session, &over).await.unwrap(),
        Updated::Overflow
    );
    let loaded = w.load(&session).await.session().unwrap();
    assert_eq!(
        (loaded.counter("visits"), loaded.counter("errors")),
        (6, -3),
        "all or nothing"
    );
    assert_eq!(loaded.names().count(), 0);
}

async fn flash_is_read_once(w: World) {
    let mut session = w.login("u1").await;
    w.sessions
        .update(&mut session, &Changes::new().flash("notice", "saved"))
        .await
        .unwrap();
    let mut one = w.load(&session).await.session().unwrap();
    let mut two = one.clone();
    let mut prefetch = HeaderMap::new();
    prefetch.insert(
        "sec-purpose",
        HeaderValue::from_static("prefetch;prerender"),
    );
    assert_eq!(
        w.sessions
            .take_flash::<String>(&mut one, "notice", &prefetch)
            .await
            .unwrap(),
        None
    );
    let none = HeaderMap::new();
    assert_eq!(
        w.sessions
            .take_flash::<String>(&mut one, "other", &none)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        w.sessions
            .take_flash(&mut one, "notice", &none)
            .await
            .unwrap(),
        Some("saved".to_owned())
    );
    assert_eq!(
        w.sessions
            .take_flash::<String>(&mut two, "notice", &none)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        w.load(&session).await.session().unwrap().flashes().count(),
        0
    );
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    theme: String,
    cart: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coupon: Option<String>,
}

async fn typed_data_round_trips_by_differences(w: World) {
    let before = Profile {
        theme: "dark".into(),
        cart: vec![1],
        coupon: Some("x".into()),
    };
    let session = created(
        w.sessions
            .create(NewSession::user("u1").data(&before))
            .await
            .unwrap(),
    );
    let mut session = w.load(&session).await.session().unwrap();
    assert_eq!(session.data::<Profile>().unwrap(), before);
    let after = Profile {
        theme: "dark".into(),
        cart: vec![1, 2],
        coupon: None,
    };
    w.sessions
        .update(&mut session, &Changes::between(&before, &after))
        .await
        .unwrap();
    assert_eq!(
        w.load(&session)
            .await
            .session()
            .unwrap()
            .data::<Profile>()
            .unwrap(),
        after
    );
    assert!(Changes::between(&after, &after).is_empty());
}
