//! Pure parts: tokens, secrets, cookies, origins, devices, sealed values, settings.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{codec::Codec, codec::Owner, *};
use http::{HeaderMap, HeaderValue, Method, header};
use proptest::prelude::*;
use std::{collections::HashMap, time::Duration};

const NOW: u64 = 1_800_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

fn secrets(list: &[&str]) -> Secrets {
    Secrets::new(list.iter().map(|s| s.repeat(32))).unwrap()
}

fn token(secrets: &Secrets) -> Token {
    Token::random(secrets, None, NOW / 1000).unwrap()
}

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name: http::HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

#[test]
fn a_token_round_trips_through_its_cookie() {
    let ring = secrets(&["a"]);
    for tag in [None, Some(*b"0123456789ab")] {
        let token = Token::random(&ring, tag, NOW / 1000).unwrap();
        let text = token.expose(&ring);
        assert!(text.len() < 110 && text.is_ascii());
        let read = Token::parse(&text, &ring, NOW, DAY).unwrap();
        assert_eq!(
            (read.secret, read.issued_s, read.tag),
            (token.secret, token.issued_s, token.tag)
        );
    }
}

#[test]
fn a_token_past_the_absolute_lifetime_is_expired_but_only_with_its_signature() {
    let ring = secrets(&["a"]);
    let text = token(&ring).expose(&ring);
    let later = NOW + 86_400_000;
    assert_eq!(
        Token::parse(&text, &ring, later, DAY).unwrap_err(),
        TokenError::Expired
    );
    assert_eq!(
        Token::parse(&text, &secrets(&["b"]), later, DAY).unwrap_err(),
        TokenError::Forged
    );
}

#[test]
fn rotating_secrets_keeps_tokens_and_their_stored_form() {
    let (old, both, new) = (secrets(&["a"]), secrets(&["b", "a"]), secrets(&["b"]));
    let first = token(&old);
    let read = Token::parse(&first.expose(&old), &both, NOW, DAY).unwrap();
    assert_eq!(both.sid(&read), old.sid(&first));
    let fresh = token(&both);
    assert_eq!(fresh.key, new.current());
    assert!(Token::parse(&first.expose(&old), &new, NOW, DAY).is_err());
    // Roll-out: an instance that already signs with `b` and one that does not agree on the successor.
    let successor = both.successor(&first, 0);
    let sid = both.sid(&successor).unwrap();
    let other_order = secrets(&["a", "b"]);
    let found = other_order.find_successor(&first, sid.as_str(), 0).unwrap();
    assert_eq!(found.secret, successor.secret);
    assert!(
        other_order
            .find_successor(&fresh, sid.as_str(), 0)
            .is_none()
    );
}

#[test]
fn secrets_are_checked_and_never_shown() {
    assert!(Secrets::new(["short"]).is_err());
    assert!(Secrets::new(Vec::<String>::new()).is_err());
    assert!(Secrets::new(["a".repeat(32), "a".repeat(32)]).is_err());
    assert!(Secrets::new((0..9).map(|i| i.to_string().repeat(32))).is_err());
    let ring = secrets(&["topsecret"]);
    let token = token(&ring);
    let shown = format!("{ring:?} {token:?} {:?}", ring.sid(&token).unwrap());
    assert!(!shown.contains("topsecret") && !shown.contains(&token.expose(&ring)[10..30]));
}

proptest! {
    #[test]
    fn no_text_but_a_signed_one_is_a_token(text in ".{0,140}") {
        prop_assert!(Token::parse(&text, &secrets(&["a"]), NOW, DAY).is_err());
    }

    #[test]
    fn a_changed_byte_is_refused(at in 0_usize..200, to in any::<char>()) {
        let ring = secrets(&["a"]);
        let text = token(&ring).expose(&ring);
        let at = at % text.len();
        let mut changed: Vec<char> = text.chars().collect();
        prop_assume!(changed[at] != to);
        changed[at] = to;
        let changed: String = changed.into_iter().collect();
        prop_assert_eq!(Token::parse(&changed, &ring, NOW, DAY).unwrap_err(), TokenError::Forged);
    }

    #[test]
    fn cookie_headers_of_any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            headers.append(header::COOKIE, value);
            let _ = CookieConfig::default().find(&headers);
        }
    }

    #[test]
    fn device_facts_are_bounded(text in ".{0,300}") {
        let device = Device::new().id(&text).label(&text);
        prop_assert!(device.id.iter().chain(&device.label).all(|t| !t.is_empty() && t.len() <= MAX_LABEL_BYTES));
        prop_assert!(Device::new().user_agent(&text).label.unwrap().len() <= MAX_LABEL_BYTES);
    }

    #[test]
    fn keys_of_users_and_organisations_never_meet(
        a in ("[a:%]{1,3}", proptest::option::of("[a:%]{1,3}")),
        b in ("[a:%]{1,3}", proptest::option::of("[a:%]{1,3}")),
        cluster in any::<bool>(),
    ) {
        prop_assume!(a != b);
        let keys = keys::Keys::new("", cluster, true);
        let of = |(id, organisation): &(String, Option<String>)| {
            let user = keys.user(User::new(id).organisation(organisation.as_deref()));
            [user.index.clone(), user.set.clone(), user.epoch.clone(), user.devices.clone(), user.login("K")]
        };
        let (x, y) = (of(&a), of(&b));
        prop_assert!(x.iter().all(|key| !y.contains(key)), "{x:?} {y:?}");
    }

    #[test]
    fn user_keys_are_injective(a in ".{1,20}", b in ".{1,20}") {
        prop_assume!(a != b);
        let keys = keys::Keys::new("", false, false);
        let (x, y) = (keys.user((&a).into()), keys.user((&b).into()));
        for (one, two) in [(&x.index, &y.index), (&x.index, &y.epoch), (&x.epoch, &y.epoch), (&x.devices, &y.index)] {
            prop_assert_ne!(one, two);
        }
        let reserved = x.index.contains(['*', '{', ' ', '\n']);
        prop_assert!(!reserved);
    }
}

