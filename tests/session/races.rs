//! Many at once.

use crate::{World, config, on_every_backend};
use restis::session::*;
use std::{collections::HashSet, sync::Arc};
use tokio::task::JoinSet;

on_every_backend! {
    logins_respect_the_cap: config().max_per_user(5, LimitPolicy::Evict);
    logins_are_rejected_at_the_cap: config().max_per_user(3, LimitPolicy::Reject);
    disjoint_updates_are_all_kept: config().limits(1000, 100);
    compare_and_set_counts_exactly: config();
    one_rotation_wins: config();
    a_slow_update_cannot_undo_logout: config();
    repeated_logins_make_one_session: config();
}

/// Runs `n` tasks, 16 at a time.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    n: usize,
    task: impl Fn(usize) -> F,
) -> Vec<T> {
    let permits = Arc::new(tokio::sync::Semaphore::new(16));
    let mut set = JoinSet::new();
    for i in 0..n {
        let (permits, work) = (permits.clone(), task(i));
        set.spawn(async move {
            let _permit = permits.acquire().await.unwrap();
            work.await
        });
    }
    set.join_all().await
}

async fn logins_respect_the_cap(w: World) {
    let sessions = w.sessions.clone();
    let all = at_once(800, |_| {
        let sessions = sessions.clone();
        async move { crate::created(sessions.create(NewSession::user("u1")).await.unwrap()) }
    })
    .await;
    let mut live = HashSet::new();
    for session in &all {
        if w.is_live(session).await {
            live.insert(session.sid().to_string());
        }
    }
    assert_eq!(live.len(), 5);
    assert_eq!(
        w.index("u1").await.into_iter().collect::<HashSet<_>>(),
        live
    );
    assert_eq!(w.sessions.count_of(EventKind::Evicted), 795);
    w.assert_ttls().await;
}

async fn logins_are_rejected_at_the_cap(w: World) {
    let sessions = w.sessions.clone();
    let all = at_once(320, |_| {
        let sessions = sessions.clone();
        async move { sessions.create(NewSession::user("u1")).await.unwrap() }
    })
    .await;
    let accepted = all
        .iter()
        .filter(|c| matches!(c, Creation::Created(_)))
        .count();
    assert_eq!(accepted, 3);
    assert_eq!(w.index("u1").await.len(), 3);
}

async fn disjoint_updates_are_all_kept(w: World) {
    let session = w.login("u1").await;
    let sessions = w.sessions.clone();
    at_once(800, |i| {
        let (sessions, mut session) = (sessions.clone(), session.clone());
        async move {
            let changes = Changes::new().set(&format!("f{i}"), &i).increment("n", 1);
            assert!(matches!(
                sessions.update(&mut session, &changes).await.unwrap(),
                Updated::Done { .. }
            ));
        }
    })
    .await;
    let loaded = w.load(&session).await.session().unwrap();
    assert_eq!(loaded.names().count(), 800);
    assert_eq!((loaded.counter("n"), loaded.version()), (800, 801));
    for i in 0..800 {
        assert_eq!(loaded.get::<usize>(&format!("f{i}")).unwrap(), Some(i));
    }
}

async fn compare_and_set_counts_exactly(w: World) {
    let session = w.login("u1").await;
    let sessions = w.sessions.clone();
    at_once(200, |_| {
        let (sessions, session) = (sessions.clone(), session.clone());
        async move {
            loop {
                let mut now = sessions.reload(&session).await.unwrap().unwrap();
                let n: u32 = now.get("n").unwrap().unwrap_or(0);
                let change = Changes::new().set("n", &(n + 1)).if_version(now.version());
                match sessions.update(&mut now, &change).await.unwrap() {
                    Updated::Done { .. } => break,
                    Updated::Conflict { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    })
    .await;
    assert_eq!(
        w.load(&session)
            .await
            .session()
            .unwrap()
            .get::<u32>("n")
            .unwrap(),
        Some(200)
    );
}

async fn one_rotation_wins(w: World) {
    let old = w.login("u1").await;
    for rotation in [Rotation::periodic(), Rotation::privilege()] {
        let session = w.login("u1").await;
        let sessions = w.sessions.clone();
        let before = w.sessions.count_of(EventKind::Rotated);
        let all = at_once(16, |_| {
            let (sessions, session, rotation) =
                (sessions.clone(), session.clone(), rotation.clone());
            async move { sessions.rotate(&session, &rotation).await.unwrap() }
        })
        .await;
        assert_eq!(
            w.sessions.count_of(EventKind::Rotated) - before,
            1,
            "one winner"
        );
        let successors: HashSet<String> = all
            .iter()
            .filter_map(|r| match r {
                Rotated::Done(session) => Some(session.sid().to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(successors.len(), 1, "one successor");
        assert!(
            all.iter().all(|r| !matches!(r, Rotated::Gone)),
            "nobody is signed out"
        );
    }
    assert!(w.is_live(&old).await);
    assert_eq!(w.index("u1").await.len(), 3);
}

async fn a_slow_update_cannot_undo_logout(w: World) {
    for _ in 0..50 {
        let session = w.login("u1").await;
        let sessions = w.sessions.clone();
        let updates = at_once(16, |i| {
            let (sessions, mut session) = (sessions.clone(), session.clone());
            async move {
                if i == 8 {
                    sessions.logout(&session).await.unwrap();
                } else if i % 2 == 0 {
                    sessions.touch_now(&mut session).await.unwrap();
                } else {
                    sessions
                        .update(&mut session, &Changes::new().set("a", &i))
                        .await
                        .unwrap();
                }
            }
        });
        updates.await;
        assert!(!w.is_live(&session).await);
        assert_eq!(w.index("u1").await, Vec::<String>::new());
        let key = format!("session:{}", session.sid());
        assert_eq!(
            w.redis
                .command("EXISTS")
                .arg(key)
                .query::<u64>()
                .await
                .unwrap(),
            0
        );
    }
}

async fn repeated_logins_make_one_session(w: World) {
    let sessions = w.sessions.clone();
    let all = at_once(32, |_| {
        let sessions = sessions.clone();
        async move {
            sessions
                .create(NewSession::user("u1").repeat_key("k"))
                .await
                .unwrap()
                .session()
                .unwrap()
        }
    })
    .await;
    let ids: HashSet<_> = all.iter().map(|s| s.public_id().to_owned()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(w.sessions.count("u1").await.unwrap(), 1);
}
