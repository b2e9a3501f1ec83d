//! Signing in.

use crate::{World, config, created, on_every_backend};
use restis::session::*;
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
    let index = w.redis.command("ZRANGE").arg("org:acme:u1:sessions");
    let index: Vec<String> = index.args(["0", "-1"]).query().await.unwrap();
    assert_eq!(index, [session.sid().to_string()]);
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
    let session = w.rotated(&session, &Rotation::periodic()).await;
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
    let a = w.rotated(&a, &Rotation::privilege()).await;
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
