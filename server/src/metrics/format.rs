//! The numbers as Prometheus text, OpenMetrics text and JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::families::{Families, Family, Labels, MetricKind, Value};

/// How the numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Prometheus,
    OpenMetrics,
    Json,
}

impl Form {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// The form that `?format=` names, else the one that `Accept` prefers.
    ///
    /// # Errors
    /// What to write instead of an unknown name.
    pub(crate) fn wanted(query: Option<&str>, accept: Option<&str>) -> Result<Self, &'static str> {
        let mut named = query.into_iter().flat_map(|query| query.split('&'));
        match named.find_map(|pair| pair.strip_prefix("format=")) {
            Some("prometheus") => return Ok(Self::Prometheus),
            Some("openmetrics") => return Ok(Self::OpenMetrics),
            Some("json") => return Ok(Self::Json),
            Some(_) => return Err("format is prometheus, openmetrics or json\n"),
            None => {}
        }
        let mut best = (0.0, Self::Prometheus);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default() {
                "application/openmetrics-text" => Self::OpenMetrics,
                "application/json" => Self::Json,
                "text/plain" | "text/*" | "*/*" => Self::Prometheus,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > best.0 {
                best = (weight, form);
            }
        }
        Ok(best.1)
    }

    pub(crate) fn render(self, families: &Families) -> String {
        match self {
            Self::Prometheus => text(families, false),
            Self::OpenMetrics => text(families, true),
            Self::Json => json_text(families),
        }
    }
}

fn text(families: &Families, open: bool) -> String {
    let mut out = String::with_capacity(16 << 10);
    for family in families.iter() {
        // OpenMetrics knows quantiles from 0 to 1 only; those of redis_exporter are percentages.
        if open && family.kind == MetricKind::Summary {
            for suffix in ["", "_sum", "_count"] {
                head(&mut out, family, suffix, "unknown");
                samples(&mut out, family, |part| part == suffix);
            }
            continue;
        }
        let kind = match family.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Summary => "summary",
            MetricKind::Unknown if open => "unknown",
            MetricKind::Unknown => "untyped",
        };
        head(
            &mut out,
            family,
            "",
            match (open, family.kind) {
                (true, MetricKind::Counter) => "total",
                _ => kind,
            },
        );
        samples(&mut out, family, |_| true);
    }
    if open {
        out.push_str("# EOF\n");
    }
    out
}

/// The two lines before the samples; a counter of OpenMetrics is named without `_total` there.
fn head(out: &mut String, family: &Family, suffix: &str, kind: &str) {
    let (name, kind) = match kind {
        "total" => (family.name.trim_end_matches("_total"), "counter"),
        kind => (&*family.name, kind),
    };
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = writeln!(
        out,
        "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}"
    );
}

/// Writes the samples whose suffix is wanted.
fn samples(out: &mut String, family: &Family, wanted: impl Fn(&str) -> bool) {
    let mut line = |suffix: &str, labels: &Labels, more: Option<(&str, &str)>, value: f64| {
        if !wanted(suffix) {
            return;
        }
        out.push_str(&family.name);
        out.push_str(suffix);
        let all = labels.iter().map(|(name, value)| (*name, value.as_str()));
        for (at, (name, value)) in all.chain(more).enumerate() {
            out.push(if at == 0 { '{' } else { ',' });
            let _ = write!(out, "{name}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() || more.is_some() {
            out.push('}');
        }
        let _ = writeln!(out, " {}", number(value));
    };
    for (labels, value) in &family.samples {
        match value {
            Value::Number(value) => line("", labels, None, *value),
            Value::Histogram { buckets, sum } => {
                let mut below = 0;
                for (bound, count) in buckets {
                    below += count;
                    let bound = number(*bound);
                    line("_bucket", labels, Some(("le", &bound)), below as f64);
                }
                line("_sum", labels, None, *sum);
                line("_count", labels, None, below as f64);
            }
            Value::Summary {
                quantiles,
                sum,
                count,
            } => {
                for (quantile, value) in quantiles {
                    line("", labels, Some(("quantile", quantile)), *value);
                }
                line("_sum", labels, None, *sum);
                line("_count", labels, None, *count);
            }
        }
    }
}

fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

fn json_text(families: &Families) -> String {
    let mut all = Map::new();
    for family in families.iter() {
        let samples = family.samples.iter().map(|(labels, value)| {
            let labels: Map<String, Json> = labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            let mut sample = json!({ "labels": labels });
            match value {
                Value::Number(value) => sample["value"] = json!(value),
                Value::Histogram { buckets, sum } => {
                    sample["count"] = json!(buckets.iter().map(|(_, n)| n).sum::<u64>());
                    sample["sum"] = json!(sum);
                    for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                        sample[name] = json!(quantile(buckets, share));
                    }
                }
                Value::Summary {
                    quantiles,
                    sum,
                    count,
                } => {
                    sample["count"] = json!(count);
                    sample["sum"] = json!(sum);
                    for (quantile, value) in quantiles {
                        sample[format!("p{quantile}")] = json!(value);
                    }
                }
            }
            sample
        });
        let kind = match family.kind {
            MetricKind::Counter | MetricKind::Unknown => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Summary => "summary",
        };
        let family_json = json!({
            "type": kind,
            "help": family.help,
            "samples": samples.collect::<Vec<_>>(),
        });
        all.insert(family.name.to_string(), family_json);
    }
    json!({ "metrics": all }).to_string()
}