#[test]
fn a_cookie_has_all_its_attributes_and_its_removal_the_same() {
    let cookie = CookieConfig::default();
    let set = cookie.set("VALUE", DAY);
    assert_eq!(
        set,
        "__Host-sid=VALUE; Path=/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax"
    );
    assert!(set.is_sensitive());
    assert_eq!(
        cookie.remove(),
        "__Host-sid=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    );
    let shared = CookieConfig::default()
        .domain("example.com")
        .same_site(SameSite::None)
        .partitioned();
    let tail =
        "Path=/; Max-Age=0; Domain=example.com; Secure; HttpOnly; SameSite=None; Partitioned";
    assert_eq!(shared.remove(), format!("__Secure-sid=; {tail}"));
    assert!(shared.problems().is_empty());
    assert_eq!(
        CookieConfig::insecure().remove(),
        "sid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
    );
    let forever = cookie.set("V", 1000 * DAY);
    assert!(
        forever.to_str().unwrap().contains("Max-Age=34560000"),
        "browsers cap at 400 days"
    );
}

#[test]
fn contradictory_cookies_are_refused() {
    for cookie in [
        CookieConfig::insecure().name("__Host-sid"),
        CookieConfig::default()
            .domain("example.com")
            .name("__Host-sid"),
        CookieConfig::insecure().same_site(SameSite::None),
        CookieConfig::default().name("a b"),
        CookieConfig::default().name(""),
        CookieConfig::default().domain("a;b"),
    ] {
        assert!(!cookie.problems().is_empty(), "{cookie:?}");
    }
}

#[test]
fn cookies_are_read_strictly() {
    let cookie = CookieConfig::default();
    let find = |list: &[(&str, &str)]| match cookie.find(&headers(list)) {
        Presented::One(value) => value.to_owned(),
        other => format!("{other:?}"),
    };
    assert_eq!(find(&[]), "None");
    assert_eq!(find(&[("cookie", "a=1; __Host-sid=v; b=2")]), "v");
    assert_eq!(find(&[("cookie", "a=1"), ("cookie", "__Host-sid=v")]), "v");
    assert_eq!(find(&[("cookie", "__Host-sid=v=w")]), "v=w");
    assert_eq!(find(&[("cookie", "__Host-sidx=v; x__Host-sid=v")]), "None");
    for planted in [
        "__Host-sid=a; __Host-sid=b",
        "__Host-sid=a; __host-sid=b",
        "__Host-sid =b",
        "a=1;  __Host-sid=b",
        "a=1;\t__Host-sid=b",
        "\u{a0}__Host-sid=b",
        "\u{2000}__Host-sid=b",
    ] {
        assert_eq!(find(&[("cookie", planted)]), "Ambiguous", "{planted:?}");
    }
    assert_eq!(
        find(&[("cookie", "__Host-sid=a"), ("cookie", "__Host-sid=a")]),
        "Ambiguous"
    );
}

#[test]
fn origins_are_judged_in_order() {
    let policy = CsrfPolicy::default().allow("https://app.example.com");
    let judge = |method: &Method, list: &[(&str, &str)]| policy.judge(method, &headers(list));
    let post = Method::POST;
    assert_eq!(
        judge(&Method::GET, &[("sec-fetch-site", "cross-site")]),
        Origin::Trusted
    );
    assert_eq!(
        judge(&post, &[("sec-fetch-site", "same-origin")]),
        Origin::Trusted
    );
    assert_eq!(judge(&post, &[("sec-fetch-site", "none")]), Origin::Trusted);
    assert_eq!(
        judge(&post, &[("sec-fetch-site", "same-site")]),
        Origin::Foreign
    );
    assert_eq!(
        judge(&post, &[("sec-fetch-site", "cross-site")]),
        Origin::Foreign
    );
    let allowed = ("origin", "https://app.example.com");
    assert_eq!(
        judge(&post, &[("sec-fetch-site", "cross-site"), allowed]),
        Origin::Trusted
    );
    assert_eq!(judge(&post, &[allowed]), Origin::Trusted);
    assert_eq!(
        judge(
            &post,
            &[("origin", "https://api.test"), ("host", "api.test")]
        ),
        Origin::Trusted
    );
    assert_eq!(
        judge(
            &post,
            &[("origin", "https://evil.test"), ("host", "api.test")]
        ),
        Origin::Foreign
    );
    assert_eq!(
        judge(&post, &[("origin", "null"), ("host", "api.test")]),
        Origin::Foreign
    );
    assert_eq!(judge(&post, &[]), Origin::Unknown);
    let twice = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(judge(&post, &twice), Origin::Foreign);
    let lax = CsrfPolicy::default().allow_same_site();
    assert_eq!(
        lax.judge(&post, &headers(&[("sec-fetch-site", "same-site")])),
        Origin::Trusted
    );
}

#[test]
fn the_csrf_token_belongs_to_its_session_and_differs_each_time() {
    let ring = secrets(&["a"]);
    let (mine, other) = (token(&ring), token(&ring));
    let (one, two) = (
        csrf::masked(&mine, &ring).unwrap(),
        csrf::masked(&mine, &ring).unwrap(),
    );
    assert_ne!(one, two);
    assert!(csrf::verify(&one, &mine, &ring) && csrf::verify(&two, &mine, &ring));
    assert!(!csrf::verify(&one, &other, &ring));
    assert!(!csrf::verify("", &mine, &ring) && !csrf::verify(&one[1..], &mine, &ring));
    let policy = CsrfPolicy::default();
    let with = headers(&[(CSRF_HEADER, &one)]);
    assert!(policy.permits(&Method::POST, &with, &mine, &ring));
    assert!(!policy.permits(&Method::POST, &HeaderMap::new(), &mine, &ring));
    let foreign = headers(&[(CSRF_HEADER, &one), ("sec-fetch-site", "cross-site")]);
    assert!(!policy.permits(&Method::POST, &foreign, &mine, &ring));
}

#[test]
fn user_agents_become_short_labels() {
    let label = |ua: &str| Device::new().user_agent(ua).label.unwrap();
    let cases = [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/139.0 Safari/537.36 Edg/139.0",
            "Edge 139 / Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1",
            "Safari 18 / iOS",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
            "Firefox 142 / Linux",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) Chrome/139.0.0.0 Mobile Safari/537.36",
            "Chrome 139 / Android",
        ),
        ("curl/8.9.1", "curl 8"),
        ("", "Unknown device"),
    ];
    for (ua, expected) in cases {
        assert_eq!(label(ua), expected);
    }
    assert_eq!(
        device::family("Chrome 139 / macOS"),
        device::family("Chrome 140 / macOS")
    );
    assert_ne!(
        device::family("Chrome 139 / macOS"),
        device::family("Chrome 139 / Windows")
    );
    let v6 = Device::new().address("2001:db8:1:2:3::4".parse().unwrap());
    assert_eq!(v6.network.unwrap(), "2001:db8:1::/48");
    let mapped = Device::new().address("::ffff:203.0.113.9".parse().unwrap());
    assert_eq!(mapped.network.unwrap(), "203.0.113.0/24");
}

