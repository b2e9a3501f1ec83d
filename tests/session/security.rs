//! Security statements with their number in OWASP ASVS 5.0, one test each.
//!
//! docs/TESTING.md lists all 32; what the HTTP routes add (21, 22, 23, 30, 32) is in
//! `handlers/tests/session_security.rs`.

use crate::{World, config, created, support};
use http::{HeaderMap, HeaderValue, header};
use restis::{
    Delivery, Error, ErrorKind, Redis,
    session::*,
    transport::{BoxFuture, Exchange, Transport, TransportResponse},
};
use std::{collections::HashSet, time::Duration};

fn world(config: SessionConfig) -> World {
    World::new(&support::engine(), config)
}

/// The cookie as the browser would send it.
fn cookie(w: &World, session: &Session) -> String {
    w.sessions
        .set_cookie(session)
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned()
}

fn value(w: &World, session: &Session) -> String {
    cookie(w, session).split_once('=').unwrap().1.to_owned()
}

fn request(cookie: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())])
}

async fn absence(w: &World, cookie: &str) -> Absence {
    match w.sessions.load_from(&request(cookie)).await.unwrap() {
        Loaded::Absent(absence) => absence,
        other => panic!("{other:?}"),
    }
}

/// Everything that the store holds, as one text.
async fn dump(w: &World) -> String {
    let mut text = String::new();
    for key in w.keys().await {
        let kind: String = w.redis.command("TYPE").arg(&key).query().await.unwrap();
        let args: &[&str] = match kind.as_str() {
            "hash" => &["HGETALL"],
            "zset" => &["ZRANGE", "0", "-1"],
            _ => &["GET"],
        };
        let reply: restis::Reply = w
            .redis
            .command(args[0])
            .arg(&key)
            .args(&args[1..])
            .query()
            .await
            .unwrap();
        text += &format!("{key} {reply:?}\n");
    }
    text
}

// 7.2.3: reference tokens come from a CSPRNG with at least 128 bits.
#[tokio::test]
async fn s01_tokens_are_random_distinct_and_mean_nothing() {
    let w = world(config().max_per_user(0, LimitPolicy::Evict));
    let mut seen = HashSet::new();
    let mut bits = [0_u32; 256];
    for _ in 0..10_000 {
        let session = created(w.sessions.create(NewSession::anonymous()).await.unwrap());
        let value = value(&w, &session);
        let secret = value.split('.').nth(2).unwrap().to_owned();
        assert_eq!(secret.len(), 43, "32 bytes");
        for (i, c) in secret.bytes().enumerate().take(42) {
            let n = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                .find(c as char)
                .unwrap();
            for bit in 0..6 {
                bits[i * 6 + bit] += (n >> bit & 1) as u32;
            }
        }
        assert!(seen.insert(secret));
    }
    assert!(
        bits[..252].iter().all(|n| (4700..5300).contains(n)),
        "every bit is set in half of them"
    );
}

// 7.2.1: verification on the server alone; a changed cookie costs no request.
#[tokio::test]
async fn s02_a_changed_cookie_is_refused_without_a_request() {
    let (redis, counts) = support::counting();
    let w = World::new(&redis, config());
    let good = cookie(&w, &w.login("u1").await);
    counts.reset();
    let start = good.find('=').unwrap() + 1;
    for at in start..good.len() {
        let mut bad = good.clone().into_bytes();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            absence(&w, std::str::from_utf8(&bad).unwrap()).await,
            Absence::Forged
        );
    }
    assert_eq!(absence(&w, "other=1").await, Absence::NoCookie);
    assert_eq!(counts.requests(), 0);
}

// 7.2, 16.2.5: the store holds no token.
#[tokio::test]
async fn s03_nothing_stored_contains_the_token() {
    let w = world(config());
    let mut session = created(
        w.sessions
            .create(NewSession::user("u1").repeat_key("k").set("a", "b"))
            .await
            .unwrap(),
    );
    w.sessions
        .update(&mut session, &Changes::new().flash("f", "x"))
        .await
        .unwrap();
    let next = w.rotated(&session, &Rotation::periodic()).await;
    let dump = dump(&w).await;
    assert!(dump.contains(&next.sid().to_string()));
    for session in [&session, &next] {
        let value = value(&w, session);
        for part in [value.as_str(), value.split('.').nth(2).unwrap()] {
            assert!(!dump.contains(part));
        }
    }
}

