//! New identifiers.

use crate::{World, config, on_every_backend};
use restis::session::*;
use std::time::Duration;

on_every_backend! {
    rotation_for_privilege_kills_the_old_one: config();
    periodic_rotation_has_a_grace: config().rotate_every(Duration::from_secs(600));
    reuse_after_the_grace_ends_the_family: config();
    late_writes_reach_the_successor: config();
    rotation_during_revoke_all_is_gone: config();
}

async fn rotation_for_privilege_kills_the_old_one(w: World) {
    let old = w.login("u1").await;
    w.clock.advance(Duration::from_secs(5));
    let rotation = Rotation::privilege()
        .authenticated_by(["otp"])
        .organisation("beta");
    let new = w.rotated(&old, &rotation).await;
    assert!(matches!(
        w.load(&old).await,
        Loaded::Absent(Absence::Superseded)
    ));
    let loaded = w.load(&new).await.session().unwrap();
    assert_eq!((loaded.public_id(), loaded.version()), (old.public_id(), 2));
    assert_eq!(loaded.organisation(), Some("beta"));
    assert!(loaded.is_fresh(Duration::from_secs(1), w.sessions.now_ms()));
    // The user of that organisation has it now, and the one of none no longer.
    let beta = User::new("u1").organisation("beta");
    assert_eq!(w.sessions.count(beta).await.unwrap(), 1);
    assert_eq!(w.sessions.list("u1", None).await.unwrap(), []);
    assert_eq!(w.index("u1").await, Vec::<String>::new());
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
    let new = w.rotated(&old, &Rotation::periodic()).await;
    let late = w.load(&old).await.session().unwrap();
    assert!(late.needs_cookie());
    assert_eq!(late.sid(), new.sid());
    let same = w.rotated(&old, &Rotation::periodic()).await;
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
    let mid = w.rotated(&old, &Rotation::periodic()).await;
    let new = w.rotated(&mid, &Rotation::periodic()).await;
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
    let new = w.rotated(&old, &Rotation::periodic()).await;
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
    let _ = w.rotated(&new, &Rotation::privilege()).await;
    let mut new = new;
    assert_eq!(
        w.sessions
            .update(&mut new, &Changes::new().set("a", &2))
            .await
            .unwrap(),
        Updated::Gone
    );
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
