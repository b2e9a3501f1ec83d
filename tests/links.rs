//! Every relative link of the documents leads to a file, and its fragment to a heading there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Directories that hold what others wrote or what a build makes.
const SKIPPED: &[&str] = &["target", "node_modules", ".git", ".next", "dist"];

fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && !SKIPPED.contains(&name.as_ref()) {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The text without fenced code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The fragments of a document's headings, as GitHub makes them.
fn fragments(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter_map(|letter| match letter {
                ' ' => Some('-'),
                '-' | '_' => Some(letter),
                letter if letter.is_alphanumeric() => Some(letter),
                _ => None,
            });
            kept.collect()
        })
        .collect()
}

/// The targets of a text's links and pictures.
fn targets(text: &str) -> Vec<&str> {
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut files = Vec::new();
    documents(Path::new(ROOT), &mut files);
    assert!(files.len() > 20, "{} documents", files.len());
    let mut broken = Vec::new();
    for file in &files {
        let text = prose(&fs::read_to_string(file).unwrap());
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() {
                file.clone()
            } else {
                file.parent().unwrap().join(path)
            };
            let lost = match fs::read_to_string(&path) {
                Ok(text) if !fragment.is_empty() => {
                    !fragments(&prose(&text)).iter().any(|it| it == fragment)
                }
                Ok(_) => false,
                Err(_) => !path.exists(),
            };
            if lost {
                broken.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
