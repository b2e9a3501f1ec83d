//! `restis cache`: what it counts, stores and clears, as the functions see it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::process::{Output, Stdio};

use restis::Redis;
use restis::cache::{Cache, Keyspace};
use support::{Restis, binary};

const REPORTS: Keyspace<(String, String), String> = Keyspace::new("reports:{orgId}:{day}");
const OTHERS: Keyspace<(String,), String> = Keyspace::new("others:{orgId}");

fn cache(store: &Restis, args: &[&str], input: Option<&str>) -> Output {
    let mut command = binary();
    command.arg("cache").args(args);
    command.env("UPSTASH_REDIS_REST_URL", store.url());
    command.env("UPSTASH_REDIS_REST_TOKEN", "t");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that has failed reads no more.
    let _ = std::io::Write::write_all(&mut stdin, input.unwrap_or_default().as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn json(output: &Output) -> serde_json::Value {
    let (code, out, err) = text(output);
    assert_eq!((code, &*err), (Some(0), ""));
    serde_json::from_str(&out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_is_counted_warmed_and_cleared() {
    let store = Restis::start(&["serve", "--addr", "127.0.0.1:0", "--token", "t"]);
    let redis = Redis::builder(store.url(), "t").build().unwrap();
    let ours = Cache::new(redis.clone()).unwrap();
    let reports: Vec<_> = (0..2500)
        .map(|n| (REPORTS.key(("acme", n.to_string())), "x".repeat(100)))
        .collect();
    for part in reports.chunks(1000) {
        ours.put_many(part).await.unwrap();
    }
    let other = OTHERS.key(("acme",));
    ours.put(&other, &"kept".to_owned()).await.unwrap();
    // Keys that are none of the cache.
    let _: () = redis
        .command("SET")
        .arg("cachet")
        .arg("x")
        .query()
        .await
        .unwrap();

    let stats = json(&cache(&store, &["stats", "--json"], None));
    assert_eq!(stats["keyspaces"]["reports"]["entries"], 2500);
    assert_eq!(stats["keyspaces"]["others"]["entries"], 1);
    assert_eq!(
        (&stats["keys"], &stats["markers"]),
        (&5002.into(), &2501.into())
    );
    let bytes = stats["keyspaces"]["reports"]["bytes"].as_u64().unwrap();
    assert!((2500 * 102..2500 * 400).contains(&bytes), "{bytes}");
    let (code, table, _) = text(&cache(&store, &["stats"], None));
    assert!(code == Some(0) && table.contains("reports"), "{table}");

    let lines = (0..250).fold(String::new(), |lines, n| {
        lines + &format!("{{\"key\":\"k{n}\",\"value\":{n},\"fresh_seconds\":600}}\n")
    });
    let warm = ["warm", "-", "--organisation", "acme", "--json"];
    let warmed = json(&cache(&store, &warm, Some(&lines)));
    assert_eq!(
        (&warmed["stored"], &warmed["kept"]),
        (&250.into(), &0.into())
    );
    let warmed = json(&cache(&store, &warm, Some(&lines)));
    assert_eq!(
        (&warmed["stored"], &warmed["kept"]),
        (&0.into(), &250.into())
    );
    let stats = json(&cache(&store, &["stats", "--json"], None));
    assert_eq!(stats["keyspaces"]["entries"]["entries"], 250);

    let (code, out, err) = text(&cache(
        &store,
        &["clear", "--organisation", "acme", "--unlink", "--progress"],
        None,
    ));
    assert_eq!(
        (code, &*out),
        (
            Some(0),
            "the entries of acme: removed, 250 entries deleted\n"
        ),
        "{err}"
    );
    let (code, out, _) = text(&cache(&store, &["clear", "reports"], None));
    assert_eq!((code, &*out), (Some(0), "reports: removed\n"));
    assert!(ours.get(&reports[7].0).await.unwrap().is_none());
    assert!(ours.get(&other).await.unwrap().is_some());
    let cleared = json(&cache(
        &store,
        &["clear", "reports", "--unlink", "--json"],
        None,
    ));
    assert_eq!(cleared["unlinked"], 2500);
    let (code, ..) = text(&cache(&store, &["clear", "others", "--expire"], None));
    assert_eq!(code, Some(0));
    assert!(ours.get(&other).await.unwrap().is_none());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let store = Restis::start(&["serve", "--addr", "127.0.0.1:0", "--token", "t"]);
    let long = format!("{{\"key\":\"k\",\"value\":\"{}\"}}\n", "x".repeat(1 << 20));
    for (args, input, code, part) in [
        (&["clear"][..], "", 2, "<KEYSPACE>"),
        (&["clear", "a:b"][..], "", 2, "letters"),
        (
            &["clear", "--organisation", "a/b"][..],
            "",
            1,
            "organisation",
        ),
        (
            &["warm", "/nonexistent.jsonl"][..],
            "",
            1,
            "/nonexistent.jsonl",
        ),
        (
            &["warm", "-"][..],
            "{\"key\":\"a\",\"value\":1}\n{\"key\":1}\n",
            1,
            "line 2",
        ),
        (
            &["warm", "-"][..],
            "{\"key\":\"\",\"value\":1}\n",
            1,
            "1 to 512",
        ),
        (
            &["warm", "-"][..],
            "{\"key\":\"a\",\"value\":1}\n{\"key\":\"a\",\"value\":1}\n",
            1,
            "each key once",
        ),
        (&["warm", "-"][..], &long, 1, "at most 1 MiB"),
    ] {
        let (ended, out, err) = text(&cache(&store, args, Some(input)));
        assert_eq!((ended, &*out), (Some(code), ""), "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
    }
}
