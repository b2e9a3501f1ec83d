//! Problem types: code, registry, API description and docs/reference/API.md say the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use restis_handlers::problem::{Problem, TYPES};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The problems that the sources make: status constant, code and title.
fn made() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let package = Path::new(PACKAGE);
    let mut files = sources(&package.join("src"));
    // Those that the library makes.
    files.push(package.join("../src/web/problem.rs"));
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let own = if path.ends_with("problem.rs") {
            "Self::new("
        } else {
            "Problem::new("
        };
        for call in text.split(own).skip(1) {
            let arguments = call.split(')').next().unwrap();
            let mut parts = arguments.splitn(2, ',');
            let status = parts.next().unwrap().trim().rsplit("::").next().unwrap();
            let texts: Vec<_> = parts.next().unwrap().split('"').collect();
            let [_, code, _, title, _] = texts[..] else {
                panic!(
                    "{}: a problem without literals: {arguments}",
                    path.display()
                );
            };
            found.push((status.to_owned(), code.to_owned(), title.to_owned()));
        }
    }
    found
}

#[test]
fn every_problem_that_is_made_is_registered_as_it_is_made() {
    let made = made();
    assert!(made.len() > 20, "{made:?}");
    for (status, code, title) in &made {
        let registered = TYPES.iter().find(|t| t.code == code);
        let registered = registered.unwrap_or_else(|| panic!("`{code}` is not in TYPES"));
        assert_eq!(registered.title, title, "{code}");
        let name = registered.status.canonical_reason().unwrap();
        let name = name.to_uppercase().replace([' ', '-'], "_");
        assert_eq!(&name, status, "{code}");
    }
    for registered in TYPES {
        let is_made = made.iter().any(|(_, code, _)| code == registered.code);
        assert!(is_made, "nothing makes `{}`", registered.code);
    }
}

#[test]
fn codes_are_words_and_unique_and_sorted_by_status() {
    let codes: BTreeSet<_> = TYPES.iter().map(|t| t.code).collect();
    assert_eq!(codes.len(), TYPES.len());
    assert!(
        codes
            .iter()
            .all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
    );
    assert!(TYPES.is_sorted_by_key(|t| t.status));
}

#[test]
fn the_api_description_lists_them() {
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    let listed = document["x-problem-types"].as_array().unwrap();
    assert_eq!(listed.len(), TYPES.len());
    for (entry, registered) in listed.iter().zip(TYPES) {
        assert_eq!(entry["type"], registered.uri());
        assert_eq!(entry["status"], registered.status.as_u16());
    }
    // What a status means for a route is described there: no type has a status that no route has.
    let statuses: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .flat_map(|operation| operation["responses"].as_object().unwrap().keys())
        .map(|status| status.parse::<u16>().unwrap())
        .collect();
    // Any route can answer these.
    let general = [405, 408, 500, 504];
    for registered in TYPES {
        let status = registered.status.as_u16();
        assert!(
            general.contains(&status) || statuses.contains(&status),
            "{status}"
        );
    }
}

#[test]
fn an_answer_has_the_registered_uri() {
    use axum::response::IntoResponse as _;
    let problem = Problem::not_found("no such thing");
    let registered = TYPES.iter().find(|t| t.code == problem.code()).unwrap();
    assert_eq!(registered.uri(), "urn:restis:problem:not-found");
    assert_eq!(registered.status, problem.into_response().status());
}

/// `RESTIS_WRITE_DOCS=1` writes the table instead.
#[test]
fn the_documented_types_are_the_registered_ones() {
    let path = Path::new(PACKAGE).join("../docs/reference/API.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- problems -->\n").unwrap();
    let (table, after) = rest.split_once("<!-- /problems -->").unwrap();
    let mut wanted = String::from("| status | code | title | meaning |\n|---|---|---|---|\n");
    for t in TYPES {
        let status = t.status.as_u16();
        wanted += &format!(
            "| {status} | `{}` | {} | {} |\n",
            t.code, t.title, t.meaning
        );
    }
    if std::env::var_os("RESTIS_WRITE_DOCS").is_some() {
        let text = format!("{before}<!-- problems -->\n{wanted}<!-- /problems -->{after}");
        fs::write(path, text).unwrap();
        return;
    }
    assert!(
        table == wanted,
        "docs/reference/API.md differs: run this test with RESTIS_WRITE_DOCS=1"
    );
}
