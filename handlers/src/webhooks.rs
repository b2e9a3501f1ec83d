//! Configuration of webhooks, both ways.

use restis::{
    events::{Endpoint, Hook, TypeFilter, WebhookKeys, check_name, check_scope},
    variables::Variables,
};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// Endpoints of one environment.
const MOST: usize = 100;

/// Who may send events by signed webhooks.
#[derive(Debug, Clone)]
pub struct IncomingWebhook {
    pub(crate) keys: WebhookKeys,
    pub(crate) types: TypeFilter,
    pub(crate) organisation: Option<String>,
}

/// `EVENTS_INCOMING_WEBHOOKS` and `EVENTS_WEBHOOKS`.
#[derive(Debug, Clone, Default)]
pub struct Webhooks {
    pub(crate) incoming: Arc<BTreeMap<String, IncomingWebhook>>,
    pub(crate) outgoing: Arc<[Hook]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Incoming {
    secrets: Vec<String>,
    #[serde(default)]
    types: Option<Vec<String>>,
    #[serde(default)]
    organisation: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outgoing {
    name: String,
    url: String,
    secrets: Vec<String>,
    types: Vec<String>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    mode: Mode,
}

/// How an event is put into a request.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Structured,
    Binary,
}

impl Webhooks {
    pub(crate) fn from_vars(vars: &mut Variables<'_>) -> Self {
        let incoming = vars.parsed("EVENTS_INCOMING_WEBHOOKS", Self::parse_incoming);
        let outgoing = vars.parsed("EVENTS_WEBHOOKS", Self::parse_outgoing);
        Self {
            incoming: Arc::new(incoming.unwrap_or_default()),
            outgoing: outgoing.unwrap_or_default().into(),
        }
    }

    /// Senders by name: `{"stripe":{"secrets":["whsec_…"],"types":["stripe.*"],"organisation":"acme"}}`.
    fn parse_incoming(json: &str) -> Result<BTreeMap<String, IncomingWebhook>, String> {
        let senders: BTreeMap<String, Incoming> =
            serde_json::from_str(json).map_err(|e| format!("not an object of senders: {e}"))?;
        let mut incoming = BTreeMap::new();
        for (name, sender) in senders {
            let wrong = |e: restis::Error| format!("`{name}`: {e}");
            if name.contains('.') || check_name(&name).is_err() {
                return Err(format!(
                    "`{name}` is not letters, digits and `_`, or reserved"
                ));
            }
            if let Some(organisation) = &sender.organisation {
                check_scope(organisation).map_err(wrong)?;
            }
            let types = sender.types.unwrap_or_else(|| vec![format!("{name}.*")]);
            let sender = IncomingWebhook {
                keys: WebhookKeys::new(sender.secrets).map_err(wrong)?,
                types: TypeFilter::from_list(types).map_err(wrong)?,
                organisation: sender.organisation,
            };
            incoming.insert(name, sender);
        }
        Ok(incoming)
    }

    /// Endpoints: `[{"name":"billing","url":"https://…","secrets":["whsec_…"],"types":["booking.*"]}]`.
    fn parse_outgoing(json: &str) -> Result<Vec<Hook>, String> {
        let endpoints: Vec<Outgoing> =
            serde_json::from_str(json).map_err(|e| format!("not a list of endpoints: {e}"))?;
        if endpoints.len() > MOST {
            return Err(format!("more than {MOST} endpoints"));
        }
        let mut hooks: Vec<Hook> = Vec::new();
        for endpoint in endpoints {
            let name = endpoint.name;
            let wrong = |e: restis::Error| format!("`{name}`: {e}");
            if hooks.iter().any(|hook| hook.name() == name) {
                return Err(format!("`{name}` is there twice"));
            }
            let keys = WebhookKeys::new(endpoint.secrets).map_err(wrong)?;
            let types = TypeFilter::from_list(endpoint.types).map_err(wrong)?;
            if types.is_none() {
                return Err(format!("`{name}`: `types` names at least one type"));
            }
            let to = if endpoint.private {
                Endpoint::private(&endpoint.url, keys)
            } else {
                Endpoint::new(&endpoint.url, keys)
            };
            let to = match (endpoint.mode, to.map_err(wrong)?) {
                (Mode::Structured, to) => to,
                (Mode::Binary, to) => to.binary(),
            };
            hooks.push(Hook::new(&name, types, to).map_err(wrong)?);
        }
        Ok(hooks)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn endpoints_and_senders_are_checked_at_start_and_secrets_never_shown() {
        let ok = format!(
            r#"[{{"name":"billing","url":"https://example.com/hook","secrets":["{SECRET}"],"types":["a.*"]}}]"#
        );
        let hooks = Webhooks::parse_outgoing(&ok).unwrap();
        assert_eq!(hooks[0].name(), "billing");
        assert!(!format!("{hooks:?}").contains("MfKQ9"));
        for (from, to) in [
            ("https", "http"),
            ("billing", "a b"),
            (SECRET, "whsec_c2hvcnQ="),
            (r#"["a.*"]"#, "[]"),
            (r#"["a.*"]"#, r#"["a b"]"#),
            ("types", "kinds"),
            ("}]", r#","mode":"batched"}]"#),
        ] {
            let error = Webhooks::parse_outgoing(&ok.replace(from, to)).unwrap_err();
            assert!(!error.contains("c2hvcnQ"), "{error}");
        }
        assert!(Webhooks::parse_outgoing(&ok.replace("}]", r#","mode":"binary"}]"#)).is_ok());
        let twice = format!("[{0},{0}]", &ok[1..ok.len() - 1]);
        assert!(Webhooks::parse_outgoing(&twice).is_err());
        let ok = format!(r#"{{"stripe":{{"secrets":["{SECRET}"]}}}}"#);
        let incoming = Webhooks::parse_incoming(&ok).unwrap();
        assert!(incoming["stripe"].types.matches("stripe.paid"));
        assert!(!incoming["stripe"].types.matches("booking.created"));
        for (from, to) in [("stripe", "a.b"), ("stripe", "dlq"), (SECRET, "x")] {
            assert!(
                Webhooks::parse_incoming(&ok.replace(from, to)).is_err(),
                "{to}"
            );
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Single {
    url: String,
    secrets: Vec<String>,
    #[serde(default)]
    private: bool,
}

/// One endpoint: `{"url":"https://…","secrets":["whsec_…"]}`.
pub(crate) fn parse_endpoint(json: &str) -> Result<Endpoint, String> {
    // serde_json's text quotes the input, which may hold a secret.
    let single: Single = serde_json::from_str(json).map_err(|e| {
        format!(
            "not an endpoint at column {}: url, secrets, private",
            e.column()
        )
    })?;
    let wrong = |e: restis::Error| e.to_string();
    let keys = WebhookKeys::new(single.secrets).map_err(wrong)?;
    match single.private {
        true => Endpoint::private(&single.url, keys).map_err(wrong),
        false => Endpoint::new(&single.url, keys).map_err(wrong),
    }
}
