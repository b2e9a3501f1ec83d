//! What the store holds.

use crate::{World, config, created, on_every_backend};
use restis::session::*;
use std::time::Duration;

on_every_backend! {
    exact_count_and_sweep: config().counting(Counting::Exact);
    the_set_index_mirrors: config().set_index();
    cluster_keys_share_a_slot: config().cluster();
    ids_cannot_address_other_keys: config();
    users_of_two_organisations_share_nothing: config().one_per_device();
    users_of_two_organisations_share_nothing_in_a_cluster: config().cluster().one_per_device();
    a_damaged_record_is_an_error: config();
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
    let a = w.rotated(&a, &Rotation::periodic()).await;
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
    let user = w.rotated(&user, &Rotation::periodic()).await;
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
    for id in ["", ".", "..", "%2e", "a/..", &"x".repeat(129)] {
        assert!(w.sessions.create(NewSession::user(id)).await.is_err());
        assert!(w.sessions.revoke_all(id).await.is_err());
    }
}

async fn users_of_two_organisations_share_nothing_in_a_cluster(w: World) {
    users_of_two_organisations_share_nothing(w).await;
}

async fn users_of_two_organisations_share_nothing(w: World) {
    let users = [
        User::new("u1"),
        User::new("u1").organisation("acme"),
        User::new("u1").organisation("other"),
        // Joined without care these would be one another.
        User::new("b:c").organisation("a"),
        User::new("c").organisation("a:b"),
        User::new("acme:u1"),
        User::new("org:acme:u1"),
    ];
    let mut sessions = Vec::new();
    for user in users {
        let epoch = w.sessions.begin_login(user).await.unwrap();
        let mut new = NewSession::user(user.id()).device(Device::new().id("phone"));
        if let Some(organisation) = user.organisation_id() {
            new = new.organisation(organisation);
        }
        sessions.push(created(w.sessions.create(new.epoch(epoch)).await.unwrap()));
    }
    for (user, session) in users.iter().zip(&sessions) {
        assert_eq!(w.sessions.count(*user).await.unwrap(), 1, "{user:?}");
        let listed = w.sessions.list(*user, Some(session)).await.unwrap();
        assert!(listed.len() == 1 && listed[0].current, "{user:?}");
    }
    let everywhere = w.sessions.list_everywhere("u1").await.unwrap();
    assert_eq!(everywhere.len(), 3);
    // One of them ends by its public id, wherever it is; those of other ids do not.
    let mut third = NewSession::user("u1").device(Device::new().id("tablet"));
    third = third.organisation("acme");
    let third = created(w.sessions.create(third).await.unwrap());
    let foreign = sessions[3].public_id();
    assert!(!w.sessions.revoke_anywhere("u1", foreign).await.unwrap());
    assert!(!w.sessions.revoke_anywhere("u1", "").await.unwrap());
    let id = third.public_id();
    assert!(w.sessions.revoke_anywhere("u1", id).await.unwrap());
    assert!(!w.sessions.revoke_anywhere("u1", id).await.unwrap());
    assert!(!w.is_live(&third).await);
    assert_eq!(w.sessions.revoke_all(users[1]).await.unwrap(), 1);
    for (n, session) in sessions.iter().enumerate() {
        assert_eq!(w.is_live(session).await, n != 1, "{n}");
    }
    assert_eq!(w.sessions.revoke_everywhere("u1").await.unwrap(), 2);
    for (n, session) in sessions.iter().enumerate() {
        assert_eq!(w.is_live(session).await, n > 2, "{n}");
    }
    w.assert_ttls().await;
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
