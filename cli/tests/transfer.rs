//! `restis export` and `restis import`: what goes in comes out, between any two databases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::process::Stdio;

use support::stores::{Directory, Store, block_on, contents, fill, run, tomorrow};

#[test]
fn every_type_moves_between_engine_and_redis_in_both_directions() {
    let mut pairs = vec![(Store::engine(), Store::engine())];
    if let (Some(one), Some(two)) = (Store::redis(), Store::redis()) {
        pairs.push((Store::engine(), one));
        pairs.push((two, Store::engine()));
    }
    for (from, to) in pairs {
        let directory = Directory::new();
        let file = directory.file("export");
        block_on(fill(&from.client(), 2000));
        from.succeeds(&["export", &file]);
        let said = to.succeeds(&["import", &file, "--verify"]);
        let (before, after) =
            block_on(async { (contents(&from.client()).await, contents(&to.client()).await) });
        for (key, value) in &before {
            assert!(
                after.get(key) == Some(value),
                "{}: {value:?} {:?}",
                key.escape_ascii(),
                after.get(key)
            );
        }
        assert_eq!(before.len(), after.len());
        assert!(
            said.contains(&format!("{} keys imported", before.len())),
            "{said}"
        );
        assert!(said.contains(", 0 differ"), "{said}");
    }
}

