//! What the API description gives as an example is accepted.

use super::{
    HERE, World, body,
    kinds::{Kind, Verdict, expected},
    request,
    table::ROUTES,
};
use axum::body::Body;
use http::{Uri, header};
use http_body_util::BodyExt as _;
use serde_json::Value;

#[tokio::test]
async fn every_example_of_the_description_is_accepted() {
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    let world = World::new().await;
    let mut tried = 0;
    for route in ROUTES {
        // Streams and long polls, which have the parameters of the history, do not end at once.
        let waits = matches!(route.path, "/api/events/stream" | "/api/events/poll");
        if waits || expected(route, Kind::Root) != Verdict::Passes {
            continue;
        }
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let mut requests = Vec::new();
        let plain = || request(route, Some(HERE));
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let schema = &parameter["schema"];
            let example = [&parameter["example"], &schema["example"]]
                .into_iter()
                .find(|e| !e.is_null());
            let name = parameter["name"].as_str().unwrap();
            // A query has a name once.
            let usual = plain().uri_ref().unwrap().to_string();
            if let (Some(example), "query", false) = (
                example,
                parameter["in"].as_str().unwrap(),
                usual.contains(&format!("{name}=")),
            ) {
                let text = example
                    .as_str()
                    .map_or_else(|| example.to_string(), str::to_owned);
                let uri: Uri = format!("{usual}&{name}={text}").parse().unwrap();
                requests.push((name, plain().uri(uri), body(route, Some(HERE))));
            }
        }
        let mut schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if let Some(reference) = schema["$ref"].as_str() {
            schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if !schema["example"].is_null() {
                let mut json: Value =
                    serde_json::from_str(&body(route, Some(HERE)).unwrap()).unwrap();
                json[name] = schema["example"].clone();
                requests.push((name, plain(), Some(json.to_string())));
            }
        }
        for (name, request, body) in requests {
            tried += 1;
            let request = Kind::Root.credentials(&world, request).await;
            let request = request.header(header::CONTENT_TYPE, "application/json");
            let body = body.map_or_else(Body::empty, Body::from);
            let response = world.send(request.body(body).unwrap()).await;
            let status = response.status();
            let text = response.into_body().collect().await.unwrap().to_bytes();
            assert!(
                status.is_success(),
                "{} {} `{name}`: {status} {text:?}",
                route.method,
                route.path
            );
        }
    }
    assert!(tried >= 8, "{tried} examples");
}
