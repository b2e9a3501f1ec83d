#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use proptest::prelude::*;

fn from(vars: &[(&str, &str)]) -> Result<Redis> {
    Redis::from_vars(|name| {
        vars.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| (*v).to_owned())
    })
}

fn host(vars: &[(&str, &str)]) -> String {
    format!("{:?}", from(vars).unwrap().core.transport())
}

fn problem(vars: &[(&str, &str)]) -> String {
    from(vars).unwrap_err().to_string()
}

const URL: (&str, &str) = ("UPSTASH_REDIS_REST_URL", "https://example.upstash.io");
const TOKEN: (&str, &str) = ("UPSTASH_REDIS_REST_TOKEN", "TOKEN");

#[test]
fn the_first_complete_pair_wins_and_empty_means_not_set() {
    let kv = [
        ("KV_REST_API_URL", "https://kv.upstash.io"),
        ("KV_REST_API_TOKEN", "TOKEN"),
    ];
    assert!(host(&[URL, TOKEN, kv[0], kv[1]]).contains("example.upstash.io"));
    let empty = ("UPSTASH_REDIS_REST_URL", " ");
    assert!(host(&[empty, kv[0], kv[1]]).contains("kv.upstash.io"));
    let read_only = ("KV_REST_API_READ_ONLY_TOKEN", "TOKEN");
    assert!(host(&[kv[0], read_only]).contains("kv.upstash.io"));
}

#[test]
fn an_upstash_tcp_url_becomes_its_rest_url() {
    let url = (
        "REDIS_URL",
        "rediss://default:TOKEN@example.upstash.io:6379",
    );
    assert!(host(&[url]).contains("example.upstash.io"));
    let own = problem(&[("REDIS_URL", "redis://:secret@10.0.0.1:6379")]);
    assert!(
        own.contains("restis serve --redis") && !own.contains("secret"),
        "{own}"
    );
}