#[test]
fn keys_follow_the_patterns() {
    let ring = secrets(&["a"]);
    let sid = ring.sid(&token(&ring)).unwrap();
    let plain = keys::Keys::new("", false, false);
    assert_eq!(plain.session(None, sid), format!("session:{sid}"));
    assert_eq!(plain.user("u1".into()).index, "user:u1:sessions");
    for prefix in ["mantis:", "mantis:session:"] {
        let keys = keys::Keys::new(prefix, false, false);
        assert_eq!(keys.session(None, sid), format!("mantis:session:{sid}"));
        assert_eq!(keys.user("u1".into()).epoch, "mantis:user:u1:epoch");
        assert!(keys.is_session(&keys.session(None, sid)));
        assert!(!keys.is_session(&keys.count_at(3)) && !keys.is_session(&keys.used_in(4)));
    }
    let set = keys::Keys::new("", false, true).user("u1".into());
    assert_eq!(
        (set.set.as_str(), set.index.as_str()),
        ("user:u1:sessions", "user:u1:sessions:by-expiry")
    );
    let cluster = keys::Keys::new("", true, false);
    let tag = cluster.tag(Some("u1"));
    let slot = format!("{{{}}}", std::str::from_utf8(&tag.unwrap()).unwrap());
    assert!(
        cluster.session(tag, sid).contains(&slot)
            && cluster.user("u1".into()).devices.contains(&slot)
    );
}

