//! Every variable: what it means, in which unit and range, and who reads it.
//!
//! The tables of docs/reference/CONFIG.md are written from here, and a test holds the ranges
//! against what the programs refuse.

mod client;
mod functions;
mod serve;
mod sessions;

use std::fmt::Write as _;

/// How a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As it is.
    Plain,
    /// Without user, password and query.
    Url,
    /// Not at all.
    Secret,
}

/// A variable; the texts are Markdown.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// Unit and range, or what may be written.
    pub(crate) form: &'static str,
    /// Empty: none.
    pub(crate) default: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) shown: Shown,
}

/// Variables of one part.
#[derive(Debug)]
pub(crate) struct Group {
    /// The heading in the document.
    pub(crate) title: &'static str,
    pub(crate) read_by: &'static str,
    pub(crate) variables: &'static [Variable],
}

/// Every variable, in the order of the document.
pub(crate) const GROUPS: [Group; 9] = [
    Group {
        title: "Environment",
        read_by: "everything",
        variables: client::ENVIRONMENT,
    },
    Group {
        title: "Client",
        read_by: "`Redis::from_env`, the functions, and the commands of `restis` that ask a database",
        variables: client::CLIENT,
    },
    Group {
        title: "Functions",
        read_by: "the functions",
        variables: functions::FUNCTIONS,
    },
    Group {
        title: "Rate limits",
        read_by: "the functions",
        variables: functions::RATE_LIMITS,
    },
    Group {
        title: "Sessions",
        read_by: "`SessionConfig::from_env` and the functions",
        variables: sessions::SESSIONS,
    },
    Group {
        title: "Cache",
        read_by: "`CacheConfig::from_env` and the functions",
        variables: functions::CACHE,
    },
    Group {
        title: "Events",
        read_by: "the functions",
        variables: functions::EVENTS,
    },
    Group {
        title: "OpenTelemetry",
        read_by: "the functions where they are built with the feature `otel`, `restis serve` and `restis dev`",
        variables: functions::OTEL,
    },
    Group {
        title: "`restis serve` and `restis dev`",
        read_by: "the two commands",
        variables: serve::SERVE,
    },
];

const fn plain(
    name: &'static str,
    form: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        name,
        form,
        default,
        meaning,
        shown: Shown::Plain,
    }
}

const fn url(
    name: &'static str,
    form: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        shown: Shown::Url,
        ..plain(name, form, default, meaning)
    }
}

const fn secret(
    name: &'static str,
    form: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        shown: Shown::Secret,
        ..plain(name, form, default, meaning)
    }
}

/// The tables as the document has them, each below its heading.
pub(crate) fn markdown() -> String {
    let mut text = String::new();
    for group in &GROUPS {
        let _ = writeln!(text, "## {}\n\nRead by {}.\n", group.title, group.read_by);
        text.push_str("| variable | unit, range | default | meaning |\n|---|---|---|---|\n");
        for variable in group.variables {
            let Variable {
                name,
                form,
                default,
                meaning,
                ..
            } = variable;
            let default = if default.is_empty() { "–" } else { default };
            let _ = writeln!(text, "| `{name}` | {form} | {default} | {meaning} |");
        }
        text.push('\n');
    }
    text
}

/// Markdown without its marks.
pub(crate) fn bare(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    // `[text](target)` is its text.
    while let Some((before, link)) = rest.split_once('[') {
        let parts = link
            .split_once("](")
            .filter(|(label, _)| !label.contains('`') && !label.contains('['))
            .and_then(|(label, target)| Some((label, target.split_once(')')?.1)));
        text.push_str(before);
        if let Some((label, after)) = parts {
            text.push_str(label);
            rest = after;
        } else {
            text.push('[');
            rest = link;
        }
    }
    text.push_str(rest);
    text.replace('`', "")
}
