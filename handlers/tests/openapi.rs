//! The API description that is served is the one that the code makes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};

/// One member a line, so that changes can be read; not indented, as it is in the binary.
fn written() -> String {
    let mut text = Vec::new();
    let lines = PrettyFormatter::with_indent(b"");
    let mut serializer = Serializer::with_formatter(&mut text, lines);
    restis_handlers::document()
        .serialize(&mut serializer)
        .unwrap();
    text.push(b'\n');
    String::from_utf8(text).unwrap()
}

/// `RESTIS_WRITE_DOCS=1` writes the file instead.
#[test]
fn the_served_description_is_the_one_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let written = written();
    if std::env::var_os("RESTIS_WRITE_DOCS").is_some() {
        std::fs::write(path, written).unwrap();
        return;
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == written,
        "handlers/openapi.json differs: run this test with RESTIS_WRITE_DOCS=1"
    );
}
