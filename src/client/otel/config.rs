//! Where telemetry goes, from the standard variables.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::{
    client::variables::{Unit, Variables},
    transport::address,
};

/// Where telemetry is sent, and what it says of this process.
#[derive(Clone)]
pub struct TelemetryConfig {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: base URL of a collector; `/v1/traces` and `/v1/metrics` follow.
    pub(super) endpoint: Url,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` by comma, percent-encoded. Default none.
    pub(super) headers: HeaderMap,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`: time for one export in milliseconds, 1–60000. Default 10000.
    pub(super) timeout: Duration,
    /// `OTEL_METRIC_EXPORT_INTERVAL`: time between two exports of metrics in milliseconds,
    /// 1000–3600000. Default 60000.
    pub(super) metrics_every: Duration,
    /// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`: `name=value` by comma, percent-encoded.
    /// The service is `restis` by default.
    pub(super) resource: Vec<(String, String)>,
}

impl fmt::Debug for TelemetryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryConfig")
            .field("host", &self.endpoint.host_str())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const SERVICE: &str = "service.name";
const PAIRS: &str = "use name=value, several by comma, values percent-encoded";

impl TelemetryConfig {
    /// Reads the standard variables; `None` unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set, with
    /// `OTEL_SDK_DISABLED=true`, and when something is wrong, which `vars` notes.
    pub fn from_vars(vars: &mut Variables<'_>) -> Option<Self> {
        let disabled = vars.flag("OTEL_SDK_DISABLED") == Some(true);
        if disabled || vars.text(ENDPOINT).is_none() {
            return None;
        }
        let before = vars.problems().len();
        let endpoint = vars.parsed(ENDPOINT, |text| {
            let is_base =
                |url: &Url| matches!(url.scheme(), "http" | "https") && url.query().is_none();
            address::parse(text)
                .filter(is_base)
                .ok_or("use a URL such as http://127.0.0.1:4318")
        });
        let protocols = [("http/protobuf", ())];
        vars.one_of("OTEL_EXPORTER_OTLP_PROTOCOL", &protocols);
        let headers = vars.parsed("OTEL_EXPORTER_OTLP_HEADERS", |text| {
            headers(text).ok_or(PAIRS)
        });
        let ms = |low, high| Duration::from_millis(low)..=Duration::from_millis(high);
        let mut time = |name, low, high| vars.duration(name, Unit::Milliseconds, ms(low, high));
        let timeout = time("OTEL_EXPORTER_OTLP_TIMEOUT", 1, 60_000);
        let metrics_every = time("OTEL_METRIC_EXPORT_INTERVAL", 1_000, 3_600_000);
        let resource = vars.parsed("OTEL_RESOURCE_ATTRIBUTES", |text| pairs(text).ok_or(PAIRS));
        let mut resource = resource.unwrap_or_default();
        if let Some(name) = vars.text("OTEL_SERVICE_NAME") {
            resource.retain(|(key, _)| key != SERVICE);
            resource.push((SERVICE.to_owned(), name));
        } else if !resource.iter().any(|(key, _)| key == SERVICE) {
            resource.push((SERVICE.to_owned(), "restis".to_owned()));
        }
        let sound = vars.problems().len() == before;
        sound.then_some(Self {
            endpoint: endpoint?,
            headers: headers.unwrap_or_default(),
            timeout: timeout.unwrap_or(Duration::from_secs(10)),
            metrics_every: metrics_every.unwrap_or(Duration::from_secs(60)),
            resource,
        })
    }
}

/// Names and values, as W3C Baggage writes them.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |item: &str| {
        let (name, value) = item.split_once('=')?;
        let [name, value] = [name, value].map(|part| {
            let text = percent_decode_str(part.trim()).decode_utf8().ok()?;
            Some(text.into_owned())
        });
        Some((name.filter(|name| !name.is_empty())?, value?))
    };
    text.split(',').map(pair).collect()
}

fn headers(text: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(text)? {
        let name: HeaderName = name.parse().ok()?;
        let mut value: HeaderValue = value.parse().ok()?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(set: &[(&str, &str)]) -> (Option<TelemetryConfig>, Vec<String>) {
        let lookup = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut vars = Variables::new(&lookup);
        let config = TelemetryConfig::from_vars(&mut vars);
        (config, vars.into_problems())
    }

    #[test]
    fn it_is_off_without_an_endpoint_and_when_it_is_disabled() {
        assert!(read(&[("OTEL_SERVICE_NAME", "shop")]).0.is_none());
        let disabled = [(ENDPOINT, "http://c:4318"), ("OTEL_SDK_DISABLED", "true")];
        let (config, problems) = read(&disabled);
        assert!(config.is_none() && problems.is_empty());
    }

    #[test]
    fn names_and_values_are_percent_decoded_and_the_service_name_wins() {
        let (config, _) = read(&[
            (ENDPOINT, "https://collector.example/otlp"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,x-tenant = t"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=other,deployment.environment.name=a%2Cb",
            ),
            ("OTEL_SERVICE_NAME", "shop"),
        ]);
        let config = config.unwrap();
        assert_eq!(config.headers["api-key"], "a b");
        assert_eq!(config.headers["x-tenant"], "t");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("deployment.environment.name", "a,b"),
            pair(SERVICE, "shop"),
        ];
        assert_eq!(config.resource, expected);
        assert!(!format!("{config:?}").contains("a b"));
    }

    #[test]
    fn what_is_wrong_is_told_without_its_value() {
        let (config, problems) = read(&[
            (ENDPOINT, "collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=hunter2"),
        ]);
        assert!(config.is_none());
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(!problems.concat().contains("hunter2"));
    }
}
