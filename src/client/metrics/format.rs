//! Metrics as Prometheus text, OpenMetrics text and JSON.
//!
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>. An encoder of
//! its own: the kept crates write one form, and want their own counters in front of ours.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value as Json, json};

use super::{
    families::{Families, Labels, MetricFamily, Value, quantile},
    registry::MetricKind,
};

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MetricsFormat {
    /// Prometheus' text format 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
    /// JSON, with percentiles.
    Json,
}

impl MetricsFormat {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// The format that an `Accept` header prefers; `Prometheus` when it names none of them.
    pub fn accepted(accept: &str) -> Self {
        let mut best = (0.0, Self::Prometheus);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default() {
                "application/openmetrics-text" => Self::OpenMetrics,
                "application/json" => Self::Json,
                "text/plain" | "text/*" | "*/*" => Self::Prometheus,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }
}

impl Families {
    /// All of them in this format.
    pub fn render(&self, format: MetricsFormat) -> String {
        match format {
            MetricsFormat::Prometheus => self.to_string(),
            MetricsFormat::OpenMetrics => {
                let mut out = String::new();
                // Writing to a `String` does not fail.
                let _ = self.all.iter().try_for_each(|f| text(&mut out, f, true));
                out.push_str("# EOF\n");
                out
            }
            MetricsFormat::Json => self.json().to_string(),
        }
    }

    fn json(&self) -> Json {
        let mut metrics = Map::new();
        for family in &self.all {
            let samples = family.samples.iter().map(|(labels, value)| {
                let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), json!(v)));
                let mut sample = json!({ "labels": labels.collect::<Map<String, Json>>() });
                match value {
                    Value::Number(value) => sample["value"] = json!(value),
                    Value::Histogram { buckets, sum } => {
                        sample["count"] = json!(buckets.iter().map(|(_, n)| n).sum::<u64>());
                        sample["sum"] = json!(sum);
                        for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                            sample[name] = json!(quantile(buckets, share));
                        }
                    }
                }
                sample
            });
            let family_json = json!({
                "type": family.kind.as_str(),
                "unit": family.unit,
                "help": family.help,
                "samples": samples.collect::<Vec<_>>(),
            });
            metrics.insert(family.name.to_string(), family_json);
        }
        let mut all: Map<String, Json> = self
            .about
            .iter()
            .map(|(name, text)| ((*name).to_owned(), json!(text)))
            .collect();
        all.insert("metrics".to_owned(), Json::Object(metrics));
        Json::Object(all)
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all
            .iter()
            .try_for_each(|family| text(f, family, false))
    }
}

fn text(out: &mut impl fmt::Write, family: &MetricFamily, open: bool) -> fmt::Result {
    let name = &family.text_name;
    // OpenMetrics names a counter without its suffix.
    let declared = match (open, family.kind) {
        (true, MetricKind::Counter) => name.trim_end_matches("_total"),
        _ => name,
    };
    let (help, kind) = (&family.help, family.kind.as_str());
    writeln!(out, "# HELP {declared} {help}\n# TYPE {declared} {kind}")?;
    if open && !family.unit.is_empty() {
        writeln!(out, "# UNIT {declared} {}", family.unit)?;
    }
    for (labels, value) in &family.samples {
        match value {
            Value::Number(value) => line(out, (name, ""), labels, None, *value)?,
            Value::Histogram { buckets, sum } => {
                let mut below = 0;
                for (bound, count) in buckets {
                    below += count;
                    let le = number(*bound);
                    line(out, (name, "_bucket"), labels, Some(&le), below as f64)?;
                }
                line(out, (name, "_sum"), labels, None, *sum)?;
                line(out, (name, "_count"), labels, None, below as f64)?;
            }
        }
    }
    Ok(())
}

fn line(
    out: &mut impl fmt::Write,
    (name, suffix): (&str, &str),
    labels: &Labels,
    le: Option<&str>,
    value: f64,
) -> fmt::Result {
    write!(out, "{name}{suffix}")?;
    let all = labels.iter().map(|(name, value)| (*name, value.as_str()));
    let mut open = '{';
    for (name, value) in all.chain(le.map(|le| ("le", le))) {
        write!(out, "{open}{name}=\"")?;
        for c in value.chars() {
            match c {
                '\\' | '"' => write!(out, "\\{c}")?,
                '\n' => out.write_str("\\n")?,
                c => out.write_char(c)?,
            }
        }
        out.write_char('"')?;
        open = ',';
    }
    if open == ',' {
        out.write_char('}')?;
    }
    writeln!(out, " {}", number(value))
}

fn number(value: f64) -> String {
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _ = match value {
        f64::INFINITY => text.write_str("+Inf"),
        value => write!(text, "{value}"),
    };
    text
}
