//! Telemetry as a collector receives it, read with the official messages of OpenTelemetry.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{HistogramDataPoint, Metric, metric::Data},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use restis::{
    Redis,
    events::{Environment, Event, Events},
    metrics::Families,
    otel::{RequestOutcome, Telemetry},
    prelude::*,
    variables::Variables,
};
use support::servers::Rest;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

const WITHIN: Duration = Duration::from_secs(5);
const API_KEY: &str = "collector-key-3f81";

/// A collector that answers every export alike.
struct Collector(MockServer);

impl Collector {
    async fn start(answer: ResponseTemplate) -> Self {
        let server = MockServer::start().await;
        let posts = Mock::given(method("POST")).respond_with(answer);
        posts.mount(&server).await;
        Self(server)
    }

    fn telemetry(&self, more: &[(&str, &str)]) -> Telemetry {
        telemetry(&self.0.uri(), more)
    }

    async fn bodies(&self, at: &str) -> Vec<Vec<u8>> {
        let requests = self.0.received_requests().await.unwrap();
        let wanted = requests.into_iter().filter(|r| r.url.path() == at);
        wanted.map(|request| request.body).collect()
    }

    async fn spans(&self) -> Vec<Span> {
        let exports = self.bodies("/v1/traces").await;
        let exports = exports
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(&**body).unwrap());
        let resources = exports.flat_map(|export| export.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    async fn metrics(&self) -> BTreeMap<String, Metric> {
        let exports = self.bodies("/v1/metrics").await;
        let last = ExportMetricsServiceRequest::decode(&**exports.last().unwrap()).unwrap();
        let resources = last.resource_metrics.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        let metrics: Vec<_> = scopes.flat_map(|scope| scope.metrics).collect();
        let named: BTreeMap<_, _> = metrics
            .iter()
            .map(|m| (m.name.clone(), m.clone()))
            .collect();
        assert_eq!(named.len(), metrics.len(), "a metric comes once");
        named
    }
}

fn telemetry(endpoint: &str, more: &[(&str, &str)]) -> Telemetry {
    let lookup = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
        name => {
            let found = more.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    };
    let mut vars = Variables::new(&lookup);
    let telemetry = Telemetry::from_vars(&mut vars);
    assert_eq!(vars.into_problems(), Vec::<String>::new());
    telemetry.unwrap()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.clone()?.value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    })
}

fn points(metric: &Metric) -> &[HistogramDataPoint] {
    match metric.data.as_ref().unwrap() {
        Data::Histogram(histogram) => {
            assert_eq!(histogram.aggregation_temporality, 2, "cumulative");
            &histogram.data_points
        }
        other => panic!("{other:?}"),
    }
}

/// Commands of every kind, within the span of a request; every key, value and name holds `hush`.
async fn work(redis: &Redis, telemetry: &Telemetry) {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = telemetry.request(Some(trace));
    let answered = request.scope(async {
        redis.set("hush:key", "hush-value").await.unwrap();
        redis.incr("hush:key").await.unwrap_err();
        let mut pipeline = redis.pipeline();
        let _ = (
            pipeline.get::<String>("hush:a"),
            pipeline.get::<String>("hush:b"),
        );
        pipeline.exec().await.unwrap();
        let mut transaction = redis.transaction();
        let _ = (
            transaction.incr("hush:n"),
            transaction.get::<String>("hush:n"),
        );
        transaction.exec().await.unwrap();
        redis
            .command("HUSH.COMMAND")
            .arg("hush")
            .query::<i64>()
            .await
            .unwrap_err();
        let script = Script::new("return redis.error_reply('HUSH hush')");
        script.call().run::<i64>(redis).await.unwrap_err();
        let events = Events::new(redis.clone(), Environment::Development);
        let event = Event::new("hush.type", "/hush", serde_json::json!({"hush": 1})).unwrap();
        events.publish(&event).await.unwrap();
    });
    answered.await;
    request.end(RequestOutcome::new("POST", 503).route(Some("/api/events/{organisation}")));
}

