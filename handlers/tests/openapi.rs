//! The API description that is served is the one that the code makes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde::Serialize as _;
use serde_json::{
    Value,
    ser::{PrettyFormatter, Serializer},
};

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

/// What each example of docs/reference/API.md is an example of, by the beginning of its text.
const EXAMPLES: [(&str, &[&str]); 10] = [
    (r#"{"identifier":"#, &["CheckRequest"]),
    (r#"{"value":"#, &["EntryRequest"]),
    (r#"{"entries":"#, &["WarmRequest"]),
    (r#"{"session":"#, &["CurrentSession"]),
    (r#"{"assertion":"#, &["CreateRequest", "StepUpRequest"]),
    (r#"{"types":"#, &["GrantRequest"]),
    (r#"{ "client":"#, &["SyncRequest"]),
    (r#"{ "results":"#, &["SyncAnswer"]),
    (r#"{"ids":"#, &["Selection"]),
    (r#"{"oldest":"#, &["Selection"]),
];

/// The JSON objects of a document in fences and in line; `…` stands for what is left out.
fn examples(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, part) in text.split("```").enumerate() {
        if n % 2 == 1 {
            let Some(json) = part.strip_prefix("json\n") else {
                continue;
            };
            // The request line stands before the body.
            found.push(json[json.find('{').unwrap()..].trim().to_owned());
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            found.extend(spans.filter(|s| s.starts_with("{\"")).map(str::to_owned));
        }
    }
    found
}

/// What is wrong with a value of a schema: unknown or missing members, other types.
fn mismatches(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(&reference[1..]).unwrap();
        return mismatches(document, schema, value, place);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let each = choices
                .iter()
                .map(|s| mismatches(document, s, value, place));
            return each.min_by_key(Vec::len).unwrap();
        }
    }
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = match &schema["type"] {
        Value::Null => return Vec::new(),
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    if !kinds.iter().any(|kind| kind == is) {
        return vec![format!("{place} is {is}, not {kinds:?}")];
    }
    let mut wrong = Vec::new();
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        wrong.extend(mismatches(
            document,
            &schema["items"],
            item,
            &format!("{place}/{n}"),
        ));
    }
    let Some(members) = value
        .as_object()
        .filter(|_| schema["properties"].is_object())
    else {
        return wrong;
    };
    for (name, member) in members {
        match schema["properties"].get(name) {
            Some(schema) => {
                wrong.extend(mismatches(
                    document,
                    schema,
                    member,
                    &format!("{place}/{name}"),
                ));
            }
            // Others than those of the list are allowed where the schema says so.
            None if schema["additionalProperties"].is_object() => {}
            None => wrong.push(format!("{place}/{name} is no member")),
        }
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let missing = required.filter(|name| !members.contains_key(name.as_str().unwrap()));
    wrong.extend(missing.map(|name| format!("{place} lacks {name}")));
    wrong
}

#[test]
fn the_documented_examples_are_of_the_described_schemas() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/API.md");
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    let found = examples(&std::fs::read_to_string(path).unwrap());
    for (begin, _) in EXAMPLES {
        assert!(
            found.iter().any(|text| text.starts_with(begin)),
            "no {begin}"
        );
    }
    for text in &found {
        let whole = text.replace("[…]", "[]").replace(": …", ": null");
        let value: Value = serde_json::from_str(&whole).unwrap_or_else(|e| panic!("{text}: {e}"));
        let of = EXAMPLES.iter().find(|(begin, _)| text.starts_with(begin));
        let (_, schemas) = of.unwrap_or_else(|| panic!("of which schema is {text}?"));
        for name in *schemas {
            let schema = &document["components"]["schemas"][*name];
            assert!(schema.is_object(), "no schema {name}");
            let wrong = mismatches(&document, schema, &value, name);
            assert!(wrong.is_empty(), "{text}: {wrong:?}");
        }
    }
}

/// The comparison finds what it is for.
#[test]
fn an_example_of_other_members_or_types_is_found() {
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    let schema = &document["components"]["schemas"]["CheckRequest"];
    for (text, wrong) in [
        (r#"{"identifier":"a","cost":1}"#, 0),
        (r#"{"identifier":"a","price":1}"#, 1),
        (r#"{"identifier":"a","cost":"1"}"#, 1),
        (r#"{"cost":1}"#, 1),
    ] {
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(
            mismatches(&document, schema, &value, "").len(),
            wrong,
            "{text}"
        );
    }
}

/// A path that `vercel.json` does not send to the functions would be a static file there.
#[test]
fn vercel_sends_every_described_path_to_the_functions() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vercel.json");
    let config: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let sources = config["rewrites"].as_array().unwrap().iter();
    let sources: Vec<_> = sources.map(|one| one["source"].as_str().unwrap()).collect();
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        let is_sent = sources
            .iter()
            .any(|source| match source.strip_suffix("(.*)") {
                Some(start) => path.starts_with(start),
                None => path == source,
            });
        assert!(is_sent, "{path}");
    }
}
