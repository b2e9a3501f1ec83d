//! What a Lambda function needs, and what platforms hand over to it.

use super::{App, SERVICE_TOKEN, http, lambda};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use restis::{
    Clock as _, SystemClock,
    session::{Assertion, AssertionKeys},
};
use serde_json::{Value, json};

pub(crate) const POLICIES: &str =
    r#"{"default":{"algorithm":"sliding-window","limit":100,"window":"1m","analytics":true}}"#;
pub(crate) const SECRET: &str = "a secret of the tests that is long enough";
pub(crate) const LOGIN_SECRET: &str = "a secret that signs logins of the tests";
pub(crate) const CHECK: &str = r#"{"identifier":"alice"}"#;

/// The variables of a Lambda function, those of the service among them.
pub(crate) fn on_lambda(api: &lambda::FakeLambda) -> Vec<(&'static str, String)> {
    let fixed = [
        ("AWS_LAMBDA_FUNCTION_NAME", "app"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
        ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
        ("RATE_LIMIT_POLICIES", POLICIES),
        ("SESSION_SECRETS", SECRET),
        ("SESSION_LOGIN_SECRETS", LOGIN_SECRET),
    ];
    let mut vars = vec![("AWS_LAMBDA_RUNTIME_API", api.address.to_string())];
    vars.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    vars
}

/// A function whose stage only its events tell.
pub(crate) fn without_setting(api: &lambda::FakeLambda) -> Vec<(&'static str, String)> {
    let mut vars = on_lambda(api);
    vars.retain(|(name, _)| *name != "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH");
    vars
}

/// The function with these variables.
pub(crate) fn start(store: &str, vars: &[(&'static str, String)]) -> App {
    let vars: Vec<_> = vars.iter().map(|(n, v)| (*n, v.as_str())).collect();
    App::start(store, &vars)
}

pub(crate) fn bearer() -> String {
    format!("Bearer {SERVICE_TOKEN}")
}

/// A POST of JSON as a platform hands it over: its body in base64.
pub(crate) fn encoded(body: &str) -> Value {
    json!({
        "headers": { "authorization": bearer(), "content-type": "application/json" },
        "body": STANDARD.encode(body), "isBase64Encoded": true
    })
}

/// What a browser signs in with, once.
pub(crate) fn login() -> String {
    let keys = AssertionKeys::new([LOGIN_SECRET]).unwrap();
    let now = SystemClock::new().now_ms();
    let assertion = keys.sign(&Assertion::user("ada").unwrap(), now);
    json!({ "assertion": assertion }).to_string()
}

/// The same as a platform hands it over.
pub(crate) fn encoded_login() -> Value {
    let mut login = encoded(&login());
    let headers = json!({ "content-type": "application/json", "sec-fetch-site": "same-origin" });
    login["headers"] = headers;
    login
}

/// A load balancer names headers in the plural only.
pub(crate) fn in_plural(extra: &Value) -> Value {
    let mut extra = extra.clone();
    let headers = extra.as_object_mut().unwrap().remove("headers").unwrap();
    let each = headers.as_object().unwrap().iter();
    let each = each.map(|(name, value)| (name.clone(), json!([value])));
    extra["multiValueHeaders"] = each.collect::<serde_json::Map<_, _>>().into();
    extra
}

/// The networks that the sessions in the store came from.
pub(crate) async fn networks(store: &restis_server::Running) -> Vec<String> {
    let mut networks = Vec::new();
    let keys = command(store, &json!(["KEYS", "*"])).await;
    for key in keys.as_array().unwrap() {
        let fields = command(store, &json!(["HGETALL", key])).await;
        // Keys of other kinds answer with an error.
        let fields = fields.as_array().into_iter().flatten();
        let fields = fields.filter_map(Value::as_str);
        networks.extend(fields.filter(|f| f.ends_with(".0/24")).map(str::to_owned));
    }
    networks
}

pub(crate) async fn command(store: &restis_server::Running, command: &Value) -> Value {
    let request = http()
        .post(store.url())
        .header("authorization", "Bearer TOKEN");
    let answer = request.body(command.to_string()).send().await.unwrap();
    let mut answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    answer["result"].take()
}
