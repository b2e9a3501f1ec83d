//! The files of the pages.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        /// Every file by its path.
        const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../pages/", $path)))),+];
    };
}

files!(
    "style.css",
    "main.js",
    "lib/bytes.js",
    "lib/chart.js",
    "lib/commandline.js",
    "lib/commandtable.js",
    "lib/functions.js",
    "lib/info.js",
    "lib/keys.js",
    "lib/router.js",
    "lib/store.js",
    "lib/theme.js",
    "lib/ui.js",
    "vendor/preact.js",
    "views/blocks.js",
    "views/blocks/cache.js",
    "views/blocks/events.js",
    "views/blocks/limits.js",
    "views/blocks/sessions.js",
    "views/commands.js",
    "views/data.js",
    "views/data/collections.js",
    "views/data/conflict.js",
    "views/data/create.js",
    "views/data/json.js",
    "views/data/key.js",
    "views/data/move.js",
    "views/data/rows.js",
    "views/data/stream.js",
    "views/data/string.js",
    "views/live.js",
    "views/locked.js",
    "views/metrics.js",
    "views/palette.js",
    "views/start.js",
);

const INDEX: &str = include_str!("../pages/index.html");

/// `GET /`: the page.
pub(crate) async fn index() -> Response {
    answer("text/html; charset=utf-8", INDEX)
}

/// `GET /console/assets/…`: a file of the page.
pub(crate) async fn asset(Path(path): Path<String>) -> Response {
    let Some((path, text)) = FILES.iter().find(|(known, _)| *known == path) else {
        return (StatusCode::NOT_FOUND, "no such file").into_response();
    };
    let kind = if *path == "style.css" {
        "text/css; charset=utf-8"
    } else {
        SCRIPT
    };
    answer(kind, text)
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Bytes that a browser loads for the first time.
    const MOST_BYTES: usize = 150_000;

    fn on_disk(directory: &Path, below: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                on_disk(&entry.path(), &format!("{name}/"), found);
            } else if !matches!(name.as_str(), "index.html" | "vendor/README.md") {
                found.push(name);
            }
        }
    }

    #[test]
    fn every_file_is_served_and_all_are_small() {
        let mut found = Vec::new();
        on_disk(
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/pages")),
            "",
            &mut found,
        );
        found.sort();
        let mut served: Vec<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        served.sort();
        assert_eq!(found, served);
        let bytes: usize = FILES.iter().map(|(_, text)| text.len()).sum();
        assert!(bytes + INDEX.len() <= MOST_BYTES, "{bytes} bytes");
    }
}