// CVE-2019-16782 class: what the store knows is no credential.
#[tokio::test]
async fn s04_the_stored_identifier_is_no_cookie() {
    let w = world(config());
    let session = w.login("u1").await;
    let (name, value) = cookie(&w, &session)
        .split_once('=')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let secret = value.split('.').nth(2).unwrap();
    let sid = session.sid().to_string();
    for planted in [
        sid.clone(),
        format!("session:{sid}"),
        value.replace(secret, &sid),
    ] {
        assert_eq!(
            absence(&w, &format!("{name}={planted}")).await,
            Absence::Forged
        );
    }
}

// OWASP strict mode: an unknown identifier creates nothing and is noticed.
#[tokio::test]
async fn s05_an_unknown_token_creates_nothing_and_is_noticed() {
    let w = world(config());
    let elsewhere = world(config());
    let foreign = elsewhere.login("u1").await;
    let mut session = foreign.clone();
    assert_eq!(
        absence(&w, &cookie(&elsewhere, &foreign)).await,
        Absence::Unknown
    );
    assert_eq!(
        w.sessions.touch_now(&mut session).await.unwrap(),
        Touched::Gone
    );
    assert!(matches!(
        w.sessions
            .rotate(&session, &Rotation::privilege())
            .await
            .unwrap(),
        Rotated::Gone
    ));
    assert_eq!(w.keys().await, Vec::<String>::new());
    assert!(w.heard.kinds().contains(&EventKind::Unknown));
}

// 7.2.4: a new token at every change of privilege; the old one is dead for the next request.
#[tokio::test]
async fn s06_a_change_of_privilege_kills_the_old_token() {
    let w = world(config());
    let old = w.login("u1").await;
    let rotation = Rotation::privilege().authenticated_by(["otp"]);
    let new = w.rotated(&old, &rotation).await;
    assert_ne!(value(&w, &old), value(&w, &new));
    assert_eq!(absence(&w, &cookie(&w, &old)).await, Absence::Superseded);
    // Another role.
    let rotation = Rotation::privilege().organisation("acme");
    let newer = w.rotated(&new, &rotation).await;
    assert_eq!(absence(&w, &cookie(&w, &new)).await, Absence::Superseded);
    // Another sign-in of the same browser.
    let login = NewSession::user("u1").replace(&newer);
    assert!(
        w.is_live(&created(w.sessions.create(login).await.unwrap()))
            .await
    );
    assert_eq!(absence(&w, &cookie(&w, &newer)).await, Absence::Unknown);
}

// 7.2.4: a cookie planted before sign-in is not the victim's session after it.
#[tokio::test]
async fn s07_fixation_fails() {
    let w = world(config());
    let planted = created(w.sessions.create(NewSession::anonymous()).await.unwrap());
    let victim = w
        .sessions
        .create(NewSession::user("victim").upgrade(&planted, []))
        .await
        .unwrap();
    assert_ne!(value(&w, &created(victim)), value(&w, &planted));
    assert_eq!(absence(&w, &cookie(&w, &planted)).await, Absence::Unknown);
}

// 10.4.5 by analogy: periodic renewal has a grace; reuse after it ends the family.
#[tokio::test]
async fn s08_reuse_of_a_renewed_token_is_an_alarm() {
    let w = world(config());
    let old = w.login("u1").await;
    let new = w.rotated(&old, &Rotation::periodic()).await;
    w.clock.advance(Duration::from_secs(30));
    for _ in 0..3 {
        assert_eq!(w.load(&old).await.session().unwrap().sid(), new.sid());
    }
    w.clock.advance(Duration::from_millis(1));
    assert_eq!(absence(&w, &cookie(&w, &old)).await, Absence::Reused);
    assert_eq!(absence(&w, &cookie(&w, &new)).await, Absence::Unknown);
    assert!(w.heard.kinds().iter().any(|k| k.is_alarm()));
}