/// What this share of the measurements does not exceed, as `histogram_quantile` estimates it: evenly
/// spread within a bucket; `None`: nothing was measured.
fn quantile(buckets: &[(f64, u64)], share: f64) -> Option<f64> {
    let all: u64 = buckets.iter().map(|(_, n)| n).sum();
    let wanted = all as f64 * share;
    let (mut below, mut lower) = (0.0, 0.0);
    for (bound, count) in buckets {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            let within = (wanted - below) / count;
            return Some(if bound.is_finite() {
                lower + (bound - lower) * within
            } else {
                lower
            });
        }
        below += count;
        lower = *bound;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Families {
        let mut families = Families::default();
        let labels = || vec![("database", "a\"\\\n".to_owned())];
        families.counter("x_total", "Xs.", labels(), 2.0);
        families.counter("y_processed", "Ys.", Vec::new(), 3.0);
        let buckets = vec![(0.5, 1), (1.0, 2), (f64::INFINITY, 1)];
        let value = Value::Histogram { buckets, sum: 4.5 };
        families.add((MetricKind::Histogram, "z_seconds", "Zs."), labels(), value);
        families
    }

    #[test]
    fn prometheus_text_is_as_its_format_says() {
        let escaped = r#"database="a\"\\\n""#;
        let expected = format!(
            "# HELP x_total Xs.\n# TYPE x_total counter\nx_total{{{escaped}}} 2\n\
             # HELP y_processed Ys.\n# TYPE y_processed untyped\ny_processed 3\n\
             # HELP z_seconds Zs.\n# TYPE z_seconds histogram\n\
             z_seconds_bucket{{{escaped},le=\"0.5\"}} 1\nz_seconds_bucket{{{escaped},le=\"1\"}} 3\n\
             z_seconds_bucket{{{escaped},le=\"+Inf\"}} 4\nz_seconds_sum{{{escaped}}} 4.5\n\
             z_seconds_count{{{escaped}}} 4\n"
        );
        assert_eq!(Form::Prometheus.render(&some()), expected);
    }

    #[test]
    fn openmetrics_names_counters_without_their_suffix() {
        let text = Form::OpenMetrics.render(&some());
        assert!(text.starts_with("# HELP x Xs.\n# TYPE x counter\nx_total{"));
        assert!(text.contains("# TYPE y_processed unknown\n"));
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn json_has_percentiles() {
        let json: Json = serde_json::from_str(&Form::Json.render(&some())).unwrap_or_default();
        let z = &json["metrics"]["z_seconds"]["samples"][0];
        assert_eq!((&z["p50"], &z["p99"]), (&json!(0.75), &json!(1.0)));
        assert_eq!(json["metrics"]["x_total"]["samples"][0]["value"], 2.0);
    }

    #[test]
    fn the_form_is_what_was_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (query, accept, form) in [
            (None, None, Ok(Form::Prometheus)),
            (None, Some(prometheus), Ok(Form::OpenMetrics)),
            (None, Some("*/*"), Ok(Form::Prometheus)),
            (None, Some("text/html, application/json"), Ok(Form::Json)),
            (
                None,
                Some("application/json;q=0, */*;q=0.1"),
                Ok(Form::Prometheus),
            ),
            (Some("format=json"), Some("text/plain"), Ok(Form::Json)),
            (Some("a=b&format=openmetrics"), None, Ok(Form::OpenMetrics)),
            (
                Some("format=xml"),
                None,
                Err("format is prometheus, openmetrics or json\n"),
            ),
        ] {
            assert_eq!(Form::wanted(query, accept), form, "{query:?} {accept:?}");
        }
    }
}
