//! Each operation on its own.

use crate::{World, config, created, on_every_backend};
use http::{HeaderMap, HeaderValue};
use restis::session::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

on_every_backend! {
    a_session_round_trips: config();
    the_estimate_counts_sessions_in_use: config();
    anonymous_sessions_have_no_index: config();
    an_upgrade_keeps_named_values_only: config();
    a_replaced_session_of_another_user_leaves_its_index: config();
    the_cap_evicts_the_least_recently_used: config().max_per_user(2, LimitPolicy::Evict);
    the_cap_rejects: config().max_per_user(2, LimitPolicy::Reject);
    one_session_for_each_device: config().one_per_device();
    a_repeated_login_gets_the_first_session: config();
    a_repeated_login_after_logout_is_a_new_one: config();
    a_stale_login_is_refused: config();
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
    rotation_for_privilege_kills_the_old_one: config();
    periodic_rotation_has_a_grace: config().rotate_every(Duration::from_secs(600));
    reuse_after_the_grace_ends_the_family: config();
    late_writes_reach_the_successor: config();
    logout_follows_a_rotation: config();
    logout_by_token_cleans_the_index: config();
    revoke_all_and_others: config();
    revoke_by_public_id: config();
    rotation_during_revoke_all_is_gone: config();
    list_shows_devices_and_heals: config();
    exact_count_and_sweep: config().counting(Counting::Exact);
    the_set_index_mirrors: config().set_index();
    cluster_keys_share_a_slot: config().cluster();
    everyone_is_revoked_page_by_page: config();
    ids_cannot_address_other_keys: config();
    a_damaged_record_is_an_error: config();
}

async fn a_session_round_trips(w: World) {
    let device = Device::new()
        .id("phone-1")
        .user_agent("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/139.0.0.0 Safari/537.36")
        .address("203.0.113.77".parse().unwrap());
    let new = NewSession::user("u1")
        .organisation("acme")
        .authenticated_by(["pwd", "otp"])
        .device(device)
        .set("cart", &vec![1, 2, 3]);
    let session = created(w.sessions.create(new).await.unwrap());
    let loaded = w.load(&session).await.session().unwrap();
    assert_eq!(loaded.user(), Some("u1"));
    assert_eq!(loaded.organisation(), Some("acme"));
    assert_eq!(
        loaded.authentication().methods().collect::<Vec<_>>(),
        ["pwd", "otp"]
    );
    assert_eq!(loaded.device_label(), Some("Chrome 139 / macOS"));
    assert_eq!(loaded.network(), Some("203.0.113.0/24"));
    assert_eq!(loaded.get::<Vec<u8>>("cart").unwrap(), Some(vec![1, 2, 3]));
    assert_eq!((loaded.version(), loaded.etag().as_str()), (1, "\"v1\""));
    assert_eq!(loaded.expires_ms(), w.sessions.now_ms() + 86_400_000);
    assert!(!loaded.needs_cookie());
    assert_eq!(w.index("u1").await, [session.sid().to_string()]);
    w.assert_ttls().await;
}

async fn the_estimate_counts_sessions_in_use(w: World) {
    for i in 0..50 {
        w.login(&format!("u{i}")).await;
    }
    let Active::Estimate(n) = w.sessions.active().await.unwrap() else {
        panic!()
    };
    assert!((48..=52).contains(&n), "{n}");
    w.assert_ttls().await;
}

async fn anonymous_sessions_have_no_index(w: World) {
    let session = created(
        w.sessions
            .create(NewSession::anonymous().set("a", "1"))
            .await
            .unwrap(),
    );
    assert_eq!(session.user(), None);
    assert!(w.is_live(&session).await);
    assert!(w.keys().await.iter().all(|k| k.starts_with("session:")));
    assert_eq!(w.sessions.revoke_others(&session).await.unwrap(), 0);
    let mut session = session;
    assert!(matches!(
        w.sessions.touch_now(&mut session).await.unwrap(),
        Touched::Extended { .. }
    ));
    let Rotated::Done(session) = w
        .sessions
        .rotate(&session, &Rotation::periodic())
        .await
        .unwrap()
    else {
        panic!()
    };
    assert!(w.sessions.logout(&session).await.unwrap());
    assert!(!w.is_live(&session).await);
    w.assert_ttls().await;
}