// 7.3.1, 7.3.2: idle and absolute end.
#[tokio::test]
async fn s09_idle_and_absolute_ends_hold() {
    let w = world(
        config()
            .idle(Duration::from_secs(600))
            .absolute(Duration::from_secs(3600)),
    );
    let idle = w.login("u1").await;
    let mut active = w.login("u1").await;
    for _ in 0..11 {
        w.clock.advance(Duration::from_secs(300));
        w.sessions.touch(&mut active).await.unwrap();
        assert!(w.is_live(&active).await);
    }
    assert!(!w.is_live(&idle).await);
    w.clock.advance(Duration::from_secs(300));
    assert_eq!(absence(&w, &cookie(&w, &active)).await, Absence::Ended);
}

// 7.1.1, 7.1.2: limits are documented as they are.
#[tokio::test]
async fn s10_the_limits_are_documented() {
    let text = include_str!("../../docs/reference/CONFIG.md");
    for row in [
        "`SESSION_TTL` | seconds, 1–34560000 | 86400",
        "`SESSION_ABSOLUTE_TTL` | seconds, 1–34560000 | 2592000",
        "`SESSION_MAX_PER_USER` | whole number; 0 = no limit | 20",
        "`SESSION_LIMIT_POLICY` | `evict`, `reject` | `evict`",
    ] {
        assert!(text.contains(row), "{row}");
    }
    let lookup = |name: &str| (name == "SESSION_SECRETS").then(|| "s".repeat(32));
    let w = world(SessionConfig::from_lookup(lookup).unwrap());
    let first = w.login("u1").await;
    assert_eq!(first.expires_ms() - w.sessions.now_ms(), 86_400_000);
    assert_eq!(first.ends_ms() - w.sessions.now_ms(), 2_592_000_000);
    for _ in 0..20 {
        w.clock.advance(Duration::from_millis(1));
        w.login("u1").await;
    }
    assert_eq!(w.sessions.count("u1").await.unwrap(), 20);
    assert!(!w.is_live(&first).await, "the oldest one was evicted");
}

// 7.4.1: sign-out ends the session for good.
#[tokio::test]
async fn s11_a_replayed_cookie_after_sign_out_is_refused() {
    let w = world(config());
    let mut session = w.login("u1").await;
    w.sessions.logout(&session).await.unwrap();
    assert_eq!(
        w.sessions
            .update(&mut session, &Changes::new().set("a", &1))
            .await
            .unwrap(),
        Updated::Gone
    );
    assert_eq!(absence(&w, &cookie(&w, &session)).await, Absence::Unknown);
}

// 7.4.2: a disabled user has no session left.
#[tokio::test]
async fn s12_a_disabled_user_has_no_live_session() {
    let w = world(config());
    let all = [w.login("u1").await, w.login("u1").await];
    let renewed = w.rotated(&all[0], &Rotation::periodic()).await;
    assert_eq!(w.sessions.revoke_all("u1").await.unwrap(), 2);
    for session in all.iter().chain([&renewed]) {
        assert!(!w.is_live(session).await);
    }
}

// 7.4.3: after a changed factor the others end, also logins on their way.
#[tokio::test]
async fn s13_other_sessions_and_logins_in_flight_end() {
    let w = world(config());
    let in_flight = w.sessions.begin_login("u1").await.unwrap();
    let (other, own) = (w.login("u1").await, w.login("u1").await);
    assert_eq!(w.sessions.revoke_others(&own).await.unwrap(), 1);
    assert!(!w.is_live(&other).await && w.is_live(&own).await);
    let late = w
        .sessions
        .create(NewSession::user("u1").epoch(in_flight))
        .await
        .unwrap();
    assert!(matches!(late, Creation::StaleLogin));
}

