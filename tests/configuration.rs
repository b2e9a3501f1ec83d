//! docs/reference/CONFIG.md names the variables that the programs read, and no others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// How the sources read a variable: what stands before its name.
const READS: [&str; 15] = [
    "var(\"",
    "vars(\"",
    "var_os(\"",
    "set(\"",
    "get(\"",
    "is_set(\"",
    "text(\"",
    "flag(\"",
    "number(\"",
    "seconds(\"",
    "one_of(\"",
    "lookup(\"",
    "duration(\"",
    "env = \"",
    "of(\"",
];

/// Names that others read: the platform's scheduler, and the TLS library.
const OF_OTHERS: [&str; 2] = ["CRON_SECRET", "SSL_CERT_FILE"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // The table of all names says nothing about who reads them.
        if path.ends_with("config/table") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Capitals with or without `_`, as the names of variables are.
fn is_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    text.len() > 3 && text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(letter)
}

/// Every name in the text of a source: those with a `_`, and the others where they are read.
fn read(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut names = BTreeSet::new();
    for line in code.lines().map(str::trim_start) {
        if line.starts_with("//") {
            continue;
        }
        for part in line.split('"').skip(1).step_by(2) {
            let is_read = READS
                .iter()
                .any(|read| line.contains(&format!("{read}{part}\"")));
            if is_name(part) && (part.contains('_') || is_read) {
                names.insert(part.to_owned());
            }
        }
    }
    names
}

/// Names of capitals that are no variables.
fn is_variable(name: &str) -> bool {
    let command = name.ends_with("_RO");
    let of_cargo = name.starts_with("CARGO_");
    let prefix = name.ends_with('_');
    !command && !of_cargo && !prefix && !matches!(name, "RESPONSE_STREAM" | "POST" | "NAME")
}

fn of_code() -> BTreeSet<String> {
    let mut files = Vec::new();
    for directory in ["src", "handlers/src", "cli/src"] {
        sources(&Path::new(ROOT).join(directory), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        names.extend(read(&fs::read_to_string(file).unwrap()));
    }
    names.retain(|name| is_variable(name));
    names
}

fn of_document() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/reference/CONFIG.md")).unwrap();
    // Examples in fences name policies and fields.
    let prose = text.split("```").step_by(2);
    let spans = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    let names = spans.map(|span| span.split('=').next().unwrap());
    let names = names.filter(|name| is_name(name) && is_variable(name));
    names.map(str::to_owned).collect()
}

#[test]
fn the_documented_variables_are_those_that_are_read() {
    let (code, document) = (of_code(), of_document());
    assert!(code.len() > 80, "{} variables are read", code.len());
    let unknown: Vec<_> = code.difference(&document).collect();
    let gone = document.difference(&code);
    let gone: Vec<_> = gone
        .filter(|name| !OF_OTHERS.contains(&name.as_str()))
        .collect();
    assert!(
        unknown.is_empty() && gone.is_empty(),
        "docs/reference/CONFIG.md does not name {unknown:?}, and nothing reads {gone:?}"
    );
}

#[test]
fn a_variable_is_found_in_every_form() {
    for line in [
        "let port = std::env::var(\"PORT\").ok();",
        "#[arg(long, env = \"PORT\")]",
        "vars(\"PORT\")",
        "    | Some(\"A_PORT\") => 1,",
    ] {
        assert_eq!(read(line).len(), 1, "{line}");
    }
    for line in [
        "/// \"A_PORT\"",
        "\"GET\" => 1",
        "#[cfg(test)]\nmod tests { \"A_PORT\" }",
    ] {
        assert!(read(line).is_empty(), "{line}");
    }
}