async fn an_upgrade_keeps_named_values_only(w: World) {
    let visitor = NewSession::anonymous().set("cart", &[7]).set("evil", "x");
    let visitor = created(w.sessions.create(visitor).await.unwrap());
    let user = NewSession::user("u1").upgrade(&visitor, ["cart", "nothing"]);
    let user = created(w.sessions.create(user).await.unwrap());
    assert_eq!(user.names().collect::<Vec<_>>(), ["cart"]);
    let loaded = w.load(&user).await.session().unwrap();
    assert_eq!(loaded.get::<Vec<u8>>("cart").unwrap(), Some(vec![7]));
    assert!(!w.is_live(&visitor).await);
    assert_ne!(visitor.public_id(), user.public_id());
}

async fn a_replaced_session_of_another_user_leaves_its_index(w: World) {
    for known in [true, false] {
        let first = w.login("u1").await;
        let second = NewSession::user("u2");
        let second = if known {
            second.replace(&first)
        } else {
            second.replace_token(first.token())
        };
        let second = created(w.sessions.create(second).await.unwrap());
        assert!(!w.is_live(&first).await);
        assert!(w.is_live(&second).await);
        assert_eq!(w.index("u1").await, Vec::<String>::new());
        assert_eq!(w.sessions.revoke_all("u2").await.unwrap(), 1);
    }
    // The same browser of the same user: one session.
    let first = w.login("u1").await;
    let second = created(
        w.sessions
            .create(NewSession::user("u1").replace(&first))
            .await
            .unwrap(),
    );
    assert_eq!(w.index("u1").await, [second.sid().to_string()]);
}

async fn the_cap_evicts_the_least_recently_used(w: World) {
    let mut a = w.login("u1").await;
    w.clock.advance(Duration::from_secs(1));
    let b = w.login("u1").await;
    w.clock.advance(Duration::from_secs(1));
    w.sessions.touch_now(&mut a).await.unwrap();
    w.clock.advance(Duration::from_secs(1));
    let c = w.login("u1").await;
    assert!(w.is_live(&a).await && !w.is_live(&b).await && w.is_live(&c).await);
    assert_eq!(w.sessions.count("u1").await.unwrap(), 2);
    assert_eq!(w.sessions.count_of(EventKind::Evicted), 1);
    // Within one millisecond the newest still stays.
    let d = w.login("u1").await;
    let e = w.login("u1").await;
    assert!(w.is_live(&d).await && w.is_live(&e).await);
    assert_eq!(w.index("u1").await.len(), 2);
}

async fn the_cap_rejects(w: World) {
    let a = w.login("u1").await;
    w.login("u1").await;
    let refused = w.sessions.create(NewSession::user("u1")).await.unwrap();
    assert!(
        matches!(refused, Creation::LimitReached { live: 2 }),
        "{refused:?}"
    );
    // The same browser again takes its own place.
    let again = w
        .sessions
        .create(NewSession::user("u1").replace(&a))
        .await
        .unwrap();
    assert!(matches!(again, Creation::Created(_)));
    assert_eq!(w.sessions.count("u1").await.unwrap(), 2);
    assert_eq!(w.sessions.count("u2").await.unwrap(), 0);
}

async fn one_session_for_each_device(w: World) {
    let login = |device: &str| NewSession::user("u1").device(Device::new().id(device));
    let a = created(w.sessions.create(login("a")).await.unwrap());
    let b = created(w.sessions.create(login("b")).await.unwrap());
    let Rotated::Done(a) = w.sessions.rotate(&a, &Rotation::privilege()).await.unwrap() else {
        panic!()
    };
    let a2 = created(w.sessions.create(login("a")).await.unwrap());
    assert!(!w.is_live(&a).await && w.is_live(&b).await && w.is_live(&a2).await);
    assert_eq!(w.sessions.count("u1").await.unwrap(), 2);
    w.assert_ttls().await;
}