// 7.4.5: an administrator ends one user's sessions or everybody's.
#[tokio::test]
async fn s14_an_administrator_ends_sessions() {
    let w = world(config());
    let (a, b) = (w.login("u1").await, w.login("u2").await);
    w.sessions.revoke_all("u1").await.unwrap();
    assert!(!w.is_live(&a).await && w.is_live(&b).await);
    let mut cursor = Some("0".to_owned());
    while let Some(at) = cursor {
        cursor = w.sessions.revoke_everyone(&at).await.unwrap().0;
    }
    assert!(!w.is_live(&b).await);
    // At once for all: other secrets.
    let c = cookie(&w, &w.login("u3").await);
    let changed = World::new(
        &w.redis,
        SessionConfig::new(Secrets::new(["z".repeat(32)]).unwrap()),
    );
    assert_eq!(absence(&changed, &c).await, Absence::Forged);
}

// 7.5.2: own sessions can be seen and ended, foreign ones do not exist.
#[tokio::test]
async fn s15_a_foreign_public_id_does_not_exist() {
    let w = world(config());
    let (a, b) = (w.login("u1").await, w.login("u2").await);
    let shown = format!("{:?}", w.sessions.list("u1", Some(&a)).await.unwrap());
    assert!(
        shown.contains(a.public_id()) && !shown.contains(value(&w, &a).split('.').nth(2).unwrap())
    );
    assert!(!w.sessions.revoke("u1", b.public_id()).await.unwrap());
    assert!(w.is_live(&b).await);
}

// 7.5.1, 7.5.3: sensitive changes can demand fresh authentication.
#[tokio::test]
async fn s16_authentication_grows_old_and_is_renewed() {
    let w = world(config());
    let limit = Duration::from_secs(300);
    let session = w.login("u1").await;
    assert!(session.is_fresh(limit, w.sessions.now_ms()));
    w.clock.advance(Duration::from_secs(301));
    let mut session = w.load(&session).await.session().unwrap();
    w.sessions.touch_now(&mut session).await.unwrap();
    assert!(
        !session.is_fresh(limit, w.sessions.now_ms()),
        "use is not proof"
    );
    let rotation = Rotation::privilege().authenticated_by(["otp"]);
    let session = w.rotated(&session, &rotation).await;
    assert!(
        w.load(&session)
            .await
            .session()
            .unwrap()
            .is_fresh(limit, w.sessions.now_ms())
    );
    let visitor = created(w.sessions.create(NewSession::anonymous()).await.unwrap());
    assert!(!visitor.is_fresh(limit, w.sessions.now_ms()));
}

// 3.3.1 to 3.3.5: the cookie.
#[tokio::test]
async fn s17_the_cookie_is_locked_down() {
    let w = world(config());
    let session = w.login("u1").await;
    let set = w.sessions.set_cookie(&session);
    let text = set.to_str().unwrap();
    assert!(text.starts_with("__Host-") && text.contains("; Path=/;") && !text.contains("Domain"));
    assert!(text.contains("; Secure; HttpOnly; SameSite=Lax"));
    assert!(cookie(&w, &session).len() <= 4096);
    let tail = |t: &str| t.split_once("; Secure").unwrap().1.to_owned();
    assert_eq!(
        tail(text),
        tail(w.sessions.clear_cookie().to_str().unwrap()),
        "removal mirrors it"
    );
}

// 14.2.1, 16.2.5: no token in what is printed.
#[tokio::test]
async fn s18_nothing_printed_contains_the_token() {
    let w = world(config());
    let mut session = created(
        w.sessions
            .create(NewSession::user("u1").set("pin", "4711"))
            .await
            .unwrap(),
    );
    let secret = value(&w, &session).split('.').nth(2).unwrap().to_owned();
    let error = w
        .sessions
        .update(&mut session, &Changes::new().set("a", &"x".repeat(1 << 20)))
        .await
        .unwrap_err();
    let wrong = session.get::<bool>("pin").unwrap_err();
    let events = w.heard.0.lock().unwrap().clone();
    let (new, changes) = (
        NewSession::user("u1").set("pin", "4711"),
        Changes::new().set("pin", "4711").flash("note", "4711"),
    );
    let printed = format!(
        "{session:?} {:?} {error:?} {error} {wrong:?} {wrong} {events:?} {:?} {new:?} {changes:?}",
        w.sessions,
        session.token()
    );
    let set = w.sessions.set_cookie(&session);
    assert!(
        !printed.contains(&secret)
            && !printed.contains("4711")
            && !printed.contains("0123456789abcdef")
    );
    assert_eq!(format!("{set:?}"), "Sensitive");
}