#[test]
fn fields_that_end_documents_and_other_types_move_between_engines() {
    let (from, to) = (Store::engine(), Store::engine());
    let redis = from.client();
    let at = tomorrow().to_string();
    block_on(async {
        run(
            &redis,
            &[
                b"HSET",
                b"h",
                b"stays",
                b"1",
                b"ends",
                b"2",
                b"ends too",
                b"3",
            ],
        )
        .await;
        run(
            &redis,
            &[
                b"HPEXPIREAT",
                b"h",
                at.as_bytes(),
                b"FIELDS",
                b"2",
                b"ends",
                b"ends too",
            ],
        )
        .await;
        run(
            &redis,
            &[b"JSON.SET", b"doc", b"$", br#"{"a":[1,2.5,null,"\u00e9"]}"#],
        )
        .await;
        run(&redis, &[b"ARSET", b"array", b"7", b"seven"]).await;
    });
    let directory = Directory::new();
    let file = directory.file("export");
    from.succeeds(&["export", &file]);
    to.succeeds(&["import", &file, "--verify"]);
    let redis = to.client();
    let (ends, doc, card) = block_on(async {
        let ends: Vec<i64> = redis
            .command("HPEXPIRETIME")
            .arg("h")
            .arg("FIELDS")
            .arg(3)
            .args(["stays", "ends", "ends too"])
            .query()
            .await
            .unwrap();
        let doc: String = redis.command("JSON.GET").arg("doc").query().await.unwrap();
        let card: i64 = redis.command("ARCOUNT").arg("array").query().await.unwrap();
        (ends, doc, card)
    });
    let at: i64 = at.parse().unwrap();
    assert_eq!(ends, [-1, at, at]);
    assert_eq!((doc.as_str(), card), (r#"{"a":[1,2.5,null,"é"]}"#, 1));
    // What Redis 7.0 cannot hold is told before anything is written.
    let Some(redis) = Store::redis() else { return };
    let said = redis.fails(&["import", &file]);
    for part in [
        "JSON documents (1)",
        "hashes whose fields end by themselves (1)",
        "keys of other types (1)",
        "nothing is written",
    ] {
        assert!(said.contains(part), "{part} not in {said}");
    }
    let left = block_on(contents(&redis.client()));
    assert!(left.is_empty(), "{left:?}");
    let said = redis.fails(&["import", &file, "--skip-unsupported"]);
    assert!(said.contains("1 keys imported, 2 left out"), "{said}");
}

#[test]
fn keys_that_are_there_stay_unless_they_are_to_be_replaced() {
    let (from, to) = (Store::engine(), Store::engine());
    let directory = Directory::new();
    let file = directory.file("export");
    block_on(async {
        run(&from.client(), &[b"SET", b"a", b"new"]).await;
        run(&from.client(), &[b"SET", b"b", b"new"]).await;
        run(&from.client(), &[b"SET", b"other", b"new"]).await;
        run(&to.client(), &[b"RPUSH", b"a", b"old"]).await;
    });
    from.succeeds(&["export", &file, "--match", "?"]);
    let said = to.fails(&["import", &file]);
    assert!(
        said.contains("1 keys imported, 1 were there and stay"),
        "{said}"
    );
    let said = to.fails(&["import", &file, "--verify-only"]);
    assert!(
        said.contains("restis: a: has another type") && said.contains("2 keys compared, 1 differ"),
        "{said}"
    );
    to.succeeds(&["import", &file, "--replace", "--verify"]);
    assert_eq!(block_on(contents(&to.client())).len(), 2);
    // The file is there.
    let said = from.fails(&["export", &file]);
    assert!(said.contains("--force overwrites it"), "{said}");
    from.succeeds(&["export", &file, "--force"]);
}

#[test]
fn a_file_that_is_damaged_or_incomplete_is_not_imported() {
    let (from, to) = (Store::engine(), Store::engine());
    let directory = Directory::new();
    let file = directory.file("export");
    block_on(fill(&from.client(), 10));
    from.succeeds(&["export", &file]);
    let whole = std::fs::read(&file).unwrap();
    let lines = whole.split(|byte| *byte == b'\n').count() - 1;
    let mut damaged = whole.clone();
    let at = whole.len() / 2;
    damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
    let without_line: Vec<u8> = {
        let mut kept: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
        kept.remove(lines / 2);
        kept.concat()
    };
    for (bytes, part) in [
        (&damaged[..], "its checksum is wrong"),
        (&whole[..whole.len() - 20], "is cut off"),
        (&without_line[..], "lines are missing"),
        (b"{}\n", "damaged"),
        (b"", "no export"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let said = to.fails(&["import", &file]);
        assert!(
            said.contains(part) && said.contains("nothing is written"),
            "{part}: {said}"
        );
    }
    assert!(block_on(contents(&to.client())).is_empty());
}

#[test]
fn what_was_interrupted_goes_on() {
    let (from, to) = (Store::engine(), Store::engine());
    let directory = Directory::new();
    let (file, whole) = (directory.file("export"), directory.file("whole"));
    block_on(fill(&from.client(), 6000));
    from.succeeds(&["export", &whole]);
    // Killed once a part of the file is there.
    let mut child = from.command(&["export", &file]).spawn().unwrap();
    while std::fs::metadata(&file).map_or(0, |found| found.len()) < 100_000 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    // A full disk leaves a part of a line. Where the export had ended before it was killed, its end is cut off.
    std::fs::write(&file, &bytes[..bytes.len() - 30]).unwrap();
    from.succeeds(&["export", &file, "--resume"]);
    let said = from.succeeds(&["export", &file, "--resume"]);
    assert!(said.is_empty(), "complete: {said}");
    // The same for the import.
    let mut child = to.command(&["import", &file]).spawn().unwrap();
    let state = directory.file("export.import");
    while !std::fs::read_to_string(&state).is_ok_and(|text| !text.contains("\"offset\":0,")) {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().unwrap();
    if std::path::Path::new(&state).exists() {
        let said = to.fails(&["import", &file]);
        assert!(said.contains("--resume goes on"), "{said}");
        to.succeeds(&["import", &file, "--resume", "--verify"]);
    }
    assert!(!std::path::Path::new(&state).exists());
    let (before, after) =
        block_on(async { (contents(&from.client()).await, contents(&to.client()).await) });
    assert!(before == after);
}

#[test]
fn an_export_can_be_piped_into_an_import() {
    let (from, to) = (Store::engine(), Store::engine());
    block_on(fill(&from.client(), 100));
    let mut export = from
        .command(&["export", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = export.stdout.take().unwrap();
    let import = to
        .command(&["import", "-", "--progress"])
        .stdin(out)
        .output()
        .unwrap();
    assert!(import.status.success() && export.wait().unwrap().success());
    let (before, after) =
        block_on(async { (contents(&from.client()).await, contents(&to.client()).await) });
    assert!(before == after);
}

#[test]
fn an_rdb_file_of_redis_is_imported() {
    let Some(mut from) = Store::redis() else {
        return;
    };
    block_on(fill(&from.client(), 1000));
    let before = block_on(contents(&from.client()));
    // It saves when it is stopped.
    let directory = from.stop_redis();
    let file = directory.file("dump.rdb");
    let to = Store::engine();
    let said = to.succeeds(&["import", &file, "--verify"]);
    assert!(
        said.contains(&format!("{} keys imported", before.len())),
        "{said}"
    );
    assert!(said.contains(", 0 differ"), "{said}");
    let after = block_on(contents(&to.client()));
    for (key, value) in &before {
        assert!(
            after.get(key) == Some(value),
            "{}: {value:?} {:?}",
            key.escape_ascii(),
            after.get(key)
        );
    }
    let said = to.succeeds(&["import", &file, "--rdb-database", "7"]);
    assert!(said.contains("0 keys imported"), "{said}");
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    let mut old = whole.clone();
    old[5..9].copy_from_slice(b"0009");
    for (bytes, parts) in [
        (&whole[..whole.len() - 9], &["cut off"][..]),
        (
            &damaged[..],
            &[
                "checksum",
                "cut off",
                "damaged",
                "form that is not known",
                "not read",
                "512 MB",
            ],
        ),
        (&old[..], &["version 9"]),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let to = Store::engine();
        let said = to.fails(&["import", &file]);
        assert!(parts.iter().any(|part| said.contains(part)), "{said}");
        assert!(said.contains("nothing is written"), "{said}");
        assert!(block_on(contents(&to.client())).is_empty());
    }
}
