//! Calls of the router without sockets, and its streams frame by frame.

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::time::Duration;
use tower::ServiceExt as _;

pub(crate) async fn send(
    router: &axum::Router,
    request: http::request::Builder,
    body: Value,
) -> (Response<()>, Value) {
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let request = request.body(body).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(parts, ()),
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

pub(crate) fn post(uri: &str, token: &str) -> http::request::Builder {
    Request::post(uri)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
}

pub(crate) fn get(uri: &str, token: &str) -> http::request::Builder {
    Request::get(uri).header("authorization", format!("Bearer {token}"))
}

/// One message of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// A stream of server-sent events.
pub(crate) struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    pub(crate) async fn open(router: &axum::Router, request: http::request::Builder) -> Self {
        let request = request.body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The next message with a name; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let message: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| message.lines().find_map(|l| l.strip_prefix(name));
                let found = field("event: ").map(|event| Message {
                    event: event.to_owned(),
                    id: field("id: ").map(str::to_owned),
                    data: serde_json::from_str(field("data: ").unwrap()).unwrap(),
                });
                if found.is_some() {
                    return found;
                }
            }
            let frame = tokio::time::timeout(Duration::from_secs(60), self.body.frame());
            let bytes = frame.await.unwrap()?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The next message with this name; others are passed over.
    pub(crate) async fn find(&mut self, event: &str) -> Message {
        loop {
            let message = self.next().await.unwrap();
            if message.event == event {
                return message;
            }
        }
    }
}
