//! `restis serve` tells a collector its metrics.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;
use support::{Restis, binary};

const SECRET: &str = "serve-secret-51e0";

/// A collector; what it is sent, as paths and bodies.
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut path, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(rest) = line.strip_prefix("POST ") {
                    rest.split(' ').next().unwrap().clone_into(&mut path);
                }
                let lower = line.to_lowercase();
                if let Some(rest) = lower.strip_prefix("content-length:") {
                    length = rest.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            let _ = sender.send((path, body));
        }
    });
    (url, receiver)
}

#[test]
fn a_server_that_stops_has_told_what_it_did() {
    let (url, exports) = collector();
    let mut serve = binary();
    serve
        .args(["serve", "--addr", "127.0.0.1:0", "--token", SECRET])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        .env("OTEL_SERVICE_NAME", "store");
    let restis = Restis::start_by(&mut serve);
    let set = format!("{}/set/hush-key/hush-value?_token={SECRET}", restis.url());
    let address = set.strip_prefix("http://").unwrap();
    let (host, path) = address.split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"{"result":"OK"}"#), "{answer}");
    restis.signal("TERM");
    assert_eq!(restis.wait().0, Some(0));

    let (path, body) = exports.recv().unwrap();
    assert_eq!(path, "/v1/metrics");
    let sent = String::from_utf8_lossy(&body);
    for secret in [SECRET, "hush"] {
        assert!(!sent.contains(secret), "{secret}");
    }
    let export = ExportMetricsServiceRequest::decode(&*body).unwrap();
    let resource = export.resource_metrics[0].resource.clone().unwrap();
    assert!(resource.attributes.iter().any(|a| a.key == "service.name"));
    let metrics = &export.resource_metrics[0].scope_metrics[0].metrics;
    let metric = |name: &str| metrics.iter().find(|metric| metric.name == name);
    assert!(matches!(
        metric("redis_up").unwrap().data,
        Some(Data::Gauge(_))
    ));
    match metric("redis_commands_total")
        .unwrap()
        .data
        .as_ref()
        .unwrap()
    {
        Data::Sum(sum) => assert!(sum.is_monotonic && !sum.data_points.is_empty()),
        other => panic!("{other:?}"),
    }
    let histogram = |data: &Option<Data>| matches!(data, Some(Data::Histogram(_)));
    assert!(metrics.iter().any(|metric| histogram(&metric.data)));
}

#[test]
fn a_wrong_variable_is_told_before_the_server_serves() {
    let output = binary()
        .args(["serve", "--addr", "127.0.0.1:0"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("OTEL_EXPORTER_OTLP_PROTOCOL: use one of http/protobuf"),
        "{told}"
    );
}
