//! Signing out, lists and revocation.

use crate::{World, config, created, on_every_backend};
use restis::session::*;
use std::time::Duration;

on_every_backend! {
    logout_follows_a_rotation: config();
    logout_by_token_cleans_the_index: config();
    revoke_all_and_others: config();
    revoke_by_public_id: config();
    list_shows_devices_and_heals: config();
    everyone_is_revoked_page_by_page: config();
}

async fn logout_follows_a_rotation(w: World) {
    for rotation in [Rotation::periodic(), Rotation::privilege()] {
        let old = w.login("u1").await;
        let new = w.rotated(&old, &rotation).await;
        assert!(w.sessions.logout(&old).await.unwrap());
        assert!(!w.is_live(&new).await && !w.is_live(&old).await);
        assert_eq!(w.index("u1").await, Vec::<String>::new());
        assert!(!w.sessions.logout(&old).await.unwrap(), "idempotent");
    }
}

async fn logout_by_token_cleans_the_index(w: World) {
    let old = w.login("u1").await;
    let new = w.rotated(&old, &Rotation::periodic()).await;
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
    let b = w.rotated(&b, &Rotation::privilege()).await;
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

async fn everyone_is_revoked_page_by_page(w: World) {
    let all = [
        w.login("u1").await,
        w.login("u2").await,
        w.login("u2").await,
    ];
    // Its trace is no session.
    let renewed = w.sessions.rotate(&all[0], &Rotation::periodic()).await;
    assert!(matches!(renewed.unwrap(), Rotated::Done(_)));
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