// PortSwigger 2025: doubled and imitated cookies are no session.
#[tokio::test]
async fn s19_doubled_and_imitated_cookies_are_no_session() {
    let w = world(config());
    let good = cookie(&w, &w.login("u1").await);
    for planted in [
        format!("{good}; {good}"),
        format!("{good}; __host-sid=x"),
        format!("{good};  {good}"),
        format!("{good}; __Host-sid =x"),
    ] {
        assert_eq!(absence(&w, &planted).await, Absence::Ambiguous, "{planted}");
    }
}

// 3.5.1 to 3.5.3: another site changes nothing.
#[tokio::test]
async fn s20_cross_site_requests_are_refused() {
    let w = world(config());
    let session = w.login("u1").await;
    let from = |site: &'static str| {
        HeaderMap::from_iter([(
            "sec-fetch-site".parse().unwrap(),
            HeaderValue::from_static(site),
        )])
    };
    let permits = |method: http::Method, headers: &HeaderMap| {
        w.sessions.permits(&method, headers, session.token())
    };
    assert!(
        !permits(http::Method::POST, &from("cross-site"))
            && !permits(http::Method::DELETE, &from("same-site"))
    );
    assert!(
        permits(http::Method::POST, &from("same-origin"))
            && permits(http::Method::GET, &from("cross-site"))
    );
    assert!(
        !permits(http::Method::POST, &HeaderMap::new()),
        "neither header: the token is needed"
    );
    assert_eq!(w.sessions.count_of(EventKind::CrossSite), 3);
}

// 13.3.1, 13.3.4: rotating secrets signs nobody out.
#[tokio::test]
async fn s24_rotating_secrets_signs_nobody_out() {
    let w = world(config());
    let session = w.login("u1").await;
    let ring = Secrets::new([
        "n".repeat(32),
        "0123456789abcdef0123456789abcdef".to_owned(),
    ])
    .unwrap();
    let after = World::new(&w.redis, SessionConfig::new(ring));
    let loaded = after
        .sessions
        .load_from(&request(&cookie(&w, &session)))
        .await
        .unwrap()
        .session()
        .unwrap();
    let next = after.rotated(&loaded, &Rotation::periodic()).await;
    assert_ne!(
        value(&after, &next).split('.').nth(1),
        value(&w, &session).split('.').nth(1),
        "the new secret signs"
    );
    // An instance with the old order leads the old cookie to the same successor.
    let ring = Secrets::new([
        "0123456789abcdef0123456789abcdef".to_owned(),
        "n".repeat(32),
    ])
    .unwrap();
    let other = World::new(&w.redis, SessionConfig::new(ring));
    assert_eq!(
        other.load(&session).await.session().unwrap().sid(),
        next.sid()
    );
}

