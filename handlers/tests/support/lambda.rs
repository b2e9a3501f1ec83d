//! A fake of the Lambda Runtime API: hands out events, takes answers.

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;

/// One answer of the function: the request's headers and body.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone)]
struct Shared {
    events: Arc<tokio::sync::Mutex<mpsc::Receiver<Value>>>,
    answers: mpsc::Sender<Answer>,
    invocations: Arc<Mutex<u32>>,
}

/// The runtime API that a function polls.
pub(crate) struct FakeLambda {
    pub(crate) address: SocketAddr,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Answer>,
}

impl FakeLambda {
    pub(crate) async fn start() -> Self {
        let (events, waiting) = mpsc::channel(8);
        let (answered, answers) = mpsc::channel(8);
        let shared = Shared {
            events: Arc::new(tokio::sync::Mutex::new(waiting)),
            answers: answered,
            invocations: Arc::default(),
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failure))
            .with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            events,
            answers,
        }
    }

    /// Invokes the function once.
    pub(crate) async fn invoke(&mut self, event: Value) -> Answer {
        self.events.send(event).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(20), self.answers.recv());
        answer.await.unwrap().unwrap()
    }

    /// Invokes the function once and reads its buffered answer.
    pub(crate) async fn invoke_buffered(&mut self, event: Value) -> Value {
        serde_json::from_slice(&self.invoke(event).await.body).unwrap()
    }
}

async fn next(State(shared): State<Shared>) -> Response {
    let Some(event) = shared.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = {
        let mut count = shared.invocations.lock().unwrap();
        *count += 1;
        format!("invocation-{count}")
    };
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", "4102444800000".to_owned()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:000000000000:function:app".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event.to_string()).into_response()
}

async fn response(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let _ = shared.answers.send(Answer { headers, body }).await;
    StatusCode::ACCEPTED
}

async fn failure(
    Path(id): Path<String>,
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert!(id.starts_with("invocation-"));
    let _ = shared.answers.send(Answer { headers, body }).await;
    StatusCode::ACCEPTED
}

/// The start of every event.
fn headers() -> Value {
    json!({ "host": "api.example", "accept": "application/json", "x-forwarded-for": "198.51.100.66, 203.0.113.9" })
}

/// API Gateway HTTP API or function URL, payload version 2.0.
pub(crate) fn v2(method: &str, path: &str, query: &str, extra: &Value) -> Value {
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers(),
        "requestContext": {
            "accountId": "000000000000", "apiId": "api", "domainName": "api.example", "domainPrefix": "api",
            "requestId": "id", "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0,
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9", "userAgent": "test" }
        },
        "isBase64Encoded": false
    });
    merge(&mut event, extra);
    event
}

/// API Gateway REST API, payload version 1.0, with its stage in the path.
pub(crate) fn v1(method: &str, path: &str, extra: &Value) -> Value {
    let mut event = json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": method, "headers": headers(), "multiValueHeaders": {},
        "queryStringParameters": null, "multiValueQueryStringParameters": null, "pathParameters": null, "stageVariables": null,
        "requestContext": {
            "accountId": "000000000000", "apiId": "api", "resourceId": "r", "requestId": "id", "stage": "prod",
            "resourcePath": "/{proxy+}", "httpMethod": method, "path": format!("/prod{path}"),
            "identity": { "sourceIp": "203.0.113.9" }
        },
        "body": null, "isBase64Encoded": false
    });
    merge(&mut event, extra);
    event
}

/// Application load balancer with multi-value headers.
pub(crate) fn alb(method: &str, path: &str, extra: &Value) -> Value {
    let mut event = json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/app/1" } },
        "httpMethod": method, "path": path, "multiValueQueryStringParameters": {},
        "multiValueHeaders": { "host": ["api.example"], "x-forwarded-for": ["203.0.113.9"] },
        "body": "", "isBase64Encoded": false
    });
    merge(&mut event, extra);
    event
}

fn merge(event: &mut Value, extra: &Value) {
    for (name, value) in extra.as_object().unwrap() {
        match (&mut event[name], value) {
            (Value::Object(into), Value::Object(from)) => into.extend(from.clone()),
            (slot, value) => *slot = value.clone(),
        }
    }
}
