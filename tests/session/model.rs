//! Random sequences of operations; after each one the whole store is inspected.

use crate::{World, config, support};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use restis::{Redis, session::*};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

const CAP: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    Login {
        user: u8,
        replace: Option<usize>,
        device: Option<u8>,
        repeat: Option<u8>,
    },
    Visit,
    Upgrade(usize, u8),
    Load(usize),
    Touch(usize),
    Update(usize),
    Rotate(usize, bool),
    Logout(usize),
    LogoutToken(usize),
    RevokeAll(u8),
    RevokeOthers(usize),
    Revoke(usize),
    List(u8),
    Advance(u32),
    Sweep,
}

fn op() -> impl Strategy<Value = Op> {
    let (at, user) = (|| any::<usize>(), || 0..3_u8);
    let maybe = |s| proptest::option::weighted(0.3, s);
    prop_oneof![
        6 => (user(), maybe(any::<usize>().boxed()), maybe((0..2_u8).prop_map(usize::from).boxed()), maybe((0..2_u8).prop_map(usize::from).boxed()))
            .prop_map(|(user, replace, device, repeat)| Op::Login { user, replace, device: device.map(|d| d as u8), repeat: repeat.map(|r| r as u8) }),
        1 => Just(Op::Visit),
        1 => (at(), user()).prop_map(|(a, u)| Op::Upgrade(a, u)),
        3 => at().prop_map(Op::Load),
        3 => at().prop_map(Op::Touch),
        3 => at().prop_map(Op::Update),
        4 => (at(), any::<bool>()).prop_map(|(a, p)| Op::Rotate(a, p)),
        2 => at().prop_map(Op::Logout),
        1 => at().prop_map(Op::LogoutToken),
        1 => user().prop_map(Op::RevokeAll),
        1 => at().prop_map(Op::RevokeOthers),
        1 => at().prop_map(Op::Revoke),
        1 => user().prop_map(Op::List),
        3 => (1..70_000_u32).prop_map(Op::Advance),
        1 => Just(Op::Sweep),
    ]
}

async fn apply(w: &World, known: &mut Vec<Session>, op: &Op) {
    let s = &w.sessions;
    let pick = |at: &usize, known: &[Session]| {
        (!known.is_empty()).then(|| known[at % known.len()].clone())
    };
    match op {
        Op::Login {
            user,
            replace,
            device,
            repeat,
        } => {
            let mut new = NewSession::user(format!("u{user}"));
            if let Some(old) = replace.and_then(|at| pick(&at, known)) {
                new = new.replace(&old);
            }
            if let Some(device) = device {
                new = new.device(Device::new().id(&format!("d{device}")));
            }
            if let Some(repeat) = repeat {
                new = new.repeat_key(format!("k{repeat}"));
            }
            known.extend(s.create(new).await.unwrap().session());
        }
        Op::Visit => known.extend(s.create(NewSession::anonymous()).await.unwrap().session()),
        Op::Upgrade(at, user) => {
            if let Some(old) = pick(at, known) {
                let new = NewSession::user(format!("u{user}")).upgrade(&old, ["a"]);
                known.extend(s.create(new).await.unwrap().session());
            }
        }
        Op::Advance(ms) => w.clock.advance(Duration::from_millis(u64::from(*ms))),
        Op::RevokeAll(user) => {
            s.revoke_all(&format!("u{user}")).await.unwrap();
        }
        Op::List(user) => {
            assert!(s.list(&format!("u{user}"), None).await.unwrap().len() <= CAP);
        }
        Op::Sweep => {
            s.sweep(100).await.unwrap();
        }
        Op::Load(at)
        | Op::Touch(at)
        | Op::Update(at)
        | Op::Rotate(at, _)
        | Op::Logout(at)
        | Op::LogoutToken(at)
        | Op::RevokeOthers(at)
        | Op::Revoke(at) => {
            let Some(mut session) = pick(at, known) else {
                return;
            };
            match op {
                Op::Load(_) => {
                    s.load(session.token()).await.unwrap();
                }
                Op::Touch(_) => {
                    s.touch_now(&mut session).await.unwrap();
                }
                Op::Update(_) => {
                    s.update(&mut session, &Changes::new().set("a", &1).increment("n", 1))
                        .await
                        .unwrap();
                }
                Op::Rotate(_, periodic) => {
                    let rotation = if *periodic {
                        Rotation::periodic()
                    } else {
                        Rotation::privilege()
                    };
                    if let Rotated::Done(next) = s.rotate(&session, &rotation).await.unwrap() {
                        known.push(next);
                    }
                }
                Op::Logout(_) => {
                    s.logout(&session).await.unwrap();
                }
                Op::LogoutToken(_) => {
                    s.logout_token(session.token()).await.unwrap();
                }
                Op::RevokeOthers(_) => {
                    s.revoke_others(&session).await.unwrap();
                }
                _ => {
                    s.revoke(session.user().unwrap_or("nobody"), session.public_id())
                        .await
                        .unwrap();
                }
            }
        }
    }
}