// V11: a sealed value opens only where it belongs.
#[cfg(feature = "encryption")]
#[tokio::test]
async fn s25_a_sealed_value_cannot_be_moved() {
    let w = world(config().encryption(Encryption::Required));
    let a = created(
        w.sessions
            .create(NewSession::user("u1").set("role", "admin").set("note", "x"))
            .await
            .unwrap(),
    );
    let b = created(
        w.sessions
            .create(NewSession::user("u2").set("role", "guest"))
            .await
            .unwrap(),
    );
    assert!(!dump(&w).await.contains("admin"));
    let (from, to) = (
        format!("session:{}", a.sid()),
        format!("session:{}", b.sid()),
    );
    let sealed: String = w
        .redis
        .command("HGET")
        .args([from.as_str(), "d:role"])
        .query()
        .await
        .unwrap();
    w.redis
        .command("HSET")
        .args([to.as_str(), "d:role", &sealed])
        .query::<()>()
        .await
        .unwrap();
    w.redis
        .command("HSET")
        .args([from.as_str(), "d:note", &sealed])
        .query::<()>()
        .await
        .unwrap();
    assert!(
        w.load(&b)
            .await
            .session()
            .unwrap()
            .get::<String>("role")
            .is_err()
    );
    let a = w.load(&a).await.session().unwrap();
    assert!(a.get::<String>("note").is_err());
    assert_eq!(a.get::<String>("role").unwrap().as_deref(), Some("admin"));
    let a = w.rotated(&a, &Rotation::privilege()).await;
    assert_eq!(
        w.load(&a)
            .await
            .session()
            .unwrap()
            .get::<String>("role")
            .unwrap()
            .as_deref(),
        Some("admin")
    );
}

// 9.1.1, 9.1.2, 9.2.1: a self-contained token is checked by its signature first, has one algorithm, and
// lasts a minute; a session itself is never served from a copy.
#[tokio::test]
async fn s26_what_is_signed_is_short_lived_and_no_copy_outlives_the_session() {
    let w = world(config());
    let keys = AssertionKeys::new(["the login secret of the security tests"]).unwrap();
    let token = keys.sign(&Assertion::user("u1").unwrap(), w.sessions.now_ms());
    let verify = |token: &str| keys.verify(token, w.sessions.now_ms());
    let assertion = verify(&token).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    // {"alg":"none"}
    for forged in [
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        format!("eyJhbGciOiJub25lIn0.{claims}.{signature}"),
        format!("{signed}."),
    ] {
        assert_eq!(verify(&forged).unwrap_err(), AssertionError::Invalid);
    }
    assert_eq!(MAX_ASSERTION_AGE, Duration::from_secs(60));
    let login = assertion.login().unwrap();
    let session = created(w.sessions.create(login.clone()).await.unwrap());
    let again = w.sessions.create(login).await.unwrap();
    assert!(matches!(again, Creation::AlreadyUsed), "good once");
    assert!(w.heard.kinds().contains(&EventKind::Replayed));
    w.clock.advance(Duration::from_secs(60));
    assert_eq!(verify(&token).unwrap_err(), AssertionError::Expired);
    // Nothing remembers a session but the store: another instance's sign-out is seen at once.
    assert!(w.is_live(&session).await);
    let elsewhere = World::new(&w.redis, config());
    elsewhere.sessions.logout(&session).await.unwrap();
    assert!(!w.is_live(&session).await);
}

/// A store that never answers.
#[derive(Debug)]
struct Down;

impl Transport for Down {
    fn execute<'a>(&'a self, _: &'a Exchange) -> BoxFuture<'a, restis::Result<TransportResponse>> {
        Box::pin(async {
            Err(Error::new(
                ErrorKind::Unauthorized,
                Delivery::NotSent,
                "down",
            ))
        })
    }
}

// Fails closed: a store that does not answer is an error, never "no session" and never a session.
#[tokio::test]
async fn s27_a_store_that_does_not_answer_is_an_error() {
    let w = world(config());
    let session = w.login("u1").await;
    let down = World::new(&Redis::with_transport(Down), config());
    assert!(
        down.sessions
            .load_from(&request(&cookie(&w, &session)))
            .await
            .is_err()
    );
    assert!(down.sessions.create(NewSession::user("u1")).await.is_err());
    assert!(down.sessions.logout(&session).await.is_err());
    assert_eq!(
        absence(&down, "theme=dark").await,
        Absence::NoCookie,
        "visitors do not need the store"
    );
}