#[test]
fn every_problem_of_the_environment_is_reported_at_once() {
    let read = |vars: &[(&str, &str)]| {
        let map: HashMap<String, String> = vars
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        SessionConfig::from_lookup(|name| map.get(name).cloned())
    };
    let problems = read(&[
        ("SESSION_TTL", "0"),
        ("SESSION_ABSOLUTE_TTL", "x"),
        ("SESSION_LIMIT_POLICY", "maybe"),
        ("SESSION_ALLOWED_ORIGINS", "example.com"),
        ("SESSION_CLUSTER", "true"),
        ("SESSION_COUNT", "exact"),
    ])
    .unwrap_err();
    for variable in [
        "SESSION_SECRETS",
        "SESSION_TTL",
        "SESSION_ABSOLUTE_TTL",
        "SESSION_LIMIT_POLICY",
        "SESSION_ALLOWED_ORIGINS",
    ] {
        assert_eq!(
            problems
                .iter()
                .filter(|p| p.starts_with(&format!("{variable} "))
                    || p.starts_with(&format!("{variable}:")))
                .count(),
            1,
            "{variable}: {problems:?}"
        );
    }
    assert!(problems.iter().any(|p| p.contains("cluster")));
    let secret = "s".repeat(40);
    let config = read(&[
        ("SESSION_SECRETS", &secret),
        ("SESSION_TTL", "900"),
        ("SESSION_PREFIX", "mantis:"),
    ])
    .unwrap();
    assert_eq!(config.lifetimes.idle, Duration::from_secs(900));
    assert_eq!(
        config.lifetimes.touch_for(config.lifetimes.idle),
        Duration::from_secs(45)
    );
    assert!(!format!("{config:?}").contains(&secret));
    let defaults = read(&[("SESSION_SECRETS", &secret)]).unwrap();
    assert_eq!(defaults.lifetimes.idle, DAY);
    assert_eq!(
        (defaults.max_per_user, defaults.cookie.cookie_name()),
        (20, "__Host-sid")
    );
}

#[test]
fn values_are_checked_without_sealing() {
    let codec = Codec::new(secrets(&["a"]), Encryption::Off, 10);
    let owner = Owner {
        public_id: "p",
        user: None,
    };
    assert_eq!(codec.write(owner, "a", "1").unwrap(), "1");
    assert!(codec.write(owner, "a", "12345678901").is_err());
    assert!(codec.write(owner, "", "1").is_err());
}

#[cfg(feature = "encryption")]
#[test]
fn sealed_values_open_only_where_they_belong() {
    let (old, both) = (secrets(&["a"]), secrets(&["b", "a"]));
    let codec = |ring: &Secrets, mode| Codec::new(ring.clone(), mode, 1000);
    let owner = Owner {
        public_id: "p1",
        user: Some("u1"),
    };
    let sealed = codec(&old, Encryption::Required)
        .write(owner, "cart", "\"secret\"")
        .unwrap();
    assert!(!sealed.contains("secret"));
    let open =
        |owner, field, text: &str| codec(&both, Encryption::Required).read(owner, field, text);
    assert_eq!(open(owner, "cart", &sealed).unwrap(), "\"secret\"");
    // Another session, another user, another field, the border between the parts moved.
    assert!(
        open(
            Owner {
                public_id: "p2",
                ..owner
            },
            "cart",
            &sealed
        )
        .is_err()
    );
    assert!(
        open(
            Owner {
                user: Some("u2"),
                ..owner
            },
            "cart",
            &sealed
        )
        .is_err()
    );
    assert!(open(owner, "card", &sealed).is_err());
    assert!(
        open(
            Owner {
                public_id: "p1u",
                user: Some("1")
            },
            "cart",
            &sealed
        )
        .is_err()
    );
    let mut flipped = sealed.clone().into_bytes();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    assert!(open(owner, "cart", &String::from_utf8(flipped).unwrap()).is_err());
    for broken in ["x1.", "x1.abcdef", "x1.abcdef.!!", "x1.abcdef.AAAA"] {
        assert!(open(owner, "cart", broken).is_err());
    }
    assert!(
        open(owner, "cart", "\"plain\"").is_err(),
        "plain text cannot be slipped in"
    );
    let migrating = codec(&both, Encryption::Migrating);
    assert_eq!(
        migrating.read(owner, "cart", "\"plain\"").unwrap(),
        "\"plain\""
    );
    assert!(
        codec(&secrets(&["c"]), Encryption::Required)
            .read(owner, "cart", &sealed)
            .is_err()
    );
}