/// Inspects every key; returns the public ids of the live sessions.
async fn inspect(w: &World, dead: &BTreeSet<String>) -> Result<BTreeSet<String>, TestCaseError> {
    let now = w.sessions.now_ms();
    let (mut live, mut ends, mut users) = (
        BTreeSet::new(),
        HashMap::new(),
        HashMap::<String, usize>::new(),
    );
    let keys = w.keys().await;
    for key in &keys {
        let ttl: i64 = w.redis.command("PTTL").arg(key).query().await.unwrap();
        prop_assert!(ttl > 0, "{} has no TTL", key);
    }
    for (key, sid) in keys
        .iter()
        .filter_map(|k| Some((k, k.strip_prefix("session:")?)))
        .filter(|(_, s)| s.len() == 32)
    {
        let fields: BTreeMap<String, String> =
            w.redis.command("HGETALL").arg(key).query().await.unwrap();
        if fields.contains_key("n") {
            continue;
        }
        let number = |name: &str| fields[name].parse::<u64>().unwrap();
        let end: u64 = w
            .redis
            .command("PEXPIRETIME")
            .arg(key)
            .query()
            .await
            .unwrap();
        prop_assert_eq!(
            end,
            number("x").min(number("l") + 60_000),
            "the TTL is the lifetime"
        );
        ends.insert(sid.to_owned(), end);
        if end <= now {
            continue;
        }
        prop_assert!(!dead.contains(&fields["p"]), "a dead session lives again");
        prop_assert!(
            live.insert(fields["p"].clone()),
            "one session under two identifiers"
        );
        if let Some(user) = fields.get("u") {
            *users.entry(user.clone()).or_default() += 1;
            let score: Option<f64> = w
                .redis
                .command("ZSCORE")
                .arg(format!("user:{user}:sessions"))
                .arg(sid)
                .query()
                .await
                .unwrap();
            prop_assert_eq!(
                score.map(|s| s as u64),
                Some(end),
                "a live session is not in the index"
            );
        }
    }
    for (user, n) in &users {
        prop_assert!(*n <= CAP, "{} has {} sessions", user, n);
    }
    for key in keys.iter().filter(|k| k.ends_with(":sessions")) {
        let members: Vec<(String, f64)> = w
            .redis
            .command("ZRANGE")
            .arg(key)
            .args(["0", "-1", "WITHSCORES"])
            .query::<restis::Pairs<String, f64>>()
            .await
            .unwrap()
            .into_iter()
            .collect();
        for (sid, score) in members {
            prop_assert!(
                score as u64 <= now || ends.contains_key(&sid),
                "the index names a dead session"
            );
        }
    }
    prop_assert_eq!(
        w.sessions.active().await.unwrap(),
        Active::Exact(live.len() as u64)
    );
    Ok(live)
}

async fn holds(redis: &Redis, ops: &[Op]) -> Result<(), TestCaseError> {
    redis.command("FLUSHALL").query::<()>().await.unwrap();
    let settings = config()
        .idle(Duration::from_secs(60))
        .absolute(Duration::from_secs(200))
        .max_per_user(CAP as u32, LimitPolicy::Evict)
        .one_per_device()
        .counting(Counting::Exact);
    let w = World::new(redis, settings);
    let (mut known, mut live, mut dead) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for op in ops {
        apply(&w, &mut known, op).await;
        let now_live = inspect(&w, &dead).await?;
        dead.extend(live.difference(&now_live).cloned());
        live = now_live;
    }
    Ok(())
}

fn run(redis: impl FnOnce() -> Option<Redis>, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    let Some(redis) = redis() else { return };
    let settings = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(settings)
        .run(&proptest::collection::vec(op(), 1..100), |ops| {
            runtime.block_on(holds(&redis, &ops))
        })
        .unwrap();
}

#[test]
fn the_store_stays_sound_on_the_engine() {
    run(|| Some(support::engine()), 60);
}

#[test]
fn the_store_stays_sound_on_redis() {
    let server = support::local_redis::LocalRedis::start();
    run(
        || {
            server
                .as_ref()
                .map(support::local_redis::LocalRedis::client)
        },
        30,
    );
}
