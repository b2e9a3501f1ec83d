//! Problems in the API description: sets that routes share, and [`problems!`] for those of one route.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Declares a set of problem answers by status, for the `responses` of a route.
macro_rules! problems {
    ($(#[$doc:meta])* $name:ident: $($status:literal $description:literal),+ $(,)?) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                $crate::problem::responses::described(&[$(($status, $description)),+])
            }
        }
    };
}

/// The answers of a set: problem documents.
pub(crate) fn described(set: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let answer = |&(status, description): &(u16, &str)| {
        let schema = Ref::from_schema_name("ProblemDocument");
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .build();
        (status.to_string(), response.into())
    };
    set.iter().map(answer).collect()
}

problems!(
    /// Of routes for service tokens.
    ServiceProblems: 401 "No accepted service token", 503 "The store does not answer"
);
problems!(
    /// Of routes that read the session cookie.
    CookieProblems: 429 "Too many invalid session cookies", 503 "The store does not answer"
);
problems!(
    /// Of routes with a JSON body.
    JsonProblems: 413 "The body is too large", 415 "The body is not JSON"
);
problems!(
    /// Of routes with a query.
    QueryProblems: 400 "The question is not valid"
);
