//! The files of the pages.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::sync::OnceLock;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file, and what browsers are sent of it.
struct File {
    path: &'static str,
    text: &'static str,
    packed: OnceLock<Packed>,
}

struct Packed {
    gzip: Bytes,
    etag: HeaderValue,
}

impl File {
    const fn new(path: &'static str, text: &'static str) -> Self {
        Self {
            path,
            text,
            packed: OnceLock::new(),
        }
    }

    fn packed(&self) -> &Packed {
        self.packed.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            let written = encoder.write_all(self.text.as_bytes());
            // Memory takes every byte.
            let gzip = written.and_then(|()| encoder.finish()).unwrap_or_default();
            let mut hasher = DefaultHasher::new();
            self.text.hash(&mut hasher);
            let etag = format!("\"{:016x}\"", hasher.finish());
            Packed {
                gzip: gzip.into(),
                etag: HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"0\"")),
            }
        })
    }

    fn kind(&self) -> &'static str {
        match self.path.rsplit_once('.') {
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "html")) => "text/html; charset=utf-8",
            _ => SCRIPT,
        }
    }
}

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        /// Every file by its path.
        static FILES: [File; [$($path),+].len()] =
            [$(File::new($path, include_str!(concat!("../pages/", $path)))),+];
    };
}

files!(
    "style.css",
    "main.js",
    "lib/bytes.js",
    "lib/chart.js",
    "lib/commandline.js",
    "lib/commandtable.js",
    "lib/edit.js",
    "lib/examples.js",
    "lib/functions.js",
    "lib/info.js",
    "lib/json.js",
    "lib/json_worker.js",
    "lib/keys.js",
    "lib/markdown.js",
    "lib/openapi.js",
    "lib/router.js",
    "lib/store.js",
    "lib/theme.js",
    "lib/ui.js",
    "lib/work.js",
    "vendor/preact.js",
    "views/api.js",
    "views/api/answer.js",
    "views/api/operation.js",
    "views/blocks.js",
    "views/blocks/cache.js",
    "views/blocks/events.js",
    "views/blocks/letters.js",
    "views/blocks/limits.js",
    "views/blocks/sessions.js",
    "views/blocks/windows.js",
    "views/blocks/work.js",
    "views/commands.js",
    "views/chaos.js",
    "views/data.js",
    "views/data/collections.js",
    "views/data/conflict.js",
    "views/data/create.js",
    "views/data/json.js",
    "views/data/json_tree.js",
    "views/data/key.js",
    "views/data/list.js",
    "views/data/move.js",
    "views/data/ranked.js",
    "views/data/rows.js",
    "views/data/stream.js",
    "views/data/string.js",
    "views/data/tree.js",
    "views/data/vectors.js",
    "views/live.js",
    "views/locked.js",
    "views/metrics.js",
    "views/metrics/commands.js",
    "views/metrics/functions.js",
    "views/metrics/slow.js",
    "views/palette.js",
    "views/start.js",
    "views/token.js",
);

static INDEX: File = File::new("index.html", include_str!("../pages/index.html"));

/// `GET /`: the page.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    answer(&INDEX, &headers)
}

/// `GET /console/assets/…`: a file of the page.
pub(crate) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|known| known.path == path) {
        Some(file) => answer(file, &headers),
        None => (StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

fn answer(file: &'static File, headers: &HeaderMap) -> Response {
    let packed = file.packed();
    let names = |name, wanted: &str| {
        let values = headers.get_all(name).iter();
        let mut values = values.filter_map(|value| value.to_str().ok());
        values.any(|value| value.split(',').any(|one| one.trim() == wanted))
    };
    let is_known = names(IF_NONE_MATCH, packed.etag.to_str().unwrap_or_default());
    let takes_gzip = names(ACCEPT_ENCODING, "gzip");
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else if takes_gzip {
        let gzip = (CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        ([gzip], Body::from(packed.gzip.clone())).into_response()
    } else {
        Body::from(file.text).into_response()
    };
    for (name, value) in [
        (CONTENT_TYPE, HeaderValue::from_static(file.kind())),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (VARY, HeaderValue::from_static("accept-encoding")),
        (ETAG, packed.etag.clone()),
    ] {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Bytes that a browser loads for the first time.
    const MOST_BYTES: usize = 120_000;

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
        let mut served: Vec<_> = FILES.iter().map(|file| file.path.to_owned()).collect();
        served.sort();
        assert_eq!(found, served);
        let sent = FILES
            .iter()
            .chain([&INDEX])
            .map(|file| file.packed().gzip.len());
        let bytes: usize = sent.sum();
        assert!(bytes <= MOST_BYTES, "{bytes} bytes");
    }
}
