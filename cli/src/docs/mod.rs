//! `/docs` of `restis dev`: a page that lists the functions' routes and calls them.

use axum::{Router, response::Html, routing::get};

const PAGE: &str = include_str!("page.html");
/// The page talks to its own origin only.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's route.
pub(crate) fn routes() -> Router {
    let headers = [
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-cache"),
    ];
    Router::new().route("/docs", get(move || async move { (headers, Html(PAGE)) }))
}
