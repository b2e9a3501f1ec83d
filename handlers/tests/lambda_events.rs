//! The events of AWS Lambda (REST API, HTTP API and function URL, load balancer) make the same requests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use serde_json::{Value, json};
use support::{
    lambda,
    platform::{
        CHECK, bearer, command, encoded, encoded_login, in_plural, networks, on_lambda, start,
        without_setting,
    },
    store,
};

#[tokio::test]
async fn bodies_in_base64_are_understood_from_every_event() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let _app = start(store.url(), &on_lambda(&api));
    let check = encoded(CHECK);
    for event in [
        lambda::v2("POST", "/api/ratelimit", "", &check),
        lambda::v1("POST", "/api/ratelimit", &check),
        lambda::alb("POST", "/api/ratelimit", &in_plural(&check)),
    ] {
        let answer = api.invoke_buffered(event).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert_eq!(answer["isBase64Encoded"], false);
    }
}

#[tokio::test]
async fn a_stage_is_no_part_of_the_path() {
    let store = store();
    for set in [true, false] {
        let mut api = lambda::FakeLambda::start().await;
        let vars = if set {
            on_lambda(&api)
        } else {
            without_setting(&api)
        };
        let _app = start(store.url(), &vars);
        for stage in ["prod", "$default", "api", "v1.2"] {
            let context = json!({ "requestContext": { "stage": stage } });
            let v1 = lambda::v1("GET", "/api/health", &context);
            let path = match stage {
                "$default" => "/api/health".to_owned(),
                stage => format!("/{stage}/api/health"),
            };
            let v2 = lambda::v2("GET", &path, "hours=1", &context);
            // A domain of one's own has no stage in its paths.
            let domain = lambda::v2("GET", "/api/health", "", &context);
            for event in [v1, v2, domain] {
                let answer = api.invoke_buffered(event.clone()).await;
                assert_eq!(answer["statusCode"], 200, "{event}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn queries_are_the_same_from_every_event() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let _app = start(store.url(), &without_setting(&api));
    let identifier = "a&policy=x+ %2B%?#é";
    let encoded_once = "a%26policy%3Dx%2B%20%252B%25%3F%23%C3%A9";
    let check = encoded(&json!({ "identifier": identifier }).to_string());
    let answer = api
        .invoke_buffered(lambda::v1("POST", "/api/ratelimit", &check))
        .await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    // Gateways decode the values of their maps, load balancers do not.
    let with = |name: &str, values: Value| {
        let mut extra = json!({ "headers": { "authorization": bearer() } });
        extra["multiValueQueryStringParameters"] = json!({ name: values });
        extra
    };
    let path = "/api/ratelimit";
    for event in [
        lambda::v1("GET", path, &with("identifier", json!([identifier]))),
        lambda::alb(
            "GET",
            path,
            &in_plural(&with("identifier", json!([encoded_once]))),
        ),
        lambda::v2(
            "GET",
            path,
            &format!("identifier={encoded_once}"),
            &with("x", json!([])),
        ),
    ] {
        let answer = api.invoke_buffered(event).await;
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&answer["statusCode"], &body["remaining"]),
            (&json!(200), &json!(99)),
            "{answer}"
        );
    }
    let path = "/api/events/history";
    for event in [
        lambda::v1("GET", path, &with("type", json!(["a", "b"]))),
        lambda::alb("GET", path, &in_plural(&with("type", json!(["a", "b"])))),
        lambda::v2("GET", path, "type=a&type=b", &with("x", json!([]))),
    ] {
        let answer = api.invoke_buffered(event).await;
        assert_eq!(answer["statusCode"], 400, "{answer}");
        assert!(
            answer["body"].as_str().unwrap().contains("commas"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn every_value_of_a_header_arrives() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let _app = start(store.url(), &without_setting(&api));
    let answer = api
        .invoke_buffered(lambda::v1("POST", "/api/sessions", &encoded_login()))
        .await;
    let set = answer["multiValueHeaders"]["set-cookie"][0]
        .as_str()
        .unwrap();
    let cookie = set.split(';').next().unwrap();
    let all = json!([cookie, "theme=dark"]);
    // A REST API tells a header's last value besides.
    let both =
        json!({ "headers": { "cookie": "theme=dark" }, "multiValueHeaders": { "cookie": all } });
    let plural = json!({ "multiValueHeaders": { "cookie": all } });
    for event in [
        lambda::v1("GET", "/api/session", &both),
        lambda::alb("GET", "/api/session", &plural),
        lambda::v2("GET", "/api/session", "", &json!({ "cookies": all })),
    ] {
        let answer = api.invoke_buffered(event.clone()).await;
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert!(body["session"].is_object(), "{event}: {answer}");
    }
}

/// A header in two lines, as each gateway hands it over: REST APIs and load balancers list them, with the spelling of
/// the client, HTTP APIs and function URLs join them.
fn in_two_lines(
    method: &str,
    path: &str,
    extra: &Value,
    name: &str,
    lines: [&str; 2],
) -> [Value; 4] {
    let mut extra = extra.clone();
    extra["headers"].as_object_mut().unwrap().remove(name);
    let plural = in_plural(&extra);
    let with = |mut extra: Value, map: &str, name: &str, value: Value| {
        extra[map][name] = value;
        extra
    };
    let listed = with(plural.clone(), "multiValueHeaders", name, json!(lines));
    // A REST API tells the last one besides.
    let mut listed_and_last = with(listed.clone(), "headers", name, json!(lines[1]));
    listed_and_last["headers"]["host"] = "api.example".into();
    let spelt = with(plural, "multiValueHeaders", name, json!([lines[0]]));
    let spelt = with(
        spelt,
        "multiValueHeaders",
        &name.to_uppercase(),
        json!([lines[1]]),
    );
    let joined = with(extra, "headers", name, json!(lines.join(",")));
    [
        lambda::v1(method, path, &listed_and_last),
        lambda::v1(method, path, &spelt),
        lambda::alb(method, path, &listed),
        lambda::v2(method, path, "", &joined),
    ]
}

/// Of two values a gateway may check the one and the function take the other: neither counts.
#[tokio::test]
async fn a_header_of_one_value_in_two_lines_is_refused_from_every_event() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let _app = start(store.url(), &without_setting(&api));
    let (token, publish) = (bearer(), "/api/events/publish");
    let event = encoded(r#"{"type":"a.b"}"#);
    let login = lambda::v1("POST", "/api/sessions", &encoded_login());
    let answer = api.invoke_buffered(login).await;
    let set = answer["multiValueHeaders"]["set-cookie"][0].as_str();
    let cookie = set.unwrap().split(';').next().unwrap();
    let page = json!({ "headers": { "cookie": cookie } });
    for (method, path, extra, name, lines, joined) in [
        (
            "POST",
            publish,
            &event,
            "authorization",
            [&*token, "Bearer x"],
            401,
        ),
        (
            "POST",
            publish,
            &event,
            "authorization",
            [&*token, &*token],
            401,
        ),
        ("POST", publish, &event, "idempotency-key", ["a", "b"], 400),
        (
            "POST",
            publish,
            &event,
            "idempotency-key",
            ["\"a\"", "\"b\""],
            400,
        ),
        (
            "POST",
            publish,
            &event,
            "content-type",
            ["application/json", "text/plain"],
            415,
        ),
        ("POST", publish, &event, "ce-type", ["a.b", "c.d"], 400),
        (
            "POST",
            "/api/session/refresh",
            &page,
            "sec-fetch-site",
            ["same-origin", "cross-site"],
            403,
        ),
        (
            "POST",
            "/api/session/refresh",
            &page,
            "sec-fetch-site",
            ["cross-site", "same-origin"],
            403,
        ),
        (
            "POST",
            "/api/session/refresh",
            &page,
            "origin",
            ["https://api.example", "https://else.example"],
            403,
        ),
    ] {
        // In binary mode the type of the data is nobody's business here.
        let mut extra = extra.clone();
        if name == "ce-type" {
            extra["headers"]["content-type"] = "text/plain".into();
        }
        let events = in_two_lines(method, path, &extra, name, lines);
        for (event, status) in events.into_iter().zip([400, 400, 400, joined]) {
            let answer = api.invoke_buffered(event.clone()).await;
            assert_eq!(answer["statusCode"], status, "{event}: {answer}");
        }
    }
    let stored = command(&store, &json!(["KEYS", "events:*"])).await;
    assert_eq!(stored, json!([]), "something was published");
    // The same with one line is published.
    for event in [
        lambda::v1("POST", publish, &event),
        lambda::alb("POST", publish, &in_plural(&event)),
        lambda::v2("POST", publish, "", &event),
    ] {
        assert_eq!(api.invoke_buffered(event).await["statusCode"], 201);
    }
}

#[tokio::test]
async fn lines_of_forwarded_addresses_move_no_client() {
    for lines in [
        ["198.51.100.66", "203.0.113.9"],
        ["198.51.100.66, 192.0.2.7", "192.0.2.8, 203.0.113.9"],
        ["\u{e9}, 192.0.2.7", "\u{e9}, 203.0.113.9"],
        ["", "unknown, 203.0.113.9"],
    ] {
        let store = store();
        let mut api = lambda::FakeLambda::start().await;
        let _app = start(store.url(), &without_setting(&api));
        // Each login needs an assertion of its own.
        for at in 0..4 {
            let login = encoded_login();
            let events = in_two_lines("POST", "/api/sessions", &login, "x-forwarded-for", lines);
            let event = &events[at];
            let answer = api.invoke_buffered(event.clone()).await;
            assert_eq!(answer["statusCode"], 201, "{event}: {answer}");
        }
        assert_eq!(networks(&store).await, ["203.0.113.0/24"; 4], "{lines:?}");
    }
}
