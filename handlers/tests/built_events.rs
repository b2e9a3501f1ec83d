//! The events of the built function, tried by publishers, apps and senders that mean no good.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use serde_json::{Value, json};
use support::{
    event_calls::{NOWHERE, first_message, publish, started, stream, webhook},
    store,
};

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

#[tokio::test]
async fn no_two_events_or_keys_are_one_but_the_same() {
    let store = store();
    let function = started(store.url(), NOWHERE);
    // Equal when joined by a blank, a line break, a colon, a slash, a NUL or nothing.
    for (one, other) in [
        (("/q", "b c"), ("/q b", "c")),
        (("/q", "b:c"), ("/q:b", "c")),
        (("/q", "b/c"), ("/q/b", "c")),
        (("/q", "bc"), ("/qb", "c")),
        (("/1", "11"), ("/11", "1")),
        (("/2:/q", "x"), ("/2", ":/qx")),
    ] {
        for (source, id) in [one, other] {
            let event = json!({ "type": "a", "source": source, "id": id });
            assert_eq!(
                publish(&function, "", &[], event.clone()).await.0,
                201,
                "{event}"
            );
            assert_eq!(
                publish(&function, "", &[], event.clone()).await.0,
                200,
                "{event}"
            );
        }
    }
    let keyed = async |query: &str, key: &str, n: u64| {
        publish(
            &function,
            query,
            &[("idempotency-key", key)],
            json!({ "type": "k", "data": n }),
        )
        .await
        .0
    };
    for (n, (query, key)) in [
        ("", "acme:order-7"),
        ("?organisation=acme", "order-7"),
        ("?organisation=acme", "acme:order-7"),
        ("", "order-7"),
        ("", "order-7#0"),
        ("", "/q b c"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(keyed(query, key, n as u64).await, 201, "{query} {key}");
    }
    assert_eq!(keyed("", "acme:order-7", 0).await, 200);
    assert_eq!(keyed("?organisation=acme", "order-7", 1).await, 200);
    // A batch with the key has places of its own.
    let (_, body) = publish(
        &function,
        "",
        &[("idempotency-key", "order-7")],
        json!([{ "type": "k" }]),
    )
    .await;
    assert_eq!(body[0]["status"], "published");
}

#[tokio::test]
async fn a_message_is_stored_once_and_only_readers_are_told_its_place() {
    let store = store();
    let function = started(store.url(), NOWHERE);
    let event = json!({ "specversion": "1.0", "type": "a.b", "source": "/x" });
    let mut null = event.clone();
    null["id"] = Value::Null;
    let mut places = Vec::new();
    for (body, status) in [(&event, 201), (&null, 200), (&event, 200)] {
        let (got, answer) = webhook(&function, ONE, "msg_1", body.to_string()).await;
        assert_eq!(got, status, "{answer}");
        places.push(answer["cursor"].clone());
    }
    places.dedup();
    assert_eq!(places.len(), 1);
    let (_, _, page) = function
        .token("GET", "/api/events/history", Value::Null)
        .await;
    assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
    let (_, _, told) = function
        .token("GET", "/api/events/health", Value::Null)
        .await;
    assert!(told["cursor"].is_string(), "{told}");
    let (_, _, grant) = function
        .token(
            "POST",
            "/api/events/grants",
            json!({ "types": ["*"], "organisation": "acme" }),
        )
        .await;
    let grant = format!("Bearer {}", grant["grant"].as_str().unwrap());
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("authorization", &grant)],
    ] {
        let (status, _, health) = function
            .call("GET", "/api/events/health", headers, Value::Null)
            .await;
        assert!(health.get("cursor").is_none(), "{status} {health}");
    }
}

