//! A signed request that is sent again, on every route.

use super::{
    HERE, World, body,
    kinds::{Kind, Verdict, expected},
    request,
    table::{Access, ROUTES, Route},
};
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;

async fn signed(world: &World, route: &Route) -> Request<Body> {
    let request = Kind::Signed
        .credentials(world, request(route, Some(HERE)))
        .await;
    let body = body(route, Some(HERE)).unwrap_or_default();
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let request = Kind::Signed.signature(request, &body);
    request.body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn a_signed_request_is_taken_once_on_every_route() {
    let mut routes = 0;
    for route in ROUTES {
        // Health needs no caller, a step-up a cookie besides.
        let needs_caller = matches!(
            route.access,
            Access::Token(..) | Access::Reader | Access::Sync(_) | Access::Login(_)
        );
        if !needs_caller || expected(route, Kind::Signed) != Verdict::Passes {
            continue;
        }
        let name = format!("{} {} {}", route.method, route.path, route.when);
        let world = World::new().await;
        let first = world.send(signed(&world, route).await).await;
        assert!(
            !matches!(first.status().as_u16(), 400 | 401 | 403 | 409 | 500..),
            "{name}: {first:?}"
        );
        let first = first.status();
        let again = world.send(signed(&world, route).await).await;
        let (head, answer) = again.into_parts();
        routes += 1;
        // It is stored under the request's id, so that a repeat is told as such.
        if route.path == "/api/events/publish" {
            assert_eq!((first, head.status), (StatusCode::CREATED, StatusCode::OK));
            continue;
        }
        let answer = answer.collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (head.status, &answer["code"]),
            (StatusCode::CONFLICT, &"signature-used".into()),
            "{name}"
        );
        assert!(!head.headers.contains_key(header::SET_COOKIE), "{name}");
    }
    assert!(routes > 15, "{routes} routes take signed requests");
}

#[tokio::test]
async fn a_signed_step_up_is_taken_once() {
    let route = ROUTES
        .iter()
        .find(|route| matches!(route.access, Access::StepUp(_)));
    let route = route.unwrap();
    let world = World::new().await;
    // Another session each time, as if the first answer had never come: the message is what repeats.
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut request = signed(&world, route).await;
        let cookie = world.cookie().await;
        request
            .headers_mut()
            .insert(header::COOKIE, cookie.parse().unwrap());
        let (head, answer) = world.send(request).await.into_parts();
        let answer = answer.collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answers.push((head.status.as_u16(), answer["code"].clone()));
        let given = head.headers.contains_key(header::SET_COOKIE);
        assert_eq!(given, head.status == StatusCode::OK);
    }
    assert_eq!(
        answers,
        [(200, Value::Null), (409, "signature-used".into())]
    );
}
