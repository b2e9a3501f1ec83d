//! The API description, generated from the routes.

mod headers;

use crate::{
    problem::{ProblemType, TYPES},
    routes::Group,
};
use axum::{Router, http::header, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::extensions::ExtensionsBuilder,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "restis functions",
        description = "Rate limits, sessions, events and a cache over HTTP. Errors are RFC 9457 problem documents. Every answer has `x-request-id`.\n\n\
                       Versioning: within a major version routes, members and problem types are only added; \
                       readers ignore what they do not know. `x-problem-types` lists the problem types.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(crate::problem::ProblemDocument)),
    modifiers(&Security, &ProblemTypes)
)]
struct Base;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A service token; or, where no grant is taken, a signature: `Authorization: HMAC NAME`",
            ))
            .build();
        components.add_security_scheme("service_token", SecurityScheme::Http(bearer));
        let grant = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A grant of `POST /api/events/grants`"))
            .build();
        components.add_security_scheme("grant", SecurityScheme::Http(grant));
        let grant = ApiKeyValue::with_description("grant", "A grant, where headers cannot be set");
        components.add_security_scheme(
            "grant_in_query",
            SecurityScheme::ApiKey(ApiKey::Query(grant)),
        );
        let cookie = ApiKeyValue::with_description("__Host-sid", "The session cookie");
        components.add_security_scheme(
            "session_cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(cookie)),
        );
    }
}

struct ProblemTypes;

impl Modify for ProblemTypes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let types: Vec<_> = TYPES.iter().map(ProblemType::described).collect();
        let extensions = ExtensionsBuilder::new()
            .add("x-problem-types", serde_json::json!(types))
            .build();
        openapi.extensions.get_or_insert_default().merge(extensions);
    }
}

/// The whole API description as OpenAPI 3.1, made from the code of the routes.
///
/// The functions serve `openapi.json`, which a test compares with this.
pub fn document() -> utoipa::openapi::OpenApi {
    let base = OpenApiRouter::with_openapi(Base::openapi());
    let described = Group::ALL
        .iter()
        .fold(base, |described, group| described.merge(group.described()));
    let mut document = described.into_openapi();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in headers::operations(item) {
            operation.operation_id = Some(operation_id(method, path));
        }
    }
    headers::describe(&mut document);
    document
}

/// A name that generators of clients can use: `GET /api/events/dlq/{id}` is `getEventsDlqId`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path
        .trim_start_matches("/api")
        .split(|c: char| !c.is_ascii_alphanumeric());
    words.fold(method.to_owned(), |name, word| {
        let (first, rest) = word.split_at(word.len().min(1));
        name + &first.to_ascii_uppercase() + rest
    })
}

/// `GET /api/openapi.json`.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    const DOCUMENT: &str = include_str!("../openapi.json");
    let document = async || ([(header::CONTENT_TYPE, "application/json")], DOCUMENT);
    Router::new().route("/api/openapi.json", get(document))
}