#[tokio::test]
async fn a_collector_receives_spans_by_the_conventions_below_the_caller() {
    let collector = Collector::start(ResponseTemplate::new(200)).await;
    let headers = format!("x-api-key={API_KEY}");
    let telemetry = collector.telemetry(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
        ("OTEL_SERVICE_NAME", "shop"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=staging",
        ),
    ]);
    let server = Rest::engine();
    let redis = server.client();
    telemetry.watch(&redis);
    work(&redis, &telemetry).await;
    telemetry.flush(WITHIN).await;

    let requests = collector.0.received_requests().await.unwrap();
    for request in &requests {
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        assert_eq!(request.headers["x-api-key"], API_KEY);
    }
    let export = collector.bodies("/v1/traces").await;
    let export = ExportTraceServiceRequest::decode(&*export[0]).unwrap();
    let resource = export.resource_spans[0]
        .resource
        .clone()
        .unwrap()
        .attributes;
    assert_eq!(text(&resource, "service.name").unwrap(), "shop");
    assert_eq!(
        text(&resource, "deployment.environment.name").unwrap(),
        "staging"
    );
    assert_eq!(text(&resource, "service.instance.id").unwrap().len(), 32);

    let spans = collector.spans().await;
    let ids: BTreeSet<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    assert_eq!(ids.len(), spans.len());
    let named = |name: &str| {
        let mut found = spans.iter().filter(|span| span.name == name);
        let span = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
        assert!(found.next().is_none(), "{name}");
        span
    };
    let root = named("POST /api/events/{organisation}");
    assert_eq!(root.kind(), SpanKind::Server);
    assert_eq!(
        root.parent_span_id,
        [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
    );
    assert_eq!(
        text(&root.attributes, "http.response.status_code").unwrap(),
        "503"
    );
    assert_eq!(root.status.as_ref().unwrap().code(), StatusCode::Error);
    for span in &spans {
        assert_eq!(span.trace_id, root.trace_id, "{}", span.name);
        assert!(span.span_id.len() == 8 && span.start_time_unix_nano > 1_600_000_000_000_000_000);
        let within = root.start_time_unix_nano..=root.end_time_unix_nano;
        assert!(within.contains(&span.start_time_unix_nano));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }

    let set = named("SET");
    assert_eq!(
        (set.kind(), &set.parent_span_id),
        (SpanKind::Client, &root.span_id)
    );
    let port = redis_port(&server);
    for (key, value) in [
        ("db.system.name", "redis"),
        ("db.operation.name", "SET"),
        ("server.address", "127.0.0.1"),
        ("server.port", &port),
    ] {
        assert_eq!(text(&set.attributes, key).as_deref(), Some(value), "{key}");
    }
    assert!(set.status.is_none());
    let incr = named("INCR");
    assert_eq!(incr.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(
        text(&incr.attributes, "db.response.status_code").unwrap(),
        "ERR"
    );
    assert_eq!(text(&incr.attributes, "error.type").unwrap(), "server");
    let batch = |name: &str| text(&named(name).attributes, "db.operation.batch.size").unwrap();
    assert_eq!((&*batch("PIPELINE GET"), &*batch("MULTI")), ("2", "2"));
    assert_eq!(
        text(&named("other").attributes, "db.response.status_code").unwrap(),
        "ERR"
    );

    let publish = named("publish events");
    assert_eq!(
        (publish.kind(), &publish.parent_span_id),
        (SpanKind::Producer, &root.span_id)
    );
    assert_eq!(
        text(&publish.attributes, "messaging.operation.type").unwrap(),
        "send"
    );
    let below = spans
        .iter()
        .filter(|span| span.parent_span_id == publish.span_id);
    assert!(below.count() >= 1, "the script that publishes");
}

fn redis_port(server: &Rest) -> String {
    server.url().rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_collector_receives_histograms_and_the_metrics_of_the_registry() {
    let collector = Collector::start(ResponseTemplate::new(200)).await;
    let telemetry = collector.telemetry(&[]);
    let server = Rest::engine();
    let redis = server.client();
    telemetry.watch(&redis);
    work(&redis, &telemetry).await;
    telemetry.shut_down(Families::default(), WITHIN).await;

    let metrics = collector.metrics().await;
    let duration = &metrics["db.client.operation.duration"];
    assert_eq!(duration.unit, "s");
    let mut count = 0;
    for point in points(duration) {
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        assert!(point.explicit_bounds.is_sorted());
        assert!(point.sum.unwrap() > 0.0 && point.time_unix_nano >= point.start_time_unix_nano);
        assert!(text(&point.attributes, "db.operation.batch.size").is_none());
        count += point.count;
    }
    let calls = collector.spans().await;
    let calls = calls
        .iter()
        .filter(|span| text(&span.attributes, "db.system.name").is_some());
    assert_eq!(count, calls.count() as u64);
    let failed = |point: &&HistogramDataPoint| {
        text(&point.attributes, "db.operation.name").as_deref() == Some("INCR")
            && text(&point.attributes, "error.type").as_deref() == Some("server")
    };
    assert_eq!(points(duration).iter().filter(failed).count(), 1);

    let sent = match metrics["messaging.client.sent.messages"]
        .data
        .as_ref()
        .unwrap()
    {
        Data::Sum(sum) => sum,
        other => panic!("{other:?}"),
    };
    assert!(sent.is_monotonic && sent.aggregation_temporality == 2);
    let publish = points(&metrics["messaging.client.operation.duration"]);
    assert_eq!((publish.len(), publish[0].count), (1, 1));
    let requests = points(&metrics["http.server.request.duration"]);
    assert_eq!(text(&requests[0].attributes, "error.type").unwrap(), "503");
    assert!(points(&metrics["redis.command.duration"])[0].count >= 8);
    assert!(matches!(
        metrics["redis.connection.active"].data,
        Some(Data::Gauge(_))
    ));
    assert_eq!(metrics["restis_request_bytes"].unit, "");
}

#[tokio::test]
async fn no_key_value_or_token_is_in_any_byte_that_is_sent() {
    let collector = Collector::start(ResponseTemplate::new(200)).await;
    let headers = format!("x-api-key={API_KEY}");
    let telemetry = collector.telemetry(&[("OTEL_EXPORTER_OTLP_HEADERS", &headers)]);
    let server = Rest::engine();
    let redis = server.client();
    telemetry.watch(&redis);
    work(&redis, &telemetry).await;
    telemetry.shut_down(Families::default(), WITHIN).await;

    let mut bytes = collector.bodies("/v1/traces").await.concat();
    bytes.extend(collector.bodies("/v1/metrics").await.concat());
    assert!(bytes.len() > 1000);
    let sent = String::from_utf8_lossy(&bytes);
    for secret in ["hush", "Hush", "HUSH", "TOKEN", API_KEY, "x-api-key"] {
        assert!(!sent.contains(secret), "{secret} was sent");
    }
    assert!(!format!("{telemetry:?}").contains(API_KEY));
}

#[tokio::test]
async fn a_caller_that_is_not_sampled_is_measured_and_leaves_no_span() {
    let collector = Collector::start(ResponseTemplate::new(200)).await;
    let telemetry = collector.telemetry(&[]);
    let redis = support::engine();
    telemetry.watch(&redis);
    let off = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let request = telemetry.request(Some(off));
    request
        .scope(async { redis.set("k", "v").await.unwrap() })
        .await;
    request.end(RequestOutcome::new("BREW", 200));
    telemetry.flush(WITHIN).await;
    assert!(collector.bodies("/v1/traces").await.is_empty());
    let metrics = collector.metrics().await;
    let requests = points(&metrics["http.server.request.duration"]);
    assert_eq!(
        text(&requests[0].attributes, "http.request.method").unwrap(),
        "_OTHER"
    );
}

#[tokio::test]
async fn spans_that_a_collector_cannot_take_are_sent_again_and_refused_ones_are_not() {
    let collector = Collector::start(ResponseTemplate::new(200)).await;
    for (status, sent_again) in [(503, true), (400, false)] {
        collector.0.reset().await;
        let traces = Mock::given(path("/v1/traces"));
        let failing = traces.respond_with(ResponseTemplate::new(status));
        failing.up_to_n_times(1).mount(&collector.0).await;
        let posts = Mock::given(method("POST")).respond_with(ResponseTemplate::new(200));
        posts.mount(&collector.0).await;
        let telemetry = collector.telemetry(&[]);
        let redis = support::engine();
        telemetry.watch(&redis);
        redis.set("k", "v").await.unwrap();
        telemetry.flush(WITHIN).await;
        // A collector that fails is left alone.
        telemetry.flush(WITHIN).await;
        assert_eq!(collector.bodies("/v1/traces").await.len(), 1, "{status}");
        telemetry.shut_down(Families::default(), WITHIN).await;
        let again = collector.bodies("/v1/traces").await.len() == 2;
        assert_eq!(again, sent_again, "{status}");
    }
}

#[tokio::test]
async fn a_collector_that_does_not_answer_holds_nobody_beyond_the_bound() {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(600));
    let collector = Collector::start(slow).await;
    let telemetry = collector.telemetry(&[]);
    let redis = support::engine();
    telemetry.watch(&redis);
    redis.set("k", "v").await.unwrap();
    // It would be 600 seconds without the bound.
    let flush = telemetry.flush(Duration::from_millis(50));
    tokio::time::timeout(Duration::from_secs(60), flush)
        .await
        .unwrap();
    assert_eq!(collector.bodies("/v1/traces").await.len(), 1);
}
