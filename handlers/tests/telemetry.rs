//! Telemetry of the functions: what a collector has by the time that a caller has its answer.
#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::State, http::Uri, routing::post};
use bytes::Bytes;
use http::{Request, StatusCode};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use restis::{Redis, metrics::Families, otel::Telemetry, variables::Variables};
use restis_handlers::{AppState, Config, Host, app, auth::ServiceTokens};
use tower::ServiceExt as _;

const TOKEN: &str = "ROOT-token-9c1d";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const FUNCTION: Host = Host::Lambda { streaming: false };

/// A collector that keeps what it is sent.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Bytes)>>>);

impl Collector {
    /// Starts it; `answers` is whether exports get an answer.
    async fn start(answers: bool) -> (Self, Telemetry) {
        let collector = Self::default();
        let export = move |State(collector): State<Self>, uri: Uri, body: Bytes| async move {
            collector.keep(&uri, body);
            if !answers {
                std::future::pending::<()>().await;
            }
        };
        let router = Router::new()
            .route("/v1/{signal}", post(export))
            .with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        let lookup = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| url.clone());
        let telemetry = Telemetry::from_vars(&mut Variables::new(&lookup)).unwrap();
        (collector, telemetry)
    }

    fn keep(&self, uri: &Uri, body: Bytes) {
        let mut exports = self.0.lock().unwrap();
        exports.push((uri.path().to_owned(), body));
    }

    fn bodies(&self, path: &str) -> Vec<Bytes> {
        let exports = self.0.lock().unwrap();
        let wanted = exports.iter().filter(|(at, _)| at == path);
        wanted.map(|(_, body)| body.clone()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let exports = self.bodies("/v1/traces");
        let exports = exports
            .into_iter()
            .map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        let resources = exports.flat_map(|export| export.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

fn router(host: Host, telemetry: &Telemetry) -> Router {
    let engine = restis_engine::Engine::new(restis_engine::Options::default());
    let config = Config {
        tokens: ServiceTokens::none().with_full_access("root", TOKEN),
        ..Config::default()
    };
    let state = AppState::builder(Redis::embedded(engine))
        .config(config)
        .host(host)
        .telemetry(telemetry.clone());
    app(state.build().unwrap())
}

async fn ask(router: &Router, uri: &str) -> StatusCode {
    let request = Request::get(uri)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("traceparent", TRACE)
        .body(Body::empty())
        .unwrap();
    router.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn a_function_has_exported_its_spans_when_it_answers() {
    let (collector, telemetry) = Collector::start(true).await;
    let router = router(FUNCTION, &telemetry);
    let status = ask(&router, "/api/ratelimit?identifier=hush-person").await;
    assert_eq!(status, StatusCode::OK);

    let spans = collector.spans();
    let kind = |kind: SpanKind| spans.iter().find(move |span| span.kind() == kind);
    let request = kind(SpanKind::Server).unwrap();
    assert_eq!(request.name, "GET /api/ratelimit");
    assert_eq!(request.trace_id[..2], [0x0a, 0xf7]);
    let call = kind(SpanKind::Client).unwrap();
    assert_eq!(call.parent_span_id, request.span_id, "{call:?}");
    assert_eq!(call.trace_id, request.trace_id);

    let metrics = collector.bodies("/v1/metrics");
    let export = ExportMetricsServiceRequest::decode(metrics[0].clone()).unwrap();
    let metrics = &export.resource_metrics[0].scope_metrics[0].metrics;
    for name in [
        "http.server.request.duration",
        "db.client.operation.duration",
        "redis.ratelimit.allowed",
    ] {
        assert!(metrics.iter().any(|metric| metric.name == name), "{name}");
    }

    // No route: the path is the caller's.
    let status = ask(&router, "/hush-path").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(collector.spans().iter().any(|span| span.name == "GET"));
    let sent: Vec<u8> = ["/v1/traces", "/v1/metrics"]
        .iter()
        .flat_map(|path| collector.bodies(path).concat())
        .collect();
    let sent = String::from_utf8_lossy(&sent);
    for secret in ["hush", TOKEN] {
        assert!(!sent.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_collector_that_does_not_answer_delays_one_answer_by_the_bound_alone() {
    let (collector, telemetry) = Collector::start(false).await;
    let router = router(FUNCTION, &telemetry);
    // The collector never answers: only the bound lets these end.
    for _ in 0..3 {
        let answer = ask(&router, "/api/ratelimit?identifier=a");
        let status = tokio::time::timeout(Duration::from_secs(60), answer).await;
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    assert_eq!(collector.bodies("/v1/traces").len(), 1, "it is left alone");
}

#[tokio::test]
async fn a_server_exports_beside_its_work_and_everything_at_its_end() {
    let (collector, telemetry) = Collector::start(true).await;
    let router = router(Host::Http, &telemetry);
    let work = async {
        ask(&router, "/api/ratelimit?identifier=a").await;
        assert!(
            collector.spans().is_empty(),
            "no request waits for an export"
        );
    };
    telemetry
        .run_beside(work, async || Families::default())
        .await;
    assert!(collector.spans().len() >= 2);
    assert_eq!(collector.bodies("/v1/metrics").len(), 1);
}