// Every key has a TTL after any sequence of operations: `model.rs` tries random ones on both stores, this one
// each operation and every optional key.
#[tokio::test]
async fn s28_every_key_ends() {
    let w = world(
        config()
            .max_per_user(2, LimitPolicy::Evict)
            .one_per_device()
            .set_index()
            .counting(Counting::Exact),
    );
    let visitor = created(w.sessions.create(NewSession::anonymous()).await.unwrap());
    let new = NewSession::user("u1")
        .upgrade(&visitor, [])
        .device(Device::new().id("d1"))
        .repeat_key("k");
    let mut session = created(w.sessions.create(new).await.unwrap());
    w.login("u1").await;
    w.assert_ttls().await;
    let changes = Changes::new().set("a", &1).increment("n", 1).flash("f", &1);
    w.sessions.update(&mut session, &changes).await.unwrap();
    w.sessions.touch_now(&mut session).await.unwrap();
    assert!(w.is_live(&session).await);
    w.login("u1").await;
    for rotation in [Rotation::periodic(), Rotation::privilege()] {
        let live = w.login("u2").await;
        w.sessions.rotate(&live, &rotation).await.unwrap();
    }
    w.assert_ttls().await;
    w.sessions.revoke_all("u2").await.unwrap();
    let keys = w.keys().await;
    for kind in [":sessions", ":by-expiry", ":epoch", "session:live:"] {
        assert!(keys.iter().any(|k| k.contains(kind)), "{kind}: {keys:?}");
    }
    w.assert_ttls().await;
}

// Key injection: see `ids_cannot_address_other_keys` for ids; names of values cannot reach core facts.
#[tokio::test]
async fn s29_names_cannot_reach_core_facts() {
    let w = world(config());
    let mut session = w.login("u1").await;
    let changes = ["u", "x", "p", "v", "n", "g"]
        .iter()
        .fold(Changes::new(), |c, name| c.set(name, "evil").remove("u"));
    w.sessions
        .update(&mut session, &changes.increment("v", 99))
        .await
        .unwrap();
    let loaded = w.load(&session).await.session().unwrap();
    assert_eq!(
        (loaded.user(), loaded.version(), loaded.public_id()),
        (Some("u1"), 2, session.public_id())
    );
}

// 16.3.1 to 16.3.3: what happens is told with user, public id and reason.
#[tokio::test]
async fn s31_lifecycle_events_are_told() {
    let w = world(config());
    let session = w.login("u1").await;
    let session = w.rotated(&session, &Rotation::privilege()).await;
    w.sessions.logout(&session).await.unwrap();
    let events = w.heard.0.lock().unwrap().clone();
    let kinds: Vec<_> = events.iter().map(|e| e.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::Created, EventKind::Rotated, EventKind::Revoked]
    );
    for event in &events {
        assert_eq!(
            (event.user.as_deref(), event.public_id.as_deref()),
            (Some("u1"), Some(session.public_id()))
        );
        assert!(!event.reason.is_empty() && event.at_ms > 0);
    }
    let w = world(config());
    let session = created(
        w.sessions
            .create(NewSession::user("u1").device(Device::new().label("Chrome 139 / macOS")))
            .await
            .unwrap(),
    );
    assert!(session.device_differs(&Device::new().label("Chrome 139 / Windows")));
    assert!(!session.device_differs(&Device::new().label("Chrome 140 / macOS")));
    let from = |agent: &'static str| {
        let mut headers = request(&cookie(&w, &session));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers
    };
    let own = from("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Chrome/141.0 Safari/537");
    let stolen = from("curl/8.5.0");
    w.sessions.load_from(&own).await.unwrap();
    assert_eq!(w.sessions.count_of(EventKind::DeviceChanged), 0);
    w.sessions.load_from(&stolen).await.unwrap();
    assert_eq!(w.sessions.count_of(EventKind::DeviceChanged), 1);
    w.clock.advance(Duration::from_secs(86_400));
    w.load(&session).await;
    let last = w.heard.0.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        (last.kind, last.public_id.as_deref()),
        (EventKind::Expired, Some(session.public_id()))
    );
    // What is told is counted with the client's metrics.
    let text = w.redis.metrics().prometheus();
    for line in [
        "restis_sessions_device_changed_total 1",
        "redis_sessions_expired_total 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}