async fn a_repeated_login_gets_the_first_session(w: World) {
    let login = || NewSession::user("u1").repeat_key("click-1");
    let first = created(w.sessions.create(login()).await.unwrap());
    let Creation::Repeated(second) = w.sessions.create(login()).await.unwrap() else {
        panic!()
    };
    assert_eq!(first.public_id(), second.public_id());
    assert_eq!(
        w.sessions.set_cookie(&first),
        w.sessions.set_cookie(&second)
    );
    assert_eq!(w.sessions.count("u1").await.unwrap(), 1);
    // The key belongs to the user.
    let other = w
        .sessions
        .create(NewSession::user("u2").repeat_key("click-1"))
        .await
        .unwrap();
    assert!(matches!(other, Creation::Created(_)));
    w.assert_ttls().await;
}

async fn a_repeated_login_after_logout_is_a_new_one(w: World) {
    let login = || NewSession::user("u1").repeat_key("click-1");
    let first = created(w.sessions.create(login()).await.unwrap());
    w.sessions.logout(&first).await.unwrap();
    let second = created(w.sessions.create(login()).await.unwrap());
    assert!(!w.is_live(&first).await, "the old token must stay dead");
    assert!(w.is_live(&second).await);
}

async fn a_stale_login_is_refused(w: World) {
    let epoch = w.sessions.begin_login("u1").await.unwrap();
    let fine = w
        .sessions
        .create(NewSession::user("u1").epoch(epoch.clone()))
        .await
        .unwrap();
    assert!(matches!(fine, Creation::Created(_)));
    w.sessions.revoke_all("u1").await.unwrap();
    let stale = w
        .sessions
        .create(NewSession::user("u1").epoch(epoch))
        .await
        .unwrap();
    assert!(matches!(stale, Creation::StaleLogin));
    let epoch = w.sessions.begin_login("u1").await.unwrap();
    let epoch = LoginEpoch::parse(epoch.as_str()).unwrap();
    let fine = w
        .sessions
        .create(NewSession::user("u1").epoch(epoch))
        .await
        .unwrap();
    assert!(matches!(fine, Creation::Created(_)));
    w.assert_ttls().await;
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

async fn rotation_for_privilege_kills_the_old_one(w: World) {
    let old = w.login("u1").await;
    w.clock.advance(Duration::from_secs(5));
    let rotation = Rotation::privilege()
        .authenticated_by(["otp"])
        .organisation("beta");
    let Rotated::Done(new) = w.sessions.rotate(&old, &rotation).await.unwrap() else {
        panic!()
    };
    assert!(matches!(
        w.load(&old).await,
        Loaded::Absent(Absence::Superseded)
    ));
    let loaded = w.load(&new).await.session().unwrap();
    assert_eq!((loaded.public_id(), loaded.version()), (old.public_id(), 2));
    assert_eq!(loaded.organisation(), Some("beta"));
    assert!(loaded.is_fresh(Duration::from_secs(1), w.sessions.now_ms()));
    assert_eq!(w.index("u1").await, [new.sid().to_string()]);
    assert!(matches!(
        w.sessions.rotate(&old, &rotation).await.unwrap(),
        Rotated::Superseded
    ));
    w.assert_ttls().await;
}

async fn periodic_rotation_has_a_grace(w: World) {
    let old = w.login("u1").await;
    assert!(!old.needs_rotation(w.sessions.now_ms()));
    w.clock.advance(Duration::from_secs(600));
    assert!(old.needs_rotation(w.sessions.now_ms()));
    let Rotated::Done(new) = w
        .sessions
        .rotate(&old, &Rotation::periodic())
        .await
        .unwrap()
    else {
        panic!()
    };
    let late = w.load(&old).await.session().unwrap();
    assert!(late.needs_cookie());
    assert_eq!(late.sid(), new.sid());
    let Rotated::Done(same) = w
        .sessions
        .rotate(&old, &Rotation::periodic())
        .await
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(same.sid(), new.sid());
    assert!(
        !w.load(&new)
            .await
            .session()
            .unwrap()
            .needs_rotation(w.sessions.now_ms())
    );
    w.assert_ttls().await;
}

async fn reuse_after_the_grace_ends_the_family(w: World) {
    let old = w.login("u1").await;
    let Rotated::Done(mid) = w
        .sessions
        .rotate(&old, &Rotation::periodic())
        .await
        .unwrap()
    else {
        panic!()
    };
    let Rotated::Done(new) = w
        .sessions
        .rotate(&mid, &Rotation::periodic())
        .await
        .unwrap()
    else {
        panic!()
    };
    w.clock.advance(Duration::from_secs(31));
    assert!(w.is_live(&new).await);
    assert!(matches!(
        w.load(&old).await,
        Loaded::Absent(Absence::Reused)
    ));
    assert!(!w.is_live(&new).await);
    assert_eq!(w.index("u1").await, Vec::<String>::new());
    assert!(w.heard.kinds().contains(&EventKind::Reused));
}

async fn late_writes_reach_the_successor(w: World) {
    let old = w.login("u1").await;
    let Rotated::Done(new) = w
        .sessions
        .rotate(&old, &Rotation::periodic())
        .await
        .unwrap()
    else {
        panic!()
    };
    let mut late = old.clone();
    let done = w
        .sessions
        .update(&mut late, &Changes::new().set("a", &1).flash("f", "x"))
        .await
        .unwrap();
    assert!(matches!(done, Updated::Done { version: 3, .. }), "{done:?}");
    assert!(late.needs_cookie() && late.sid() == new.sid());
    assert_eq!(
        w.load(&new)
            .await
            .session()
            .unwrap()
            .get::<i32>("a")
            .unwrap(),
        Some(1)
    );
    let mut old = old;
    assert_eq!(
        w.sessions.touch_now(&mut old).await.unwrap(),
        Touched::Moved
    );
    // Replaced for privileges: a late write is dropped.
    let Rotated::Done(_) = w
        .sessions
        .rotate(&new, &Rotation::privilege())
        .await
        .unwrap()
    else {
        panic!()
    };
    let mut new = new;
    assert_eq!(
        w.sessions
            .update(&mut new, &Changes::new().set("a", &2))
            .await
            .unwrap(),
        Updated::Gone
    );
}

async fn logout_follows_a_rotation(w: World) {
    for rotation in [Rotation::periodic(), Rotation::privilege()] {
        let old = w.login("u1").await;
        let Rotated::Done(new) = w.sessions.rotate(&old, &rotation).await.unwrap() else {
            panic!()
        };
        assert!(w.sessions.logout(&old).await.unwrap());
        assert!(!w.is_live(&new).await && !w.is_live(&old).await);
        assert_eq!(w.index("u1").await, Vec::<String>::new());
        assert!(!w.sessions.logout(&old).await.unwrap(), "idempotent");
    }
}

async fn logout_by_token_cleans_the_index(w: World) {
    let old = w.login("u1").await;
    let Rotated::Done(new) = w
        .sessions
        .rotate(&old, &Rotation::periodic())
        .await
        .unwrap()
    else {
        panic!()
    };
    let other = w.login("u1").await;
    assert!(w.sessions.logout_token(old.token()).await.unwrap());
    assert!(w.sessions.logout_token(other.token()).await.unwrap());
    assert!(!w.is_live(&new).await && !w.is_live(&other).await);
    assert_eq!(w.index("u1").await, Vec::<String>::new());
    assert!(!w.sessions.logout_token(other.token()).await.unwrap());
}

async fn revoke_all_and_others(w: World) {
    let (a, b, c) = (
        w.login("u1").await,
        w.login("u1").await,
        w.login("u1").await,
    );
    let other = w.login("u2").await;
    assert_eq!(w.sessions.revoke_others(&b).await.unwrap(), 2);
    assert!(
        !w.is_live(&a).await
            && w.is_live(&b).await
            && !w.is_live(&c).await
            && w.is_live(&other).await
    );
    // The one that stayed can still change its identifier.
    let Rotated::Done(b) = w.sessions.rotate(&b, &Rotation::privilege()).await.unwrap() else {
        panic!()
    };
    assert_eq!(w.sessions.revoke_all("u1").await.unwrap(), 1);
    assert!(!w.is_live(&b).await && w.is_live(&other).await);
    assert_eq!(w.sessions.count("u1").await.unwrap(), 0);
    w.assert_ttls().await;
}

async fn revoke_by_public_id(w: World) {
    let (a, b) = (w.login("u1").await, w.login("u2").await);
    assert!(
        !w.sessions.revoke("u1", b.public_id()).await.unwrap(),
        "a foreign id does not exist"
    );
    assert!(w.sessions.revoke("u1", a.public_id()).await.unwrap());
    assert!(!w.is_live(&a).await && w.is_live(&b).await);
    assert!(!w.sessions.revoke("u1", a.public_id()).await.unwrap());
}

async fn rotation_during_revoke_all_is_gone(w: World) {
    let session = w.login("u1").await;
    // Only the first half of "sign out everywhere" has happened: the epoch moved.
    let moved = (w.sessions.now_ms() + 5).to_string();
    w.redis
        .command("SET")
        .args(["user:u1:epoch", &moved, "PX", "60000"])
        .query::<()>()
        .await
        .unwrap();
    assert!(matches!(
        w.sessions
            .rotate(&session, &Rotation::periodic())
            .await
            .unwrap(),
        Rotated::Gone
    ));
    assert!(!w.is_live(&session).await);
    assert_eq!(w.index("u1").await, Vec::<String>::new());
}

async fn list_shows_devices_and_heals(w: World) {
    let device = Device::new().label("Firefox 142 / Linux");
    let a = created(
        w.sessions
            .create(NewSession::user("u1").device(device))
            .await
            .unwrap(),
    );
    w.clock.advance(Duration::from_secs(1));
    let b = w.login("u1").await;
    let list = w.sessions.list("u1", Some(&a)).await.unwrap();
    let shown: Vec<_> = list
        .iter()
        .map(|e| (e.public_id.as_str(), e.current, e.device.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            (b.public_id(), false, None),
            (a.public_id(), true, Some("Firefox 142 / Linux"))
        ]
    );
    // The store lost one by itself.
    w.redis
        .command("DEL")
        .arg(format!("session:{}", b.sid()))
        .query::<()>()
        .await
        .unwrap();
    assert_eq!(w.sessions.list("u1", None).await.unwrap().len(), 1);
    assert_eq!(w.index("u1").await, [a.sid().to_string()]);
    assert!(w.sessions.list("nobody", None).await.unwrap().is_empty());
}

async fn exact_count_and_sweep(w: World) {
    let active = async || w.sessions.active().await.unwrap();
    let mut all = Vec::new();
    for i in 0..10 {
        all.push(w.login(&format!("u{i}")).await);
    }
    assert_eq!(active().await, Active::Exact(10));
    w.sessions.logout(&all[0]).await.unwrap();
    w.sessions
        .rotate(&all[1], &Rotation::periodic())
        .await
        .unwrap();
    w.sessions
        .rotate(&all[2], &Rotation::privilege())
        .await
        .unwrap();
    w.sessions.revoke_all("u3").await.unwrap();
    w.sessions
        .create(NewSession::user("u9").replace(&all[4]))
        .await
        .unwrap();
    assert_eq!(active().await, Active::Exact(8));
    assert_eq!(w.sessions.sweep(500).await.unwrap(), 0);
    w.clock.advance(Duration::from_secs(86_400));
    assert_eq!(active().await, Active::Exact(0));
    assert_eq!(w.sessions.sweep(500).await.unwrap(), 8);
    w.assert_ttls().await;
}

async fn the_set_index_mirrors(w: World) {
    let members = async || -> Vec<String> {
        let mut set: Vec<String> = w
            .redis
            .command("SMEMBERS")
            .arg("user:u1:sessions")
            .query()
            .await
            .unwrap();
        let by_expiry = "user:u1:sessions:by-expiry";
        let mut index: Vec<String> = w
            .redis
            .command("ZRANGE")
            .args([by_expiry, "0", "-1"])
            .query()
            .await
            .unwrap();
        set.sort();
        index.sort();
        assert_eq!(set, index);
        set
    };
    let (a, b) = (w.login("u1").await, w.login("u1").await);
    assert_eq!(members().await.len(), 2);
    let Rotated::Done(a) = w.sessions.rotate(&a, &Rotation::periodic()).await.unwrap() else {
        panic!()
    };
    assert!(members().await.contains(&a.sid().to_string()));
    w.sessions.logout(&b).await.unwrap();
    assert_eq!(members().await, [a.sid().to_string()]);
    w.clock.advance(Duration::from_secs(86_400));
    let c = w.login("u1").await;
    assert_eq!(
        members().await,
        [c.sid().to_string()],
        "the expired one is pruned from both"
    );
    w.assert_ttls().await;
}

async fn cluster_keys_share_a_slot(w: World) {
    let visitor = created(
        w.sessions
            .create(NewSession::anonymous().set("cart", &1))
            .await
            .unwrap(),
    );
    let user = created(
        w.sessions
            .create(NewSession::user("u1").upgrade(&visitor, ["cart"]))
            .await
            .unwrap(),
    );
    assert!(
        !w.is_live(&visitor).await,
        "ended by a second call: it lives in another slot"
    );
    let cookie = w.sessions.set_cookie(&user);
    let value = cookie
        .to_str()
        .unwrap()
        .split(['=', ';'])
        .nth(1)
        .unwrap()
        .to_owned();
    let loaded = w
        .sessions
        .load(&w.sessions.parse_token(&value).unwrap())
        .await
        .unwrap()
        .session()
        .unwrap();
    assert_eq!(loaded.public_id(), user.public_id());
    w.sessions.revoke_others(&user).await.unwrap();
    let Rotated::Done(user) = w
        .sessions
        .rotate(&user, &Rotation::periodic())
        .await
        .unwrap()
    else {
        panic!()
    };
    let tags: std::collections::HashSet<String> = w
        .keys()
        .await
        .iter()
        .map(|k| k.split(['{', '}']).nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(tags.len(), 1, "{tags:?}");
    assert_eq!(w.sessions.list("u1", Some(&user)).await.unwrap().len(), 1);
    assert_eq!(w.sessions.revoke_all("u1").await.unwrap(), 1);
    assert_eq!(w.sessions.active().await.unwrap(), Active::Unknown);
}

async fn everyone_is_revoked_page_by_page(w: World) {
    let all = [
        w.login("u1").await,
        w.login("u2").await,
        w.login("u2").await,
    ];
    let (mut cursor, mut ended) = (Some("0".to_owned()), 0);
    while let Some(at) = cursor {
        let (next, n) = w.sessions.revoke_everyone(&at).await.unwrap();
        (cursor, ended) = (next, ended + n);
    }
    assert_eq!(ended, 3);
    for session in &all {
        assert!(!w.is_live(session).await);
    }
    assert_eq!(w.index("u2").await, Vec::<String>::new());
}

async fn ids_cannot_address_other_keys(w: World) {
    let victim = w.login("a").await;
    for id in [
        "a:sessions",
        "a\n",
        "{a}",
        "*",
        "a%3Asessions",
        "a:epoch",
        "ä",
        "a b",
    ] {
        let session = w.login(id).await;
        assert_eq!(w.sessions.list(id, None).await.unwrap().len(), 1, "{id}");
        assert_eq!(w.load(&session).await.session().unwrap().user(), Some(id));
        assert_eq!(w.sessions.revoke_all(id).await.unwrap(), 1, "{id}");
    }
    assert_eq!(w.sessions.count("a").await.unwrap(), 1);
    assert!(w.is_live(&victim).await);
    for key in w.keys().await {
        assert!(
            key.is_ascii() && !key.contains(['{', '*', '\n', ' ']),
            "{key}"
        );
    }
    for id in ["", &"x".repeat(129)] {
        assert!(w.sessions.create(NewSession::user(id)).await.is_err());
        assert!(w.sessions.revoke_all(id).await.is_err());
    }
}

async fn a_damaged_record_is_an_error(w: World) {
    let session = w.login("u1").await;
    let key = format!("session:{}", session.sid());
    w.redis
        .command("HDEL")
        .args([key.as_str(), "x"])
        .query::<()>()
        .await
        .unwrap();
    let error = w.sessions.load(session.token()).await.unwrap_err();
    assert_eq!(error.kind(), restis::ErrorKind::Decode);
}
