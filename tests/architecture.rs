//! The layers of the client and of the engine: each imports only what stands before it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// From the lowest to the highest; modules of one layer do not import each other.
type Layers = &'static [&'static [&'static str]];

const CLIENT: Layers = &[
    &["protocol"],
    &["transport"],
    &["client"],
    &["commands"],
    &["ratelimit", "session", "cache", "events"],
    &["web"],
];

/// Numbers and structures; what bounds a command; the values of keys; the keyspace; what runs
/// commands; the commands; what puts a database together.
const ENGINE: Layers = &[
    &[
        "array",
        "dict",
        "either",
        "error",
        "geohash",
        "hll",
        "longdouble",
        "num",
        "options",
        "stats",
        "stream",
        "text",
        "watch",
    ],
    &["packed"],
    &[
        "changelog",
        "hash",
        "limits",
        "list",
        "reply",
        "set",
        "shape",
        "zset",
    ],
    &["budget", "command"],
    &["glob", "json", "lua", "parse", "slowlog", "vectors"],
    &["acl", "hub", "scripting", "value"],
    &["blocked", "encoding", "search"],
    &["db", "rdb"],
    &["ctx"],
    &["commands"],
    &["snapshot"],
    &["replay"],
    &["engine"],
];

fn layer_of(layers: Layers, module: &str) -> Option<usize> {
    layers.iter().position(|layer| layer.contains(&module))
}

/// The source without comments, literals and the tests at its end.
fn code_of(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next();
    let mut code = String::new();
    for line in source.unwrap_or_default().lines() {
        let line = line.split("//").next().unwrap_or_default();
        code.extend(line.split('"').step_by(2));
        code.push('\n');
    }
    code
}

/// Every path of a tree such as `a::{b, c::{d as e}}` at the beginning of a text.
fn paths(text: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut path = String::new();
    let mut renamed = false;
    let mut all = Vec::new();
    for c in text.chars() {
        match c {
            '{' => open.push(path.clone()),
            ',' | '}' => {
                all.push(std::mem::take(&mut path));
                renamed = false;
                if c == '}' {
                    open.pop();
                } else if let Some(prefix) = open.last() {
                    path.clone_from(prefix);
                }
                if open.is_empty() {
                    break;
                }
            }
            c if c.is_whitespace() && !open.is_empty() => {
                renamed = !path.is_empty() && !path.ends_with("::");
            }
            c if c.is_alphanumeric() || "_:*".contains(c) => {
                if !renamed {
                    path.push(c);
                }
            }
            _ => break,
        }
    }
    all.push(path);
    all.retain(|path| !path.is_empty() && !path.ends_with("::"));
    all
}

/// What stands after `crate::` in a source: the paths of imports and of expressions.
fn crate_paths(source: &str) -> Vec<String> {
    let code = code_of(source);
    let from = code.match_indices("crate::");
    from.flat_map(|(at, found)| paths(&code[at + found.len()..]))
        .collect()
}

/// Which module a name at the root of the crate comes from.
fn root_names(layers: Layers, lib: &str) -> BTreeMap<String, String> {
    let code = code_of(lib);
    let mut names = BTreeMap::new();
    for (at, found) in code.match_indices("pub use ") {
        for path in paths(&code[at + found.len()..]) {
            let mut parts = path.split("::").filter(|part| *part != "self");
            let module = parts.next().unwrap_or_default();
            let name = parts.last().unwrap_or(module);
            if layer_of(layers, module).is_some() {
                names.insert(name.to_owned(), module.to_owned());
            }
        }
    }
    // It holds names of the client and of the commands.
    names.insert("prelude".to_owned(), "commands".to_owned());
    names
}

/// Imports of a file of `module` that do not point to an earlier layer.
fn back_arrows(
    layers: Layers,
    module: &str,
    source: &str,
    root: &BTreeMap<String, String>,
) -> Vec<String> {
    let own = layer_of(layers, module).unwrap();
    let runs_back = |path: &String| {
        let first = path.split("::").next().unwrap_or_default();
        let target = root.get(first).map_or(first, String::as_str);
        target != module && layer_of(layers, target).is_none_or(|layer| layer >= own)
    };
    crate_paths(source).into_iter().filter(runs_back).collect()
}

fn source_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// Fails if a module of `src` stands in no layer or imports what does not stand before it.
fn check(layers: Layers, src: &Path, least_files: usize) {
    let root = root_names(layers, &fs::read_to_string(src.join("lib.rs")).unwrap());
    let mut files = Vec::new();
    source_files(src, &mut files);
    assert!(files.len() > least_files, "{} files", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let inner = file.strip_prefix(src).unwrap();
        let first = inner.iter().next().unwrap().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        let test = ["tests.rs", "fuzz.rs", "storm.rs"]
            .iter()
            .any(|name| inner.ends_with(name));
        if module == "lib" || test {
            continue;
        }
        assert!(
            layer_of(layers, module).is_some(),
            "{module} is in no layer"
        );
        let source = fs::read_to_string(&file).unwrap();
        let back = back_arrows(layers, module, &source, &root);
        wrong.extend(
            back.into_iter()
                .map(|path| format!("{}: crate::{path}", inner.display())),
        );
    }
    assert!(
        wrong.is_empty(),
        "imports that run back:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_import_of_the_client_points_to_an_earlier_layer() {
    check(
        CLIENT,
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        100,
    );
}

#[test]
fn every_import_of_the_engine_points_to_an_earlier_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/src");
    check(ENGINE, &src, 100);
}

#[test]
fn an_import_that_runs_back_is_found_in_every_form() {
    let root = root_names(
        CLIENT,
        "pub use client::{Redis, clock::{self, Clock}};\npub use protocol::Error;",
    );
    let find = |module, source| back_arrows(CLIENT, module, source, &root);
    for back in [
        "use crate::client::Redis;",
        "use crate::Redis;",
        "use crate::clock::Clock;",
        "use crate::{\n    Error,\n    client::{batch, config::{Builder}},\n};",
        "fn f() -> crate::client::Redis { todo!() }",
        "pub(crate) use crate::commands::*;",
        "use crate::unknown::Thing;",
    ] {
        assert!(!find("transport", back).is_empty(), "{back}");
    }
    // Siblings.
    assert_eq!(
        find("session", "use crate::events::Event;"),
        ["events::Event"]
    );
    for sound in [
        "use crate::{Error, protocol::{reply::Reply, error::{Delivery, Result}}, transport::Mode};",
        "/// As [`Redis`](crate::Redis) does.\nfn f() { g(\"crate::web\") }",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::Redis;\n}\n",
    ] {
        assert!(find("transport", sound).is_empty(), "{sound}");
    }
    let back = back_arrows(ENGINE, "lua", "use crate::ctx::Ctx;", &root);
    assert_eq!(back, ["ctx::Ctx"]);
}

/// The names in the table `[features]` of a manifest, without `default`.
fn features_of(manifest: &str) -> Vec<String> {
    let table = manifest.split("\n[features]\n").nth(1).unwrap();
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "default")
        .collect()
}

#[test]
fn continuous_integration_checks_each_feature_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join(".ci/run")).unwrap();
    let step = script.split("step \"features\"").nth(1).unwrap();
    let loops: Vec<&str> = step.split("\nfor features in ").skip(1).collect();
    for (manifest, list) in ["Cargo.toml", "handlers/Cargo.toml"].iter().zip(loops) {
        let list = list.split("; do").next().unwrap();
        let checked: Vec<&str> = list.split_whitespace().collect();
        assert!(checked.contains(&"\"\""), "{manifest}: none");
        let features = features_of(&fs::read_to_string(root.join(manifest)).unwrap());
        assert!(features.len() >= 4, "{manifest}: {features:?}");
        for feature in features {
            assert!(checked.contains(&feature.as_str()), "{manifest}: {feature}");
        }
    }
}
