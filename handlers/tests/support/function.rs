//! The built function as a client sees it over HTTP.

use super::{App, SERVICE_TOKEN, http};
use http::{HeaderMap, Method};
use serde_json::Value;

/// The running function.
pub(crate) struct Function {
    _app: App,
    pub(crate) base: String,
}

impl Function {
    /// Starts it with sessions and grants, and what else these variables say.
    pub(crate) fn start(store: &str, vars: &[(&str, &str)]) -> Self {
        let usual = [
            ("PORT", "0"),
            ("HOST", "127.0.0.1"),
            (
                "SESSION_SECRETS",
                "a secret of the tests that is long enough",
            ),
            (
                "EVENTS_GRANT_SECRETS",
                "the grant secret of the binary tests",
            ),
        ];
        let mut app = App::start(store, &[&usual[..], vars].concat());
        let base = format!("http://{}", app.address());
        Self { _app: app, base }
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (u16, HeaderMap, Value) {
        let mut headers = headers.to_vec();
        let body = if body.is_null() {
            String::new()
        } else {
            headers.push(("content-type", "application/json"));
            body.to_string()
        };
        self.text(method, path, &headers, body).await
    }

    /// With a body of any type.
    pub(crate) async fn text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> (u16, HeaderMap, Value) {
        let method: Method = method.parse().unwrap();
        let mut request = http().request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null);
        (status, headers, body)
    }

    /// As a back end.
    pub(crate) async fn token(
        &self,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, HeaderMap, Value) {
        self.with(SERVICE_TOKEN, method, path, body).await
    }

    /// With another token, or a grant.
    pub(crate) async fn with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, HeaderMap, Value) {
        let bearer = format!("Bearer {token}");
        self.call(method, path, &[("authorization", &bearer)], body)
            .await
    }

    /// As a page of the site.
    pub(crate) async fn browser(
        &self,
        method: &str,
        path: &str,
        cookie: &str,
        body: Value,
    ) -> (u16, HeaderMap, Value) {
        let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
        self.call(method, path, &headers, body).await
    }
}

/// The cookie that an answer sets.
pub(crate) fn cookie(headers: &HeaderMap) -> String {
    let set = headers["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}
