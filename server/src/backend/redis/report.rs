//! What a Redis tells about itself, for metrics.

use redis::{Cmd, Value};

use super::RedisBackend;

/// What one node told; what it refused is absent.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The node's address in a cluster.
    pub(crate) node: Option<String>,
    pub(crate) info: Option<String>,
    pub(crate) slow_count: Option<i64>,
    /// Identifier and microseconds of the last slow command.
    pub(crate) last_slow: Option<(i64, i64)>,
    /// Settings that are numbers.
    pub(crate) settings: Vec<(&'static str, f64)>,
}

/// Settings that are asked for.
const SETTINGS: [&str; 2] = ["maxclients", "io-threads"];

impl RedisBackend {
    /// Asks every node what it has to tell; `Err`: none can be reached.
    pub(crate) async fn report(&self) -> Result<Vec<Report>, ()> {
        let info = self.ask(&["INFO", "everything"]).await?;
        let length = self.ask(&["SLOWLOG", "LEN"]).await?;
        let last = self.ask(&["SLOWLOG", "GET", "1"]).await?;
        let mut settings = Vec::with_capacity(SETTINGS.len());
        for name in SETTINGS {
            settings.push((name, self.ask(&["CONFIG", "GET", name]).await?));
        }
        let of = |answers: &[(Option<String>, Value)], node: &Option<String>| {
            let found = answers.iter().find(|(of, _)| of == node);
            found.map(|(_, value)| value.clone())
        };
        let reports = info.iter().map(|(node, info)| Report {
            node: node.clone(),
            info: text(info),
            slow_count: of(&length, node).as_ref().and_then(number),
            last_slow: of(&last, node).as_ref().and_then(last_entry),
            settings: settings
                .iter()
                .filter_map(|(name, answers)| Some((*name, setting(&of(answers, node)?)?)))
                .collect(),
        });
        Ok(reports.collect())
    }

    /// The answer of each node; an error is an answer.
    async fn ask(&self, words: &[&str]) -> Result<Vec<(Option<String>, Value)>, ()> {
        let mut cmd = Cmd::new();
        for word in words {
            cmd.arg(*word);
        }
        match self.links.everywhere(&cmd).await {
            Ok(Value::Map(nodes)) if self.links.is_cluster() => Ok(nodes
                .into_iter()
                .map(|(node, answer)| (text(&node), answer))
                .collect()),
            Ok(answer) => Ok(vec![(None, answer)]),
            Err(super::Trouble::Broken(error)) if error.code().is_some() => {
                Ok(vec![(None, Value::Nil)])
            }
            Err(_) => Err(()),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
}

fn last_entry(value: &Value) -> Option<(i64, i64)> {
    let Value::Array(entries) = value else {
        return None;
    };
    let Value::Array(fields) = entries.first()? else {
        return None;
    };
    Some((number(fields.first()?)?, number(fields.get(2)?)?))
}

fn setting(value: &Value) -> Option<f64> {
    match value {
        Value::Array(pair) => text(pair.get(1)?)?.parse().ok(),
        Value::Map(pairs) => text(&pairs.first()?.1)?.parse().ok(),
        _ => None,
    }
}