#[test]
fn every_problem_is_told_at_once_and_no_secret() {
    let text = problem(&[
        (
            "UPSTASH_REDIS_REST_URL",
            "rediss://default:hunter2@example.upstash.io:6379",
        ),
        ("UPSTASH_REDIS_REST_TOKEN", "\"hunter2\""),
        ("REDIS_COMMAND_TIMEOUT", "soon"),
        ("REDIS_CONNECT_TIMEOUT", "0"),
        ("REDIS_MAX_RETRIES", "many"),
    ]);
    for part in [
        "not a rediss:// address",
        "UPSTASH_REDIS_REST_TOKEN: remove the quotes",
        "REDIS_COMMAND_TIMEOUT",
        "REDIS_CONNECT_TIMEOUT",
        "REDIS_MAX_RETRIES",
    ] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn classic_mistakes_are_named() {
    let with_url = |url| problem(&[("UPSTASH_REDIS_REST_URL", url), TOKEN]);
    assert!(with_url("'https://example.upstash.io'").contains("quotes"));
    assert!(with_url("https://exam\nple.upstash.io").contains("line break"));
    assert!(with_url("example.upstash.io").contains("use a URL"));
    let with_token = |token| problem(&[URL, ("UPSTASH_REDIS_REST_TOKEN", token)]);
    assert!(with_token("Bearer TOKEN").contains("without Bearer"));
    assert!(with_token("https://example.upstash.io").contains("not a URL"));
    assert!(problem(&[URL]).contains("UPSTASH_REDIS_REST_TOKEN: not set"));
    assert!(problem(&[TOKEN]).contains("UPSTASH_REDIS_REST_URL: not set"));
    // Around the value they do no harm.
    let newline = ("UPSTASH_REDIS_REST_URL", " https://example.upstash.io\n");
    assert!(host(&[newline, TOKEN]).contains("example.upstash.io"));
}

proptest! {
    #[test]
    fn any_text_in_any_variable_is_a_client_or_a_problem_that_tells_no_value(
        scheme in prop_oneof![
            Just(""), Just("https://"), Just("http://"), Just("rediss://default:"), Just("\""),
        ],
        // No message has letters of this script by itself.
        text in "[\\x00-~\u{4e00}-\u{4eff}]{0,60}",
        host in prop_oneof![Just(""), Just("@example.upstash.io"), Just(".upstash.io:6379")],
        names in proptest::sample::subsequence(
            vec![
                URL.0, TOKEN.0, "KV_REST_API_URL", "KV_REST_API_TOKEN", "REDIS_URL",
                "REDIS_COMMAND_TIMEOUT", "REDIS_CONNECT_TIMEOUT", "REDIS_MAX_RETRIES",
            ],
            0..=8,
        ),
    ) {
        let value = format!("{scheme}{text}{host}");
        let mut vars = vec![("APP_ENV", "production")];
        vars.extend(names.into_iter().map(|name| (name, &*value)));
        if let Err(error) = from(&vars) {
            let told = format!("{error} {error:?}");
            prop_assert!(error.kind() == crate::ErrorKind::Config, "{}", told);
            let quoted = text.len() > 7 && told.contains(&text);
            let foreign = told.contains(|c| ('\u{4e00}'..='\u{4eff}').contains(&c));
            prop_assert!(!quoted && !foreign, "{}", told);
        }
    }
}

#[test]
fn production_without_a_database_does_not_start() {
    for var in [
        ("VERCEL", "1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("APP_ENV", "production"),
    ] {
        let text = problem(&[var]);
        assert!(
            text.contains(var.0) && text.contains("UPSTASH_REDIS_REST_URL"),
            "{text}"
        );
    }
}

#[cfg(feature = "embedded")]
#[test]
fn development_without_a_database_works_in_process() {
    assert_eq!(host(&[("SKIP_REDIS_WARNING", "true")]), "EmbeddedTransport");
    assert_eq!(
        host(&[
            ("VERCEL", "1"),
            ("VERCEL_ENV", "development"),
            ("SKIP_REDIS_WARNING", "true"),
        ]),
        "EmbeddedTransport"
    );
}

/// Counts warnings.
#[cfg(feature = "embedded")]
struct Warnings(std::sync::Arc<std::sync::atomic::AtomicUsize>);

#[cfg(feature = "embedded")]
impl tracing::Subscriber for Warnings {
    fn enabled(&self, of: &tracing::Metadata<'_>) -> bool {
        *of.level() == tracing::Level::WARN
    }
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[cfg(feature = "embedded")]
#[test]
fn the_store_in_the_process_is_warned_of_once() {
    let warnings = std::sync::Arc::default();
    let subscriber = Warnings(std::sync::Arc::clone(&warnings));
    tracing::subscriber::with_default(subscriber, || {
        from(&[("SKIP_REDIS_WARNING", "true")]).unwrap();
        assert_eq!(warnings.load(std::sync::atomic::Ordering::Relaxed), 0);
        for _ in 0..3 {
            from(&[]).unwrap();
        }
    });
    assert_eq!(warnings.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn a_time_has_a_unit_or_is_in_milliseconds() {
    let with = |time| from(&[URL, TOKEN, ("REDIS_COMMAND_TIMEOUT", time)]);
    for time in ["1500", "250ms", "1.5s", "1m", "1h"] {
        assert!(with(time).is_ok(), "{time}");
    }
    for wrong in ["0", "-1", "NaN", "inf", "4000s"] {
        let told = with(wrong).unwrap_err().to_string();
        assert!(told.contains("counts milliseconds"), "{wrong}: {told}");
    }
}

#[test]
fn staging_without_a_database_does_not_start_and_an_unknown_environment_neither() {
    assert!(problem(&[("APP_ENV", "staging")]).contains("APP_ENV says"));
    assert!(problem(&[("NODE_ENV", "qa")]).contains("NODE_ENV says"));
    assert!(host(&[URL, TOKEN, ("NODE_ENV", "qa")]).contains("example.upstash.io"));
}

#[test]
fn a_builder_of_the_variables_can_be_changed_before_it_is_built() {
    let lookup = |name: &str| {
        let set = [URL, TOKEN];
        let found = set.iter().find(|(n, _)| *n == name);
        found.map(|(_, v)| (*v).to_owned())
    };
    let mut vars = Variables::new(&lookup);
    assert!(Builder::from_vars(&mut vars).is_some_and(|b| b.max_retries(0).build().is_ok()));
    let nothing = |_: &str| None;
    let mut vars = Variables::new(&nothing);
    assert!(Builder::from_vars(&mut vars).is_none() && vars.problems().is_empty());
    let half = |name: &str| (name == URL.0).then(|| URL.1.to_owned());
    let mut vars = Variables::new(&half);
    assert!(Builder::from_vars(&mut vars).is_none() && vars.problems().len() == 1);
}