#[tokio::test]
async fn the_type_of_the_body_says_what_it_holds() {
    let store = store();
    let function = started(store.url(), NOWHERE);
    let event = |id: &str| json!({ "specversion": "1.0", "id": id, "source": "/s", "type": "a.b", "data": { "n": 1 } });
    let ce = [
        ("ce-type", "x.y"),
        ("ce-id", "h"),
        ("ce-source", "/h"),
        ("ce-specversion", "1.0"),
    ];
    let with = |media: &'static str| [&ce[..], &[("content-type", media)]].concat();
    for (n, media) in [ONE, "Application/CloudEvents+JSON;charset=UTF-8"]
        .into_iter()
        .enumerate()
    {
        let id = format!("one-{n}");
        let (status, body) = publish(&function, "", &with(media), event(&id)).await;
        assert_eq!((status, &body["id"]), (201, &json!(id)), "{media}");
    }
    let large = json!({ "specversion": "1.0", "id": "l", "source": "/s", "type": "a.b", "data": "x".repeat(300_000) });
    let batch = json!([event("b0"), { "specversion": "1.0", "id": "b1", "source": "/s", "type": "a b" }, large, 7, event("b4")]);
    for status in ["published", "duplicate"] {
        let (code, body) = publish(&function, "", &with(BATCH), batch.clone()).await;
        let verdicts: Vec<_> = body
            .as_array()
            .unwrap()
            .iter()
            .map(|v| (v["index"].as_u64().unwrap(), v["status"].as_str().unwrap()))
            .collect();
        assert_eq!(code, 207);
        assert_eq!(
            verdicts,
            [
                (0, status),
                (1, "rejected"),
                (2, "rejected"),
                (3, "rejected"),
                (4, status)
            ]
        );
    }
    // JSON format, 2.2: a null is as if absent.
    let null = json!({ "specversion": "1.0", "id": null, "source": "/s", "type": "a.b", "subject": null, "comexampleext": null });
    let (status, body) = publish(&function, "", &[("content-type", ONE)], null).await;
    assert_eq!(status, 201, "{body}");
    assert!(!body["id"].as_str().unwrap().is_empty());
    for (media, wrong) in [
        (ONE, json!([event("w")])),
        (BATCH, event("w")),
        (ONE, json!("w")),
    ] {
        assert_eq!(
            publish(&function, "", &with(media), wrong).await.0,
            400,
            "{media}"
        );
    }
    let (status, _) = publish(
        &function,
        "",
        &[&ce[..], &[("content-type", "application/cloudevents+avro")]].concat(),
        json!(1),
    )
    .await;
    assert_eq!(status, 415);
    let (_, _, page) = function
        .token("GET", "/api/events/history", Value::Null)
        .await;
    let stored: Vec<_> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["event"].clone())
        .collect();
    assert_eq!(stored.len(), 5, "{page}");
    assert!(
        stored
            .iter()
            .all(|e| e["type"] == "a.b" && e.get("comexampleext").is_none()),
        "{page}"
    );
}

#[tokio::test]
async fn an_event_source_that_comes_back_with_anything_goes_on() {
    let store = store();
    let function = started(store.url(), NOWHERE);
    assert_eq!(
        publish(&function, "", &[], json!({ "type": "a" })).await.0,
        201
    );
    let (_, _, page) = function
        .token("GET", "/api/events/history", Value::Null)
        .await;
    let cursor = page["cursor"].as_str().unwrap().to_owned();
    let path = "/api/events/stream";
    let long = "9".repeat(5_000);
    for wrong in [
        "nonsense",
        "-1",
        "0-0-0",
        "1.2.3",
        "%00",
        "null",
        "[object%20Object]",
        "%C3%A9",
        &long,
    ] {
        let query = format!("{path}?lastEventId={wrong}");
        assert_eq!(
            first_message(&mut stream(&function, &query, &[]).await).await,
            "reset",
            "{wrong}"
        );
        let header = [("last-event-id", wrong)];
        assert_eq!(
            first_message(&mut stream(&function, path, &header).await).await,
            "reset",
            "{wrong}"
        );
    }
    assert_eq!(
        publish(&function, "", &[], json!({ "type": "b" })).await.0,
        201
    );
    let query = format!("{path}?lastEventId={cursor}");
    assert_eq!(
        first_message(&mut stream(&function, &query, &[]).await).await,
        "b"
    );
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "GET"),
        (
            "access-control-request-headers",
            "authorization,cache-control,last-event-id",
        ),
    ];
    let (_, headers, _) = function
        .call("OPTIONS", path, &preflight, Value::Null)
        .await;
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    assert!(
        allowed.contains("cache-control") && allowed.contains("last-event-id"),
        "{allowed}"
    );
}
